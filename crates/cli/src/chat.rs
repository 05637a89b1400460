//! `puna chat`: a small client for a running server.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use futures::StreamExt;
use puna_api::{Error, Result};
use puna_openai::sse::SseParser;
use reqwest::Method;
use serde_json::{Value, json};

use crate::Invocation;
use crate::args::ChatArgs;
use crate::runtime::block_on;
use crate::server::{Server, broken};

/// The longest event that is taken from a server, in bytes.
const LONGEST_EVENT: usize = 16 << 20;

pub(crate) fn chat(invocation: &Invocation, args: ChatArgs) -> Result<()> {
    block_on(async {
        let server = Server::of(invocation, &args.server)?;
        let model = match args.model {
            Some(model) => model,
            None => server.first_model().await?,
        };
        let mut conversation = Conversation {
            server,
            model,
            max_tokens: args.max_tokens,
            messages: Vec::new(),
        };
        if let Some(system) = args.system {
            conversation
                .messages
                .push(json!({ "role": "system", "content": system }));
        }
        if let Some(message) = args.message {
            return conversation.say(&message).await;
        }
        if !io::stdin().is_terminal() {
            let mut message = String::new();
            io::stdin()
                .read_to_string(&mut message)
                .map_err(|error| unreadable(&error))?;
            return conversation.say(message.trim_end()).await;
        }
        conversation.converse().await
    })
}

struct Conversation {
    server: Server,
    model: String,
    max_tokens: Option<u32>,
    messages: Vec<Value>,
}

impl Conversation {
    /// Reads lines until the input ends.
    async fn converse(&mut self) -> Result<()> {
        write(&format!("{} (an empty line or Ctrl-D ends)\n", self.model))?;
        loop {
            write("> ")?;
            let mut line = String::new();
            let length = io::stdin()
                .lock()
                .read_line(&mut line)
                .map_err(|error| unreadable(&error))?;
            if length == 0 || line.trim().is_empty() {
                return Ok(());
            }
            // A failed turn does not end the conversation.
            if let Err(error) = self.say(line.trim_end()).await {
                crate::output::complain(&error);
            }
        }
    }

    /// Sends one message, and prints the answer as it comes.
    async fn say(&mut self, message: &str) -> Result<()> {
        self.messages.push(json!({ "role": "user", "content": message }));
        let answer = self.server.stream(&self.model, &self.messages, self.max_tokens).await;
        write("\n")?;
        match answer {
            Ok(answer) => {
                self.messages.push(json!({ "role": "assistant", "content": answer }));
                Ok(())
            }
            Err(error) => {
                self.messages.pop();
                Err(error)
            }
        }
    }
}

impl Server {
    async fn first_model(&self) -> Result<String> {
        let list: Value = self.get("/v1/models", &[]).await?;
        let models = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let generates_text = |model: &&Value| {
            model["custom_metadata"]["model_type"]
                .as_str()
                .is_none_or(|model_type| model_type == "llm")
        };
        models
            .iter()
            .find(generates_text)
            .and_then(|model| model["id"].as_str())
            .map(ToOwned::to_owned)
            .ok_or_else(|| Error::not_found("the server lists no model that generates text; name one with --model"))
    }

    /// Prints the answer as it comes, and returns it whole.
    async fn stream(&self, model: &str, messages: &[Value], max_tokens: Option<u32>) -> Result<String> {
        let mut body = json!({ "model": model, "messages": messages, "stream": true });
        if let Some(max_tokens) = max_tokens {
            body["max_tokens"] = max_tokens.into();
        }
        let request = self.request(Method::POST, "/v1/chat/completions").json(&body);
        let mut bytes = self.send(request).await?.bytes_stream();
        let mut parser = SseParser::new(LONGEST_EVENT);
        let mut answer = String::new();
        while let Some(piece) = bytes.next().await {
            parser.push(piece.map_err(broken)?);
            while let Some(event) = parser
                .next_event()
                .map_err(|error| Error::unavailable(error.to_string()))?
            {
                if event.data.as_ref() == b"[DONE]" {
                    return Ok(answer);
                }
                let chunk: Value = serde_json::from_slice(&event.data).map_err(|error| {
                    Error::unavailable("the server sent a chunk that is not JSON").with_source(error)
                })?;
                if let Some(message) = chunk["error"]["message"].as_str() {
                    return Err(Error::unavailable(message));
                }
                if let Some(text) = chunk["choices"][0]["delta"]["content"].as_str() {
                    write(text)?;
                    answer.push_str(text);
                }
            }
        }
        Err(Error::unavailable("the server ended the answer too early"))
    }
}

fn unreadable(error: &io::Error) -> Error {
    Error::internal(format!("failed to read from standard input: {error}"))
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Error::internal(format!("failed to write to standard output: {error}")))
}

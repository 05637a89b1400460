//! An upstream to test against: a real HTTP server that speaks the OpenAI wire format.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use socket2::{Domain, Socket, Type};
use tokio::sync::{oneshot, watch};

mod answer;
mod body;
mod chat;
mod check;
mod completion;
mod embeddings;
mod fault;
mod files;
mod generation;
mod received;
mod rerank;
mod server;
mod words;

#[cfg(test)]
pub(crate) use answer::{Answer, answer};
pub use fault::{Fault, Framing};
pub use files::{StubFile, StubFiles};
pub use received::{Outcome, ReceivedRequest};

/// A model server on a free port of 127.0.0.1, in a thread of its own; it ends when this is dropped.
///
/// It keeps files as OpenAI does, at `/v1/files`, until it ends.
///
/// It answers as vLLM, llama.cpp's server and Ollama do on their OpenAI paths: `/v1/models`, `/v1/chat/completions`, `/v1/completions`,
/// `/v1/embeddings`, besides `/rerank` (also under `/v1` and `/v2`), `/health`, `/version` and `/tokenize` of vLLM. What it answers follows
/// from the request:
///
/// - A chat echoes the text of the last message, word by word; each word with the whitespace before it is a token.
/// - A last message with lines `call NAME {…}` calls the tools of those names, where `tools` has them; so does a forced `tool_choice`.
/// - `max_tokens`, `stop`, `n`, `logprobs`, `seed`, `response_format`, `stream_options` do what they say.
/// - A completion echoes its prompt. Texts that share words have embeddings that point the same way.
/// - Wrong types, an unknown model, and no messages are errors as OpenAI words them.
///
/// [`fail`](Self::fail) makes a path misbehave, and every request is kept for [`requests`](Self::requests).
#[derive(Debug)]
pub struct StubUpstream {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a [`StubUpstream`] serves.
#[derive(Debug, Clone)]
pub struct StubSettings {
    /// The models of chats and completions.
    pub chat_models: Vec<String>,
    /// The models of embeddings, 8 dimensions each.
    pub embedding_models: Vec<String>,
    /// The models that rerank.
    pub rerank_models: Vec<String>,
    /// How files are kept.
    pub files: StubFiles,
    /// The bearer token that every request must carry; none by default.
    pub api_key: Option<String>,
}

impl Default for StubSettings {
    fn default() -> Self {
        Self {
            chat_models: vec![StubUpstream::CHAT_MODEL.to_owned()],
            embedding_models: vec![StubUpstream::EMBEDDING_MODEL.to_owned()],
            rerank_models: vec![StubUpstream::RERANK_MODEL.to_owned()],
            files: StubFiles::default(),
            api_key: None,
        }
    }
}

/// What the server's thread shares with the handle.
#[derive(Debug, Default)]
struct State {
    settings: StubSettings,
    requests: Mutex<Vec<ReceivedRequest>>,
    files: Mutex<Vec<StubFile>>,
    /// Changes with every request.
    received: watch::Sender<()>,
    faults: Mutex<HashMap<String, Fault>>,
    framing: Mutex<Framing>,
}

impl StubUpstream {
    /// The chat model of the default settings.
    pub const CHAT_MODEL: &'static str = "stub/llm";
    /// The embedding model of the default settings.
    pub const EMBEDDING_MODEL: &'static str = "stub/embedding";
    /// The rerank model of the default settings.
    pub const RERANK_MODEL: &'static str = "stub/rerank";

    /// Starts a server with the default settings.
    pub fn start() -> std::io::Result<Self> {
        Self::with_settings(StubSettings::default())
    }

    /// Starts a server. It accepts connections when this returns.
    pub fn with_settings(settings: StubSettings) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            settings,
            ..State::default()
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("stub-upstream".to_owned()).spawn({
            let state = Arc::clone(&state);
            move || runtime.block_on(server::serve(listener, state, stopped))
        })?;
        Ok(Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens, such as `http://127.0.0.1:40123`, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        lock(&self.state.requests).clone()
    }

    /// The requests to this path so far, such as `/v1/chat/completions`.
    pub fn requests_to(&self, path: &str) -> Vec<ReceivedRequest> {
        lock(&self.state.requests)
            .iter()
            .filter(|request| request.path == path)
            .cloned()
            .collect()
    }

    /// Resolves when there is a request to this path; at once when there was one.
    pub async fn received(&self, path: &str) {
        let mut count = self.state.received.subscribe();
        while self.requests_to(path).is_empty() {
            // The sender lives in this handle's state, so this cannot fail.
            let _ = count.changed().await;
        }
    }

    /// The files that it keeps, in the order in which they came.
    pub fn files(&self) -> Vec<StubFile> {
        lock(&self.state.files).clone()
    }

    /// Keeps a file of somebody else's.
    pub fn keep_file(&self, file: StubFile) {
        lock(&self.state.files).push(file);
    }

    /// Makes every request to this path misbehave from now on.
    pub fn fail(&self, path: &str, fault: Fault) {
        lock(&self.state.faults).insert(path.to_owned(), fault);
    }

    /// Makes every path behave again.
    pub fn heal(&self) {
        lock(&self.state.faults).clear();
    }

    /// Sets how streams are cut into writes from now on.
    pub fn set_framing(&self, framing: Framing) {
        *lock(&self.state.framing) = framing;
    }
}

impl Drop for StubUpstream {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The receiver is gone only when the thread has ended already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A port of 127.0.0.1 that refuses connections for as long as this lives: it is taken, and nobody listens.
#[derive(Debug)]
pub struct RefusedPort {
    address: SocketAddr,
    _socket: Socket,
}

impl RefusedPort {
    /// Takes a free port.
    pub fn take() -> std::io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket
            .local_addr()?
            .as_socket()
            .ok_or_else(|| std::io::Error::other("the socket has no IP address"))?;
        Ok(Self {
            address,
            _socket: socket,
        })
    }

    /// Its address, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A poisoned lock means that another thread failed its test; what it guards is whole all the same.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

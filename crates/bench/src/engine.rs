//! The engine benchmark: what the server leaves of the tokens per second that the engine in it makes.

mod direct;
mod figures;
mod streams;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::affinity::Cores;
use crate::error::{Context as _, Error, Result};
use crate::machine::Machine;
use crate::ports;
use crate::process;
use crate::random_model::{self, Dtype, Size};
use crate::report;
use crate::server::{Launch, Server};
use crate::statistics::slope;

use figures::{Figures, Row};
use streams::Streams;

/// The model's id in the configuration that the server runs with.
const MODEL: &str = "bench/model";
/// How often the memory is looked at while requests go by.
const LOOKS: usize = 20;
/// How long a request that was cancelled may go on.
const CANCEL_LIMIT: Duration = Duration::from_millis(100);

/// What `puna-bench engine` takes.
#[derive(Debug, Clone, Args)]
pub struct EngineOptions {
    /// The server to measure: a built distribution with the engine
    #[arg(long, value_name = "FILE")]
    server: PathBuf,
    /// The configuration to run it with, which names BENCH_MODEL
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The program that calls the engine itself: the example `direct` of its provider
    #[arg(long, value_name = "FILE")]
    direct: PathBuf,
    /// A checkpoint folder to measure with; may be given more than once. By default the tiny model and one of 100 million weights
    #[arg(long, value_name = "FOLDER")]
    model: Vec<PathBuf>,
    /// Where the default models are kept
    #[arg(long, value_name = "FOLDER")]
    models: PathBuf,
    /// How many streams at once, one measurement each
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_values_t = [1, 16])]
    streams: Vec<usize>,
    /// How many tokens each stream makes
    #[arg(long, value_name = "NUMBER", default_value_t = 128, value_parser = clap::value_parser!(u64).range(8..))]
    tokens: u64,
    /// How many answers the engine works on at once, as the server has it do: 1 on a processor
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    at_once: usize,
    /// How many rounds to run; the figures are their medians
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many requests to send one after the other to see whether memory grows; 0 leaves that out
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    sequential: usize,
    /// Write all figures there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Runs the rounds and prints the table.
///
/// # Errors
/// When the server or the direct program fails, or an answer is none.
pub fn run(options: &EngineOptions) -> Result<()> {
    let machine = Machine::look(Cores::choose(None, None)?);
    let folder = tempfile::tempdir().while_trying(|| "make a temporary folder".into())?;
    let mut all = Vec::new();
    for model in models(options)? {
        report::say(&format!("measuring with {}", model.display()));
        let bench = Bench {
            options,
            withheld: withheld(&model)?,
            model,
            folder: folder.path().to_owned(),
        };
        let figures = bench.measure()?;
        report::print(&figures.table(&bench.model))?;
        all.push(json!({ "model": bench.model, "figures": figures.to_json() }));
    }
    report::print(&format!(
        "{}, {} cores, Linux {}, load average {} before; {} rounds, {} tokens a stream, {} answers at once\n",
        machine.processor,
        machine.core_count,
        machine.kernel,
        machine.load_average,
        options.rounds,
        options.tokens,
        options.at_once,
    ))?;
    match &options.json {
        None => Ok(()),
        Some(path) => {
            fs::write(path, format!("{:#}\n", Value::Array(all))).while_trying(|| format!("write {}", path.display()))
        }
    }
}

fn models(options: &EngineOptions) -> Result<Vec<PathBuf>> {
    if !options.model.is_empty() {
        return Ok(options.model.clone());
    }
    let tiny = options.models.join("tiny");
    puna_tiny_model::write(&tiny).while_trying(|| format!("write {}", tiny.display()))?;
    let large = options.models.join("random-100m");
    random_model::write(&large, Size::Million100, Dtype::F32)?;
    Ok(vec![tiny, large])
}

/// The tokens that both sides are kept from: those that end an answer, and those that are no text on their own, such as half a
/// character, with which a server waits for the rest.
fn withheld(model: &Path) -> Result<BTreeSet<u64>> {
    let mut withheld = end_tokens(model)?;
    let path = model.join("tokenizer.json");
    let tokenizer = Tokenizer::from_file(&path).map_err(|cause| Error::new(format!("{}: {cause}", path.display())))?;
    for token in tokenizer.get_vocab(true).into_values() {
        let text = tokenizer.decode(&[token], true).unwrap_or_default();
        if text.is_empty() || text.contains(char::REPLACEMENT_CHARACTER) {
            withheld.insert(token.into());
        }
    }
    Ok(withheld)
}

/// The tokens that end an answer.
fn end_tokens(model: &Path) -> Result<BTreeSet<u64>> {
    let path = model.join("generation_config.json");
    let text = fs::read(&path).while_trying(|| format!("read {}", path.display()))?;
    let config: Value = serde_json::from_slice(&text).while_trying(|| format!("read {}", path.display()))?;
    Ok(match &config["eos_token_id"] {
        Value::Array(tokens) => tokens.iter().filter_map(Value::as_u64).collect(),
        token => token.as_u64().into_iter().collect(),
    })
}

/// One model's measurements.
struct Bench<'a> {
    options: &'a EngineOptions,
    model: PathBuf,
    withheld: BTreeSet<u64>,
    folder: PathBuf,
}

impl Bench<'_> {
    fn measure(&self) -> Result<Figures> {
        let server = self.start()?;
        let address = server.address();
        let mut figures = Figures::default();
        for round in 0..self.options.rounds {
            for &streams in &self.options.streams {
                let mut sides = [false, true];
                if round % 2 == 1 {
                    sides.reverse();
                }
                for through_server in sides {
                    let run = if through_server {
                        // One answer before anything counts, as the other side has it.
                        self.ask(address, 1)?;
                        self.ask(address, streams)?
                    } else {
                        direct::run(&self.options.direct, &self.model, &self.withheld, streams, self.options)?
                    };
                    let wanted = streams as u64 * self.options.tokens;
                    if run.tokens != wanted {
                        let side = if through_server { "the server" } else { "the engine" };
                        let message = format!("{side} made {} tokens, not {wanted}; an answer ended early", run.tokens);
                        return Err(Error::new(message));
                    }
                    figures.add(streams, through_server, &run);
                }
            }
        }
        figures.push(Row::Cancelled(self.tokens_after_cancel(&server)?));
        if self.options.sequential > 0 {
            figures.push(Row::Memory(self.memory(&server)?));
        }
        Ok(figures)
    }

    fn start(&self) -> Result<Server> {
        let absolute =
            |path: &Path| std::path::absolute(path).while_trying(|| format!("make {} absolute", path.display()));
        let address = ports::free()?;
        let mut command = Command::new(absolute(&self.options.server)?);
        command
            .arg("run")
            .arg(absolute(&self.options.config)?)
            .arg("--port")
            .arg(address.port().to_string())
            .env("PUNA_HOME", &self.folder)
            .env("BENCH_MODEL", absolute(&self.model)?);
        let launch = Launch {
            name: "puna",
            command,
            address,
            health_path: "/v1/health",
            healthy: &[200],
            log: self.folder.join("puna.log"),
        };
        launch.start_anywhere()
    }

    fn body(&self, tokens: u64) -> Value {
        let bias: serde_json::Map<String, Value> = self
            .withheld
            .iter()
            .map(|token| (token.to_string(), json!(-100)))
            .collect();
        json!({
            "model": MODEL, "prompt": direct::PROMPT, "max_tokens": tokens, "temperature": 0, "logit_bias": bias,
            "stream": true, "stream_options": { "include_usage": true },
        })
    }

    fn ask(&self, address: SocketAddr, streams: usize) -> Result<Streams> {
        streams::run(address, &self.body(self.options.tokens), streams)
    }

    /// How many tokens the engine makes after the time that a request which was hung up on may go on.
    fn tokens_after_cancel(&self, server: &Server) -> Result<u64> {
        // Long enough that it would still be at work when it is looked at.
        streams::hang_up(server.address(), &self.body(3000), 4)?;
        std::thread::sleep(CANCEL_LIMIT);
        let before = streams::generated_tokens(server.address())?;
        std::thread::sleep(Duration::from_millis(300));
        Ok(streams::generated_tokens(server.address())? - before)
    }

    /// By how many bytes a request makes the process grow.
    fn memory(&self, server: &Server) -> Result<f64> {
        let body = self.body(8);
        let every = self.options.sequential.div_ceil(LOOKS);
        let mut looks = Vec::new();
        let began = Instant::now();
        for index in 0..self.options.sequential {
            streams::run(server.address(), &body, 1)?;
            // What the first ones leave behind is warm-up.
            if index % every == every - 1 && index >= self.options.sequential / 5 {
                looks.push((index as f64, process::resident_bytes(server.process())? as f64));
            }
        }
        report::say(&format!(
            "{} requests one after the other in {:.1} s",
            self.options.sequential,
            began.elapsed().as_secs_f64()
        ));
        slope(&looks).ok_or_else(|| Error::new("--sequential is too small to tell a slope"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_by_itself_is_withheld() {
        let folder = tempfile::tempdir().unwrap();
        puna_tiny_model::write(folder.path()).unwrap();
        let tokenizer = Tokenizer::from_file(folder.path().join("tokenizer.json")).unwrap();
        let id = |token: &str| u64::from(tokenizer.token_to_id(token).unwrap());

        let withheld = withheld(folder.path()).unwrap();

        // In byte-level vocabularies, `Ã` is the byte C3, and `Ġ` a space.
        for (token, is_withheld) in [
            ("<|eot_id|>", true),
            ("<|start_header_id|>", true),
            ("Ã", true),
            ("a", false),
            ("Ġ", false),
        ] {
            assert_eq!(withheld.contains(&id(token)), is_withheld, "{token}");
        }
        assert!(withheld.len() < 256, "{}", withheld.len());
    }
}

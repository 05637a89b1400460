//! The gateway benchmark: what a server adds to a request, next to what nginx adds in the same run.

mod measure;
mod rounds;
mod subject;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::affinity::{self, Cores};
use crate::answers::StreamShape;
use crate::error::{Context as _, Error, Result};
use crate::machine::Machine;
use crate::nginx;
use crate::report::{self, Report};
use crate::rig::{Rig, RigSettings};

use subject::{Bench, Subject};

pub(crate) use measure::{Figures, Measure, Reading, Target};
pub(crate) use subject::SubjectName;

/// How nginx comes to the machine.
const NO_NGINX: &str =
    "nginx is not installed, so no figure can be compared with it; get it with: apt-get install nginx";

/// What `puna-bench gateway` takes.
#[derive(Debug, Clone, Args)]
pub struct GatewayOptions {
    /// The server to measure: a built distribution without an engine
    #[arg(long, value_name = "FILE")]
    pub server: PathBuf,
    /// The configuration to run it with, which names BENCH_UPSTREAM_URL, BENCH_API_KEY and BENCH_LOG_FILTER;
    /// distributions/remote/benchmark.yaml by default
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The model to ask the server for
    #[arg(long, value_name = "MODEL", default_value = "bench/mock-model")]
    pub model: String,
    /// How many rounds to run; the figures are their medians
    #[arg(long, value_name = "NUMBER", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How long each server is measured in each round, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = crate::command::parse_seconds)]
    pub duration: Duration,
    /// Measure only this; may be given more than once
    #[arg(long, value_name = "ROW")]
    pub only: Vec<Row>,
    /// Write all figures of all rounds there, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Another gateway to measure in the same rounds: a command in which {port}, {upstream} and {config} are replaced by
    /// the port to listen on, the mock's address (http://127.0.0.1:1234) and the configuration of --config
    #[arg(long, value_name = "COMMAND")]
    pub peer: Option<String>,
    /// The model to ask the peer for
    #[arg(long, value_name = "MODEL", default_value = "bench/mock-model")]
    pub peer_model: String,
    /// nginx, if it lies in no usual place
    #[arg(long, value_name = "FILE")]
    pub nginx: Option<PathBuf>,
    /// The core of the servers; the last one that may be used by default
    #[arg(long, value_name = "CORE")]
    pub server_core: Option<usize>,
    /// The core of mock and load; the first one that may be used by default
    #[arg(long, value_name = "CORE")]
    pub load_core: Option<usize>,
    /// The port of the mock upstream, for a peer whose configuration must name it; a free one by default
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub mock_port: u16,
    /// What the server logs; nginx logs no requests either
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    pub log_filter: String,
}

/// A group of figures that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Row {
    /// From start to the first good answer, idle memory, size of the binary
    Start,
    /// One connection: latency added
    Latency,
    /// 32 connections: requests per second, and processor time of each request
    Throughput,
    /// A prompt of 100 KB
    #[value(name = "prompt-100k")]
    Prompt100k,
    /// A prompt of 1 MB
    #[value(name = "prompt-1m")]
    Prompt1m,
    /// Streams of 64 chunks at 20 ms
    Stream,
    /// 1,000 such streams at once
    Streams,
    /// Memory under a load of 32 connections; only by --only, with a --duration that is long enough to tell
    Steady,
}

impl Row {
    /// The rows that are measured when none is named.
    const USUAL: [Self; 7] = [
        Self::Start,
        Self::Latency,
        Self::Throughput,
        Self::Prompt100k,
        Self::Prompt1m,
        Self::Stream,
        Self::Streams,
    ];
}

impl GatewayOptions {
    /// The configuration to run the server with.
    fn configuration(&self) -> PathBuf {
        let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../distributions/remote/benchmark.yaml");
        self.config.clone().unwrap_or_else(usual)
    }
}

/// Runs the benchmark, and prints the table.
///
/// # Errors
/// When something cannot be started, a server fails requests, or it does not hand bytes on as they came.
pub fn run(options: &GatewayOptions) -> Result<()> {
    let config = options.configuration();
    for (what, path) in [("server", &options.server), ("configuration", &config)] {
        if !path.is_file() {
            return Err(Error::new(format!("there is no {what} at {}", path.display())));
        }
    }
    let cores = Cores::choose(options.server_core, options.load_core)?;
    let machine = Machine::look(cores);
    affinity::pin_this_thread(cores.load)?;
    let folder = tempfile::Builder::new()
        .prefix("puna-bench-")
        .tempdir()
        .while_trying(|| "create a temporary folder".into())?;
    let stream = StreamShape::default();
    let rig = Rig::start(RigSettings {
        port: options.mock_port,
        core: Some(cores.load),
        stream,
    })?;
    let nginx = nginx::find(options.nginx.as_deref())?;
    if nginx.is_none() {
        report::say(NO_NGINX);
    }
    let nginx_version = nginx.as_deref().map(nginx::version).transpose()?;

    let bench = Bench {
        rig: &rig,
        cores,
        folder: folder.path(),
        config: &config,
        options,
        nginx: nginx.as_deref(),
        stream,
    };
    let mut subjects = vec![Subject::direct(&bench)];
    for name in [SubjectName::Nginx, SubjectName::Puna, SubjectName::Peer] {
        if let Some(subject) = Subject::start(name, &bench)? {
            subject.wait_until_it_chats(&bench)?;
            if name != SubjectName::Peer {
                subject.check_pass_through(&bench)?;
            }
            subjects.push(subject);
        }
    }

    let mut rows = options.only.clone();
    if rows.is_empty() {
        rows = Row::USUAL.to_vec();
    }
    rows.sort_unstable();
    rows.dedup();
    let mut figures = Figures::default();
    for row in rows {
        rounds::run(row, &bench, &subjects, &mut figures)?;
    }

    let report = Report {
        options,
        machine: &machine,
        cores,
        nginx_version: nginx_version.as_deref(),
        figures: &figures,
    };
    report.print()?;
    if let Some(path) = &options.json {
        write_json(path, &report)?;
    }
    Ok(())
}

fn write_json(path: &Path, report: &Report<'_>) -> Result<()> {
    let text = format!("{:#}\n", report.to_json());
    fs::write(path, text).while_trying(|| format!("write {}", path.display()))
}

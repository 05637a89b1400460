//! What is measured: the mock directly, nginx, the server, and a peer.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::GatewayOptions;
use crate::affinity::Cores;
use crate::answers::{MODEL, StreamShape};
use crate::error::{Context as _, Error, Result};
use crate::nginx;
use crate::pass_through;
use crate::ports;
use crate::request::{ChatRequest, chat_body};
use crate::rig::Rig;
use crate::server::{Launch, Server};

/// The key that the server is told to ask for.
const API_KEY: &str = "puna-bench-key";
/// The path of all requests.
const CHAT_PATH: &str = "/v1/chat/completions";
/// How long a server that has started may take to know its models.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SubjectName {
    /// The mock, with nothing between.
    Direct,
    /// nginx in front of the mock.
    Nginx,
    /// The server under test in front of the mock.
    Puna,
    /// Another gateway in front of the mock.
    Peer,
}

impl SubjectName {
    /// All of them, as they are shown.
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Nginx, Self::Puna, Self::Peer];

    /// As it is shown.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Puna => "puna",
            Self::Peer => "peer",
        }
    }
}

/// What every part of the benchmark uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bench<'a> {
    /// Mock and load.
    pub(crate) rig: &'a Rig,
    /// Which core does what.
    pub(crate) cores: Cores,
    /// Where files go.
    pub(crate) folder: &'a Path,
    /// The configuration of the server.
    pub(crate) config: &'a Path,
    /// What was asked for.
    pub(crate) options: &'a GatewayOptions,
    /// The program of nginx.
    pub(crate) nginx: Option<&'a Path>,
    /// How the mock streams.
    pub(crate) stream: StreamShape,
}

/// One that answers.
#[derive(Debug)]
pub(crate) struct Subject {
    name: SubjectName,
    address: SocketAddr,
    model: String,
    server: Option<Server>,
}

impl Subject {
    /// The mock itself.
    pub(crate) fn direct(bench: &Bench<'_>) -> Self {
        Self {
            name: SubjectName::Direct,
            address: bench.rig.mock_address(),
            model: MODEL.into(),
            server: None,
        }
    }

    /// Starts one; `None` when it is not there or not asked for.
    pub(crate) fn start(name: SubjectName, bench: &Bench<'_>) -> Result<Option<Self>> {
        let model = match name {
            SubjectName::Peer => bench.options.peer_model.clone(),
            _ => bench.options.model.clone(),
        };
        let Some(server) = start_server(name, bench)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            name,
            address: server.address(),
            model,
            server: Some(server),
        }))
    }

    /// Who it is.
    pub(crate) fn name(&self) -> SubjectName {
        self.name
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of its first process; none for the mock.
    pub(crate) fn process(&self) -> Option<u32> {
        self.server.as_ref().map(Server::process)
    }

    /// A request with a prompt of the given size.
    pub(crate) fn request(&self, prompt_bytes: usize, streaming: bool) -> Arc<[u8]> {
        self.chat().with_body(&chat_body(&self.model, prompt_bytes, streaming))
    }

    /// Sends a request until it is answered as it should be.
    ///
    /// # Errors
    /// When none is for some seconds, with the reason of the last.
    pub(crate) fn wait_until_it_chats(&self, bench: &Bench<'_>) -> Result<()> {
        let began = Instant::now();
        loop {
            let workload = pass_through::single(self.address, self.request(16, false), false);
            let outcome = bench.rig.run(workload)?;
            let Some(failure) = outcome.first_failure else {
                return Ok(());
            };
            if began.elapsed() > PATIENCE {
                return Err(self.failure(&failure));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sees whether it hands bytes on as they come.
    pub(crate) fn check_pass_through(&self, bench: &Bench<'_>) -> Result<()> {
        pass_through::check(bench.rig, self.chat(), &self.model, bench.stream)
            .map_err(|error| Error::new(format!("{} does not pass bytes through: {error}", self.name.as_str())))
    }

    /// An error that says who failed and what it wrote.
    pub(crate) fn failure(&self, failure: &str) -> Error {
        let words = self.server.as_ref().map(Server::last_words).unwrap_or_default();
        Error::new(format!("{} failed: {failure}{words}", self.name.as_str()))
    }

    fn chat(&self) -> ChatRequest<'_> {
        ChatRequest {
            target: self.address,
            path: CHAT_PATH,
            api_key: Some(API_KEY),
        }
    }
}

/// Starts a server on a free port; `None` when it is not there or not asked for, and for the mock.
pub(crate) fn start_server(name: SubjectName, bench: &Bench<'_>) -> Result<Option<Server>> {
    let address = ports::free()?;
    let launch = match (name, bench.nginx, &bench.options.peer) {
        (SubjectName::Nginx, Some(program), _) => {
            nginx::launch(program, bench.folder, address, bench.rig.mock_address())?
        }
        (SubjectName::Puna, ..) => puna(bench, address)?,
        (SubjectName::Peer, _, Some(command)) => peer(bench, address, command)?,
        (SubjectName::Direct | SubjectName::Nginx | SubjectName::Peer, ..) => return Ok(None),
    };
    launch.start(bench.cores.server).map(Some)
}

fn puna(bench: &Bench<'_>, address: SocketAddr) -> Result<Launch> {
    let absolute = |path: &Path| std::path::absolute(path).while_trying(|| format!("make {} absolute", path.display()));
    let mut command = Command::new(absolute(&bench.options.server)?);
    command
        .arg("run")
        .arg(absolute(bench.config)?)
        .arg("--port")
        .arg(address.port().to_string());
    // Nothing of the environment that this runs in may change what is measured.
    command.env_clear().env("HOME", bench.folder).current_dir(bench.folder);
    set_configuration_variables(&mut command, bench);
    Ok(Launch {
        name: "puna",
        command,
        address,
        health_path: "/v1/health",
        healthy: &[200],
        log: bench.folder.join("puna.log"),
    })
}

fn peer(bench: &Bench<'_>, address: SocketAddr, template: &str) -> Result<Launch> {
    let upstream = format!("http://{}", bench.rig.mock_address());
    let port = address.port().to_string();
    let config = bench.config.display().to_string();
    let mut words = template.split_ascii_whitespace().map(|word| {
        word.replace("{port}", &port)
            .replace("{upstream}", &upstream)
            .replace("{config}", &config)
    });
    let program = words
        .next()
        .ok_or_else(|| Error::new("--peer is empty; it takes a command"))?;
    let mut command = Command::new(program);
    command.args(words);
    set_configuration_variables(&mut command, bench);
    Ok(Launch {
        name: "the peer",
        command,
        address,
        health_path: "/v1/health",
        healthy: &[],
        log: bench.folder.join("peer.log"),
    })
}

fn set_configuration_variables(command: &mut Command, bench: &Bench<'_>) {
    command
        .env("BENCH_UPSTREAM_URL", format!("http://{}/v1", bench.rig.mock_address()))
        .env("BENCH_API_KEY", API_KEY)
        .env("BENCH_LOG_FILTER", &bench.options.log_filter);
}

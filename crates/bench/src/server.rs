//! Starting a server under test on its core.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::affinity;
use crate::error::{Context as _, Error, Result};
use crate::ports;
use crate::process::Running;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of the log is shown when it does not, in bytes.
const LOG_TAIL_BYTES: usize = 2000;

/// How to start a server.
#[derive(Debug)]
pub(crate) struct Launch {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// The program with its arguments.
    pub(crate) command: Command,
    /// Where it will listen.
    pub(crate) address: SocketAddr,
    /// The path that is asked until it answers.
    pub(crate) health_path: &'static str,
    /// Which statuses mean that it serves; none: any.
    pub(crate) healthy: &'static [u16],
    /// Where what it writes goes.
    pub(crate) log: PathBuf,
}

/// A server that answers; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    running: Running,
    address: SocketAddr,
    started_in: Duration,
    log: PathBuf,
}

impl Launch {
    /// Starts it on `core` and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started or does not answer; the message holds the end of its log.
    pub(crate) fn start(self, core: usize) -> Result<Server> {
        self.start_by(|command| affinity::spawn_on(core, command))
    }

    /// Starts it on whatever cores there are, and waits until it answers.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub(crate) fn start_anywhere(self) -> Result<Server> {
        self.start_by(|command| command.spawn().while_trying(|| "start the server".into()))
    }

    fn start_by(mut self, spawn: impl FnOnce(&mut Command) -> Result<Child>) -> Result<Server> {
        let log = File::create(&self.log).while_trying(|| format!("create {}", self.log.display()))?;
        let errors = log
            .try_clone()
            .while_trying(|| format!("write to {}", self.log.display()))?;
        self.command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let began = Instant::now();
        let mut running = Running::new(spawn(&mut self.command)?);
        let started_in = ports::wait_for_answer(
            &mut running,
            self.address,
            self.health_path,
            self.healthy,
            began,
            PATIENCE,
        )
        .map_err(|error| Error::new(format!("{} did not start: {error}{}", self.name, quote(&self.log))))?;
        Ok(Server {
            running,
            address: self.address,
            started_in,
            log: self.log,
        })
    }
}

impl Server {
    /// The number of its first process.
    pub(crate) fn process(&self) -> u32 {
        self.running.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From its start to its first good answer.
    pub(crate) fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The end of what it wrote, to be put behind an error message.
    pub(crate) fn last_words(&self) -> String {
        quote(&self.log)
    }
}

fn quote(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let tail = String::from_utf8_lossy(&text[text.len().saturating_sub(LOG_TAIL_BYTES)..])
        .trim()
        .to_owned();
    if tail.is_empty() {
        "; it wrote nothing".into()
    } else {
        format!("; it wrote:\n{tail}")
    }
}

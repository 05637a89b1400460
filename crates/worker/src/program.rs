//! Starting workers.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::role::MARK;
use crate::{Bounds, Failure, Input, answer, failure, input};

/// How much of what a worker says on standard error is kept.
const LAST_WORDS_BYTES: usize = 4096;

/// This program, able to start workers of itself. Only [`role`](crate::role()) makes one.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

/// One piece of work.
#[derive(Debug)]
pub struct Job {
    /// The provider whose worker does it.
    pub provider_type: &'static str,
    /// What its function is told: settings, not data. Other users of the machine may see it.
    pub task: String,
    /// What it reads.
    pub input: Input,
    /// What it may use.
    pub bounds: Bounds,
}

impl Program {
    pub(crate) fn this() -> Self {
        let path = if cfg!(target_os = "linux") {
            // The very file that runs, even if another one has its name by now.
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe().unwrap_or_default()
        };
        Self {
            path,
            variables: vec![
                // Generated programs allocate with mimalloc, which would otherwise take a gigabyte before the bounds are set.
                ("MIMALLOC_ARENA_RESERVE".into(), "0".into()),
            ],
        }
    }

    /// Hands a variable of the environment on to workers, which get no others: one that the program needs to start at all.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Has the work done. The worker is killed when this is dropped.
    pub async fn run(&self, job: Job) -> Result<Vec<u8>, Failure> {
        let Job {
            provider_type,
            task,
            input,
            bounds,
        } = job;
        let (stdin, rest) = input.split();
        let cpu_seconds = bounds.time.as_secs().saturating_add(1);
        let mut child = Command::new(&self.path)
            .args([MARK, provider_type])
            .args([bounds.memory_bytes.to_string(), cpu_seconds.to_string(), task])
            .env_clear()
            .envs(self.variables.iter().cloned())
            .current_dir("/")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(Failure::Unavailable)?;
        let outcome = match tokio::time::timeout(bounds.time, converse(&mut child, rest, bounds.answer_bytes)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::OutOfTime),
        };
        if outcome.is_err() {
            // It may have ended already.
            let _ = child.start_kill();
        }
        outcome
    }
}

/// Writes what there is to write, reads what comes, and waits for the end.
async fn converse(
    child: &mut Child,
    rest: Option<futures::stream::BoxStream<'static, puna_api::Result<bytes::Bytes>>>,
    answer_bytes: u64,
) -> Result<Vec<u8>, Failure> {
    let gone = || Failure::Unavailable(io::Error::other("a pipe to the process is missing"));
    let stdout = child.stdout.take().ok_or_else(gone)?;
    let stderr = child.stderr.take().ok_or_else(gone)?;
    let stdin = child.stdin.take();
    let mut written = std::pin::pin!(async {
        match (rest, stdin) {
            (Some(rest), Some(stdin)) => input::write(rest, stdin).await,
            _ => Ok(()),
        }
    });
    let mut said = std::pin::pin!(async { tokio::join!(answer_of(stdout, answer_bytes), last_words(stderr)) });
    let (output, last_words) = tokio::select! {
        // It may answer before it has read everything.
        said = &mut said => said,
        written = &mut written => {
            written?;
            said.await
        }
    };
    let output = output?;
    let status = child.wait().await.map_err(Failure::Unavailable)?;
    match answer::read(output) {
        Some(outcome) if status.success() => outcome,
        _ => Err(failure::of(status, &last_words)),
    }
}

async fn answer_of(stdout: impl AsyncRead + Unpin, most: u64) -> Result<Vec<u8>, Failure> {
    let mut output = Vec::new();
    // One byte more for the kind of answer, and one that shows that there is too much.
    let read = stdout.take(most.saturating_add(2)).read_to_end(&mut output).await;
    read.map_err(Failure::Unavailable)?;
    if output.len() as u64 > most.saturating_add(1) {
        return Err(Failure::AnswerTooLong);
    }
    Ok(output)
}

/// The end of what it says, read to the end so that it never waits for a reader.
async fn last_words(mut stderr: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..length]);
        let surplus = kept.len().saturating_sub(LAST_WORDS_BYTES);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

//! What a worker reads.

use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::process::Stdio;

use bytes::Bytes;
use futures::StreamExt;
use puna_api::{BoxStream, Result};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;

use crate::Failure;

/// What a worker reads.
pub enum Input {
    /// A file, which becomes its standard input as it is.
    File(File),
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes on their way.
    Stream(BoxStream<Result<Bytes>>),
}

impl Input {
    /// What the process is started with, and what is left to write to it.
    pub(crate) fn split(self) -> (Stdio, Option<BoxStream<Result<Bytes>>>) {
        match self {
            Self::File(file) => (Stdio::from(file), None),
            Self::Bytes(bytes) => (
                Stdio::piped(),
                Some(futures::stream::once(async move { Ok(bytes) }).boxed()),
            ),
            Self::Stream(stream) => (Stdio::piped(), Some(stream)),
        }
    }
}

/// Writes it all. A process that does not want the rest is no failure; it has decided.
pub(crate) async fn write(mut rest: BoxStream<Result<Bytes>>, mut stdin: ChildStdin) -> Result<(), Failure> {
    while let Some(bytes) = rest.next().await {
        let bytes = bytes.map_err(Failure::Input)?;
        match stdin.write_all(&bytes).await {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(Failure::Unavailable(error)),
            Ok(()) => {}
        }
    }
    Ok(())
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Stream(_) => f.debug_tuple("Stream").finish_non_exhaustive(),
        }
    }
}

//! One file on its way: as much as is there already, the rest from the hub, and the check at the end.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use puna_api::{Error, Result};
use reqwest::StatusCode;

use crate::cache::make_parent;
use crate::checksum::{Hasher, hashing};
use crate::client::{Client, RETRIES, RemoteFile, content_range, may_pass, nonsense};
use crate::disk::{shown, write_failed};
use crate::error::unusable;
use crate::progress::Progress;

/// Where a file is while it is not whole, and where it goes.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) partial: PathBuf,
    pub(crate) whole: PathBuf,
}

/// What is there of a file, hashed so far.
struct Partial<'a> {
    file: File,
    path: &'a Path,
    remote: &'a RemoteFile,
    hasher: Hasher,
    have: u64,
    restarts: u32,
}

/// Why an attempt ended before the file was whole.
enum Stop {
    /// The connection, or the server for the moment.
    Broken(Error),
    Final(Error),
}

/// Brings a file to its place; how many bytes had to come for it. Where that fails, what came is kept for the next time, unless it is wrong.
pub(crate) async fn fetch(
    client: &Client,
    remote: &RemoteFile,
    places: &Places,
    progress: &dyn Progress,
) -> Result<u64> {
    let mut partial = Partial::open(&places.partial, remote).await?;
    let had = partial.have;
    let mut is_resumed = had > 0;
    progress.begin(&remote.name, remote.bytes, partial.have);
    loop {
        complete(client, &mut partial, progress).await?;
        let found = std::mem::replace(&mut partial.hasher, remote.checksum.hasher(remote.bytes)).finish();
        if found == remote.checksum.as_str() {
            break;
        }
        if !is_resumed {
            drop(partial);
            fs::remove_file(&places.partial).map_err(|error| unusable(&places.partial, &error))?;
            return Err(Error::unavailable(format!(
                "`{}` came with wrong bytes: its checksum is {found}, and the hub says {}; they were removed; try again, and if it happens \
                 again, do not trust what stands between you and the hub",
                remote.name,
                remote.checksum.as_str()
            ))
            .with_code("checksum_mismatch"));
        }
        // What lay there from another time may be the part that is wrong.
        is_resumed = false;
        progress.note(&format!(
            "what was there of {} does not fit the rest; fetching it anew",
            remote.name
        ));
        partial.restart(progress)?;
    }
    let failed = |error: std::io::Error| write_failed(&places.partial, remote.bytes, &error);
    partial.file.sync_all().map_err(failed)?;
    make_parent(&places.whole)?;
    fs::rename(&places.partial, &places.whole).map_err(|error| unusable(&places.whole, &error))?;
    progress.end(&remote.name);
    // What was there counts only if it did not have to be thrown away.
    Ok(if partial.restarts > 0 {
        remote.bytes
    } else {
        remote.bytes - had
    })
}

/// Fetches until all bytes are there. Gives up after some failures in a row without a single byte.
async fn complete(client: &Client, partial: &mut Partial<'_>, progress: &dyn Progress) -> Result<()> {
    let mut wait = client.settings.retry_wait;
    let mut failures = 0;
    while partial.have < partial.remote.bytes {
        let before = partial.have;
        let error = match attempt(client, partial, progress).await {
            Ok(()) => continue,
            Err(Stop::Final(error)) => return Err(error),
            Err(Stop::Broken(error)) => error,
        };
        if partial.have > before {
            failures = 0;
            wait = client.settings.retry_wait;
        }
        failures += 1;
        if failures > RETRIES {
            let (have, bytes) = (shown(partial.have), shown(partial.remote.bytes));
            let name = &partial.remote.name;
            return Err(Error::unavailable(format!(
                "the transfer of `{name}` broke off at {have} of {bytes}: {}; what came is kept, run the same command again to go on",
                error.message()
            ))
            .with_code("transfer_interrupted")
            .with_source(error));
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    Ok(())
}

async fn attempt(client: &Client, partial: &mut Partial<'_>, progress: &dyn Progress) -> Result<(), Stop> {
    let remote = partial.remote;
    let mut response = client.bytes(&remote.url, partial.have).await.map_err(Stop::Broken)?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            if content_range(&response) != Some((partial.have, remote.bytes)) {
                return Err(Stop::Final(nonsense(&format!(
                    "another part of `{}` than the one asked for",
                    remote.name
                ))));
            }
        }
        // A server that knows no ranges begins at the beginning.
        StatusCode::OK => {
            if response.content_length().is_some_and(|bytes| bytes != remote.bytes) {
                return Err(Stop::Final(nonsense(&format!(
                    "another size of `{}` than before",
                    remote.name
                ))));
            }
            if partial.have > 0 {
                partial.restart(progress).map_err(Stop::Final)?;
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if partial.have > 0 => {
            partial.restart(progress).map_err(Stop::Final)?;
            return Err(Stop::Broken(nonsense(&format!(
                "fewer bytes of `{}` than were there",
                remote.name
            ))));
        }
        status => {
            let answered = Error::unavailable(format!("the server of `{}` answered {}", remote.name, status.as_u16()));
            // A signed URL that has run out is refused; the next attempt gets a new one.
            let may_pass = may_pass(status) || status == StatusCode::FORBIDDEN;
            return Err(if may_pass {
                Stop::Broken(answered)
            } else {
                Stop::Final(answered)
            });
        }
    }
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) => {
                partial.write(&bytes).map_err(Stop::Final)?;
                progress.advance(&remote.name, bytes.len() as u64);
            }
            Ok(None) if partial.have == remote.bytes => return Ok(()),
            Ok(None) => return Err(Stop::Broken(Error::unavailable("the connection ended early"))),
            Err(error) => {
                return Err(Stop::Broken(
                    Error::unavailable("the connection broke").with_source(error.without_url()),
                ));
            }
        }
    }
}

impl<'a> Partial<'a> {
    async fn open(path: &'a Path, remote: &'a RemoteFile) -> Result<Self> {
        make_parent(path)?;
        let failed = |error| unusable(path, &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > remote.bytes {
            file.set_len(0).map_err(failed)?;
        }
        let mut hasher = remote.checksum.hasher(remote.bytes);
        let there = file.metadata().map_err(failed)?.len();
        let hashed = hashing(move || hasher.read(&mut file, there).map(|have| (file, hasher, have))).await?;
        let (file, hasher, have) = hashed.map_err(failed)?;
        Ok(Self {
            file,
            path,
            remote,
            hasher,
            have,
            restarts: 0,
        })
    }

    /// Throws away what is there. Fails when that happens again and again: then the server never has all of it.
    fn restart(&mut self, progress: &dyn Progress) -> Result<()> {
        self.restarts += 1;
        if self.restarts > RETRIES {
            return Err(nonsense(&format!("`{}` without its end, each time", self.remote.name)));
        }
        let failed = |error| unusable(self.path, &error);
        self.file.set_len(0).map_err(failed)?;
        self.file.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.hasher = self.remote.checksum.hasher(self.remote.bytes);
        self.have = 0;
        progress.restart(&self.remote.name);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let room = self.remote.bytes - self.have;
        if bytes.len() as u64 > room {
            return Err(nonsense(&format!("more bytes of `{}` than it has", self.remote.name)));
        }
        // A write that fails in the middle leaves the position anywhere; only whole pieces count, and the next open reads what is there.
        self.file
            .write_all(bytes)
            .map_err(|error| write_failed(self.path, room, &error))?;
        self.hasher.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }
}

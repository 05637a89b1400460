//! Blobs as files in a folder.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use puna_api::{BoxStream, Error, Result};
use rustix::fs::{FlockOperation, flock};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::incoming::Incoming;
use super::{Blob, BlobInfo, BlobKey, BlobPage, BlobStore};
use crate::room;

/// Where blobs are written before they are whole; no key starts with a dot.
const INCOMING: &str = ".incoming";
/// How much is read at once.
const PIECE: usize = 256 << 10;
/// How much is written between two looks at the room that is left.
const LOOK: u64 = 1 << 20;

/// Blobs as files in a folder, which may be shared by several processes of one machine.
///
/// A blob is written aside, brought to the disk, and only then given its name; the folder is brought to the disk after that. What a writer that
/// was killed left aside goes when the folder is opened the next time: a living writer holds a lock on its file.
#[derive(Debug, Clone)]
pub struct LocalBlobs {
    root: PathBuf,
}

impl LocalBlobs {
    /// Opens a folder, which is made where it is not there.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let store = Self { root: root.into() };
        let incoming = store.root.join(INCOMING);
        let opened = blocking(move || {
            fs::create_dir_all(&incoming)?;
            remove_abandoned(&incoming)
        });
        opened.await.map_err(|error| {
            if room::is_full(&error) {
                return failed_to_write(error);
            }
            Error::configuration(format!("failed to open the folder {}: {error}", store.root.display()))
                .with_source(error)
        })?;
        Ok(store)
    }

    fn path(&self, key: &BlobKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    async fn check_room(&self) -> Result<()> {
        let root = self.root.clone();
        let checked = tokio::task::spawn_blocking(move || room::check_room(&root)).await;
        checked.map_err(|error| failed_to_write(io::Error::other(error)))?
    }
}

#[async_trait]
impl BlobStore for LocalBlobs {
    async fn put(&self, key: &BlobKey, content: BoxStream<Result<Bytes>>, limit: u64) -> Result<BlobInfo> {
        let mut content = Incoming::new(content, limit);
        self.check_room().await?;
        let folder = self.root.join(INCOMING);
        let (aside, file) = blocking(move || Aside::create(&folder))
            .await
            .map_err(failed_to_write)?;
        let mut file = tokio::fs::File::from_std(file);
        let mut unchecked = 0;
        while let Some(piece) = content.next().await? {
            unchecked += piece.len() as u64;
            if unchecked > LOOK {
                self.check_room().await?;
                unchecked = 0;
            }
            file.write_all(&piece).await.map_err(failed_to_write)?;
        }
        file.flush().await.map_err(failed_to_write)?;
        let file = file.into_std().await;
        let (root, path) = (self.root.clone(), self.path(key));
        blocking(move || {
            file.sync_all()?;
            aside.give_name(&root, &path)
        })
        .await
        .map_err(failed_to_write)?;
        Ok(content.finish())
    }

    async fn get(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Blob> {
        let mut file = match tokio::fs::File::open(self.path(key)).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_there(key)),
            Err(error) => return Err(failed_to_read(error)),
        };
        let size = file.metadata().await.map_err(failed_to_read)?.len();
        let range = range.unwrap_or(0..size);
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start)).await.map_err(failed_to_read)?;
        }
        file.set_max_buf_size(PIECE);
        let mut left = range.end.min(size).saturating_sub(range.start);
        let content = async_stream::try_stream! {
            while left > 0 {
                let mut piece = BytesMut::with_capacity(left.min(PIECE as u64) as usize);
                let read = (&mut file).take(left).read_buf(&mut piece).await.map_err(failed_to_read)?;
                if read == 0 {
                    Err(Error::internal("a blob ended before its end"))?;
                }
                left -= read as u64;
                yield piece.freeze();
            }
        };
        Ok(Blob {
            size,
            content: content.boxed(),
        })
    }

    async fn size(&self, key: &BlobKey) -> Result<Option<u64>> {
        match tokio::fs::metadata(self.path(key)).await {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed_to_read(error)),
        }
    }

    async fn delete(&self, key: &BlobKey) -> Result<bool> {
        let path = self.path(key);
        let removed = blocking(move || match fs::remove_file(&path) {
            Ok(()) => path.parent().map_or(Ok(()), sync_folder).map(|()| true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
        });
        removed.await.map_err(failed_to_write)
    }

    async fn list(&self, prefix: Option<&BlobKey>, after: Option<&BlobKey>, limit: usize) -> Result<BlobPage> {
        let (root, prefix, after) = (self.root.clone(), prefix.cloned(), after.cloned());
        blocking(move || {
            let mut first = First {
                keys: BTreeSet::new(),
                limit,
                prefix,
                after,
            };
            first.walk(&root, "")?;
            let has_more = first.keys.len() > limit;
            let keys = first.keys.into_iter().take(limit).collect();
            Ok(BlobPage { keys, has_more })
        })
        .await
        .map_err(failed_to_read)
    }
}

/// The first keys of a folder in order: one more than was asked for, to tell whether there are more.
struct First {
    keys: BTreeSet<BlobKey>,
    limit: usize,
    prefix: Option<BlobKey>,
    after: Option<BlobKey>,
}

impl First {
    fn walk(&mut self, folder: &Path, above: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // What is no key is not ours.
            let Ok(key) = BlobKey::new(format!("{above}{name}")) else {
                continue;
            };
            if entry.file_type()?.is_dir() {
                self.walk(&entry.path(), &format!("{key}/"))?;
            } else if self.prefix.as_ref().is_none_or(|prefix| key.is_below(prefix))
                && self.after.as_ref().is_none_or(|after| key > *after)
            {
                self.keys.insert(key);
                if self.keys.len() > self.limit + 1 {
                    self.keys.pop_last();
                }
            }
        }
        Ok(())
    }
}

/// A file that is being written and has no name yet. Dropped, it goes.
struct Aside {
    path: PathBuf,
    has_name: bool,
}

impl Aside {
    /// Makes a file and locks it for as long as it is open.
    fn create(folder: &Path) -> io::Result<(Self, File)> {
        loop {
            let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
            let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            let aside = Self { path, has_name: false };
            flock(&file, FlockOperation::LockExclusive)?;
            // Whoever opened the folder between the two may have taken the file for an abandoned one.
            if aside.path.exists() {
                return Ok((aside, file));
            }
        }
    }

    fn give_name(mut self, root: &Path, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(root);
        let missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
        fs::create_dir_all(folder)?;
        fs::rename(&self.path, path)?;
        self.has_name = true;
        sync_folder(folder)?;
        // A folder that was made is an entry of the one above it.
        missing.into_iter().filter_map(Path::parent).try_for_each(sync_folder)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.has_name {
            // What cannot be removed now goes when the folder is opened again.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Brings the names in a folder to the disk.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn not_there(key: &BlobKey) -> Error {
    Error::not_found(format!("there is no blob `{key}`"))
}

fn failed_to_write(error: io::Error) -> Error {
    let failed = match room::is_full(&error) {
        true => room::full(),
        false => Error::internal("failed to write a blob"),
    };
    failed.with_source(error)
}

fn failed_to_read(error: io::Error) -> Error {
    Error::internal("failed to read a blob").with_source(error)
}

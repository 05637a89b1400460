//! The folder of all indexes, one file for each.
//!
//! A file is `ID.XXXXXXXX.sqlite`, with hexadecimal digits that make it another file when an index is made again, and also where upper
//! and lower case are the same to the file system. It is made under another name and renamed, and renamed again before it is removed,
//! so that an index is there as a whole or not at all.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use puna_api::{Error, Result, VectorIndex};

use crate::database::Database;
use crate::error::{failed_io, no_index};
use crate::index::Index;

const KEPT: &str = "sqlite";
const MAKING: &str = "making";
const DELETED: &str = "deleted";

/// What SQLite keeps beside a file.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The indexes of a provider.
pub(crate) struct Store {
    folder: PathBuf,
    /// Held as long as this lives: nobody else may change the files.
    _lock: File,
    entries: RwLock<HashMap<String, Arc<Entry>>>,
    /// Held while an index is made.
    making: Mutex<()>,
}

/// An index that is there; it is opened when it is first asked for.
struct Entry {
    file: PathBuf,
    index: Mutex<Option<Arc<Index>>>,
}

impl Store {
    /// Opens a folder, which need not exist yet.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        let unusable = |error: std::io::Error| {
            let message = format!("failed to use the folder {}: {error}", folder.display());
            Error::configuration(message).with_source(error)
        };
        fs::create_dir_all(&folder).map_err(unusable)?;
        let lock = File::create(folder.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "the folder {} is in use by another server or provider",
                    folder.display()
                );
                return Err(Error::configuration(message));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let names = fs::read_dir(&folder)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.path()))
                    .collect::<Result<Vec<PathBuf>, _>>()
            })
            .map_err(unusable)?;
        let mut entries: HashMap<String, Arc<Entry>> = HashMap::new();
        for file in names {
            match Kind::of(&file) {
                Kind::Index(id) => {
                    let entry = Arc::new(Entry {
                        file: file.clone(),
                        index: Mutex::default(),
                    });
                    if let Some(other) = entries.insert(id.clone(), entry) {
                        let message = format!(
                            "the files {} and {} are both of index `{id}`; move one of them away",
                            other.file.display(),
                            file.display()
                        );
                        return Err(Error::configuration(message));
                    }
                }
                Kind::Leftover => remove(&file),
                Kind::Other => {}
            }
        }
        Ok(Self {
            folder,
            _lock: lock,
            entries: RwLock::new(entries),
            making: Mutex::default(),
        })
    }

    /// Whether the folder is there.
    pub(crate) fn check(&self) -> Result<()> {
        match fs::metadata(&self.folder) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(Error::unavailable("the folder of the indexes is no folder any more")),
            Err(error) => Err(failed_io("find the folder of the indexes", &self.folder, error)),
        }
    }

    /// Whether there is room for chunks, and deletions after them.
    pub(crate) fn check_room(&self) -> Result<()> {
        puna_storage::check_room(&self.folder)
    }

    /// Makes an index, which was checked.
    pub(crate) fn create(&self, index: &VectorIndex) -> Result<()> {
        let making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = self.entry(&index.index_id) {
            return entry.open()?.about().check_same(index);
        }
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let file = self.folder.join(format!("{}.{}.{KEPT}", index.index_id, &tag[..8]));
        let unfinished = file.with_extension(MAKING);
        if let Err(error) = Database::make(&unfinished, index).and_then(|()| rename(&unfinished, &file)) {
            // On a full disk, what stays is missing elsewhere.
            remove(&unfinished);
            COMPANIONS
                .iter()
                .for_each(|companion| remove(&beside(&unfinished, companion)));
            return Err(error);
        }
        let entry = Arc::new(Entry {
            file,
            index: Mutex::default(),
        });
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.insert(index.index_id.clone(), entry);
        drop(making);
        Ok(())
    }

    /// Removes an index, if it is there.
    pub(crate) fn delete(&self, index_id: &str) -> Result<()> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = self.entry(index_id) else {
            return Ok(());
        };
        let deleted = entry.file.with_extension(DELETED);
        rename(&entry.file, &deleted)?;
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(index_id);
        drop(entries);
        // Who writes still holds the file open; what is written goes with it.
        let open = entry.index.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(index) = open {
            index.wait_for_writer();
        }
        COMPANIONS
            .iter()
            .for_each(|companion| remove(&beside(&entry.file, companion)));
        remove(&deleted);
        Ok(())
    }

    /// The index of an id.
    pub(crate) fn index(&self, index_id: &str) -> Result<Arc<Index>> {
        self.entry(index_id).ok_or_else(|| no_index(index_id))?.open()
    }

    fn entry(&self, index_id: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(index_id).cloned()
    }
}

impl Entry {
    fn open(&self) -> Result<Arc<Index>> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*index {
            return Ok(Arc::clone(index));
        }
        let opened = Arc::new(Index::open(&self.file)?);
        *index = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

/// What a file in the folder is.
enum Kind {
    /// The file of the index of this id.
    Index(String),
    /// What was left of one that was not made to its end, or that was deleted.
    Leftover,
    /// Something that belongs to one of the indexes, or to somebody else.
    Other,
}

impl Kind {
    fn of(file: &Path) -> Self {
        let Some(name) = file.file_name().and_then(OsStr::to_str) else {
            return Self::Other;
        };
        let (name, companion) = match COMPANIONS.iter().find_map(|companion| name.strip_suffix(companion)) {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut parts = name.rsplitn(3, '.');
        let (Some(kind), Some(tag), Some(id)) = (parts.next(), parts.next(), parts.next()) else {
            return Self::Other;
        };
        let is_ours = tag.len() == 8 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        match kind {
            _ if !is_ours => Self::Other,
            KEPT if companion => match file.with_file_name(name).exists() {
                true => Self::Other,
                false => Self::Leftover,
            },
            KEPT => Self::Index(id.to_owned()),
            MAKING | DELETED => Self::Leftover,
            _ => Self::Other,
        }
    }
}

fn beside(file: &Path, companion: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(companion);
    name.into()
}

/// Renames a file so that the new name survives a loss of power.
fn rename(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().unwrap_or(to);
    fs::rename(from, to)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|error| failed_io("rename the file of the index", to, error))
}

/// Removes what is in nobody's way if it stays.
fn remove(file: &Path) {
    if let Err(error) = fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), %error, "failed to remove what is left of an index");
    }
}

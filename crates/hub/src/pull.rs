//! Getting a model.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use puna_api::{Error, Result};

use crate::ModelName;
use crate::cache::Cache;
use crate::checksum::hashing;
use crate::client::{Client, ListedFile, RemoteFile};
use crate::disk;
use crate::lock::Lock;
use crate::progress::Progress;
use crate::select::select;
use crate::settings::HubSettings;
use crate::transfer::{self, Places};

/// How many files are asked for at once.
const AT_ONCE: usize = 4;
/// Where files are while they are not whole, in a folder that is no cache.
const STAGING: &str = ".cache/puna";

/// The hub, and the cache for what comes from there.
#[derive(Debug, Clone)]
pub struct Hub {
    client: Client,
    cache: Cache,
}

/// What to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The model.
    pub name: ModelName,
    /// Which files, by name, where `*` stands for anything. Default: weights as safetensors, GGUF or UQFF and what stands beside them.
    pub files: Vec<String>,
    /// A folder for plain files, instead of the cache.
    pub to: Option<PathBuf>,
}

/// What was got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The folder that the files are in.
    pub folder: PathBuf,
    /// The commit.
    pub commit: String,
    /// How many files are there now that were asked for.
    pub files: usize,
    /// How many bytes had to be fetched.
    pub fetched_bytes: u64,
    /// What was left out because it can run code when it is loaded.
    pub skipped: Vec<SkippedFile>,
}

/// A file that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedFile {
    /// Its name.
    pub name: String,
    /// Its size, where the hub told it.
    pub bytes: Option<u64>,
}

/// A file with the places that it has on this machine.
struct Step {
    remote: RemoteFile,
    places: Places,
    lock: PathBuf,
}

impl PullRequest {
    /// All of a model, to the cache.
    pub fn new(name: ModelName) -> Self {
        Self {
            name,
            files: Vec::new(),
            to: None,
        }
    }
}

impl Hub {
    /// A hub, without asking it anything.
    pub fn new(settings: HubSettings) -> Result<Self> {
        Ok(Self {
            cache: Cache::new(settings.cache.clone()),
            client: Client::new(settings)?,
        })
    }

    /// Gets what is not there yet, and checks it. What was interrupted goes on; what is there is not asked for again.
    ///
    /// Fails as not found, unauthenticated or permission denied where the hub refuses, as unavailable where it cannot be reached, where bytes are
    /// wrong and where there is no room, each time with what to do.
    pub async fn pull(&self, request: &PullRequest, progress: &dyn Progress) -> Result<Pulled> {
        let name = &request.name;
        if self.client.settings.offline {
            return self.offline(request);
        }
        let listing = self.client.model(name).await?;
        let selection = select(&listing.files, &request.files)?;
        let commit = &listing.commit;

        let files: Vec<(&ListedFile, Option<RemoteFile>)> = stream::iter(selection.wanted.iter().copied())
            .map(|file| async move {
                // What the listing tells all about and is there already needs no question.
                let is_there = request.to.is_none() && self.is_there(name, file);
                let remote = if is_there {
                    None
                } else {
                    Some(self.client.file(name, commit, file).await?)
                };
                Ok::<_, Error>((file, remote))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;

        let count = files.len();
        let staging = request.to.as_ref().map(|folder| folder.join(STAGING));
        let mut links = Vec::new();
        let mut missing = Vec::new();
        for (file, remote) in files {
            let checksum = remote
                .as_ref()
                .map(|remote| &remote.checksum)
                .or(file.checksum.as_ref());
            links.extend(checksum.map(|checksum| (&file.name, checksum.clone())));
            if let Some(remote) = remote {
                let step = self.step(request, staging.as_deref(), remote);
                if request.to.is_some() {
                    missing.extend(unless_it_holds(step).await?);
                } else {
                    missing.push(step);
                }
            }
        }
        let needed = missing
            .iter()
            .filter(|step| request.to.is_some() || size(&step.places.whole) != step.remote.bytes)
            .map(|step| step.remote.bytes.saturating_sub(size(&step.places.partial)))
            .sum();
        let root = request.to.as_deref().unwrap_or(self.cache.folder());
        disk::check(root, needed)?;

        let fetched_bytes = stream::iter(missing)
            .map(|step| self.fetch(request, step, progress))
            .buffer_unordered(AT_ONCE)
            .try_fold(0, async |sum, bytes| Ok(sum + bytes))
            .await?;

        let folder = match (&request.to, &staging) {
            (Some(folder), Some(staging)) => {
                // Only empty folders go: another process may be at work there.
                let _ = fs::remove_dir(staging);
                let _ = staging.parent().map(fs::remove_dir);
                folder.clone()
            }
            _ => {
                // A snapshot comes to be when all of its files are there, and a branch leads to it after that.
                for (file, checksum) in links {
                    self.cache.link(name, commit, file, &checksum)?;
                }
                self.cache.set_commit(name, commit)?;
                self.cache.snapshot(name, commit)
            }
        };
        Ok(Pulled {
            folder,
            commit: listing.commit.clone(),
            files: count,
            fetched_bytes,
            skipped: selection
                .pickles
                .iter()
                .map(|file| SkippedFile {
                    name: file.name.clone(),
                    bytes: file.bytes,
                })
                .collect(),
        })
    }

    /// The cache's own answer, where the hub may not be asked.
    fn offline(&self, request: &PullRequest) -> Result<Pulled> {
        let name = &request.name;
        let found = if request.to.is_some() || !request.files.is_empty() {
            None
        } else {
            self.cache.show(name).ok()
        };
        match found {
            Some(model) => Ok(Pulled {
                folder: model.folder,
                commit: model.commit,
                files: model.files.len(),
                fetched_bytes: 0,
                skipped: Vec::new(),
            }),
            None => Err(Error::unavailable(format!(
                "`{name}` cannot be fetched: the hub may not be asked (`HF_HUB_OFFLINE` is set); unset it, or put the model into {}",
                self.cache.folder().display()
            ))
            .with_code("offline")),
        }
    }

    fn is_there(&self, name: &ModelName, file: &ListedFile) -> bool {
        let (Some(checksum), Some(bytes)) = (&file.checksum, file.bytes) else {
            return false;
        };
        fs::metadata(self.cache.blob(name, checksum)).is_ok_and(|metadata| metadata.len() == bytes)
    }

    fn step(&self, request: &PullRequest, staging: Option<&Path>, remote: RemoteFile) -> Step {
        let digits = remote.checksum.as_str();
        let (whole, staging, locks) = match (&request.to, staging) {
            (Some(folder), Some(staging)) => (folder.join(&remote.name), staging.to_owned(), staging.to_owned()),
            _ => {
                let blob = self.cache.blob(&request.name, &remote.checksum);
                let blobs = self.cache.repository(&request.name).join("blobs");
                (blob, blobs, self.cache.locks(&request.name))
            }
        };
        Step {
            places: Places {
                partial: staging.join(format!("{digits}.incomplete")),
                whole,
            },
            lock: locks.join(format!("{digits}.lock")),
            remote,
        }
    }

    /// Fetches a file unless somebody else just did; how many bytes had to come for it.
    async fn fetch(&self, request: &PullRequest, step: Step, progress: &dyn Progress) -> Result<u64> {
        let Step { remote, places, lock } = step;
        let held = Lock::take(&lock, || {
            progress.note(&format!("another process fetches {}; waiting for it", remote.name));
        })
        .await?;
        let is_there = request.to.is_none() && size(&places.whole) == remote.bytes && places.whole.is_file();
        let fetched = if is_there {
            0
        } else {
            transfer::fetch(&self.client, &remote, &places, progress).await?
        };
        if request.to.is_some() {
            // The cache keeps its locks, as Python's does; somebody's folder is left as it was wished for.
            let _ = fs::remove_file(&lock);
        }
        drop(held);
        Ok(fetched)
    }
}

/// The step, unless its file is in its place and right.
async fn unless_it_holds(step: Step) -> Result<Option<Step>> {
    if size(&step.places.whole) != step.remote.bytes {
        return Ok(Some(step));
    }
    hashing(move || {
        let right = File::open(&step.places.whole).and_then(|mut file| step.remote.checksum.holds_for(&mut file));
        (!right.unwrap_or(false)).then_some(step)
    })
    .await
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |metadata| metadata.len())
}

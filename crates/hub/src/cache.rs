//! The folder of models, laid out as `huggingface_hub` does: `models--ORG--NAME` with `blobs` by checksum, `snapshots` by commit, whose files
//! are links to blobs, and `refs`, which say what commit a branch is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use puna_api::{Error, Result};

use crate::ModelName;
use crate::checksum::Checksum;
use crate::error::unusable;
use crate::name::{is_commit, is_safe_file};

/// The models that are on this machine.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// A commit of a model that is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedModel {
    /// `ORG/NAME`.
    pub id: String,
    /// The commit.
    pub commit: String,
    /// The branches and tags that were this commit when they were last looked at, by name.
    pub revisions: Vec<String>,
    /// The folder to load it from.
    pub folder: PathBuf,
    /// Its files, by name.
    pub files: Vec<CachedFile>,
}

/// A file of a model that is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// The name in the model's repository.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

impl CachedModel {
    /// The size of all files together.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

impl Cache {
    /// The cache in this folder, which need not exist: [`HubSettings::cache`](crate::HubSettings::cache).
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The folder of all models.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with a model's files. Touches no network. Fails as not found where the model was not pulled.
    pub fn find(&self, name: &ModelName) -> Result<PathBuf> {
        self.pulled_commit(name).map(|commit| self.snapshot(name, &commit))
    }

    /// What is there of a model. Fails as [`find`](Self::find) does.
    pub fn show(&self, name: &ModelName) -> Result<CachedModel> {
        self.describe(name, &self.pulled_commit(name)?)
    }

    /// Everything that is there, by id and commit. Empty where the folder does not exist.
    pub fn models(&self) -> Result<Vec<CachedModel>> {
        let mut models = Vec::new();
        for folder in names_in(&self.folder)? {
            let Some(name) = ModelName::from_folder(&folder) else {
                continue;
            };
            for commit in names_in(&self.repository(&name).join("snapshots"))? {
                if is_commit(&commit) {
                    models.push(self.describe(&name, &commit)?);
                }
            }
        }
        models.sort_by(|a, b| (&a.id, &a.commit).cmp(&(&b.id, &b.commit)));
        Ok(models)
    }

    fn describe(&self, name: &ModelName, commit: &str) -> Result<CachedModel> {
        let folder = self.snapshot(name, commit);
        let mut files = Vec::new();
        for file in files_below(&folder)? {
            // A link to nothing is a file that is not there.
            if let Ok(metadata) = fs::metadata(folder.join(&file)) {
                files.push(CachedFile {
                    name: file,
                    bytes: metadata.len(),
                });
            }
        }
        let revisions = self.revisions(name)?;
        Ok(CachedModel {
            id: name.id().to_owned(),
            commit: commit.to_owned(),
            revisions: revisions
                .into_iter()
                .filter(|(_, of)| of == commit)
                .map(|(revision, _)| revision)
                .collect(),
            folder,
            files,
        })
    }

    /// The branches and tags that are known, with their commits.
    pub(crate) fn revisions(&self, name: &ModelName) -> Result<BTreeMap<String, String>> {
        let folder = self.repository(name).join("refs");
        let mut revisions = BTreeMap::new();
        for revision in files_below(&folder)? {
            if let Some(commit) = read_commit(&folder.join(&revision)) {
                revisions.insert(revision, commit);
            }
        }
        Ok(revisions)
    }

    /// The commit that a name stands for, which is here.
    fn pulled_commit(&self, name: &ModelName) -> Result<String> {
        self.commit(name)
            .filter(|commit| self.snapshot(name, commit).is_dir())
            .ok_or_else(|| {
                Error::not_found(format!(
                    "`{name}` is not in {}; get it with `puna model pull {name}`",
                    self.folder.display()
                ))
                .with_code("model_not_pulled")
            })
    }

    /// The commit that a name stands for, as far as is known here.
    fn commit(&self, name: &ModelName) -> Option<String> {
        let revision = name.revision();
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        read_commit(&self.reference(name))
    }

    /// Notes what commit a name stands for. Whoever reads sees the old one or the new one.
    pub(crate) fn set_commit(&self, name: &ModelName, commit: &str) -> Result<()> {
        let reference = self.reference(name);
        if is_commit(name.revision()) || read_commit(&reference).as_deref() == Some(commit) {
            return Ok(());
        }
        let folder = make_parent(&reference)?;
        let failed = |error| unusable(&reference, &error);
        let fresh = folder.join(format!(".{commit}.{}.new", std::process::id()));
        fs::write(&fresh, commit).map_err(failed)?;
        fs::rename(&fresh, &reference).map_err(failed)
    }

    /// Gives a blob a name in a snapshot.
    pub(crate) fn link(&self, name: &ModelName, commit: &str, file: &str, checksum: &Checksum) -> Result<()> {
        let link = self.snapshot(name, commit).join(file);
        // From the link's folder up to the repository's.
        let up = "../".repeat(file.split('/').count() + 1);
        let target = PathBuf::from(format!("{up}blobs/{}", checksum.as_str()));
        if fs::read_link(&link).is_ok_and(|there| there == target) {
            return Ok(());
        }
        let folder = make_parent(&link)?;
        let failed = |error| unusable(&link, &error);
        let fresh = folder.join(format!(".{}.{}.new", checksum.as_str(), std::process::id()));
        let _ = fs::remove_file(&fresh);
        std::os::unix::fs::symlink(&target, &fresh).map_err(failed)?;
        fs::rename(&fresh, &link).map_err(failed)
    }

    /// Everything of a model.
    pub(crate) fn repository(&self, name: &ModelName) -> PathBuf {
        self.folder.join(name.folder())
    }

    pub(crate) fn snapshot(&self, name: &ModelName, commit: &str) -> PathBuf {
        self.repository(name).join("snapshots").join(commit)
    }

    pub(crate) fn blob(&self, name: &ModelName, checksum: &Checksum) -> PathBuf {
        self.repository(name).join("blobs").join(checksum.as_str())
    }

    fn reference(&self, name: &ModelName) -> PathBuf {
        self.repository(name).join("refs").join(name.revision())
    }

    /// The folder of the locks of a model.
    pub(crate) fn locks(&self, name: &ModelName) -> PathBuf {
        self.folder.join(".locks").join(name.folder())
    }
}

/// Makes the folder that a file is to lie in.
pub(crate) fn make_parent(file: &Path) -> Result<&Path> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
    Ok(folder)
}

/// The names of what lies in a folder, sorted; none where it does not exist.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>> {
    let failed = |error| unusable(folder, &error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        // What is no UTF-8 was not made by any of these tools.
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// The files below a folder, as paths from there, sorted; half-made ones are left out.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for name in names_in(folder)? {
        let path = folder.join(&name);
        // A link to a folder is no folder: nothing is followed out of the cache.
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
            files.extend(files_below(&path)?.into_iter().map(|file| format!("{name}/{file}")));
        } else if is_safe_file(&name) && !(name.starts_with('.') && name.ends_with(".new")) {
            files.push(name);
        }
    }
    Ok(files)
}

fn read_commit(reference: &Path) -> Option<String> {
    let commit = fs::read_to_string(reference).ok()?.trim().to_owned();
    is_commit(&commit).then_some(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const HELLO: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    fn filled() -> (tempfile::TempDir, Cache, ModelName) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let name: ModelName = "hf:org/name@refs/pr/1".parse().unwrap();
        let checksum = Checksum::parse(HELLO).unwrap();
        let blob = cache.blob(&name, &checksum);
        fs::create_dir_all(blob.parent().unwrap()).unwrap();
        fs::write(&blob, "hello\n").unwrap();
        for file in ["config.json", "deep/er/x.json"] {
            cache.link(&name, COMMIT, file, &checksum).unwrap();
            // Again is no mistake.
            cache.link(&name, COMMIT, file, &checksum).unwrap();
        }
        cache.set_commit(&name, COMMIT).unwrap();
        (folder, cache, name)
    }

    #[test]
    fn what_was_put_in_is_found() {
        let (folder, cache, name) = filled();
        let snapshot = folder.path().join("models--org--name/snapshots").join(COMMIT);
        for found in ["hf:org/name@refs/pr/1", &format!("hf:org/name@{COMMIT}")] {
            assert_eq!(cache.find(&found.parse().unwrap()).unwrap(), snapshot);
        }
        assert_eq!(fs::read_to_string(snapshot.join("deep/er/x.json")).unwrap(), "hello\n");
        let shown = cache.show(&name).unwrap();
        assert_eq!(
            (shown.id.as_str(), shown.bytes(), shown.revisions.as_slice()),
            ("org/name", 12, &["refs/pr/1".to_owned()][..])
        );
        let names: Vec<_> = shown.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["config.json", "deep/er/x.json"]);
        assert_eq!(cache.models().unwrap(), [shown]);
    }

    #[test]
    fn what_is_not_there_is_said_with_the_command_that_gets_it() {
        let (folder, cache, _) = filled();
        for missing in [
            "hf:org/name",
            "hf:org/other",
            &format!("hf:org/name@{}", COMMIT.replace('0', "f")),
        ] {
            let error = cache.find(&missing.parse().unwrap()).unwrap_err();
            assert_eq!(error.code(), Some("model_not_pulled"));
            assert!(
                error.message().contains(&format!("puna model pull {missing}")),
                "{error}"
            );
        }
        assert_eq!(Cache::new(folder.path().join("none")).models().unwrap(), []);
        // Whatever a reference holds, it leads to a commit's folder or nowhere.
        fs::write(folder.path().join("models--org--name/refs/main"), "../../..").unwrap();
        assert!(cache.find(&"hf:org/name".parse().unwrap()).is_err());
    }
}

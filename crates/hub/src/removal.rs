//! Taking models away.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use puna_api::{Error, Result};

use crate::cache::{Cache, files_below, names_in};
use crate::error::unusable;
use crate::name::is_commit;
use crate::{CachedModel, ModelName};

/// What was taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The commits, of which nothing is left.
    pub commits: Vec<String>,
    /// How much room that made.
    pub bytes: u64,
}

impl Cache {
    /// Takes a model away: all of it, or the one commit that its revision stands for, with what no other commit uses. Half-fetched files of a
    /// model go with all of it. Fails as not found where nothing is there.
    pub fn remove(&self, name: &ModelName) -> Result<Removed> {
        let all: Vec<CachedModel> = self
            .models()?
            .into_iter()
            .filter(|model| model.id == name.id())
            .collect();
        let repository = self.repository(name);
        if !name.has_revision() {
            if !repository.is_dir() {
                return Err(
                    Error::not_found(format!("`{name}` is not in {}", self.folder().display()))
                        .with_code("model_not_pulled"),
                );
            }
            return self.remove_all(name, all);
        }
        let gone = self.show(name)?;
        if all.len() <= 1 {
            return self.remove_all(name, all);
        }
        for (revision, commit) in self.revisions(name)? {
            if commit == gone.commit {
                let reference = repository.join("refs").join(revision);
                fs::remove_file(&reference).map_err(|error| unusable(&reference, &error))?;
            }
        }
        remove_folder(&gone.folder)?;
        let mut used = HashSet::new();
        for commit in names_in(&repository.join("snapshots"))?
            .into_iter()
            .filter(|name| is_commit(name))
        {
            let snapshot = self.snapshot(name, &commit);
            for file in files_below(&snapshot)? {
                // Where Python could not make links, a snapshot has the file itself, and no blob.
                let link = fs::read_link(snapshot.join(file));
                used.extend(link.ok().and_then(|target| target.file_name().map(ToOwned::to_owned)));
            }
        }
        let blobs = repository.join("blobs");
        let mut bytes = 0;
        for blob in names_in(&blobs)? {
            if !used.contains(Path::new(&blob).as_os_str()) && !blob.ends_with(".incomplete") {
                let path = blobs.join(blob);
                bytes += fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
                fs::remove_file(&path).map_err(|error| unusable(&path, &error))?;
            }
        }
        Ok(Removed {
            commits: vec![gone.commit],
            bytes,
        })
    }

    fn remove_all(&self, name: &ModelName, all: Vec<CachedModel>) -> Result<Removed> {
        let repository = self.repository(name);
        let sizes = files_below(&repository)?
            .into_iter()
            .filter(|file| !file.starts_with("refs/"))
            .filter_map(|file| fs::symlink_metadata(repository.join(file)).ok())
            .filter(fs::Metadata::is_file);
        let bytes = sizes.map(|metadata| metadata.len()).sum();
        remove_folder(&repository)?;
        let locks: PathBuf = self.locks(name);
        if locks.is_dir() {
            remove_folder(&locks)?;
        }
        Ok(Removed {
            commits: all.into_iter().map(|model| model.commit).collect(),
            bytes,
        })
    }
}

fn remove_folder(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).map_err(|error| unusable(folder, &error))
}

#[cfg(test)]
mod tests {
    use crate::checksum::Checksum;

    use super::*;

    const OLD: &str = "00000000000000000000000000000000000000aa";
    const NEW: &str = "00000000000000000000000000000000000000bb";

    /// Two commits that share a file.
    fn filled(cache: &Cache) {
        let put = |revision: &str, commit: &str, file: &str, digit: &str, text: &str| {
            let name: ModelName = format!("hf:org/name@{revision}").parse().unwrap();
            let checksum = Checksum::parse(&digit.repeat(40)).unwrap();
            fs::create_dir_all(cache.repository(&name).join("blobs")).unwrap();
            fs::write(cache.blob(&name, &checksum), text).unwrap();
            cache.link(&name, commit, file, &checksum).unwrap();
            cache.set_commit(&name, commit).unwrap();
        };
        put("main", NEW, "config.json", "1", "shared");
        put("main", NEW, "model.safetensors", "2", "new weights");
        put("v1", OLD, "config.json", "1", "shared");
        put("v1", OLD, "model.safetensors", "3", "old");
    }

    #[test]
    fn a_commit_goes_and_what_others_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        filled(&cache);
        let removed = cache.remove(&"hf:org/name@v1".parse().unwrap()).unwrap();
        assert_eq!(
            removed,
            Removed {
                commits: vec![OLD.to_owned()],
                bytes: 3
            }
        );
        let left = cache.models().unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].commit.as_str(), left[0].bytes()), (NEW, 17));
        assert!(cache.find(&"hf:org/name@v1".parse().unwrap()).is_err());

        // The last commit takes everything along.
        let removed = cache.remove(&"hf:org/name@main".parse().unwrap()).unwrap();
        assert_eq!(
            removed,
            Removed {
                commits: vec![NEW.to_owned()],
                bytes: 17
            }
        );
        assert!(!folder.path().join("models--org--name").exists());
    }

    #[test]
    fn a_model_goes_with_all_its_commits() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        filled(&cache);
        let name = "hf:org/name".parse().unwrap();
        assert_eq!(cache.remove(&name).unwrap().commits, [OLD, NEW]);
        assert_eq!(cache.models().unwrap(), []);
        assert_eq!(cache.remove(&name).unwrap_err().code(), Some("model_not_pulled"));
        assert_eq!(
            cache.remove(&"hf:org/name@v1".parse().unwrap()).unwrap_err().code(),
            Some("model_not_pulled")
        );
    }
}

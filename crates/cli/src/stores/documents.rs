//! Files on this machine, each under a name that is the same the next time.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use puna_api::{Error, Result};
use ring::digest::{Context, SHA256};

use crate::files;
use crate::transfer::unreadable;

/// The longest text that an attribute of a file can have, in characters. (OpenAI)
const LONGEST_NAME: usize = 512;

/// Files to add.
#[derive(Debug)]
pub(super) struct Documents {
    /// The files, by their names.
    pub(super) files: Vec<Document>,
    /// What the names of all files of a folder start with, for each folder.
    pub(super) folders: Vec<String>,
}

/// A file to add.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// Where it is.
    pub(super) file: PathBuf,
    /// The name of the folder that was asked for, and the way from there; of a single file its name.
    pub(super) name: String,
    /// Its size, in bytes.
    pub(super) bytes: u64,
}

impl Documents {
    /// What is in these files and folders.
    pub(super) fn of(paths: &[PathBuf]) -> Result<Self> {
        let mut documents = Self {
            files: Vec::new(),
            folders: Vec::new(),
        };
        for path in paths {
            // A path such as `.` has no name of its own.
            let path = path.canonicalize().map_err(|error| unreadable(path, error))?;
            if path.is_dir() {
                documents.take_folder(&path)?;
            } else {
                documents
                    .files
                    .push(Document::of(&path, files::name(&path)?.to_owned())?);
            }
        }
        documents.files.sort_by(|one, other| one.name.cmp(&other.name));
        let mut seen: HashMap<&str, &Path> = HashMap::new();
        for document in &documents.files {
            if let Some(other) = seen.insert(&document.name, &document.file) {
                return Err(Error::invalid_request(format!(
                    "{} and {} would both be called `{}` in the store",
                    other.display(),
                    document.file.display(),
                    document.name
                )));
            }
        }
        Ok(documents)
    }

    fn take_folder(&mut self, folder: &Path) -> Result<()> {
        let start = match folder.file_name() {
            Some(_) => format!("{}/", files::name(folder)?),
            // The root of the file system.
            None => String::new(),
        };
        for entry in WalkBuilder::new(folder).build() {
            let entry = entry.map_err(|error| {
                Error::invalid_request(format!("failed to read {}: {error}", folder.display())).with_source(error)
            })?;
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            let way: Option<Vec<_>> = entry
                .path()
                .strip_prefix(folder)
                .ok()
                .and_then(|way| way.iter().map(|part| part.to_str()).collect());
            let way = way.ok_or_else(|| {
                let message = format!("{} has no name in UTF-8 to give to the server", entry.path().display());
                Error::invalid_request(message)
            })?;
            let name = format!("{start}{}", way.join("/"));
            self.files.push(Document::of(entry.path(), name)?);
        }
        self.folders.push(start);
        Ok(())
    }
}

impl Document {
    fn of(file: &Path, name: String) -> Result<Self> {
        if name.chars().count() > LONGEST_NAME {
            let message = format!("`{name}` is longer than the {LONGEST_NAME} characters that a store keeps of a name");
            return Err(Error::invalid_request(message));
        }
        let bytes = file.metadata().map_err(|error| unreadable(file, error))?.len();
        Ok(Self {
            file: file.to_owned(),
            name,
            bytes,
        })
    }

    /// The SHA-256 of its content, in hexadecimal digits.
    pub(super) fn sha256(&self) -> Result<String> {
        let failed = |error| unreadable(&self.file, error);
        let mut file = File::open(&self.file).map_err(failed)?;
        let mut digest = Context::new(&SHA256);
        let mut piece = vec![0; 256 << 10];
        loop {
            match file.read(&mut piece).map_err(failed)? {
                0 => break,
                count => digest.update(&piece[..count]),
            }
        }
        Ok(hex::encode(digest.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(documents: &Documents) -> Vec<&str> {
        documents.files.iter().map(|document| document.name.as_str()).collect()
    }

    #[test]
    fn a_folder_is_all_that_is_in_it() {
        let home = tempfile::tempdir().unwrap();
        let docs = home.path().join("docs");
        std::fs::create_dir_all(docs.join("deep/er")).unwrap();
        for name in ["b.md", "deep/er/a.md", ".hidden"] {
            std::fs::write(docs.join(name), name).unwrap();
        }
        std::fs::write(home.path().join("alone.md"), "").unwrap();
        let documents = Documents::of(&[docs.join("deep/.."), home.path().join("alone.md")]).unwrap();
        assert_eq!(names(&documents), ["alone.md", "docs/b.md", "docs/deep/er/a.md"]);
        assert_eq!(documents.folders, ["docs/"]);
        assert_eq!(documents.files[1].bytes, 4);
    }

    #[test]
    fn content_is_told_apart() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a");
        std::fs::write(&file, "abc").unwrap();
        let document = Document::of(&file, "a".to_owned()).unwrap();
        // The example of FIPS 180-4.
        assert_eq!(
            document.sha256().unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn one_name_is_for_one_file() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["one", "other"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
            std::fs::write(home.path().join(folder).join("a"), "").unwrap();
        }
        let error = Documents::of(&[home.path().join("one/a"), home.path().join("other/a")]).unwrap_err();
        assert!(error.to_string().contains("would both be called `a`"), "{error}");
        assert!(Documents::of(&[home.path().join("none")]).is_err());
    }
}

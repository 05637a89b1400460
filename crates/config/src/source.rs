//! Where a configuration comes from.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::yaml::{MAX_BYTES, Node, read};
use crate::{Position, Problem};

/// A configuration to read.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file. Messages call it by this path.
    File(PathBuf),
    /// A text in memory, such as the configuration that a binary carries.
    Text {
        /// What messages call it, such as `starter/config.yaml`.
        name: String,
        /// The YAML.
        text: String,
    },
}

impl Source {
    /// What messages call it.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::File(path) => path.to_string_lossy(),
            Self::Text { name, .. } => Cow::Borrowed(name),
        }
    }

    /// Reads it into a tree. What can be read past is added to `problems`; what cannot is returned.
    pub(crate) fn tree(&self, problems: &mut Vec<Problem>) -> Result<Node, Box<Problem>> {
        match self {
            Self::Text { name, text } => read(name, text, problems),
            Self::File(path) => read(&self.name(), &text_of(path)?, problems),
        }
    }
}

fn text_of(path: &Path) -> Result<String, Box<Problem>> {
    let problem = |position, message| {
        let whole = Problem::of_whole(&path.to_string_lossy(), message);
        Box::new(Problem { position, ..whole })
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        // A device or a pipe may never end.
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)
    });
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(problem(None, "there is no such file".to_owned()));
        }
        Err(error) => return Err(problem(None, format!("failed to read the file: {error}"))),
        Ok(_) if bytes.len() > MAX_BYTES => {
            let message = format!("the file has more than the {MAX_BYTES} bytes that a configuration may have");
            return Err(problem(None, message));
        }
        Ok(_) => {}
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default()).into_owned();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        problem(Some(Position { line, column }), "not valid UTF-8".to_owned())
    })
}

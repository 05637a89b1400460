//! What is wrong in a configuration, and where.

use std::fmt;

use puna_api::Error;

/// A place in a text. Both counts start at 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or another source of values such as `environment variable PUNA_PORT`.
    pub source: String,
    /// Where in the file, if it is known.
    pub position: Option<Position>,
    /// Where in the configuration, such as `providers.inference[2].config.base_url`; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What would be right, where that can be told.
    pub hint: Option<String>,
    /// Whether it is no mistake but a part that this binary does not have, so that [`Overrides::skip_missing`](crate::Overrides) can leave it
    /// out.
    pub is_missing_part: bool,
}

/// Everything that is wrong in a configuration, in the order of the file. Never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problem {
    /// A problem of a whole file.
    pub(crate) fn of_whole(file: &str, message: impl Into<String>) -> Self {
        Self {
            source: file.to_owned(),
            position: None,
            path: String::new(),
            message: message.into(),
            hint: None,
            is_missing_part: false,
        }
    }
}

impl Problems {
    pub(crate) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    /// The problems, sorted by place. `None` when there are none.
    pub fn new(mut problems: Vec<Problem>) -> Option<Self> {
        problems.sort_by_key(|problem| (problem.position.is_none(), problem.position));
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// Each problem.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One line: `config.yaml:12:5 providers.inference[2].config.base_url: message (hint)`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(position) = self.position {
            write!(f, ":{position}")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// One problem a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Problem::to_string)).finish()
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Self::configuration(problems.to_string())
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

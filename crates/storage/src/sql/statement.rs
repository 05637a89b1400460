//! The text of a statement, free of what a request could put into it.

use std::borrow::Cow;
use std::fmt;

use puna_api::{Error, Result};
use sqlx::{AssertSqlSafe, SqlStr};

/// The text of a statement: pieces of the program itself and checked names of tables, never a request's words. Parameters stand in it as `$1`,
/// `$2` and so on, in both databases.
#[derive(Debug, Clone)]
pub struct Statement(Cow<'static, str>);

impl Statement {
    /// The statement with more text after it.
    #[must_use]
    pub fn then(mut self, more: impl Into<Self>) -> Self {
        self.0.to_mut().push_str(&more.into().0);
        self
    }

    pub(super) fn into_sql(self) -> SqlStr {
        use sqlx::SqlSafeStr;
        match self.0 {
            Cow::Borrowed(text) => text.into_sql_str(),
            Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
        }
    }
}

impl From<&'static str> for Statement {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// The name of a table that the configuration chose: letters of ASCII, digits and `_`, 1 to 40 of them, no digit first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName(String);

impl TableName {
    /// Fails as a configuration error when the text is no such name.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let is_name = name.len() <= 40
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name {
            return Ok(Self(name));
        }
        Err(Error::configuration(format!(
            "`{}` cannot name a table; use letters, digits and `_`, at most 40, no digit first",
            name.chars().take(60).collect::<String>()
        ))
        .with_param("table_name"))
    }

    /// The statement in which this name stands for each `{table}`.
    pub fn sql(&self, text: &'static str) -> Statement {
        Statement(Cow::Owned(text.replace("{table}", &self.0)))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_plainly() {
        assert_eq!(
            TableName::new("files_2")
                .unwrap()
                .sql("SELECT 1 FROM {table}")
                .into_sql()
                .as_str(),
            "SELECT 1 FROM files_2"
        );
        for name in ["", "2x", "a-b", "a b", "a;b", "ä", &"x".repeat(41)] {
            assert!(TableName::new(name).is_err(), "{name}");
        }
    }
}

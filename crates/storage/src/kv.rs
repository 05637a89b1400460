//! Keys and values.

use puna_api::{Error, Result};

use crate::sql::{Database, Migration, Row, TableName, Value};

/// The longest key, in bytes: what an index of PostgreSQL takes with room to spare.
const LONGEST_KEY: usize = 1024;

const MIGRATIONS: &[Migration] = &[Migration::by_dialect(
    1,
    "CREATE TABLE {table} (
        namespace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, revision BIGINT NOT NULL, PRIMARY KEY (namespace, key)
    ) WITHOUT ROWID",
    // Ordered by bytes, as in SQLite, whatever the server's language is.
    r#"CREATE TABLE {table} (
        namespace TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL, value BYTEA NOT NULL, revision BIGINT NOT NULL,
        PRIMARY KEY (namespace, key)
    )"#,
)];

/// Keys and values under a namespace: for registries and other small things. Keys are texts of 1 to 1024 bytes without zero characters, ordered
/// by their bytes.
///
/// # Behavior
/// - What `put` and the others have acknowledged is there after a crash.
/// - `compare_and_set` lets one of several win who all saw the same revision, in one process or many.
/// - `list` walks through the keys of a prefix in order; a key that is there during the whole walk is listed once.
#[derive(Debug, Clone)]
pub struct KvStore {
    database: Database,
    table: TableName,
    namespace: String,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Tells this value from others that the key had before or is going to have.
    pub revision: Revision,
}

/// Tells the values of a key apart; each write makes a new one, at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(i64);

impl Revision {
    fn new() -> Self {
        Self(fastrand::i64(1..))
    }
}

impl KvStore {
    /// Opens a namespace of a table, and makes the table where it is not there.
    pub async fn open(database: Database, table: TableName, namespace: String) -> Result<Self> {
        database.migrate("kv", &table, MIGRATIONS).await?;
        Ok(Self {
            database,
            table,
            namespace,
        })
    }

    /// The entry of a key.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let statement = self
            .table
            .sql("SELECT key, value, revision FROM {table} WHERE namespace = $1 AND key = $2");
        let row = self.database.read_one(statement, self.place(key)?).await?;
        row.map(|row| entry(&row)).transpose()
    }

    /// Sets the value of a key, whatever it was.
    pub async fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<Revision> {
        let statement = self.table.sql(
            "INSERT INTO {table} (namespace, key, value, revision) VALUES ($1, $2, $3, $4)
            ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
        );
        let revision = Revision::new();
        let mut values = self.place(key)?;
        values.extend([Value::from(value.into()), revision.0.into()]);
        self.database.write(statement, values).await?;
        Ok(revision)
    }

    /// Sets the value of a key if its revision is still this one, or if it has none. Answers `None` where somebody else was first.
    pub async fn compare_and_set(
        &self,
        key: &str,
        seen: Option<Revision>,
        value: impl Into<Vec<u8>>,
    ) -> Result<Option<Revision>> {
        let revision = Revision::new();
        let mut values = self.place(key)?;
        values.extend([Value::from(value.into()), revision.0.into()]);
        let statement = match seen {
            None => self.table.sql(
                "INSERT INTO {table} (namespace, key, value, revision) VALUES ($1, $2, $3, $4)
                ON CONFLICT (namespace, key) DO NOTHING",
            ),
            Some(seen) => {
                values.push(seen.0.into());
                self.table.sql(
                    "UPDATE {table} SET value = $3, revision = $4 WHERE namespace = $1 AND key = $2 AND revision = $5",
                )
            }
        };
        let changed = self.database.write(statement, values).await?;
        Ok((changed == 1).then_some(revision))
    }

    /// Takes a key away, and says whether it was there.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        let statement = self.table.sql("DELETE FROM {table} WHERE namespace = $1 AND key = $2");
        Ok(self.database.write(statement, self.place(key)?).await? == 1)
    }

    /// The entries whose keys start with `prefix` and come after `after`, in order, at most this many.
    pub async fn list(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<Entry>> {
        let start = after.map_or(prefix, |after| after.max(prefix));
        let mut values = vec![self.namespace.as_str().into(), start.into(), i64::from(limit).into()];
        let mut statement = self
            .table
            .sql("SELECT key, value, revision FROM {table} WHERE namespace = $1 AND key ")
            .then(if after.is_some_and(|after| after >= prefix) {
                "> $2"
            } else {
                ">= $2"
            });
        if let Some(end) = end_of_prefix(prefix) {
            values.push(end.into());
            statement = statement.then(" AND key < $4");
        }
        let rows = self
            .database
            .read(statement.then(" ORDER BY key LIMIT $3"), values)
            .await?;
        rows.iter().map(entry).collect()
    }

    fn place(&self, key: &str) -> Result<Vec<Value>> {
        if key.is_empty() || key.len() > LONGEST_KEY || key.contains('\0') {
            return Err(Error::invalid_request(format!(
                "a key must have 1 to {LONGEST_KEY} bytes and no zero character, and this one has {} bytes",
                key.len()
            )));
        }
        Ok(vec![self.namespace.as_str().into(), key.into()])
    }
}

fn entry(row: &Row) -> Result<Entry> {
    Ok(Entry {
        key: row.get("key")?,
        value: row.get("value")?,
        revision: Revision(row.get("revision")?),
    })
}

/// The first text, by bytes, after all that start with this one; none when there is no such text.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The numbers between are those of UTF-16's surrogates, which are no characters.
        let next = if last == '\u{d7ff}' {
            Some('\u{e000}')
        } else {
            char::from_u32(last as u32 + 1)
        };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        for (prefix, end) in [
            ("a/", Some("a0")),
            ("", None),
            ("\u{10ffff}", None),
            ("a\u{10ffff}", Some("b")),
            ("a\u{d7ff}", Some("a\u{e000}")),
        ] {
            assert_eq!(end_of_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}

//! The file of an index: the only place that speaks SQL.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use puna_api::{
    Attributes, Chunk, ChunkSelection, Error, ListChunks, Metric, Result, VectorIndex, distinct_words, spaced_words,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, params};
use serde_json::{Map, Value};

use crate::error::failed;
use crate::stored;

/// Marks a file as one of these: `Puna` in ASCII.
const APPLICATION: i32 = 0x5075_6e61;

/// The version of the tables.
const VERSION: i32 = 1;

/// How long to wait for a lock that another connection has.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most words of a query that are looked for, the rarest ones.
const MAX_WORDS: usize = 200;

const TABLES: &str = "
    CREATE TABLE about (index_id TEXT NOT NULL, dimension INTEGER NOT NULL, metric TEXT NOT NULL);
    -- A row is never given to another chunk, so that what was read of one in memory holds for the file.
    CREATE TABLE chunks (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        chunk_id TEXT NOT NULL UNIQUE,
        document_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        text TEXT NOT NULL,
        vector BLOB NOT NULL,
        attributes TEXT NOT NULL,
        metadata TEXT NOT NULL
    );
    CREATE INDEX chunks_by_document ON chunks (document_id, position, chunk_id);
    -- The tokenizer splits at ASCII characters that are neither letters nor digits; the words are made ready for it.
    CREATE VIRTUAL TABLE words USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'ascii');
    CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row);
";

const COLUMNS: &str = "chunk_id, document_id, position, text, vector, attributes, metadata";

/// A connection to the file of an index.
pub(crate) struct Database {
    connection: Connection,
    file: Box<Path>,
}

/// What an upsert or a deletion changed.
#[derive(Default)]
pub(crate) struct Change {
    /// The rows that are gone.
    pub(crate) removed: Vec<i64>,
    /// The rows of the chunks that are new, by their places in the request.
    pub(crate) added: Vec<(i64, usize)>,
}

impl Database {
    /// Makes the file of an index. It is whole on the disk when this returns.
    pub(crate) fn make(file: &Path, index: &VectorIndex) -> Result<()> {
        let make = || {
            let connection = Connection::open(file)?;
            connection.pragma_update(None, "page_size", 16_384)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "application_id", APPLICATION)?;
            connection.pragma_update(None, "user_version", VERSION)?;
            connection.execute_batch(TABLES)?;
            connection.execute(
                "INSERT INTO about VALUES (?1, ?2, ?3)",
                params![index.index_id, index.dimension, index.metric.name()],
            )?;
            // Closing it puts everything into the one file.
            connection.close().map_err(|(_, error)| error)
        };
        make().map_err(|error| failed("make the index", file, error))
    }

    /// Opens a connection; there may be many.
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(PATIENCE)?;
            // What is acknowledged survives a loss of power too.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.set_prepared_statement_cache_capacity(32);
            Ok(connection)
        };
        let connection = open().map_err(|error| failed("open the index", file, error))?;
        Ok(Self {
            connection,
            file: file.into(),
        })
    }

    /// What the index is, as it was made.
    pub(crate) fn about(&self) -> Result<VectorIndex> {
        let what = "read what the index is";
        let pragma = |name| {
            self.connection
                .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
        };
        let application = self.done(what, pragma("application_id"))?;
        let version = self.done(what, pragma("user_version"))?;
        if application != APPLICATION {
            return Err(self.damaged("it is not the file of an index"));
        }
        if version != VERSION {
            return Err(Error::configuration(format!(
                "the file `{}` is of version {version}, written by a newer server; this one knows version {VERSION}",
                self.name()
            )));
        }
        let about = self
            .connection
            .query_row("SELECT index_id, dimension, metric FROM about", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))
            });
        let (index_id, dimension, metric) = self.done(what, about)?;
        let Some(metric) = Metric::ALL.iter().copied().find(|known| known.name() == metric) else {
            return Err(self.damaged(&format!("there is no metric `{metric}`")));
        };
        Ok(VectorIndex {
            index_id,
            dimension,
            metric,
        })
    }

    /// Hands every row with its vector, of this dimension, and its attributes over.
    pub(crate) fn each(&self, dimension: usize, mut take: impl FnMut(i64, &[f32], &Attributes)) -> Result<()> {
        const WHAT: &str = "read the index";
        let select = self.connection.prepare("SELECT row, vector, attributes FROM chunks");
        let mut select = self.done(WHAT, select)?;
        let mut rows = self.done(WHAT, select.query([]))?;
        while let Some(row) = self.done(WHAT, rows.next())? {
            let vector = self.done(WHAT, vector(row, 1))?;
            if vector.len() != dimension {
                return Err(self.damaged(&format!("a vector of dimension {} in it", vector.len())));
            }
            let attributes = self.done(WHAT, attributes(row, 2))?;
            take(self.done(WHAT, row.get(0))?, &vector, &attributes);
        }
        Ok(())
    }

    /// Adds chunks or replaces those with the same ids; of chunks with the same id, the last.
    pub(crate) fn upsert(&mut self, chunks: &[Chunk]) -> Result<Change> {
        let last: HashMap<&str, usize> = (0..)
            .zip(chunks)
            .map(|(place, chunk)| (chunk.chunk_id.as_str(), place))
            .collect();
        self.change("keep the chunks", |transaction| {
            let mut change = Change::default();
            for (place, chunk) in chunks.iter().enumerate() {
                if last.get(chunk.chunk_id.as_str()) != Some(&place) {
                    continue;
                }
                change.removed.extend(delete(transaction, &chunk.chunk_id)?);
                change.added.push((insert(transaction, chunk)?, place));
            }
            Ok(change)
        })
    }

    /// Removes chunks.
    pub(crate) fn delete(&mut self, selection: &ChunkSelection) -> Result<Change> {
        self.change("delete the chunks", |transaction| {
            let ids = match selection {
                ChunkSelection::Chunks(ids) => ids,
                ChunkSelection::Document(id) => &ids_of(transaction, id)?,
            };
            let mut change = Change::default();
            for id in ids {
                change.removed.extend(delete(transaction, id)?);
            }
            Ok(change)
        })
    }

    /// The chunks of a document behind a place, one more than asked for if there are more.
    pub(crate) fn list(&self, request: &ListChunks) -> Result<Vec<Chunk>> {
        let list = || {
            let mut select = self.connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM chunks WHERE document_id = ?1 AND position > ?2 ORDER BY position, chunk_id LIMIT ?3"
            ))?;
            let after = request.after.map_or(-1, i64::from);
            let limit = i64::try_from(request.limit.saturating_add(1)).unwrap_or(i64::MAX);
            select
                .query_map(params![request.document_id, after, limit], chunk)?
                .collect()
        };
        self.done("list the chunks", list())
    }

    /// The id of the chunk of a row, if it is still there.
    pub(crate) fn id(&self, row: i64) -> Result<Option<String>> {
        let id = || {
            let mut select = self
                .connection
                .prepare_cached("SELECT chunk_id FROM chunks WHERE row = ?1")?;
            select.query_row([row], |row| row.get(0)).optional()
        };
        self.done("read the chunks", id())
    }

    /// The chunk of a row, if it is still there.
    pub(crate) fn chunk(&self, row: i64) -> Result<Option<Chunk>> {
        let read = || {
            let select = format!("SELECT {COLUMNS} FROM chunks WHERE row = ?1");
            let mut select = self.connection.prepare_cached(&select)?;
            select.query_row([row], chunk).optional()
        };
        self.done("read the chunks", read())
    }

    /// The rows of all chunks with words of the text, with their scores.
    pub(crate) fn with_words(&self, text: &str) -> Result<Vec<(i64, f32)>> {
        let find = || {
            let mut known = Vec::new();
            let mut count = self
                .connection
                .prepare_cached("SELECT doc FROM vocabulary WHERE term = ?1")?;
            for word in distinct_words(text) {
                if let Some(chunks) = count.query_row([&word], |row| row.get::<_, i64>(0)).optional()? {
                    known.push((chunks, word));
                }
            }
            if known.is_empty() {
                return Ok(Vec::new());
            }
            known.sort_unstable();
            known.truncate(MAX_WORDS);
            // Words hold letters and digits alone, so that nothing in the quotes ends them.
            let words: Vec<String> = known.into_iter().map(|(_, word)| format!("\"{word}\"")).collect();
            let mut select = self
                .connection
                .prepare_cached("SELECT rowid, -bm25(words) FROM words WHERE words MATCH ?1")?;
            let scored = |row: &Row<'_>| Ok((row.get(0)?, (row.get::<_, f64>(1)? as f32).max(f32::MIN_POSITIVE)));
            select.query_map([words.join(" OR ")], scored)?.collect()
        };
        self.done("search by words", find())
    }

    /// Reads several times from one state of the file, which is also faster.
    pub(crate) fn at_once<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        const WHAT: &str = "read the index";
        let transaction = self.done(WHAT, self.connection.unchecked_transaction())?;
        let answer = read()?;
        self.done(WHAT, transaction.commit())?;
        Ok(answer)
    }

    fn change(&mut self, what: &str, act: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Change>) -> Result<Change> {
        let change = || {
            let transaction = self.connection.transaction()?;
            let change = act(&transaction)?;
            transaction.commit()?;
            Ok(change)
        };
        let change = change();
        self.done(what, change)
    }

    fn done<T>(&self, what: &str, outcome: rusqlite::Result<T>) -> Result<T> {
        outcome.map_err(|error| match error {
            // What is in the columns is always written in their form.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows => self.damaged(&error.to_string()),
            error => failed(what, &self.file, error),
        })
    }

    fn damaged(&self, how: &str) -> Error {
        Error::internal(format!("the file `{}` is damaged: {how}", self.name()))
            .with_context(self.file.display().to_string())
    }

    fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn insert(transaction: &Transaction<'_>, chunk: &Chunk) -> rusqlite::Result<i64> {
    let vector: Vec<u8> = chunk.vector.iter().flat_map(|value| value.to_le_bytes()).collect();
    let written = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let attributes = stored::to_json(&chunk.attributes).map_err(written)?;
    let metadata = serde_json::to_string(&chunk.metadata).map_err(written)?;
    transaction
        .prepare_cached(&format!(
            "INSERT INTO chunks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        ))?
        .execute(params![
            chunk.chunk_id,
            chunk.document_id,
            chunk.position,
            chunk.text,
            vector,
            attributes,
            metadata
        ])?;
    let row = transaction.last_insert_rowid();
    transaction
        .prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?
        .execute(params![row, spaced_words(&chunk.text)])?;
    Ok(row)
}

fn delete(transaction: &Transaction<'_>, chunk_id: &str) -> rusqlite::Result<Option<i64>> {
    let mut delete = transaction.prepare_cached("DELETE FROM chunks WHERE chunk_id = ?1 RETURNING row")?;
    let row = delete.query_row([chunk_id], |row| row.get(0)).optional()?;
    if let Some(row) = row {
        transaction
            .prepare_cached("DELETE FROM words WHERE rowid = ?1")?
            .execute([row])?;
    }
    Ok(row)
}

fn ids_of(transaction: &Transaction<'_>, document_id: &str) -> rusqlite::Result<Vec<String>> {
    transaction
        .prepare_cached("SELECT chunk_id FROM chunks WHERE document_id = ?1")?
        .query_map([document_id], |row| row.get(0))?
        .collect()
}

fn chunk(row: &Row<'_>) -> rusqlite::Result<Chunk> {
    Ok(Chunk {
        chunk_id: row.get(0)?,
        document_id: row.get(1)?,
        position: row.get(2)?,
        text: row.get(3)?,
        vector: vector(row, 4)?,
        attributes: attributes(row, 5)?,
        metadata: metadata(row, 6)?,
    })
}

fn vector(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<f32>> {
    let bytes = row.get_ref(column)?.as_blob()?;
    let (values, _) = bytes.as_chunks::<4>();
    Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

fn attributes(row: &Row<'_>, column: usize) -> rusqlite::Result<Attributes> {
    let json = row.get_ref(column)?.as_bytes()?;
    stored::from_json(json).map_err(|error| unreadable(column, error))
}

fn metadata(row: &Row<'_>, column: usize) -> rusqlite::Result<Map<String, Value>> {
    let json = row.get_ref(column)?.as_bytes()?;
    serde_json::from_slice(json).map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

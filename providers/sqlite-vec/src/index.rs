//! One index: its file, and what is in memory of it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use puna_api::{
    Chunk, ChunkPage, ChunkQuery, ChunkSelection, Error, Filter, Fusion, ListChunks, Result, ScoredChunk, SearchChunks,
    VectorIndex,
};

use crate::database::{Change, Database};
use crate::error::no_index;
use crate::table::Table;

/// How often a search is tried while others change the index, before it has them wait.
const ATTEMPTS: usize = 4;

/// An open index.
pub(crate) struct Index {
    about: VectorIndex,
    file: PathBuf,
    /// Whoever holds this changes the file first and then the table.
    writer: Mutex<Database>,
    table: RwLock<Table>,
    /// Connections that nobody reads with at the moment.
    readers: Mutex<Vec<Database>>,
}

/// A chunk's id with its row.
type Key = (String, i64);

impl Index {
    /// Opens an index and reads what searches need of it.
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let writer = Database::open(file)?;
        let about = writer.about()?;
        let mut table = Table::new(about.metric, about.dimension as usize);
        writer.each(about.dimension as usize, |row, vector, attributes| {
            table.insert(row, vector, attributes);
        })?;
        table.settle();
        Ok(Self {
            about,
            file: file.to_owned(),
            writer: Mutex::new(writer),
            table: RwLock::new(table),
            readers: Mutex::default(),
        })
    }

    /// What it is.
    pub(crate) fn about(&self) -> &VectorIndex {
        &self.about
    }

    /// Adds or replaces chunks, which were checked.
    pub(crate) fn upsert(&self, chunks: &[Chunk]) -> Result<()> {
        let mut writer = self.writer();
        let change = writer.upsert(chunks)?;
        self.apply(&change, chunks);
        Ok(())
    }

    /// Removes chunks.
    pub(crate) fn delete(&self, selection: &ChunkSelection) -> Result<()> {
        let mut writer = self.writer();
        let change = writer.delete(selection)?;
        self.apply(&change, &[]);
        Ok(())
    }

    /// Lists chunks.
    pub(crate) fn list(&self, request: &ListChunks) -> Result<ChunkPage> {
        let mut chunks = self.read(|database| database.list(request))?;
        let has_more = chunks.len() > request.limit;
        chunks.truncate(request.limit);
        Ok(ChunkPage { chunks, has_more })
    }

    /// Finds chunks; the request was checked.
    pub(crate) fn search(&self, request: &SearchChunks) -> Result<Vec<ScoredChunk>> {
        self.read(|database| {
            for _ in 0..ATTEMPTS {
                if let Some(found) = database.at_once(|| self.search_once(database, request))? {
                    return Ok(found);
                }
            }
            let _writer = self.writer();
            database
                .at_once(|| self.search_once(database, request))?
                .ok_or_else(|| self.out_of_step())
        })
    }

    /// Waits until nobody writes any more.
    pub(crate) fn wait_for_writer(&self) {
        drop(self.writer());
    }

    fn apply(&self, change: &Change, chunks: &[Chunk]) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        change.removed.iter().for_each(|row| table.remove(*row));
        for (row, place) in &change.added {
            let chunk = &chunks[*place];
            table.insert(*row, &chunk.vector, &chunk.attributes);
        }
        table.settle();
    }

    /// Searches; none when the table and what is read of the file differ, because something was changed meanwhile.
    fn search_once(&self, database: &Database, request: &SearchChunks) -> Result<Option<Vec<ScoredChunk>>> {
        let filter = request.filter.as_ref();
        let by_vector = |vector: &[f32], limit| {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            let nearest = table.nearest(vector, filter, limit);
            drop(table);
            ranked(database, nearest, limit)
        };
        let by_words = |text: &str, limit| match self.with_words(database, text, filter)? {
            Some(found) => ranked(database, found, limit),
            None => Ok(None),
        };
        let found = match &request.query {
            ChunkQuery::Vector(vector) => by_vector(vector, request.limit)?,
            ChunkQuery::Keyword(text) => by_words(text, request.limit)?,
            ChunkQuery::Hybrid { vector, text, fusion } => {
                let depth = Fusion::depth(request.limit);
                match (by_vector(vector, depth)?, by_words(text, depth)?) {
                    (Some(by_vector), Some(by_words)) => Some(fusion.fuse(&by_vector, &by_words)),
                    _ => None,
                }
            }
        };
        let Some(found) = found else { return Ok(None) };
        let mut chunks = Vec::with_capacity(request.limit.min(found.len()));
        for ((_, row), score) in found.into_iter().take(request.limit) {
            if request.score_threshold.is_some_and(|threshold| score < threshold) {
                break;
            }
            match database.chunk(row)? {
                Some(chunk) => chunks.push(ScoredChunk { chunk, score }),
                None => return Ok(None),
            }
        }
        Ok(Some(chunks))
    }

    fn with_words(&self, database: &Database, text: &str, filter: Option<&Filter>) -> Result<Option<Vec<(i64, f32)>>> {
        let mut found = database.with_words(text)?;
        if let Some(filter) = filter {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            if !table.retain(filter, &mut found) {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// Lends a connection to a reader.
    fn read<T>(&self, act: impl FnOnce(&Database) -> Result<T>) -> Result<T> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let database = match idle {
            Some(database) => database,
            // It may have been deleted since this was looked up.
            None if !self.file.exists() => return Err(no_index(&self.about.index_id)),
            None => Database::open(&self.file)?,
        };
        let answer = act(&database);
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(database);
        answer
    }

    fn out_of_step(&self) -> Error {
        let message = format!(
            "index `{}` is not what its file is; start the server again",
            self.about.index_id
        );
        Error::internal(message).with_context(self.file.display().to_string())
    }

    fn writer(&self) -> MutexGuard<'_, Database> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The best of the scored rows in their order; none when one of them is gone.
fn ranked(database: &Database, mut scored: Vec<(i64, f32)>, limit: usize) -> Result<Option<Vec<(Key, f32)>>> {
    if scored.len() > limit {
        // Those that score as the last one stay, since their ids decide.
        let best_first = |(_, one): &(i64, f32), (_, other): &(i64, f32)| other.total_cmp(one);
        let (_, (_, last), _) = scored.select_nth_unstable_by(limit - 1, best_first);
        let last = *last;
        scored.retain(|(_, score)| *score >= last);
    }
    let mut ranked = Vec::with_capacity(scored.len());
    for (row, score) in scored {
        match database.id(row)? {
            Some(id) => ranked.push(((id, row), score)),
            None => return Ok(None),
        }
    }
    ranked.sort_unstable_by(|(key, score), (other_key, other)| other.total_cmp(score).then_with(|| key.cmp(other_key)));
    ranked.truncate(limit);
    Ok(Some(ranked))
}

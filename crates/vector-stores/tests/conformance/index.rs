//! An index that survives a crash: chunks as rows of SQLite, all of which every search looks at.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use puna_api::{
    Attributes, Chunk, ChunkPage, ChunkQuery, ChunkSelection, DeleteChunks, Error, Fusion, ListChunks, Metric,
    RequestContext, Result, ScoredChunk, SearchChunks, SearchMode, UpsertChunks, VectorCapabilities, VectorIndex,
    VectorIo,
};
use puna_storage::{Database, Location, Migration, Row, TableName, Transaction};
use serde_json::{Map, Value, json};

const MIGRATIONS: &[Migration] = &[Migration::portable(
    1,
    "CREATE TABLE {table} (id TEXT PRIMARY KEY, dimension BIGINT NOT NULL);
    CREATE TABLE {table}_chunks (
        index_id TEXT NOT NULL, chunk_id TEXT NOT NULL, document_id TEXT NOT NULL, position BIGINT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (index_id, chunk_id)
    )",
)];

pub(crate) struct Index {
    /// How many chunks were written.
    pub(crate) written: AtomicUsize,
    database: Database,
    table: TableName,
}

impl Index {
    pub(crate) async fn open(folder: &Path) -> Self {
        let database = Database::open(&Location::Sqlite(folder.join("index.db")))
            .await
            .unwrap();
        let table = TableName::new("indexes").unwrap();
        database.migrate("index", &table, MIGRATIONS).await.unwrap();
        Self {
            written: AtomicUsize::new(0),
            database,
            table,
        }
    }

    /// The ids of every index.
    pub(crate) async fn ids(&self) -> Vec<String> {
        let rows = self
            .database
            .read(self.table.sql("SELECT id FROM {table} ORDER BY id"), vec![]);
        rows.await.unwrap().iter().map(|row| row.get("id").unwrap()).collect()
    }

    /// Every chunk of an index.
    pub(crate) async fn chunks(&self, index_id: &str) -> Vec<Chunk> {
        let select = self
            .table
            .sql("SELECT * FROM {table}_chunks WHERE index_id = $1 ORDER BY document_id, position, chunk_id");
        let rows = self.database.read(select, vec![index_id.into()]).await.unwrap();
        rows.iter().map(|row| chunk(row).unwrap()).collect()
    }

    async fn described(&self, index_id: &str) -> Result<VectorIndex> {
        let select = self.table.sql("SELECT dimension FROM {table} WHERE id = $1");
        let row = self.database.read_one(select, vec![index_id.into()]).await?;
        let row = row.ok_or_else(|| Error::not_found(format!("there is no index `{index_id}`")))?;
        Ok(VectorIndex {
            index_id: index_id.to_owned(),
            dimension: row.get::<i64>("dimension")? as u32,
            metric: Metric::Cosine,
        })
    }

    async fn remove(&self, transaction: &mut Transaction, index_id: &str, selection: &ChunkSelection) -> Result<()> {
        let (column, ids) = match selection {
            ChunkSelection::Chunks(ids) => ("chunk", ids.as_slice()),
            ChunkSelection::Document(id) => ("document", std::slice::from_ref(id)),
        };
        let delete = match column {
            "chunk" => "DELETE FROM {table}_chunks WHERE index_id = $1 AND chunk_id = $2",
            _ => "DELETE FROM {table}_chunks WHERE index_id = $1 AND document_id = $2",
        };
        for id in ids {
            let values = vec![index_id.into(), id.as_str().into()];
            transaction.write(self.table.sql(delete), values).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl VectorIo for Index {
    fn capabilities(&self) -> VectorCapabilities {
        VectorCapabilities {
            modes: SearchMode::ALL,
            metrics: &[Metric::Cosine],
        }
    }

    async fn create_index(&self, _context: &RequestContext, index: VectorIndex) -> Result<()> {
        index.check(self.capabilities())?;
        let insert = self
            .table
            .sql("INSERT INTO {table} (id, dimension) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING");
        let values = vec![index.index_id.as_str().into(), i64::from(index.dimension).into()];
        self.database.write(insert, values).await.map(drop)
    }

    async fn delete_index(&self, _context: &RequestContext, index_id: &str) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        for delete in [
            "DELETE FROM {table}_chunks WHERE index_id = $1",
            "DELETE FROM {table} WHERE id = $1",
        ] {
            transaction.write(self.table.sql(delete), vec![index_id.into()]).await?;
        }
        transaction.commit().await
    }

    async fn upsert_chunks(&self, _context: &RequestContext, request: UpsertChunks) -> Result<()> {
        request.check(&self.described(&request.index_id).await?)?;
        let count = request.chunks.len();
        let mut transaction = self.database.begin().await?;
        for chunk in request.chunks {
            let upsert = self.table.sql(
                "INSERT INTO {table}_chunks (index_id, chunk_id, document_id, position, body) VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (index_id, chunk_id) DO UPDATE SET document_id = excluded.document_id, position = excluded.position,
                    body = excluded.body",
            );
            let body = json!({
                "text": chunk.text, "vector": chunk.vector, "attributes": chunk.attributes, "metadata": chunk.metadata,
            });
            let values = vec![
                request.index_id.as_str().into(),
                chunk.chunk_id.into(),
                chunk.document_id.into(),
                i64::from(chunk.position).into(),
                body.to_string().into(),
            ];
            transaction.write(upsert, values).await?;
        }
        transaction.commit().await?;
        self.written.fetch_add(count, Ordering::SeqCst);
        Ok(())
    }

    async fn delete_chunks(&self, _context: &RequestContext, request: DeleteChunks) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        self.remove(&mut transaction, &request.index_id, &request.selection)
            .await?;
        transaction.commit().await
    }

    async fn list_chunks(&self, _context: &RequestContext, request: ListChunks) -> Result<ChunkPage> {
        self.described(&request.index_id).await?;
        let mut chunks = self.chunks(&request.index_id).await;
        chunks.retain(|chunk| {
            chunk.document_id == request.document_id && request.after.is_none_or(|after| chunk.position > after)
        });
        let has_more = chunks.len() > request.limit;
        chunks.truncate(request.limit);
        Ok(ChunkPage { chunks, has_more })
    }

    async fn search_chunks(&self, _context: &RequestContext, request: SearchChunks) -> Result<Vec<ScoredChunk>> {
        request.check(self.capabilities(), &self.described(&request.index_id).await?)?;
        let mut chunks = self.chunks(&request.index_id).await;
        chunks.retain(|chunk| {
            request
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(&chunk.attributes))
        });
        let mut scores = match &request.query {
            ChunkQuery::Vector(vector) => by_vector(&chunks, vector),
            ChunkQuery::Keyword(text) => by_words(&chunks, text),
            ChunkQuery::Hybrid { vector, text, fusion } => {
                let depth = Fusion::depth(request.limit);
                let mut lists = [by_vector(&chunks, vector), by_words(&chunks, text)];
                lists.iter_mut().for_each(|list| list.truncate(depth));
                fusion.fuse(&lists[0], &lists[1])
            }
        };
        scores.retain(|(_, score)| request.score_threshold.is_none_or(|threshold| *score >= threshold));
        scores.truncate(request.limit);
        let found = scores.into_iter().map(|(id, score)| ScoredChunk {
            chunk: chunks.iter().find(|chunk| chunk.chunk_id == id).unwrap().clone(),
            score,
        });
        Ok(found.collect())
    }
}

fn by_vector(chunks: &[Chunk], vector: &[f32]) -> Vec<(String, f32)> {
    let length = |vector: &[f32]| vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    let score = |chunk: &Chunk| {
        let product: f32 = chunk.vector.iter().zip(vector).map(|(one, other)| one * other).sum();
        product / (length(&chunk.vector) * length(vector)).max(f32::MIN_POSITIVE)
    };
    sorted(
        chunks
            .iter()
            .map(|chunk| (chunk.chunk_id.clone(), score(chunk)))
            .collect(),
    )
}

fn by_words(chunks: &[Chunk], text: &str) -> Vec<(String, f32)> {
    let score = |chunk: &Chunk| {
        let there: Vec<String> = crate::model::words(&chunk.text).collect();
        crate::model::words(text).filter(|word| there.contains(word)).count() as f32
    };
    let scored = chunks.iter().map(|chunk| (chunk.chunk_id.clone(), score(chunk)));
    sorted(scored.filter(|(_, score)| *score > 0.0).collect())
}

fn sorted(mut scores: Vec<(String, f32)>) -> Vec<(String, f32)> {
    scores.sort_by(|(id, score), (other_id, other)| other.total_cmp(score).then_with(|| id.cmp(other_id)));
    scores
}

fn chunk(row: &Row) -> Result<Chunk> {
    let mut body: Map<String, Value> = serde_json::from_str(&row.get::<String>("body")?).unwrap();
    let mut part = |key: &str| body.remove(key).unwrap();
    Ok(Chunk {
        chunk_id: row.get("chunk_id")?,
        document_id: row.get("document_id")?,
        position: row.get::<i64>("position")? as u32,
        text: serde_json::from_value(part("text")).unwrap(),
        vector: serde_json::from_value(part("vector")).unwrap(),
        attributes: serde_json::from_value::<Attributes>(part("attributes")).unwrap(),
        metadata: serde_json::from_value(part("metadata")).unwrap(),
    })
}

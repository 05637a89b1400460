//! Chunks are written, removed and listed.

use std::collections::BTreeMap;

use puna_api::{Chunk, ChunkPage, ChunkSelection, DeleteChunks, Error, ListChunks, Result, UpsertChunks};
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use crate::error::no_index;
use crate::indexes::{Index, Size, size};
use crate::lexemes::TextWords;
use crate::server::Server;
use crate::stored::{COLUMNS, attributes_to_json, chunk, written};

/// The most chunks and the most numbers of their vectors in a statement.
const MAX_ROWS: usize = 500;
const MAX_NUMBERS: usize = 1 << 20;

/// A chunk to write with its words.
type WrittenRow<'a> = (&'a Chunk, TextWords);

impl Server {
    /// Adds chunks or replaces those with the same ids, all of them or none.
    pub(crate) async fn upsert(&self, request: &UpsertChunks) -> Result<()> {
        let mut writing = self.writing().await?;
        let index = self.index_kept(&mut writing, &request.index_id).await?;
        let index = index.ok_or_else(|| no_index(&request.index_id))?;
        request.check(&index.about)?;
        // Everyone writes in the order of the ids, so that no two wait for each other.
        let mut rows = BTreeMap::new();
        for (place, chunk) in request.chunks.iter().enumerate() {
            rows.insert(written(&chunk.chunk_id), (chunk, words(chunk, place)?));
        }
        let rows: Vec<WrittenRow<'_>> = rows.into_values().collect();
        let mut grown = Size { chunks: 0, words: 0 };
        let most = (MAX_NUMBERS / index.about.dimension as usize).clamp(1, MAX_ROWS);
        for rows in rows.chunks(most) {
            let more = self.write(&mut writing, &index, rows).await;
            let more = more.map_err(|error| self.failed(&request.index_id, error))?;
            grown.chunks += more.chunks;
            grown.words += more.words;
        }
        self.grow(&mut writing, &index, grown).await?;
        let size = self.size(&mut writing, &index).await?;
        self.commit(writing).await?;
        self.build_graph_if_due(&index, size).await;
        Ok(())
    }

    /// Removes chunks.
    pub(crate) async fn delete(&self, request: &DeleteChunks) -> Result<()> {
        let mut writing = self.writing().await?;
        let Some(index) = self.index_kept(&mut writing, &request.index_id).await? else {
            return Ok(());
        };
        let (condition, values) = match &request.selection {
            ChunkSelection::Chunks(ids) => ("chunk_id", ids.iter().map(|id| written(id).into_owned()).collect()),
            ChunkSelection::Document(id) => ("document_id", vec![written(id).into_owned()]),
        };
        let chunks = &index.chunks;
        let sql = format!(
            "WITH chosen AS MATERIALIZED (SELECT chunk_id FROM {chunks} WHERE {condition} = ANY ($1) ORDER BY chunk_id FOR UPDATE),
            gone AS (DELETE FROM {chunks} USING chosen WHERE {chunks}.chunk_id = chosen.chunk_id RETURNING length)
            SELECT -COUNT(*) AS chunks, -COALESCE(SUM(length), 0)::BIGINT AS words FROM gone"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind::<Vec<String>>(values)
            .fetch_one(&mut *writing)
            .await;
        let grown = row.and_then(|row| size(&row));
        let grown = grown.map_err(|error| self.failed(&request.index_id, error))?;
        self.grow(&mut writing, &index, grown).await?;
        self.commit(writing).await
    }

    /// Lists chunks; the request was checked.
    pub(crate) async fn list(&self, request: &ListChunks) -> Result<ChunkPage> {
        let mut reading = self.reading().await?;
        let (index, _) = self.index(&mut reading, &request.index_id).await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM {} WHERE document_id = $1 AND position > $2 ORDER BY position, chunk_id LIMIT $3",
            index.chunks
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(written(&request.document_id))
            .bind(request.after.map_or(-1, i64::from))
            .bind(i64::try_from(request.limit).unwrap_or(i64::MAX).saturating_add(1))
            .fetch_all(&mut *reading)
            .await;
        let chunks = rows.and_then(|rows| rows.iter().map(chunk).collect());
        let mut chunks: Vec<Chunk> = chunks.map_err(|error| self.failed(&request.index_id, error))?;
        let has_more = chunks.len() > request.limit;
        chunks.truncate(request.limit);
        Ok(ChunkPage { chunks, has_more })
    }

    /// The chunks of these ids, in no order.
    pub(crate) async fn chunks_of(
        &self,
        reading: &mut Transaction<'static, Postgres>,
        index: &Index,
        ids: Vec<String>,
    ) -> sqlx::Result<Vec<Chunk>> {
        let sql = format!("SELECT {COLUMNS} FROM {} WHERE chunk_id = ANY ($1)", index.chunks);
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(ids)
            .fetch_all(&mut **reading)
            .await?;
        rows.iter().map(chunk).collect()
    }

    async fn commit(&self, writing: Transaction<'static, Postgres>) -> Result<()> {
        writing.commit().await.map_err(|error| self.database.error(error))
    }

    /// Writes rows in one statement, the vectors as one list that is cut into pieces there.
    async fn write(
        &self,
        writing: &mut Transaction<'static, Postgres>,
        index: &Index,
        rows: &[WrittenRow<'_>],
    ) -> sqlx::Result<Size> {
        let chunks = &index.chunks;
        let sql = format!(
            "WITH put AS (
                INSERT INTO {chunks} AS there (chunk_id, document_id, position, text, embedding, attributes, metadata, words, length)
                SELECT new.chunk_id, new.document_id, new.position, new.text,
                    ($9::REAL[])[(new.place::INT - 1) * $10 + 1 : new.place::INT * $10]::VECTOR,
                    new.attributes::JSONB, new.metadata::JSON, new.words::TSVECTOR, new.length
                FROM UNNEST($1::TEXT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::INT[]) WITH ORDINALITY
                    AS new (chunk_id, document_id, position, text, attributes, metadata, words, length, place)
                ON CONFLICT (chunk_id) DO UPDATE SET
                    document_id = EXCLUDED.document_id, position = EXCLUDED.position, text = EXCLUDED.text, embedding = EXCLUDED.embedding,
                    attributes = EXCLUDED.attributes, metadata = EXCLUDED.metadata, words = EXCLUDED.words, length = EXCLUDED.length,
                    replaced = there.length
                RETURNING length, replaced
            )
            SELECT COUNT(*) FILTER (WHERE replaced IS NULL) AS chunks, COALESCE(SUM(length - COALESCE(replaced, 0)), 0)::BIGINT AS words FROM put"
        );
        let texts = |text: &dyn Fn(&Chunk) -> String| rows.iter().map(|(chunk, _)| text(chunk)).collect::<Vec<_>>();
        let vectors: Vec<f32> = rows
            .iter()
            .flat_map(|(chunk, _)| chunk.vector.iter().copied())
            .collect();
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(texts(&|chunk| written(&chunk.chunk_id).into_owned()))
            .bind(texts(&|chunk| written(&chunk.document_id).into_owned()))
            .bind(
                rows.iter()
                    .map(|(chunk, _)| i64::from(chunk.position))
                    .collect::<Vec<_>>(),
            )
            .bind(texts(&|chunk| written(&chunk.text).into_owned()))
            .bind(texts(&|chunk| attributes_to_json(&chunk.attributes)))
            .bind(texts(&|chunk| {
                serde_json::Value::Object(chunk.metadata.clone()).to_string()
            }))
            .bind(rows.iter().map(|(_, words)| words.vector.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|(_, words)| words.length).collect::<Vec<_>>())
            .bind(vectors)
            .bind(index.about.dimension as i32)
            .fetch_one(&mut **writing)
            .await?;
        size(&row)
    }
}

fn words(chunk: &Chunk, place: usize) -> Result<TextWords> {
    TextWords::of(&chunk.text).ok_or_else(|| {
        let message =
            "a text with more different words than PostgreSQL can index, about a megabyte; split it into more chunks";
        Error::unsupported(message).with_param(format!("chunks[{place}].text"))
    })
}

//! Indexes: a row in the table that lists them, and a table for the chunks of each.

use puna_api::{Error, Metric, Result, VectorIndex};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Postgres, Row, Transaction};

use crate::error::no_index;
use crate::server::Server;

/// The most numbers of a vector that pgvector keeps.
const MAX_DIMENSION: u32 = 16_000;

/// The table of an index's chunks. `replaced` tells the length of what the chunk took the place of, for whoever has just written it.
const TABLE: &str = r#"
    CREATE TABLE {chunks} (
        chunk_id TEXT COLLATE "C" PRIMARY KEY,
        document_id TEXT COLLATE "C" NOT NULL,
        position BIGINT NOT NULL,
        text TEXT NOT NULL,
        embedding VECTOR({dimension}) NOT NULL,
        attributes JSONB NOT NULL,
        metadata JSON NOT NULL,
        words TSVECTOR NOT NULL,
        length INTEGER NOT NULL,
        replaced INTEGER
    );
    CREATE INDEX {chunks}_by_document ON {chunks} (document_id, position);
    CREATE INDEX {chunks}_by_word ON {chunks} USING gin (words);
    CREATE INDEX {chunks}_by_attribute ON {chunks} USING gin (attributes jsonb_path_ops);
"#;

/// An index that is there.
pub(crate) struct Index {
    pub(crate) about: VectorIndex,
    pub(crate) number: i64,
    /// The table of its chunks.
    pub(crate) chunks: String,
}

/// How large an index is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) chunks: i64,
    /// Of all chunks together.
    pub(crate) words: i64,
}

impl Server {
    /// Makes an index, which was checked.
    pub(crate) async fn create_index(&self, index: &VectorIndex) -> Result<()> {
        if index.dimension > MAX_DIMENSION {
            let message = format!("dimension {}: pgvector keeps at most {MAX_DIMENSION}", index.dimension);
            return Err(Error::unsupported(message).with_param("dimension"));
        }
        loop {
            let mut making = self.writing().await?;
            // Waits for whoever is making or deleting the same one.
            let sql = format!(
                "INSERT INTO {} (index_id, dimension, metric) VALUES ($1, $2, $3) ON CONFLICT (index_id) DO NOTHING RETURNING number",
                self.table
            );
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(&index.index_id)
                .bind(i64::from(index.dimension))
                .bind(index.metric.name())
                .fetch_optional(&mut *making)
                .await;
            let number = row.and_then(|row| row.map(|row| row.try_get::<i64, _>(0)).transpose());
            if let Some(number) = number.map_err(|error| self.database.error(error))? {
                let sql = TABLE
                    .replace("{chunks}", &self.chunks(number))
                    .replace("{dimension}", &index.dimension.to_string());
                let made = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *making).await;
                made.map_err(|error| self.database.error(error))?;
                return making.commit().await.map_err(|error| self.database.error(error));
            }
            // Gone again meanwhile, it is made after all.
            if let Some(there) = self.index_kept(&mut making, &index.index_id).await? {
                return there.about.check_same(index);
            }
        }
    }

    /// Removes an index with all that is in it.
    pub(crate) async fn delete_index(&self, index_id: &str) -> Result<()> {
        let mut deleting = self.writing().await?;
        // Waits for whoever is writing to it.
        let sql = format!("DELETE FROM {} WHERE index_id = $1 RETURNING number", self.table);
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(index_id)
            .fetch_optional(&mut *deleting)
            .await;
        let number = row.and_then(|row| row.map(|row| row.try_get::<i64, _>(0)).transpose());
        let Some(number) = number.map_err(|error| self.database.error(error))? else {
            return Ok(());
        };
        let sql = format!(
            "DROP TABLE {}; DELETE FROM {}_sizes WHERE number = {number}",
            self.chunks(number),
            self.table
        );
        let dropped = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *deleting).await;
        dropped.map_err(|error| self.database.error(error))?;
        deleting.commit().await.map_err(|error| self.database.error(error))
    }

    /// An index to read from, and how large it is.
    pub(crate) async fn index(
        &self,
        reading: &mut Transaction<'static, Postgres>,
        index_id: &str,
    ) -> Result<(Index, Size)> {
        let sql = format!(
            "SELECT index_id, number, dimension, metric, COALESCE(SUM(chunks), 0)::BIGINT AS chunks, COALESCE(SUM(words), 0)::BIGINT AS words
            FROM {table} LEFT JOIN {table}_sizes USING (number) WHERE index_id = $1 GROUP BY index_id, number, dimension, metric",
            table = self.table
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(index_id)
            .fetch_optional(&mut **reading)
            .await;
        let found = row.and_then(|row| row.map(|row| Ok((self.read(&row)?, size(&row)?))).transpose());
        found
            .map_err(|error| self.database.error(error))?
            .ok_or_else(|| no_index(index_id))
    }

    /// An index to write to, which stays until the transaction ends.
    pub(crate) async fn index_kept(
        &self,
        writing: &mut Transaction<'static, Postgres>,
        index_id: &str,
    ) -> Result<Option<Index>> {
        let sql = format!(
            "SELECT index_id, number, dimension, metric FROM {} WHERE index_id = $1 FOR KEY SHARE",
            self.table
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(index_id)
            .fetch_optional(&mut **writing)
            .await;
        let found = row.and_then(|row| row.map(|row| self.read(&row)).transpose());
        found.map_err(|error| self.database.error(error))
    }

    /// How large an index is, with what the transaction has written.
    pub(crate) async fn size(&self, writing: &mut Transaction<'static, Postgres>, index: &Index) -> Result<Size> {
        let sql = format!(
            "SELECT COALESCE(SUM(chunks), 0)::BIGINT AS chunks, COALESCE(SUM(words), 0)::BIGINT AS words FROM {}_sizes WHERE number = $1",
            self.table
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(index.number)
            .fetch_one(&mut **writing)
            .await;
        row.and_then(|row| size(&row))
            .map_err(|error| self.failed(&index.about.index_id, error))
    }

    /// Notes that an index grew, or shrank where the numbers are negative.
    pub(crate) async fn grow(
        &self,
        writing: &mut Transaction<'static, Postgres>,
        index: &Index,
        by: Size,
    ) -> Result<()> {
        if by.chunks == 0 && by.words == 0 {
            return Ok(());
        }
        let sizes = format!("{}_sizes", self.table);
        let sql = format!(
            "WITH old AS (
                DELETE FROM {sizes} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {sizes} WHERE number = $1 FOR UPDATE SKIP LOCKED))
                RETURNING chunks, words
            )
            INSERT INTO {sizes} (number, chunks, words) SELECT $1, COALESCE(SUM(chunks), 0) + $2, COALESCE(SUM(words), 0) + $3 FROM old"
        );
        let noted = sqlx::query(AssertSqlSafe(sql))
            .bind(index.number)
            .bind(by.chunks)
            .bind(by.words)
            .execute(&mut **writing)
            .await;
        noted
            .map(drop)
            .map_err(|error| self.failed(&index.about.index_id, error))
    }

    fn read(&self, row: &PgRow) -> sqlx::Result<Index> {
        let number = row.try_get("number")?;
        let (dimension, metric) = (row.try_get::<i64, _>("dimension")?, row.try_get::<&str, _>("metric")?);
        let unknown = |what: String| sqlx::Error::Decode(what.into());
        let known = Metric::ALL.iter().copied().find(|known| known.name() == metric);
        Ok(Index {
            about: VectorIndex {
                index_id: row.try_get("index_id")?,
                dimension: u32::try_from(dimension).map_err(|_| unknown(format!("dimension {dimension}")))?,
                metric: known.ok_or_else(|| unknown(format!("metric `{metric}`")))?,
            },
            number,
            chunks: self.chunks(number),
        })
    }

    fn chunks(&self, number: i64) -> String {
        format!("{}_{number}", self.table)
    }
}

/// The size that a statement answers as `chunks` and `words`.
pub(crate) fn size(row: &PgRow) -> sqlx::Result<Size> {
    Ok(Size {
        chunks: row.try_get("chunks")?,
        words: row.try_get("words")?,
    })
}

//! The rows of batches.

use puna_api::Result;
use puna_storage::Transaction;

use super::stores::counts;
use super::{Tables, number};
use crate::FileCounts;

/// A batch, with what is counted of its files.
#[derive(Debug, Clone)]
pub(crate) struct BatchRow {
    pub(crate) id: String,
    pub(crate) store_id: String,
    pub(crate) is_cancelled: bool,
    pub(crate) created_at: u64,
    pub(crate) file_counts: FileCounts,
}

impl Tables {
    pub(crate) async fn add_batch(
        &self,
        transaction: &mut Transaction,
        id: &str,
        store_id: &str,
        now: u64,
    ) -> Result<()> {
        let insert =
            self.sql("INSERT INTO {table}_batches (id, store_id, is_cancelled, created_at) VALUES ($1, $2, FALSE, $3)");
        let values = vec![id.into(), store_id.into(), number(now)];
        transaction.write(insert, values).await.map(drop)
    }

    pub(crate) async fn batch(&self, store_id: &str, id: &str) -> Result<Option<BatchRow>> {
        let select = self.sql(
            "SELECT b.*,
                (SELECT COUNT(*) FROM {table}_files f WHERE f.batch_id = b.id AND f.state = 'live' AND f.status = 'in_progress') AS in_progress,
                (SELECT COUNT(*) FROM {table}_files f WHERE f.batch_id = b.id AND f.state = 'live' AND f.status = 'completed') AS completed,
                (SELECT COUNT(*) FROM {table}_files f WHERE f.batch_id = b.id AND f.state = 'live' AND f.status = 'failed') AS failed,
                (SELECT COUNT(*) FROM {table}_files f WHERE f.batch_id = b.id AND f.state = 'live' AND f.status = 'cancelled') AS cancelled
            FROM {table}_batches b WHERE b.store_id = $1 AND b.id = $2",
        );
        let row = self.database.read_one(select, vec![store_id.into(), id.into()]).await?;
        let batch = row.map(|row| {
            Ok(BatchRow {
                id: row.get("id")?,
                store_id: row.get("store_id")?,
                is_cancelled: row.get("is_cancelled")?,
                created_at: row.get::<i64>("created_at")?.unsigned_abs(),
                file_counts: counts(&row)?,
            })
        });
        batch.transpose()
    }

    pub(crate) async fn mark_batch_cancelled(&self, transaction: &mut Transaction, id: &str) -> Result<()> {
        let update = self.sql("UPDATE {table}_batches SET is_cancelled = TRUE WHERE id = $1");
        transaction.write(update, vec![id.into()]).await.map(drop)
    }
}

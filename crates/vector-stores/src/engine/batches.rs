//! Batches of files.

use puna_api::{Error, RequestContext, Result};

use super::files::object;
use super::{VectorStores, new_id, now, removal, shown};
use crate::tables::{BatchRow, FileFilter};
use crate::{BatchStatus, CreateFileBatch, FileBatch, FileBatchObject, FilesQuery, Page, StoreFile};

impl VectorStores {
    /// Attaches several files together: all of them or, when one is missing, none.
    pub async fn create_batch(
        &self,
        context: &RequestContext,
        store_id: &str,
        request: CreateFileBatch,
    ) -> Result<FileBatch> {
        let param = if request.files.is_some() { "files" } else { "file_ids" };
        let files = request.into_files()?;
        self.used_store(store_id).await?;
        let files = self.new_files(context, files, param).await?;
        let batch_id = new_id("vsfb_");
        let mut transaction = self.jobs().begin().await?;
        self.use_store(&mut transaction, store_id).await?;
        self.opened()?
            .add_batch(&mut transaction, &batch_id, store_id, now())
            .await?;
        self.add_files(&mut transaction, store_id, Some(&batch_id), files)
            .await?;
        transaction.commit().await?;
        self.wake_ingestion();
        self.batch(context, store_id, &batch_id).await
    }

    /// A batch.
    pub async fn batch(&self, _context: &RequestContext, store_id: &str, batch_id: &str) -> Result<FileBatch> {
        self.batch_row(store_id, batch_id).await.map(batch)
    }

    /// Some of a batch's files.
    pub async fn batch_files(
        &self,
        _context: &RequestContext,
        store_id: &str,
        batch_id: &str,
        query: &FilesQuery,
    ) -> Result<Page<StoreFile>> {
        query.page.check()?;
        self.batch_row(store_id, batch_id).await?;
        let filter = FileFilter {
            store_id,
            batch_id: Some(batch_id),
        };
        let page = self.tables().await?.list_files(filter, query).await?;
        Ok(page.map(object))
    }

    /// Cancels the ingestion of a batch's files that are not done. One that is over stays as it is.
    pub async fn cancel_batch(&self, context: &RequestContext, store_id: &str, batch_id: &str) -> Result<FileBatch> {
        self.batch_row(store_id, batch_id).await?;
        let tables = self.tables().await?;
        let mut transaction = self.jobs().begin().await?;
        let cancelled = tables.cancel_files_of(&mut transaction, batch_id).await?;
        if !cancelled.is_empty() {
            tables.mark_batch_cancelled(&mut transaction, batch_id).await?;
            let removal = removal::of_cancelled(batch_id, cancelled)?;
            self.submit_all(&mut transaction, [removal]).await?;
        }
        transaction.commit().await?;
        self.jobs().wake(removal::KIND);
        self.batch(context, store_id, batch_id).await
    }

    async fn batch_row(&self, store_id: &str, batch_id: &str) -> Result<BatchRow> {
        self.store(store_id).await?;
        let batch = self.tables().await?.batch(store_id, batch_id).await?;
        batch.ok_or_else(|| {
            let message = format!(
                "there is no file batch `{}` of the vector store `{}`",
                shown(batch_id),
                shown(store_id)
            );
            Error::not_found(message).with_param("batch_id")
        })
    }
}

fn batch(batch: BatchRow) -> FileBatch {
    let counts = batch.file_counts;
    let status = if counts.in_progress > 0 {
        BatchStatus::InProgress
    } else if batch.is_cancelled {
        BatchStatus::Cancelled
    } else if counts.failed > 0 && counts.failed == counts.total {
        BatchStatus::Failed
    } else {
        BatchStatus::Completed
    };
    FileBatch {
        id: batch.id,
        object: FileBatchObject::FilesBatch,
        created_at: batch.created_at,
        vector_store_id: batch.store_id,
        status,
        file_counts: counts,
    }
}

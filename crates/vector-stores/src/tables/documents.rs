//! The rows of documents whose bytes the engine keeps: one beside the row of each file that is one.

use bytes::Bytes;
use puna_api::Result;
use puna_storage::{Row, Transaction};

use super::{Tables, json, read_json};
use crate::{KeptDocument, StoreFileStatus};

impl Tables {
    /// Keeps a document beside the row of its being attached.
    pub(crate) async fn add_document(
        &self,
        transaction: &mut Transaction,
        attachment: &str,
        document: &KeptDocument,
    ) -> Result<()> {
        let insert = self
            .sql("INSERT INTO {table}_documents (attachment, media_type, metadata, content) VALUES ($1, $2, $3, $4)");
        let values = vec![
            attachment.into(),
            document.media_type.as_str().into(),
            json(&document.metadata)?.into(),
            document.content.to_vec().into(),
        ];
        transaction.write(insert, values).await.map(drop)
    }

    /// The document of an attachment; `None` where a file was attached.
    pub(crate) async fn document_of(&self, attachment: &str) -> Result<Option<KeptDocument>> {
        let select = self.sql(
            "SELECT f.file_id, d.media_type, d.metadata, d.content
            FROM {table}_documents d JOIN {table}_files f ON f.attachment = d.attachment WHERE d.attachment = $1",
        );
        let row = self.database.read_one(select, vec![attachment.into()]).await?;
        row.map(|row| document(&row)).transpose()
    }

    /// A document of a store.
    pub(crate) async fn document(&self, store_id: &str, document_id: &str) -> Result<Option<KeptDocument>> {
        let select = self.sql(
            "SELECT f.file_id, d.media_type, d.metadata, d.content
            FROM {table}_files f JOIN {table}_documents d ON d.attachment = f.attachment
            WHERE f.store_id = $1 AND f.file_id = $2 AND f.state = 'live'",
        );
        let row = self
            .database
            .read_one(select, vec![store_id.into(), document_id.into()])
            .await?;
        row.map(|row| document(&row)).transpose()
    }

    /// How far a file of a store is, as the transaction sees it.
    pub(crate) async fn status_of(
        &self,
        transaction: &mut Transaction,
        store_id: &str,
        file_id: &str,
    ) -> Result<Option<StoreFileStatus>> {
        let select =
            self.sql("SELECT status FROM {table}_files WHERE store_id = $1 AND file_id = $2 AND state = 'live'");
        let row = transaction.row(select, vec![store_id.into(), file_id.into()]).await?;
        let status: Option<String> = row.map(|row| row.get("status")).transpose()?;
        Ok(status.as_deref().and_then(StoreFileStatus::from_name))
    }

    /// Forgets the documents of a store.
    pub(crate) async fn forget_documents(&self, store_id: &str) -> Result<()> {
        let delete = self.sql(FORGET_OF_STORE);
        self.database.write(delete, vec![store_id.into()]).await.map(drop)
    }

    /// Forgets the document of an attachment that is going.
    pub(super) async fn forget_document(&self, attachment: &str) -> Result<()> {
        let delete = self.sql(
            "DELETE FROM {table}_documents WHERE attachment IN
            (SELECT attachment FROM {table}_files WHERE attachment = $1 AND state = 'going')",
        );
        self.database.write(delete, vec![attachment.into()]).await.map(drop)
    }

    /// The store of a batch.
    pub(crate) async fn store_of_batch(&self, batch_id: &str) -> Result<Option<String>> {
        let select = self.sql("SELECT store_id FROM {table}_batches WHERE id = $1");
        let row = self.database.read_one(select, vec![batch_id.into()]).await?;
        row.map(|row| row.get("store_id")).transpose()
    }
}

/// Takes away the documents of the store `$1`.
pub(super) const FORGET_OF_STORE: &str = "DELETE FROM {table}_documents WHERE attachment IN
    (SELECT attachment FROM {table}_files WHERE store_id = $1)";

fn document(row: &Row) -> Result<KeptDocument> {
    Ok(KeptDocument {
        document_id: row.get("file_id")?,
        content: Bytes::from(row.get::<Vec<u8>>("content")?),
        media_type: row.get("media_type")?,
        metadata: read_json(&row.get::<String>("metadata")?, "metadata")?,
    })
}

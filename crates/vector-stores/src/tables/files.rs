//! The rows of files in stores: one for each time that a file was attached.

use std::collections::HashMap;

use puna_api::{Attributes, ChunkingStrategy, Error, Result};
use puna_storage::{Row, Transaction, Value};

use super::listing::Span;
use super::stores::unknown_cursor;
use super::{Tables, json, number, read_json};
use crate::{FilesQuery, LastError, LastErrorCode, Page, StoreFileStatus};

/// How many attachments one statement looks up.
const LOOKED_UP: usize = 20;

/// A file of a store.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileRow {
    /// The id of its being attached, in the order of which files are listed.
    pub(crate) attachment: String,
    pub(crate) store_id: String,
    pub(crate) file_id: String,
    /// Whether it was neither taken out nor attached anew.
    pub(crate) is_live: bool,
    pub(crate) status: StoreFileStatus,
    pub(crate) filename: String,
    pub(crate) attributes: Attributes,
    /// Counts how often the attributes were changed.
    pub(crate) revision: i64,
    pub(crate) chunking: ChunkingStrategy,
    pub(crate) usage_bytes: u64,
    pub(crate) last_error: Option<LastError>,
    pub(crate) created_at: u64,
}

/// A file to attach.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) attachment: String,
    pub(crate) file_id: String,
    pub(crate) filename: String,
    pub(crate) attributes: Attributes,
    pub(crate) chunking: ChunkingStrategy,
}

/// Whose files are listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileFilter<'a> {
    pub(crate) store_id: &'a str,
    pub(crate) batch_id: Option<&'a str>,
}

/// What searches need to know of a file whose chunks they found.
#[derive(Debug, Clone)]
pub(crate) struct Indexed {
    pub(crate) file_id: String,
    pub(crate) filename: String,
    pub(crate) attributes: Attributes,
}

impl Tables {
    /// Attaches a file, and answers the attachment that it takes the place of.
    pub(crate) async fn add_file(
        &self,
        transaction: &mut Transaction,
        store_id: &str,
        batch_id: Option<&str>,
        file: &NewFile,
        now: u64,
    ) -> Result<Option<String>> {
        let replace = self.sql(
            "UPDATE {table}_files SET state = 'going' WHERE store_id = $1 AND file_id = $2 AND state = 'live' RETURNING attachment",
        );
        let replaced = transaction
            .row(replace, vec![store_id.into(), file.file_id.as_str().into()])
            .await?;
        let insert = self.sql(
            "INSERT INTO {table}_files (attachment, store_id, file_id, batch_id, state, status, filename, attributes, revision, chunking,
                usage_bytes, created_at)
            VALUES ($1, $2, $3, $4, 'live', 'in_progress', $5, $6, 0, $7, 0, $8)",
        );
        let values = vec![
            file.attachment.as_str().into(),
            store_id.into(),
            file.file_id.as_str().into(),
            batch_id.map(str::to_owned).into(),
            file.filename.as_str().into(),
            json(&file.attributes)?.into(),
            json(&file.chunking)?.into(),
            number(now),
        ];
        transaction.write(insert, values).await?;
        replaced.map(|row| row.get("attachment")).transpose()
    }

    /// A file of a store.
    pub(crate) async fn file(&self, store_id: &str, file_id: &str) -> Result<Option<FileRow>> {
        let select = self.sql("SELECT * FROM {table}_files WHERE store_id = $1 AND file_id = $2 AND state = 'live'");
        let row = self
            .database
            .read_one(select, vec![store_id.into(), file_id.into()])
            .await?;
        row.map(|row| file(&row)).transpose()
    }

    /// A file by its being attached, also when it is going.
    pub(crate) async fn attachment(&self, attachment: &str) -> Result<Option<FileRow>> {
        let select = self.sql("SELECT * FROM {table}_files WHERE attachment = $1");
        let row = self.database.read_one(select, vec![attachment.into()]).await?;
        row.map(|row| file(&row)).transpose()
    }

    /// Some of the files of a store or a batch.
    pub(crate) async fn list_files(&self, filter: FileFilter<'_>, query: &FilesQuery) -> Result<Page<FileRow>> {
        let after = self.place_of_file(filter, query.page.after.as_deref(), "after").await?;
        let before = self
            .place_of_file(filter, query.page.before.as_deref(), "before")
            .await?;
        let span = Span::new(&query.page, after, before);
        let mut select = self.sql(
            "SELECT * FROM {table}_files WHERE attachment > $1 AND attachment < $2 AND store_id = $4 AND state = 'live'",
        );
        let mut values = Vec::from(span.values());
        values.push(filter.store_id.into());
        if let Some(batch_id) = filter.batch_id {
            select = select.then(" AND batch_id = $5");
            values.push(batch_id.into());
        }
        if let Some(status) = query.status {
            select = select.then(if values.len() == 5 {
                " AND status = $6"
            } else {
                " AND status = $5"
            });
            values.push(status.name().into());
        }
        let select = select.then(span.ordered(
            " ORDER BY attachment DESC LIMIT $3",
            " ORDER BY attachment ASC LIMIT $3",
        ));
        let rows = self.database.read(select, values).await?;
        span.page(&rows, file)
    }

    /// Of these attachments, those whose chunks a search of the store may answer.
    pub(crate) async fn searchable(&self, store_id: &str, attachments: &[String]) -> Result<HashMap<String, Indexed>> {
        let mut found = HashMap::new();
        for some in attachments.chunks(LOOKED_UP) {
            let select = self.sql(
                "SELECT attachment, file_id, filename, attributes FROM {table}_files
                WHERE store_id = $1 AND state = 'live' AND status = 'completed' AND attachment IN
                ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
            );
            let mut values: Vec<Value> = vec![store_id.into()];
            values.extend(some.iter().map(|attachment| Value::from(attachment.as_str())));
            // No attachment has this name.
            values.resize(1 + LOOKED_UP, "".into());
            for row in self.database.read(select, values).await? {
                let indexed = Indexed {
                    file_id: row.get("file_id")?,
                    filename: row.get("filename")?,
                    attributes: read_json(&row.get::<String>("attributes")?, "attributes")?,
                };
                found.insert(row.get("attachment")?, indexed);
            }
        }
        Ok(found)
    }

    /// Replaces the attributes of a file, and answers it as it is then.
    pub(crate) async fn set_attributes(
        &self,
        transaction: &mut Transaction,
        store_id: &str,
        file_id: &str,
        attributes: &Attributes,
    ) -> Result<Option<FileRow>> {
        let update = self.sql(
            "UPDATE {table}_files SET attributes = $3, revision = revision + 1
            WHERE store_id = $1 AND file_id = $2 AND state = 'live' RETURNING *",
        );
        let values = vec![store_id.into(), file_id.into(), json(attributes)?.into()];
        let row = transaction.row(update, values).await?;
        row.map(|row| file(&row)).transpose()
    }

    /// Writes down that a file is complete, and answers its store and the revision of its attributes; `None` when it is not waited for any more.
    pub(crate) async fn complete_file(
        &self,
        transaction: &mut Transaction,
        attachment: &str,
        usage_bytes: u64,
    ) -> Result<Option<(String, i64)>> {
        let update = self.sql(
            "UPDATE {table}_files SET status = 'completed', usage_bytes = $2
            WHERE attachment = $1 AND state = 'live' AND status = 'in_progress' RETURNING store_id, revision",
        );
        let row = transaction
            .row(update, vec![attachment.into(), number(usage_bytes)])
            .await?;
        row.map(|row| Ok((row.get("store_id")?, row.get("revision")?)))
            .transpose()
    }

    /// Writes down that a file could not be ingested. Says whether it was still waited for.
    pub(crate) async fn fail_file(
        &self,
        transaction: &mut Transaction,
        attachment: &str,
        error: &LastError,
    ) -> Result<bool> {
        let update = self.sql(
            "UPDATE {table}_files SET status = 'failed', error_code = $2, error_message = $3
            WHERE attachment = $1 AND state = 'live' AND status = 'in_progress'",
        );
        let values = vec![
            attachment.into(),
            error.code.name().into(),
            error.message.replace('\0', "\u{fffd}").into(),
        ];
        Ok(transaction.write(update, values).await? == 1)
    }

    /// Writes down that the ingestion of a file was cancelled.
    pub(crate) async fn cancel_file(&self, transaction: &mut Transaction, attachment: &str) -> Result<()> {
        let update = self.sql(
            "UPDATE {table}_files SET status = 'cancelled' WHERE attachment = $1 AND state = 'live' AND status = 'in_progress'",
        );
        transaction.write(update, vec![attachment.into()]).await.map(drop)
    }

    /// Cancels the ingestion of a batch's files that are not done, and answers their attachments.
    pub(crate) async fn cancel_files_of(&self, transaction: &mut Transaction, batch_id: &str) -> Result<Vec<String>> {
        let update = self.sql(
            "UPDATE {table}_files SET status = 'cancelled' WHERE batch_id = $1 AND state = 'live' AND status = 'in_progress'
            RETURNING attachment",
        );
        attachments(&transaction.rows(update, vec![batch_id.into()]).await?)
    }

    /// Takes a file out of a store, and answers its attachment.
    pub(crate) async fn mark_file_going(
        &self,
        transaction: &mut Transaction,
        store_id: &str,
        file_id: &str,
    ) -> Result<Option<String>> {
        let update = self.sql(
            "UPDATE {table}_files SET state = 'going' WHERE store_id = $1 AND file_id = $2 AND state = 'live' RETURNING attachment",
        );
        let row = transaction.row(update, vec![store_id.into(), file_id.into()]).await?;
        row.map(|row| row.get("attachment")).transpose()
    }

    /// Takes a file out of all stores, and answers its attachments. A document that has the id of the file by chance is none.
    pub(crate) async fn mark_file_going_everywhere(
        &self,
        transaction: &mut Transaction,
        file_id: &str,
    ) -> Result<Vec<String>> {
        let update = self.sql(
            "UPDATE {table}_files SET state = 'going' WHERE file_id = $1 AND state = 'live'
            AND NOT EXISTS (SELECT 1 FROM {table}_documents d WHERE d.attachment = {table}_files.attachment) RETURNING attachment",
        );
        attachments(&transaction.rows(update, vec![file_id.into()]).await?)
    }

    /// Files of a store that are being ingested, also those that are going.
    pub(crate) async fn unfinished_of(&self, store_id: &str) -> Result<Vec<String>> {
        let select = self.sql(
            "SELECT attachment FROM {table}_files WHERE store_id = $1 AND status = 'in_progress' ORDER BY attachment",
        );
        attachments(&self.database.read(select, vec![store_id.into()]).await?)
    }

    /// Files of stores that are there which are being ingested, some of them, those behind `after`.
    pub(crate) async fn unfinished(&self, after: &str) -> Result<Vec<FileRow>> {
        let select = self.sql(
            "SELECT * FROM {table}_files WHERE state = 'live' AND status = 'in_progress' AND attachment > $1
            ORDER BY attachment LIMIT 500",
        );
        let rows = self.database.read(select, vec![after.into()]).await?;
        rows.iter().map(file).collect()
    }

    /// Files that were taken out of their stores and are not gone, some of them.
    pub(crate) async fn going_files(&self) -> Result<Vec<String>> {
        let select =
            self.sql("SELECT attachment FROM {table}_files WHERE state = 'going' ORDER BY attachment LIMIT 500");
        attachments(&self.database.read(select, vec![]).await?)
    }

    /// Forgets a file that was taken out of its store.
    pub(crate) async fn forget_file(&self, attachment: &str) -> Result<()> {
        self.forget_document(attachment).await?;
        let delete = self.sql("DELETE FROM {table}_files WHERE attachment = $1 AND state = 'going'");
        self.database.write(delete, vec![attachment.into()]).await.map(drop)
    }

    async fn place_of_file(
        &self,
        filter: FileFilter<'_>,
        file_id: Option<&str>,
        param: &str,
    ) -> Result<Option<String>> {
        let Some(file_id) = file_id else { return Ok(None) };
        let select = self.sql(
            "SELECT attachment FROM {table}_files WHERE store_id = $1 AND file_id = $2 ORDER BY state DESC, attachment DESC LIMIT 1",
        );
        let row = self
            .database
            .read_one(select, vec![filter.store_id.into(), file_id.into()])
            .await?;
        let row = row.ok_or_else(|| unknown_cursor("file", file_id, param))?;
        row.get("attachment").map(Some)
    }
}

fn attachments(rows: &[Row]) -> Result<Vec<String>> {
    rows.iter().map(|row| row.get("attachment")).collect()
}

fn file(row: &Row) -> Result<FileRow> {
    let status: String = row.get("status")?;
    let message: Option<String> = row.get("error_message")?;
    let code: Option<String> = row.get("error_code")?;
    Ok(FileRow {
        attachment: row.get("attachment")?,
        store_id: row.get("store_id")?,
        file_id: row.get("file_id")?,
        is_live: row.get::<String>("state")? == "live",
        status: StoreFileStatus::from_name(&status).ok_or_else(|| {
            Error::internal(format!(
                "the table of files in stores has the unknown status `{status}`"
            ))
        })?,
        filename: row.get("filename")?,
        attributes: read_json(&row.get::<String>("attributes")?, "attributes")?,
        revision: row.get("revision")?,
        chunking: read_json(&row.get::<String>("chunking")?, "chunking")?,
        usage_bytes: row.get::<i64>("usage_bytes")?.unsigned_abs(),
        last_error: message.map(|message| LastError {
            code: LastErrorCode::from_name(code.as_deref().unwrap_or_default()),
            message,
        }),
        created_at: row.get::<i64>("created_at")?.unsigned_abs(),
    })
}

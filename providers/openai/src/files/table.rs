//! The table of files.

use puna_api::{
    Error, ExpiresAfter, ExpiryAnchor, File, FileDetails, FileList, FileObject, FilePurpose, FileQuery, FileStatus,
    Result, SortOrder,
};
use puna_openai::UpstreamFile;
use puna_storage::{BlobKey, Database, Migration, Row, Statement, TableName, Value};
use uuid::Uuid;

/// A row is `incoming` while its bytes come in, `sending` while they go to the upstream, `stored` when it is a file, `going` when everything about
/// it is to be taken away, and `gone` when that is done and only its place in the list is remembered.
///
/// `copy` tells what becomes of the bytes that came in once the file is stored: they are `kept`, or `leaving` until they are not there.
const MIGRATIONS: &[Migration] = &[Migration::by_dialect(
    1,
    "CREATE TABLE {table} (
        blob TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        touched_at BIGINT NOT NULL,
        copy TEXT,
        place TEXT UNIQUE,
        id TEXT UNIQUE,
        filename TEXT,
        purpose TEXT,
        bytes BIGINT,
        lifetime BIGINT,
        sent_at BIGINT,
        created_at BIGINT,
        expires_at BIGINT
    );
    CREATE INDEX {table}_by_purpose ON {table} (purpose, place);
    CREATE INDEX {table}_by_state ON {table} (state, touched_at);
    CREATE INDEX {table}_by_copy ON {table} (copy, touched_at);
    CREATE INDEX {table}_by_expiry ON {table} (expires_at)",
    // Ordered by bytes, as in SQLite, whatever the server's language is.
    r#"CREATE TABLE {table} (
        blob TEXT COLLATE "C" PRIMARY KEY,
        state TEXT NOT NULL,
        touched_at BIGINT NOT NULL,
        copy TEXT,
        place TEXT COLLATE "C" UNIQUE,
        id TEXT COLLATE "C" UNIQUE,
        filename TEXT,
        purpose TEXT,
        bytes BIGINT,
        lifetime BIGINT,
        sent_at BIGINT,
        created_at BIGINT,
        expires_at BIGINT
    );
    CREATE INDEX {table}_by_purpose ON {table} (purpose, place);
    CREATE INDEX {table}_by_state ON {table} (state, touched_at);
    CREATE INDEX {table}_by_copy ON {table} (copy, touched_at);
    CREATE INDEX {table}_by_expiry ON {table} (expires_at)"#,
)];

/// How many rows are looked at together.
const BATCH: i64 = 100;

/// The rows of files. Times are seconds since 1970.
#[derive(Debug, Clone)]
pub(super) struct FileTable {
    database: Database,
    table: TableName,
}

/// A file, and whether its bytes are here too.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) file: File,
    pub(super) blob: BlobKey,
    pub(super) has_copy: bool,
}

/// An upload whose bytes are all here.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    pub(super) blob: BlobKey,
    pub(super) details: FileDetails,
    pub(super) bytes: u64,
    pub(super) sent_at: u64,
    /// When there was the last sign of life.
    pub(super) touched_at: u64,
}

/// What is to be taken away.
#[derive(Debug)]
pub(super) struct Going {
    pub(super) blob: BlobKey,
    /// Its id at the upstream, if it is known to be there.
    pub(super) id: Option<String>,
}

impl Sending {
    /// The file that the upstream made of it.
    pub(super) fn file(&self, kept: &UpstreamFile) -> File {
        let asked = self.details.expires_after.map(|after| u64::from(after.seconds));
        File {
            id: kept.id.clone(),
            object: FileObject::File,
            bytes: self.bytes,
            created_at: kept.created_at,
            // Not every upstream lets files go; then it is done here.
            expires_at: kept
                .expires_at
                .or_else(|| asked.map(|seconds| kept.created_at.saturating_add(seconds))),
            filename: self.details.filename.clone(),
            purpose: self.details.purpose,
            status: FileStatus::Processed,
            status_details: None,
        }
    }

    /// Whether an upstream that has only one of the two could not tell which.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.details.filename == other.details.filename
            && self.details.purpose == other.details.purpose
            && self.bytes == other.bytes
    }
}

impl FileTable {
    pub(super) async fn open(database: Database, table: TableName) -> Result<Self> {
        database.migrate("openai_files", &table, MIGRATIONS).await?;
        Ok(Self { database, table })
    }

    /// Notes that bytes are coming in.
    pub(super) async fn begin(&self, blob: &BlobKey, now: u64) -> Result<()> {
        let insert = "INSERT INTO {table} (blob, state, touched_at) VALUES ($1, 'incoming', $2)";
        self.write(insert, vec![blob.as_str().into(), number(now)]).await?;
        Ok(())
    }

    /// Notes that somebody is still at it.
    pub(super) async fn touch(&self, blob: &BlobKey, now: u64) -> Result<()> {
        let update = "UPDATE {table} SET touched_at = $2 WHERE blob = $1";
        self.write(update, vec![blob.as_str().into(), number(now)]).await?;
        Ok(())
    }

    /// Notes what is about to be sent. Says whether the row was still there: a sweep takes one that was not renewed in time.
    pub(super) async fn send(&self, sending: &Sending) -> Result<bool> {
        let update = "UPDATE {table} SET state = 'sending', touched_at = $2, sent_at = $2, filename = $3, purpose = $4, bytes = $5, lifetime = $6
            WHERE blob = $1 AND state = 'incoming'";
        let lifetime = sending.details.expires_after.map(|after| i64::from(after.seconds));
        let values = vec![
            sending.blob.as_str().into(),
            number(sending.sent_at),
            sending.details.filename.as_str().into(),
            sending.details.purpose.name().into(),
            number(sending.bytes),
            Value::Integer(lifetime),
        ];
        Ok(self.write(update, values).await? == 1)
    }

    /// Makes a file of what was sent. Says whether the row was still there.
    pub(super) async fn publish(&self, blob: &BlobKey, file: &File, keeps_copy: bool, now: u64) -> Result<bool> {
        let update = "UPDATE {table} SET state = 'stored', touched_at = $2, copy = $3, place = $4, id = $5, created_at = $6, expires_at = $7
            WHERE blob = $1 AND state = 'sending'";
        let values = vec![
            blob.as_str().into(),
            number(now),
            if keeps_copy { "kept" } else { "leaving" }.into(),
            // Later ones are greater.
            Uuid::now_v7().simple().to_string().into(),
            file.id.as_str().into(),
            number(file.created_at),
            Value::Integer(file.expires_at.map(|at| at as i64)),
        ];
        Ok(self.write(update, values).await? == 1)
    }

    /// Marks an upload that came to nothing as going, with the id of what the upstream may have made of it.
    pub(super) async fn discard(&self, blob: &BlobKey, id: Option<&str>) -> Result<()> {
        let update = "UPDATE {table} SET state = 'going', id = $2 WHERE blob = $1 AND state IN ('incoming', 'sending')";
        let values = vec![blob.as_str().into(), id.map(str::to_owned).into()];
        self.write(update, values).await?;
        Ok(())
    }

    /// The file of an id.
    pub(super) async fn get(&self, id: &str, now: u64) -> Result<Option<Stored>> {
        let select =
            "SELECT * FROM {table} WHERE id = $1 AND state = 'stored' AND (expires_at IS NULL OR expires_at > $2)";
        let rows = self.read(select, vec![id.into(), number(now)]).await?;
        rows.first().map(stored).transpose()
    }

    /// Whether there ever was a row with this id.
    pub(super) async fn knows(&self, id: &str) -> Result<bool> {
        Ok(!self
            .read("SELECT blob FROM {table} WHERE id = $1", vec![id.into()])
            .await?
            .is_empty())
    }

    /// Some files; `None` where there never was one with the id of `query.after`.
    pub(super) async fn list(&self, query: &FileQuery, now: u64) -> Result<Option<FileList>> {
        let mut values = vec![number(now), Value::from(i64::from(query.limit) + 1)];
        let mut select = self
            .table
            .sql("SELECT * FROM {table} WHERE state = 'stored' AND (expires_at IS NULL OR expires_at > $1)");
        if let Some(after) = &query.after {
            let rows = self
                .read(
                    "SELECT place FROM {table} WHERE id = $1 AND place IS NOT NULL",
                    vec![after.as_str().into()],
                )
                .await?;
            let Some(row) = rows.first() else { return Ok(None) };
            values.push(row.get::<String>("place")?.into());
            select = select.then(match query.order {
                SortOrder::Asc => " AND place > $3",
                SortOrder::Desc => " AND place < $3",
            });
        }
        if let Some(purpose) = query.purpose {
            select = select.then(if values.len() == 3 {
                " AND purpose = $4"
            } else {
                " AND purpose = $3"
            });
            values.push(purpose.name().into());
        }
        let select = select.then(match query.order {
            SortOrder::Asc => " ORDER BY place ASC LIMIT $2",
            SortOrder::Desc => " ORDER BY place DESC LIMIT $2",
        });
        let rows = self.database.read(select, values).await?;
        let limit = query.limit as usize;
        let files = rows.iter().take(limit).map(|row| stored(row).map(|stored| stored.file));
        Ok(Some(FileList {
            files: files.collect::<Result<_>>()?,
            has_more: rows.len() > limit,
        }))
    }

    /// Marks a file as going; `None` where there is no such file.
    pub(super) async fn mark(&self, id: &str, now: u64) -> Result<Option<Going>> {
        let update = self.table.sql(
            "UPDATE {table} SET state = 'going' WHERE id = $1 AND state = 'stored' AND (expires_at IS NULL OR expires_at > $2)
            RETURNING blob, id",
        );
        let rows = self
            .database
            .write_returning(update, vec![id.into(), number(now)])
            .await?;
        rows.first().map(going).transpose()
    }

    /// Marks as going the files whose time has come, and what came in no further since `abandoned`.
    pub(super) async fn mark_due(&self, now: u64, abandoned: u64) -> Result<()> {
        let expired = "UPDATE {table} SET state = 'going' WHERE state = 'stored' AND expires_at <= $1";
        let left = "UPDATE {table} SET state = 'going' WHERE state = 'incoming' AND touched_at < $1";
        self.write(expired, vec![number(now)]).await?;
        self.write(left, vec![number(abandoned)]).await?;
        Ok(())
    }

    /// What is to be taken away, some of it. What was tried and touched comes last.
    pub(super) async fn going(&self) -> Result<Vec<Going>> {
        let select = "SELECT blob, id FROM {table} WHERE state = 'going' ORDER BY touched_at, blob LIMIT $1";
        self.read(select, vec![BATCH.into()]).await?.iter().map(going).collect()
    }

    /// Notes that everything of a row that is going has been taken away. Its place in the list, if it had one, is remembered for a while.
    pub(super) async fn bury(&self, blob: &BlobKey, now: u64) -> Result<()> {
        let forget = "DELETE FROM {table} WHERE blob = $1 AND state = 'going' AND place IS NULL";
        let bury =
            "UPDATE {table} SET state = 'gone', touched_at = $2, copy = NULL WHERE blob = $1 AND state = 'going'";
        self.write(forget, vec![blob.as_str().into()]).await?;
        self.write(bury, vec![blob.as_str().into(), number(now)]).await?;
        Ok(())
    }

    /// Forgets the places of what went before this time.
    pub(super) async fn forget_gone(&self, before: u64) -> Result<()> {
        let delete = "DELETE FROM {table} WHERE state = 'gone' AND touched_at < $1";
        self.write(delete, vec![number(before)]).await?;
        Ok(())
    }

    /// The bytes that need not stay here any more, some of them.
    pub(super) async fn leaving(&self) -> Result<Vec<BlobKey>> {
        let select =
            "SELECT blob FROM {table} WHERE copy = 'leaving' AND state = 'stored' ORDER BY touched_at LIMIT $1";
        self.read(select, vec![BATCH.into()]).await?.iter().map(blob).collect()
    }

    /// Notes that they are not here.
    pub(super) async fn left(&self, blob: &BlobKey) -> Result<()> {
        let update = "UPDATE {table} SET copy = NULL WHERE blob = $1 AND copy = 'leaving'";
        self.write(update, vec![blob.as_str().into()]).await?;
        Ok(())
    }

    /// Every upload that is on its way to the upstream, the oldest first.
    pub(super) async fn sending(&self) -> Result<Vec<Sending>> {
        let select = "SELECT * FROM {table} WHERE state = 'sending' ORDER BY sent_at, blob";
        self.read(select, vec![]).await?.iter().map(sending).collect()
    }

    async fn read(&self, select: &'static str, values: Vec<Value>) -> Result<Vec<Row>> {
        self.database.read(self.statement(select), values).await
    }

    async fn write(&self, statement: &'static str, values: Vec<Value>) -> Result<u64> {
        self.database.write(self.statement(statement), values).await
    }

    fn statement(&self, text: &'static str) -> Statement {
        self.table.sql(text)
    }
}

fn number(number: u64) -> Value {
    Value::Integer(Some(number as i64))
}

fn count(row: &Row, column: &str) -> Result<u64> {
    row.get::<i64>(column).map(|number| number as u64)
}

fn blob(row: &Row) -> Result<BlobKey> {
    BlobKey::new(row.get::<String>("blob")?)
}

fn going(row: &Row) -> Result<Going> {
    Ok(Going {
        blob: blob(row)?,
        id: row.get("id")?,
    })
}

fn purpose(row: &Row) -> Result<FilePurpose> {
    let purpose: String = row.get("purpose")?;
    FilePurpose::from_name(&purpose)
        .ok_or_else(|| Error::internal(format!("the table of files has the unknown purpose `{purpose}`")))
}

fn sending(row: &Row) -> Result<Sending> {
    let lifetime = row.get::<Option<i64>>("lifetime")?;
    Ok(Sending {
        blob: blob(row)?,
        details: FileDetails {
            filename: row.get("filename")?,
            purpose: purpose(row)?,
            expires_after: lifetime
                .and_then(|seconds| u32::try_from(seconds).ok())
                .map(|seconds| ExpiresAfter {
                    anchor: ExpiryAnchor::CreatedAt,
                    seconds,
                }),
        },
        bytes: count(row, "bytes")?,
        sent_at: count(row, "sent_at")?,
        touched_at: count(row, "touched_at")?,
    })
}

fn stored(row: &Row) -> Result<Stored> {
    let file = File {
        id: row.get("id")?,
        object: FileObject::File,
        bytes: count(row, "bytes")?,
        created_at: count(row, "created_at")?,
        expires_at: row.get::<Option<i64>>("expires_at")?.map(|at| at as u64),
        filename: row.get("filename")?,
        purpose: purpose(row)?,
        status: FileStatus::Processed,
        status_details: None,
    };
    let copy: Option<String> = row.get("copy")?;
    Ok(Stored {
        file,
        blob: blob(row)?,
        has_copy: copy.as_deref() == Some("kept"),
    })
}

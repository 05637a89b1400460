//! The table of files.

use puna_api::{Error, File, FileList, FileObject, FilePurpose, FileQuery, FileStatus, Result, SortOrder};
use puna_storage::{BlobKey, Database, Migration, Row, TableName, Value};

/// A row is `incoming` while its bytes come in, `stored` when it is a file, and `going` when its bytes are to be taken away.
const MIGRATIONS: &[Migration] = &[Migration::by_dialect(
    1,
    "CREATE TABLE {table} (
        blob TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        touched_at BIGINT NOT NULL,
        id TEXT UNIQUE,
        filename TEXT,
        purpose TEXT,
        bytes BIGINT,
        sha256 TEXT,
        created_at BIGINT,
        expires_at BIGINT
    );
    CREATE INDEX {table}_by_purpose ON {table} (purpose, id);
    CREATE INDEX {table}_by_state ON {table} (state, touched_at);
    CREATE INDEX {table}_by_expiry ON {table} (expires_at)",
    // Ordered by bytes, as in SQLite, whatever the server's language is.
    r#"CREATE TABLE {table} (
        blob TEXT COLLATE "C" PRIMARY KEY,
        state TEXT NOT NULL,
        touched_at BIGINT NOT NULL,
        id TEXT COLLATE "C" UNIQUE,
        filename TEXT,
        purpose TEXT,
        bytes BIGINT,
        sha256 TEXT,
        created_at BIGINT,
        expires_at BIGINT
    );
    CREATE INDEX {table}_by_purpose ON {table} (purpose, id);
    CREATE INDEX {table}_by_state ON {table} (state, touched_at);
    CREATE INDEX {table}_by_expiry ON {table} (expires_at)"#,
)];

/// The rows of files. Times are seconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct FileTable {
    database: Database,
    table: TableName,
}

/// A file and where its bytes are.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) file: File,
    pub(crate) blob: BlobKey,
}

impl FileTable {
    pub(crate) async fn open(database: Database, table: TableName) -> Result<Self> {
        database.migrate("files", &table, MIGRATIONS).await?;
        Ok(Self { database, table })
    }

    /// Notes that bytes are coming in.
    pub(crate) async fn begin(&self, blob: &BlobKey, now: u64) -> Result<()> {
        let insert = self
            .table
            .sql("INSERT INTO {table} (blob, state, touched_at) VALUES ($1, 'incoming', $2)");
        self.database
            .write(insert, vec![blob.as_str().into(), number(now)])
            .await?;
        Ok(())
    }

    /// Notes that bytes are still coming in.
    pub(crate) async fn touch(&self, blob: &BlobKey, now: u64) -> Result<()> {
        let update = self
            .table
            .sql("UPDATE {table} SET touched_at = $2 WHERE blob = $1 AND state = 'incoming'");
        self.database
            .write(update, vec![blob.as_str().into(), number(now)])
            .await?;
        Ok(())
    }

    /// Makes a file of what came in. Says whether the row was still there: a sweep takes one that was not renewed in time.
    pub(crate) async fn publish(&self, blob: &BlobKey, file: &File, sha256: &str) -> Result<bool> {
        let update = self.table.sql(
            "UPDATE {table} SET state = 'stored', id = $2, filename = $3, purpose = $4, bytes = $5, sha256 = $6, created_at = $7, expires_at = $8
            WHERE blob = $1 AND state = 'incoming'",
        );
        let values = vec![
            blob.as_str().into(),
            file.id.as_str().into(),
            file.filename.as_str().into(),
            file.purpose.name().into(),
            number(file.bytes),
            sha256.into(),
            number(file.created_at),
            Value::Integer(file.expires_at.map(|at| at as i64)),
        ];
        Ok(self.database.write(update, values).await? == 1)
    }

    /// The file of an id.
    pub(crate) async fn get(&self, id: &str, now: u64) -> Result<Option<Stored>> {
        let select = self.table.sql(
            "SELECT * FROM {table} WHERE id = $1 AND state = 'stored' AND (expires_at IS NULL OR expires_at > $2)",
        );
        let row = self.database.read_one(select, vec![id.into(), number(now)]).await?;
        row.map(|row| stored(&row)).transpose()
    }

    pub(crate) async fn list(&self, query: &FileQuery, now: u64) -> Result<FileList> {
        let mut values = vec![number(now), Value::from(i64::from(query.limit) + 1)];
        let mut select = self
            .table
            .sql("SELECT * FROM {table} WHERE state = 'stored' AND (expires_at IS NULL OR expires_at > $1)");
        // Ids are in the order of their files' uploads.
        if let Some(after) = &query.after {
            values.push(after.as_str().into());
            select = select.then(match query.order {
                SortOrder::Asc => " AND id > $3",
                SortOrder::Desc => " AND id < $3",
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
            SortOrder::Asc => " ORDER BY id ASC LIMIT $2",
            SortOrder::Desc => " ORDER BY id DESC LIMIT $2",
        });
        let rows = self.database.read(select, values).await?;
        let limit = query.limit as usize;
        let files = rows.iter().take(limit).map(|row| stored(row).map(|stored| stored.file));
        Ok(FileList {
            files: files.collect::<Result<_>>()?,
            has_more: rows.len() > limit,
        })
    }

    /// Marks a file as going, and answers where its bytes are; `None` where there is no such file.
    pub(crate) async fn mark(&self, id: &str, now: u64) -> Result<Option<BlobKey>> {
        let update = self.table.sql(
            "UPDATE {table} SET state = 'going' WHERE id = $1 AND state = 'stored' AND (expires_at IS NULL OR expires_at > $2) RETURNING blob",
        );
        let rows = self
            .database
            .write_returning(update, vec![id.into(), number(now)])
            .await?;
        rows.first().map(blob).transpose()
    }

    /// Marks what came in no further as going.
    pub(crate) async fn mark_incoming(&self, blob: &BlobKey) -> Result<()> {
        let update = self
            .table
            .sql("UPDATE {table} SET state = 'going' WHERE blob = $1 AND state = 'incoming'");
        self.database.write(update, vec![blob.as_str().into()]).await?;
        Ok(())
    }

    /// Marks as going the files whose time has come, and what was not renewed since `abandoned`.
    pub(crate) async fn mark_due(&self, now: u64, abandoned: u64) -> Result<u64> {
        let expired = self
            .table
            .sql("UPDATE {table} SET state = 'going' WHERE state = 'stored' AND expires_at <= $1");
        let left = self
            .table
            .sql("UPDATE {table} SET state = 'going' WHERE state = 'incoming' AND touched_at < $1");
        let expired = self.database.write(expired, vec![number(now)]).await?;
        Ok(expired + self.database.write(left, vec![number(abandoned)]).await?)
    }

    /// The bytes that are to go, some of them.
    pub(crate) async fn going(&self) -> Result<Vec<BlobKey>> {
        let select = self
            .table
            .sql("SELECT blob FROM {table} WHERE state = 'going' ORDER BY blob LIMIT 100");
        self.database.read(select, vec![]).await?.iter().map(blob).collect()
    }

    /// Forgets a row whose bytes are gone.
    pub(crate) async fn forget(&self, blob: &BlobKey) -> Result<()> {
        let delete = self
            .table
            .sql("DELETE FROM {table} WHERE blob = $1 AND state = 'going'");
        self.database.write(delete, vec![blob.as_str().into()]).await?;
        Ok(())
    }
}

fn number(number: u64) -> Value {
    Value::Integer(Some(number as i64))
}

fn blob(row: &Row) -> Result<BlobKey> {
    BlobKey::new(row.get::<String>("blob")?)
}

fn stored(row: &Row) -> Result<Stored> {
    let purpose: String = row.get("purpose")?;
    let file = File {
        id: row.get("id")?,
        object: FileObject::File,
        bytes: row.get::<i64>("bytes")? as u64,
        created_at: row.get::<i64>("created_at")? as u64,
        expires_at: row.get::<Option<i64>>("expires_at")?.map(|at| at as u64),
        filename: row.get("filename")?,
        purpose: FilePurpose::from_name(&purpose)
            .ok_or_else(|| Error::internal(format!("the table of files has the unknown purpose `{purpose}`")))?,
        status: FileStatus::Processed,
        status_details: None,
    };
    Ok(Stored { file, blob: blob(row)? })
}

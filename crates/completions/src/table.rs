//! The tables of stored chat completions, and of the notes on them.

use puna_api::{Result, SortOrder};
use puna_storage::{Database, Migration, Statement, TableName, Transaction, Value};

use crate::Metadata;
use crate::document::{Record, shown};
use crate::query::{CompletionList, CompletionQuery, StoredCompletion};

/// A list has so many bytes, or one completion.
const PAGE_BYTES: u64 = 32 << 20;

/// Ids are in the order of time. What is looked at first comes before the long columns, which SQLite keeps elsewhere.
const MIGRATIONS: &[Migration] = &[Migration::by_dialect(
    1,
    "CREATE TABLE {table} (
        id TEXT PRIMARY KEY,
        model TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        metadata TEXT NOT NULL,
        document BLOB NOT NULL,
        messages BLOB NOT NULL
    );
    CREATE INDEX {table}_by_model ON {table} (model, id);
    CREATE TABLE {table}_metadata (
        name TEXT NOT NULL, value TEXT NOT NULL, completion_id TEXT NOT NULL, PRIMARY KEY (name, value, completion_id)
    ) WITHOUT ROWID;
    CREATE INDEX {table}_metadata_of ON {table}_metadata (completion_id)",
    // Ordered by bytes, as in SQLite, whatever the server's language is.
    r#"CREATE TABLE {table} (
        id TEXT COLLATE "C" PRIMARY KEY,
        model TEXT COLLATE "C" NOT NULL,
        bytes BIGINT NOT NULL,
        metadata TEXT NOT NULL,
        document BYTEA NOT NULL,
        messages BYTEA NOT NULL
    );
    CREATE INDEX {table}_by_model ON {table} (model, id);
    CREATE TABLE {table}_metadata (
        name TEXT COLLATE "C" NOT NULL, value TEXT COLLATE "C" NOT NULL, completion_id TEXT COLLATE "C" NOT NULL,
        PRIMARY KEY (name, value, completion_id)
    );
    CREATE INDEX {table}_metadata_of ON {table}_metadata (completion_id)"#,
)];

/// The parameters of a statement: a limit, a place, a model, and two for each note.
const PARAMETERS: [&str; 35] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$16", "$17",
    "$18", "$19", "$20", "$21", "$22", "$23", "$24", "$25", "$26", "$27", "$28", "$29", "$30", "$31", "$32", "$33",
    "$34", "$35",
];

/// The rows of completions.
#[derive(Debug, Clone)]
pub(crate) struct CompletionTable {
    database: Database,
    table: TableName,
}

impl CompletionTable {
    pub(crate) async fn open(database: Database, table: TableName) -> Result<Self> {
        database.migrate("completions", &table, MIGRATIONS).await?;
        Ok(Self { database, table })
    }

    /// Adds records, all of them or none. One that is there already stays as it is: a commit may have been done whose acknowledgement was lost.
    pub(crate) async fn insert(&self, records: &[&Record]) -> Result<()> {
        self.database.check_room().await?;
        let mut transaction = self.database.begin().await?;
        for record in records {
            let insert = self.table.sql(
                "INSERT INTO {table} (id, model, bytes, metadata, document, messages) VALUES ($1, $2, $3, $4, $5, $6)
                ON CONFLICT (id) DO NOTHING",
            );
            let values = vec![
                record.id.as_str().into(),
                record.model.as_str().into(),
                (record.bytes() as i64).into(),
                record.metadata.to_json().into(),
                record.document.clone().into(),
                record.messages.clone().into(),
            ];
            if transaction.write(insert, values).await? == 1 {
                self.insert_notes(&mut transaction, &record.id, &record.metadata)
                    .await?;
            }
        }
        transaction.commit().await
    }

    async fn insert_notes(&self, transaction: &mut Transaction, id: &str, metadata: &Metadata) -> Result<()> {
        for (name, value) in metadata.notes() {
            let insert = self
                .table
                .sql("INSERT INTO {table}_metadata (name, value, completion_id) VALUES ($1, $2, $3)");
            let values = vec![name.as_str().into(), value.as_str().into(), id.into()];
            transaction.write(insert, values).await?;
        }
        Ok(())
    }

    async fn delete_notes(&self, transaction: &mut Transaction, id: &str) -> Result<()> {
        let delete = self.table.sql("DELETE FROM {table}_metadata WHERE completion_id = $1");
        transaction.write(delete, vec![id.into()]).await?;
        Ok(())
    }

    /// The completion of an id.
    pub(crate) async fn get(&self, id: &str) -> Result<Option<StoredCompletion>> {
        let select = self
            .table
            .sql("SELECT id, metadata, document, messages FROM {table} WHERE id = $1");
        let row = self.database.read_one(select, vec![id.into()]).await?;
        row.map(|row| stored(&row)).transpose()
    }

    /// The messages of a completion, a JSON array.
    pub(crate) async fn messages(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let select = self.table.sql("SELECT messages FROM {table} WHERE id = $1");
        let row = self.database.read_one(select, vec![id.into()]).await?;
        row.map(|row| row.get("messages")).transpose()
    }

    /// Replaces the notes on a completion. Says whether it is there.
    pub(crate) async fn update(&self, id: &str, metadata: &Metadata) -> Result<bool> {
        let mut transaction = self.database.begin().await?;
        let update = self.table.sql("UPDATE {table} SET metadata = $2 WHERE id = $1");
        let values = vec![id.into(), metadata.to_json().into()];
        if transaction.write(update, values).await? == 0 {
            return Ok(false);
        }
        self.delete_notes(&mut transaction, id).await?;
        self.insert_notes(&mut transaction, id, metadata).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes a completion. Says whether it was there.
    pub(crate) async fn delete(&self, id: &str) -> Result<bool> {
        let mut transaction = self.database.begin().await?;
        let delete = self.table.sql("DELETE FROM {table} WHERE id = $1");
        if transaction.write(delete, vec![id.into()]).await? == 0 {
            return Ok(false);
        }
        self.delete_notes(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(true)
    }

    pub(crate) async fn list(&self, query: &CompletionQuery) -> Result<CompletionList> {
        let ids = "SELECT id, bytes FROM {table}";
        let (select, values) = self.selection(ids, query, i64::from(query.limit) + 1);
        let found = self.database.read(select, values).await?;
        let sizes = found
            .iter()
            .take(query.limit as usize)
            .map(|row| row.get::<i64>("bytes"));
        let mut bytes = 0;
        let mut count = 0;
        for size in sizes {
            bytes += size?.unsigned_abs();
            if count > 0 && bytes > PAGE_BYTES {
                break;
            }
            count += 1;
        }
        let rows = "SELECT id, metadata, document, messages FROM {table}";
        let (select, values) = self.selection(rows, query, count);
        let rows = self.database.read(select, values).await?;
        Ok(CompletionList {
            completions: rows.iter().map(stored).collect::<Result<_>>()?,
            has_more: found.len() as i64 > count,
        })
    }

    fn selection(&self, columns: &'static str, query: &CompletionQuery, limit: i64) -> (Statement, Vec<Value>) {
        let mut values = vec![Value::from(limit)];
        let parameter = |values: &mut Vec<Value>, value: &str| {
            values.push(value.into());
            // The bound on notes keeps this in range.
            PARAMETERS.get(values.len() - 1).copied().unwrap_or("NULL")
        };
        let mut select = self.table.sql(columns).then(" WHERE 1 = 1");
        if let Some(after) = &query.after {
            select = select.then(match query.order {
                SortOrder::Asc => " AND id > ",
                SortOrder::Desc => " AND id < ",
            });
            select = select.then(parameter(&mut values, after));
        }
        if let Some(model) = &query.model {
            select = select.then(" AND model = ").then(parameter(&mut values, model));
        }
        for (name, value) in query.metadata.notes() {
            select = select
                .then(
                    self.table
                        .sql(" AND id IN (SELECT completion_id FROM {table}_metadata WHERE name = "),
                )
                .then(parameter(&mut values, name))
                .then(" AND value = ")
                .then(parameter(&mut values, value))
                .then(")");
        }
        let select = select.then(match query.order {
            SortOrder::Asc => " ORDER BY id ASC LIMIT $1",
            SortOrder::Desc => " ORDER BY id DESC LIMIT $1",
        });
        (select, values)
    }
}

fn stored(row: &puna_storage::Row) -> Result<StoredCompletion> {
    let document: Vec<u8> = row.get("document")?;
    let metadata: String = row.get("metadata")?;
    let messages: Vec<u8> = row.get("messages")?;
    Ok(StoredCompletion {
        id: row.get("id")?,
        document: shown(&document, &metadata, &messages).into(),
    })
}

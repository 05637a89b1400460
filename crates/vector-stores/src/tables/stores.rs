//! The rows of stores.

use puna_api::{Error, Result};
use puna_storage::{Row, Transaction, Value};
use serde_json::{Map, Value as Json};

use super::documents::FORGET_OF_STORE;
use super::listing::Span;
use super::{Tables, json, number, read_json};
use crate::{FileCounts, Page, PageQuery, StoreExpiry, StoreExpiryAnchor, UpdateStore};

/// A store's row with what is counted of its files.
macro_rules! shown {
    () => {
        "SELECT s.*,
            (SELECT COUNT(*) FROM {table}_files f WHERE f.store_id = s.id AND f.state = 'live' AND f.status = 'in_progress') AS in_progress,
            (SELECT COUNT(*) FROM {table}_files f WHERE f.store_id = s.id AND f.state = 'live' AND f.status = 'completed') AS completed,
            (SELECT COUNT(*) FROM {table}_files f WHERE f.store_id = s.id AND f.state = 'live' AND f.status = 'failed') AS failed,
            (SELECT COUNT(*) FROM {table}_files f WHERE f.store_id = s.id AND f.state = 'live' AND f.status = 'cancelled') AS cancelled,
            (SELECT CAST(COALESCE(SUM(f.usage_bytes), 0) AS BIGINT) FROM {table}_files f
                WHERE f.store_id = s.id AND f.state = 'live' AND f.status = 'completed') AS usage_bytes
        FROM {table} s "
    };
}

/// What becomes of a store. Only `live` and `expired` ones are there for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreState {
    /// Its index is being made.
    Making,
    /// It is there.
    Live,
    /// Its time has come: what is noted about it stays, and its index goes.
    Expired,
    /// It was deleted, and its index goes.
    Going,
}

/// A store's row.
#[derive(Debug, Clone)]
pub(crate) struct StoreRow {
    pub(crate) id: String,
    /// Where it stands in lists; no other store ever has the same, whatever its id.
    pub(crate) place: String,
    pub(crate) state: StoreState,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) metadata: Map<String, Json>,
    pub(crate) provider_id: String,
    pub(crate) embedding_model: String,
    pub(crate) embedding_dimension: u32,
    pub(crate) expires_after: Option<StoreExpiry>,
    pub(crate) created_at: u64,
    pub(crate) last_active_at: u64,
    pub(crate) expires_at: Option<u64>,
    /// Counted when the row was read to be shown.
    pub(crate) file_counts: FileCounts,
    pub(crate) usage_bytes: u64,
}

/// A store to note.
#[derive(Debug)]
pub(crate) struct NewStore<'a> {
    pub(crate) id: &'a str,
    /// Where it stands in lists.
    pub(crate) place: &'a str,
    pub(crate) name: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) metadata: &'a Map<String, Json>,
    pub(crate) provider_id: &'a str,
    pub(crate) embedding_model: &'a str,
    pub(crate) embedding_dimension: u32,
    pub(crate) expires_after: Option<StoreExpiry>,
    pub(crate) now: u64,
}

impl StoreState {
    const ALL: [Self; 4] = [Self::Making, Self::Live, Self::Expired, Self::Going];

    const fn name(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Going => "going",
        }
    }
}

impl StoreRow {
    /// Whether its time has come.
    pub(crate) fn is_expired(&self, now: u64) -> bool {
        self.state == StoreState::Expired || self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Tables {
    /// Notes a store whose index is about to be made. Says whether the id was free.
    pub(crate) async fn begin_store(&self, store: &NewStore<'_>) -> Result<bool> {
        let insert = self.sql(
            "INSERT INTO {table} (id, place, state, name, description, metadata, provider_id, embedding_model, embedding_dimension,
                expires_days, created_at, last_active_at, expires_at)
            VALUES ($1, $2, 'making', $3, $4, $5, $6, $7, $8, $9, $10, $10, $11) ON CONFLICT (id) DO NOTHING",
        );
        let expiry = store.expires_after;
        let values = vec![
            store.id.into(),
            store.place.into(),
            store.name.into(),
            store.description.map(str::to_owned).into(),
            json(store.metadata)?.into(),
            store.provider_id.into(),
            store.embedding_model.into(),
            i64::from(store.embedding_dimension).into(),
            expiry.map(|expiry| i64::from(expiry.days)).into(),
            number(store.now),
            expires_at(expiry, store.now),
        ];
        Ok(self.database.write(insert, values).await? == 1)
    }

    /// Has a store be there for requests. Says whether it still was to be.
    pub(crate) async fn finish_store(&self, transaction: &mut Transaction, id: &str) -> Result<bool> {
        let update = self.sql("UPDATE {table} SET state = 'live' WHERE id = $1 AND state = 'making'");
        Ok(transaction.write(update, vec![id.into()]).await? == 1)
    }

    /// A store's row, whatever becomes of it; nothing is counted.
    pub(crate) async fn any_store(&self, id: &str) -> Result<Option<StoreRow>> {
        let select = self.sql("SELECT * FROM {table} WHERE id = $1");
        let row = self.database.read_one(select, vec![id.into()]).await?;
        row.map(|row| store(&row)).transpose()
    }

    /// A store that is there for requests; nothing is counted.
    pub(crate) async fn store(&self, id: &str) -> Result<Option<StoreRow>> {
        let there = self.any_store(id).await?;
        Ok(there.filter(|store| matches!(store.state, StoreState::Live | StoreState::Expired)))
    }

    /// A store that is there for requests, with what is counted of its files.
    pub(crate) async fn shown_store(&self, id: &str) -> Result<Option<StoreRow>> {
        let select = self.sql(concat!(shown!(), "WHERE s.id = $1 AND s.state IN ('live', 'expired')"));
        let row = self.database.read_one(select, vec![id.into()]).await?;
        row.map(|row| shown(&row)).transpose()
    }

    /// Some of the stores that are there for requests.
    pub(crate) async fn list_stores(&self, query: &PageQuery) -> Result<Page<StoreRow>> {
        let after = self.place_of_store(query.after.as_deref(), "after").await?;
        let before = self.place_of_store(query.before.as_deref(), "before").await?;
        let span = Span::new(query, after, before);
        let select = self
            .sql(concat!(
                shown!(),
                "WHERE s.state IN ('live', 'expired') AND s.place > $1 AND s.place < $2 "
            ))
            .then(span.ordered("ORDER BY s.place DESC LIMIT $3", "ORDER BY s.place ASC LIMIT $3"));
        let rows = self.database.read(select, span.values().into()).await?;
        span.page(&rows, shown)
    }

    /// Changes what is noted about a store that is there for requests. Says whether there is one.
    pub(crate) async fn update_store(&self, id: &str, update: &UpdateStore, now: u64) -> Result<bool> {
        let mut transaction = self.database.begin().await?;
        let touch = self.sql("UPDATE {table} SET last_active_at = $2 WHERE id = $1 AND state IN ('live', 'expired')");
        if transaction.write(touch, vec![id.into(), number(now)]).await? == 0 {
            return Ok(false);
        }
        if let Some(name) = &update.name {
            let set = self.sql("UPDATE {table} SET name = $2 WHERE id = $1");
            let name = name.as_deref().unwrap_or_default();
            transaction.write(set, vec![id.into(), name.into()]).await?;
        }
        if let Some(description) = &update.description {
            let set = self.sql("UPDATE {table} SET description = $2 WHERE id = $1");
            transaction
                .write(set, vec![id.into(), description.clone().into()])
                .await?;
        }
        if let Some(metadata) = &update.metadata {
            let set = self.sql("UPDATE {table} SET metadata = $2 WHERE id = $1");
            let metadata = json(&metadata.clone().unwrap_or_default())?;
            transaction.write(set, vec![id.into(), metadata.into()]).await?;
        }
        if let Some(expiry) = update.expires_after {
            let set = self.sql("UPDATE {table} SET expires_days = $2 WHERE id = $1");
            let days = expiry.map(|expiry| i64::from(expiry.days));
            transaction.write(set, vec![id.into(), days.into()]).await?;
        }
        let renew = self.sql(
            "UPDATE {table} SET expires_at = last_active_at + expires_days * 86400
            WHERE id = $1 AND state = 'live' AND (expires_at IS NULL OR expires_at > $2)",
        );
        transaction.write(renew, vec![id.into(), number(now)]).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Notes that a store is used, and holds its row until the transaction ends. Says whether it is there and its time has not come.
    pub(crate) async fn use_store(&self, transaction: &mut Transaction, id: &str, now: u64) -> Result<bool> {
        let update = self.sql(USE);
        Ok(transaction.write(update, vec![id.into(), number(now)]).await? == 1)
    }

    /// Whether a store is there for requests, be it that its time has come.
    pub(crate) async fn has_store(&self, transaction: &mut Transaction, id: &str) -> Result<bool> {
        let select = self.sql("SELECT id FROM {table} WHERE id = $1 AND state IN ('live', 'expired')");
        Ok(transaction.row(select, vec![id.into()]).await?.is_some())
    }

    /// Notes that a store is used.
    pub(crate) async fn touch_store(&self, id: &str, now: u64) -> Result<()> {
        self.database
            .write(self.sql(USE), vec![id.into(), number(now)])
            .await
            .map(drop)
    }

    /// Has a store be gone for requests, and answers its place if it was there, or about to be.
    pub(crate) async fn mark_store_going(&self, transaction: &mut Transaction, id: &str) -> Result<Option<String>> {
        let update = self.sql("UPDATE {table} SET state = 'going' WHERE id = $1 AND state <> 'going' RETURNING place");
        let row = transaction.row(update, vec![id.into()]).await?;
        row.map(|row| row.get("place")).transpose()
    }

    /// Has a store be expired whose time has come, and answers its place if it has.
    pub(crate) async fn mark_store_expired(
        &self,
        transaction: &mut Transaction,
        id: &str,
        now: u64,
    ) -> Result<Option<String>> {
        let update = self.sql(
            "UPDATE {table} SET state = 'expired' WHERE id = $1 AND state = 'live' AND expires_at <= $2 RETURNING place",
        );
        let row = transaction.row(update, vec![id.into(), number(now)]).await?;
        row.map(|row| row.get("place")).transpose()
    }

    /// Stores whose time has come, some of them.
    pub(crate) async fn due_stores(&self, now: u64) -> Result<Vec<String>> {
        let select = self.sql("SELECT id FROM {table} WHERE state = 'live' AND expires_at <= $1 ORDER BY id LIMIT 500");
        let rows = self.database.read(select, vec![number(now)]).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }

    /// Stores that were begun before `since` and never finished, some of them.
    pub(crate) async fn abandoned_stores(&self, since: u64) -> Result<Vec<String>> {
        let select =
            self.sql("SELECT id FROM {table} WHERE state = 'making' AND created_at < $1 ORDER BY id LIMIT 500");
        let rows = self.database.read(select, vec![number(since)]).await?;
        rows.iter().map(|row| row.get("id")).collect()
    }

    /// Stores that were deleted and are not gone, some of them.
    pub(crate) async fn going_stores(&self) -> Result<Vec<StoreRow>> {
        let select = self.sql("SELECT * FROM {table} WHERE state = 'going' ORDER BY id LIMIT 500");
        let rows = self.database.read(select, vec![]).await?;
        rows.iter().map(store).collect()
    }

    /// Forgets a store that was deleted, with its files and batches.
    pub(crate) async fn forget_store(&self, id: &str) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        for delete in [
            FORGET_OF_STORE,
            "DELETE FROM {table}_files WHERE store_id = $1",
            "DELETE FROM {table}_batches WHERE store_id = $1",
            "DELETE FROM {table} WHERE id = $1 AND state = 'going'",
        ] {
            transaction.write(self.sql(delete), vec![id.into()]).await?;
        }
        transaction.commit().await
    }

    async fn place_of_store(&self, id: Option<&str>, param: &str) -> Result<Option<String>> {
        let Some(id) = id else { return Ok(None) };
        let select = self.sql("SELECT place FROM {table} WHERE id = $1");
        let row = self.database.read_one(select, vec![id.into()]).await?;
        let row = row.ok_or_else(|| unknown_cursor("vector store", id, param))?;
        row.get("place").map(Some)
    }
}

const USE: &str = "UPDATE {table} SET last_active_at = $2, expires_at = $2 + expires_days * 86400
    WHERE id = $1 AND state = 'live' AND (expires_at IS NULL OR expires_at > $2)";

/// The answer to a cursor that leads nowhere.
pub(super) fn unknown_cursor(what: &str, id: &str, param: &str) -> Error {
    let shown: String = id.chars().take(100).collect();
    let message = format!("`{param}` must be the id of a {what} of this list, and there is none `{shown}`");
    Error::invalid_request(message).with_param(param)
}

fn expires_at(expiry: Option<StoreExpiry>, now: u64) -> Value {
    expiry.map_or(Value::Integer(None), |expiry| {
        number(now.saturating_add(expiry.seconds()))
    })
}

fn store(row: &Row) -> Result<StoreRow> {
    let state: String = row.get("state")?;
    let time = |column: &str| row.get::<i64>(column).map(i64::unsigned_abs);
    Ok(StoreRow {
        id: row.get("id")?,
        place: row.get("place")?,
        state: StoreState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or_else(|| Error::internal(format!("the table of stores has the unknown state `{state}`")))?,
        name: row.get("name")?,
        description: row.get("description")?,
        metadata: read_json(&row.get::<String>("metadata")?, "metadata")?,
        provider_id: row.get("provider_id")?,
        embedding_model: row.get("embedding_model")?,
        embedding_dimension: u32::try_from(row.get::<i64>("embedding_dimension")?).unwrap_or_default(),
        expires_after: row.get::<Option<i64>>("expires_days")?.map(|days| StoreExpiry {
            anchor: StoreExpiryAnchor::LastActiveAt,
            days: u32::try_from(days).unwrap_or_default(),
        }),
        created_at: time("created_at")?,
        last_active_at: time("last_active_at")?,
        expires_at: row.get::<Option<i64>>("expires_at")?.map(i64::unsigned_abs),
        file_counts: FileCounts::default(),
        usage_bytes: 0,
    })
}

fn shown(row: &Row) -> Result<StoreRow> {
    Ok(StoreRow {
        file_counts: counts(row)?,
        usage_bytes: row.get::<i64>("usage_bytes")?.unsigned_abs(),
        ..store(row)?
    })
}

pub(super) fn counts(row: &Row) -> Result<FileCounts> {
    let count = |column: &str| row.get::<i64>(column).map(i64::unsigned_abs);
    Ok(FileCounts::new(
        count("in_progress")?,
        count("completed")?,
        count("failed")?,
        count("cancelled")?,
    ))
}

//! The tables of jobs and of their logs.
//!
//! `due_at` is when somebody is to look at a job next: for one that waits, when it may be taken up; for one that runs, when its lease ends. So one
//! statement takes what is due, whichever it was. `lease` counts how often it was taken, and every write of a handler names it: who lost the
//! lease changes nothing. Times are milliseconds since 1970 by the clock of the database, which all servers share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use puna_api::{Error, Result};
use puna_storage::{Database, Dialect, Migration, Row, Statement, TableName, Transaction, Value};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::handler::JobHandler;
use crate::job::{Job, JobFailure, JobQuery, JobState, LogLine, NewJob, Progress};

const LONGEST_ID: usize = 255;

const MIGRATIONS: &[Migration] = &[
    Migration::portable(
        1,
        "CREATE TABLE {table} (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            payload TEXT NOT NULL,
            state TEXT NOT NULL,
            attempt BIGINT NOT NULL,
            max_attempts BIGINT NOT NULL,
            lease BIGINT NOT NULL,
            due_at BIGINT,
            cancel_requested BOOLEAN NOT NULL,
            done BIGINT,
            total BIGINT,
            checkpoint TEXT,
            result TEXT,
            failure TEXT,
            created_at BIGINT NOT NULL,
            started_at BIGINT,
            finished_at BIGINT
        );
        CREATE INDEX {table}_by_due ON {table} (kind, due_at) WHERE due_at IS NOT NULL;
        CREATE INDEX {table}_by_age ON {table} (kind, created_at, id);
        CREATE TABLE {table}_log (
            job_id TEXT NOT NULL, number BIGINT NOT NULL, at BIGINT NOT NULL, line TEXT NOT NULL, PRIMARY KEY (job_id, number)
        )",
    ),
    Migration::by_dialect(
        2,
        "CREATE VIEW {table}_clock AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now",
        "CREATE VIEW {table}_clock AS SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now",
    ),
    Migration::portable(
        3,
        "CREATE INDEX {table}_by_end ON {table} (finished_at) WHERE finished_at IS NOT NULL",
    ),
];

/// Of a job's row, what [`job`] reads.
macro_rules! columns {
    () => {
        "id, kind, payload, state, attempt, max_attempts, lease, cancel_requested, done, total, checkpoint, result, failure, created_at, \
         started_at, finished_at"
    };
}

/// The tables, and the time for which a job is leased.
#[derive(Debug, Clone)]
pub(crate) struct JobTable {
    pub(crate) database: Database,
    table: TableName,
    lease: Duration,
}

/// The right to work on a job, until somebody else takes it.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) id: String,
    number: i64,
}

/// How an attempt ended for good.
#[derive(Debug)]
pub(crate) enum End {
    Completed(Json),
    Failed(JobFailure),
    Cancelled,
}

impl JobTable {
    pub(crate) async fn open(database: Database, table: TableName, lease: Duration) -> Result<Self> {
        database.migrate("jobs", &table, MIGRATIONS).await?;
        Ok(Self { database, table, lease })
    }

    /// The channel of PostgreSQL on which servers tell each other.
    pub(crate) fn channel(&self) -> String {
        format!("puna_{}", self.table)
    }

    /// Tells the other servers, once the transaction is true.
    pub(crate) async fn tell(&self, transaction: &mut Transaction, what: &str) -> Result<()> {
        if self.database.dialect() == Dialect::Postgres {
            let values = vec![self.channel().into(), what.into()];
            transaction.rows("SELECT pg_notify($1, $2)", values).await?;
        }
        Ok(())
    }

    /// Adds a job, unless the same is there.
    pub(crate) async fn insert(&self, transaction: &mut Transaction, new: &NewJob) -> Result<Job> {
        check(new)?;
        let statement = self.table.sql(
            "INSERT INTO {table} (id, kind, payload, state, attempt, max_attempts, lease, due_at, cancel_requested, created_at)
            SELECT $1, $2, $3, 'queued', 0, $4, 0, now, FALSE, now FROM {table}_clock WHERE TRUE
            ON CONFLICT (id) DO NOTHING",
        );
        let payload = new.payload.to_string();
        let values = vec![
            new.id.as_str().into(),
            new.kind.as_str().into(),
            payload.as_str().into(),
            i64::from(new.max_attempts).into(),
        ];
        transaction.write(statement, values).await?;
        let row = transaction.row(self.one(), vec![new.id.as_str().into()]).await?;
        let there = row.map(|row| job(&row)).transpose()?.ok_or_else(|| unknown(&new.id))?;
        // Numbers may not be read exactly as they were; both are compared as they are read.
        if there.kind == new.kind && Some(&there.payload) == read(&new.id, "payload", Some(payload))?.as_ref() {
            return Ok(there);
        }
        let message = format!(
            "there is another job of the id `{}`, of the kind `{}`",
            new.id, there.kind
        );
        Err(Error::conflict(message))
    }

    /// A job as it is now.
    pub(crate) async fn get(&self, id: &str) -> Result<Job> {
        let row = self.database.read_one(self.one(), vec![id.into()]).await?;
        row.map(|row| job(&row)).transpose()?.ok_or_else(|| unknown(id))
    }

    fn one(&self) -> Statement {
        self.table
            .sql(concat!("SELECT ", columns!(), " FROM {table} WHERE id = $1"))
    }

    /// Jobs of a kind, newest first.
    pub(crate) async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        let mut values = vec![
            query.kind.as_str().into(),
            query.state.map(|state| state.name().to_owned()).into(),
            i64::from(query.limit).into(),
        ];
        let mut statement = self.table.sql(concat!(
            "SELECT ",
            columns!(),
            " FROM {table} WHERE kind = $1 AND ($2 IS NULL OR state = $2)"
        ));
        if let Some(after) = &query.after {
            let created_at = self
                .table
                .sql("SELECT created_at FROM {table} WHERE id = $1 AND kind = $2");
            let place = vec![after.as_str().into(), query.kind.as_str().into()];
            let Some(row) = self.database.read_one(created_at, place).await? else {
                let message = format!("there is no job `{after}` of the kind `{}` to go on after", query.kind);
                return Err(Error::invalid_request(message).with_param("after"));
            };
            values.extend([Value::from(row.get::<i64>("created_at")?), after.as_str().into()]);
            statement = statement.then(" AND (created_at, id) < ($4, $5)");
        }
        let statement = statement.then(" ORDER BY created_at DESC, id DESC LIMIT $3");
        let rows = self.database.read(statement, values).await?;
        rows.iter().map(job).collect()
    }

    /// A job's log after this line.
    pub(crate) async fn lines(&self, id: &str, after: u64, limit: u32) -> Result<Vec<LogLine>> {
        let statement = self
            .table
            .sql("SELECT number, at, line FROM {table}_log WHERE job_id = $1 AND number > $2 ORDER BY number LIMIT $3");
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let values = vec![id.into(), after.into(), i64::from(limit).into()];
        let rows = self.database.read(statement, values).await?;
        let line = |row: &Row| {
            Ok(LogLine {
                number: row.get::<i64>("number")?.unsigned_abs(),
                at: time(row.get("at")?),
                line: row.get("line")?,
            })
        };
        rows.iter().map(line).collect()
    }

    /// How long it is until a job of this kind is due; none when none waits or runs.
    pub(crate) async fn next_due(&self, kind: &str) -> Result<Option<Duration>> {
        let statement = self.table.sql(
            "SELECT MIN(due_at) - (SELECT now FROM {table}_clock) AS left_over FROM {table}
            WHERE kind = $1 AND due_at IS NOT NULL",
        );
        let row = self.database.read_one(statement, vec![kind.into()]).await?;
        let left_over = row
            .map(|row| row.get::<Option<i64>>("left_over"))
            .transpose()?
            .flatten();
        Ok(left_over.map(|left_over| Duration::from_millis(u64::try_from(left_over).unwrap_or(0))))
    }

    /// Takes the job of this kind that is due longest: one that waits, or one whose server is gone.
    pub(crate) async fn take(&self, kind: &str) -> Result<Option<(Job, Lease)>> {
        let statement = self
            .table
            .sql(
                "UPDATE {table} SET state = 'running', attempt = attempt + 1, lease = lease + 1,
                    due_at = (SELECT now FROM {table}_clock) + $2,
                    started_at = COALESCE(started_at, (SELECT now FROM {table}_clock))
                WHERE id = (
                    SELECT id FROM {table} WHERE kind = $1 AND due_at <= (SELECT now FROM {table}_clock)
                    ORDER BY due_at LIMIT 1",
            )
            .then(match self.database.dialect() {
                // It has one writer, and no other way to take the same row.
                Dialect::Sqlite => "",
                Dialect::Postgres => " FOR UPDATE SKIP LOCKED",
            })
            .then(concat!(") RETURNING ", columns!()));
        let values = vec![kind.into(), millis(self.lease).into()];
        let rows = self.database.write_returning(statement, values).await?;
        let taken = |row: &Row| {
            let number = row.get("lease")?;
            let job = job(row)?;
            let id = job.id.clone();
            Ok((job, Lease { id, number }))
        };
        rows.first().map(taken).transpose()
    }

    /// Renews a lease, tells how much is done, and answers whether the job is to be cancelled; `None` when the lease is lost.
    pub(crate) async fn renew(&self, lease: &Lease, progress: Option<Progress>) -> Result<Option<bool>> {
        let statement = self.table.sql(
            "UPDATE {table} SET due_at = (SELECT now FROM {table}_clock) + $3, done = $4, total = $5
            WHERE id = $1 AND lease = $2 AND state = 'running' RETURNING cancel_requested",
        );
        let mut values = lease.values();
        values.push(millis(self.lease).into());
        values.extend(progress_values(progress));
        let rows = self.database.write_returning(statement, values).await?;
        rows.first().map(|row| row.get("cancel_requested")).transpose()
    }

    /// Saves a checkpoint.
    pub(crate) async fn save(&self, lease: &Lease, checkpoint: String) -> Result<()> {
        let (statement, values) = self.saving(lease, checkpoint);
        lease.held(self.database.write(statement, values).await?)
    }

    /// Saves a checkpoint with what else the transaction does.
    pub(crate) async fn save_in(&self, transaction: &mut Transaction, lease: &Lease, checkpoint: String) -> Result<()> {
        let (statement, values) = self.saving(lease, checkpoint);
        lease.held(transaction.write(statement, values).await?)
    }

    fn saving(&self, lease: &Lease, checkpoint: String) -> (Statement, Vec<Value>) {
        let statement = self
            .table
            .sql("UPDATE {table} SET checkpoint = $3 WHERE id = $1 AND lease = $2 AND state = 'running'");
        let mut values = lease.values();
        values.push(checkpoint.into());
        (statement, values)
    }

    /// Adds a line to a job's log.
    pub(crate) async fn log(&self, lease: &Lease, line: &str) -> Result<()> {
        let statement = self.table.sql(
            "INSERT INTO {table}_log (job_id, number, at, line)
            SELECT $1, COALESCE((SELECT MAX(number) FROM {table}_log WHERE job_id = $1), 0) + 1, now, $3 FROM {table}_clock
            WHERE EXISTS (SELECT 1 FROM {table} WHERE id = $1 AND lease = $2 AND state = 'running')",
        );
        let mut values = lease.values();
        values.push(storable(line).into());
        lease.held(self.database.write(statement, values).await?)
    }

    /// Writes down how a job ended, once, together with what its handler adds to that. Says nothing changed when the lease is lost.
    pub(crate) async fn end(
        &self,
        lease: &Lease,
        end: &End,
        progress: Option<Progress>,
        handler: &dyn JobHandler,
    ) -> Result<bool> {
        let (state, result, failure) = match end {
            End::Completed(result) => (JobState::Completed, Some(result.to_string()), None),
            End::Failed(failure) => (JobState::Failed, None, Some(stored(failure)?)),
            End::Cancelled => (JobState::Cancelled, None, None),
        };
        let statement = self.table.sql(concat!(
            "UPDATE {table} SET state = $3, result = $4, failure = $5, done = $6, total = $7,
                due_at = NULL, finished_at = (SELECT now FROM {table}_clock)
            WHERE id = $1 AND lease = $2 AND state = 'running' RETURNING ",
            columns!()
        ));
        let mut values = lease.values();
        values.extend([state.name().into(), result.into(), failure.into()]);
        values.extend(progress_values(progress));
        let mut transaction = self.database.begin().await?;
        let Some(row) = transaction.row(statement, values).await? else {
            return Ok(false);
        };
        handler.ended(&job(&row)?, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Has a job wait for its next attempt; not for long if it was cancelled, so that somebody writes that down.
    pub(crate) async fn retry(
        &self,
        lease: &Lease,
        failure: &JobFailure,
        progress: Option<Progress>,
        after: Duration,
    ) -> Result<bool> {
        let statement = self.table.sql(
            "UPDATE {table} SET state = 'queued', failure = $3, done = $4, total = $5,
                due_at = (SELECT now FROM {table}_clock) + CASE WHEN cancel_requested THEN 0 ELSE $6 END
            WHERE id = $1 AND lease = $2 AND state = 'running'",
        );
        let mut values = lease.values();
        values.push(stored(failure)?.into());
        values.extend(progress_values(progress));
        values.push(millis(after).into());
        Ok(self.database.write(statement, values).await? > 0)
    }

    /// Gives a job back that was interrupted, as if it had not been taken.
    pub(crate) async fn release(&self, lease: &Lease, kind: &str, progress: Option<Progress>) -> Result<()> {
        let statement = self.table.sql(
            "UPDATE {table} SET state = 'queued', attempt = attempt - 1, due_at = (SELECT now FROM {table}_clock),
                done = $3, total = $4
            WHERE id = $1 AND lease = $2 AND state = 'running'",
        );
        let mut values = lease.values();
        values.extend(progress_values(progress));
        let mut transaction = self.database.begin().await?;
        transaction.write(statement, values).await?;
        self.tell(&mut transaction, &due(kind)).await?;
        transaction.commit().await
    }

    /// Cancels a job in a transaction: at once if it waits, and by a note to its handler if it runs. `None` where it does neither.
    pub(crate) async fn cancel(&self, transaction: &mut Transaction, id: &str) -> Result<Option<Job>> {
        let statement = self.table.sql(concat!(
            "UPDATE {table} SET cancel_requested = TRUE,
                state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END,
                due_at = CASE WHEN state = 'queued' THEN NULL ELSE due_at END,
                finished_at = CASE WHEN state = 'queued' THEN (SELECT now FROM {table}_clock) ELSE finished_at END
            WHERE id = $1 AND state IN ('queued', 'running') RETURNING ",
            columns!()
        ));
        let row = transaction.row(statement, vec![id.into()]).await?;
        let job = row.map(|row| job(&row)).transpose()?;
        if job.as_ref().is_some_and(|job| job.state == JobState::Running) {
            self.tell(transaction, &cancelled(id)).await?;
        }
        Ok(job)
    }

    /// Takes a job of a final state away, with its log, in a transaction.
    pub(crate) async fn delete(&self, transaction: &mut Transaction, id: &str) -> Result<()> {
        let statement = self
            .table
            .sql("DELETE FROM {table} WHERE id = $1 AND state IN ('completed', 'failed', 'cancelled')");
        if transaction.write(statement, vec![id.into()]).await? == 0 {
            let row = transaction.row(self.one(), vec![id.into()]).await?;
            let there = row.map(|row| job(&row)).transpose()?.ok_or_else(|| unknown(id))?;
            let message = format!(
                "the job `{id}` is {}; cancel it, and delete it when it has ended",
                there.state
            );
            return Err(Error::conflict(message));
        }
        self.delete_log(transaction, id).await
    }

    async fn delete_log(&self, transaction: &mut Transaction, id: &str) -> Result<()> {
        let statement = self.table.sql("DELETE FROM {table}_log WHERE job_id = $1");
        transaction.write(statement, vec![id.into()]).await?;
        Ok(())
    }

    /// Takes away jobs that ended longer ago than this, with their logs: so many at most. Answers how many.
    pub(crate) async fn forget(&self, age: Duration, limit: u32) -> Result<usize> {
        let mut transaction = self.database.begin().await?;
        let statement = self
            .table
            .sql(
                "DELETE FROM {table} WHERE id IN (
                    SELECT id FROM {table} WHERE finished_at < (SELECT now FROM {table}_clock) - $1
                    ORDER BY finished_at LIMIT $2",
            )
            .then(match self.database.dialect() {
                Dialect::Sqlite => "",
                // Another server may be about to do the same.
                Dialect::Postgres => " FOR UPDATE SKIP LOCKED",
            })
            .then(") RETURNING id");
        let values = vec![millis(age).into(), i64::from(limit).into()];
        let rows = transaction.rows(statement, values).await?;
        for row in &rows {
            self.delete_log(&mut transaction, &row.get::<String>("id")?).await?;
        }
        transaction.commit().await?;
        Ok(rows.len())
    }
}

impl Lease {
    fn values(&self) -> Vec<Value> {
        vec![self.id.as_str().into(), self.number.into()]
    }

    fn held(&self, changed: u64) -> Result<()> {
        match changed {
            0 => Err(Error::cancelled(format!(
                "the job `{}` was taken from this attempt; another one goes on with it",
                self.id
            ))),
            _ => Ok(()),
        }
    }
}

/// What servers tell each other: that a job of this kind waits.
pub(crate) fn due(kind: &str) -> String {
    format!("due {kind}")
}

/// What servers tell each other: that this job is to be cancelled.
pub(crate) fn cancelled(id: &str) -> String {
    format!("cancelled {id}")
}

fn check(new: &NewJob) -> Result<()> {
    for (param, text) in [("id", &new.id), ("kind", &new.kind)] {
        if text.is_empty() || text.len() > LONGEST_ID || text.contains('\0') {
            let message = format!(
                "the {param} of a job must have 1 to {LONGEST_ID} bytes and no zero character, and this one has {} bytes",
                text.len()
            );
            return Err(Error::invalid_request(message).with_param(param));
        }
    }
    if new.max_attempts == 0 {
        return Err(Error::invalid_request("`max_attempts` must be 1 or more, not 0").with_param("max_attempts"));
    }
    Ok(())
}

fn unknown(id: &str) -> Error {
    Error::not_found(format!("there is no job `{id}`"))
}

fn job(row: &Row) -> Result<Job> {
    let id: String = row.get("id")?;
    let state: String = row.get("state")?;
    let state = JobState::from_name(&state).ok_or_else(|| {
        Error::internal(format!(
            "the job `{id}` is in a state `{state}` that this version does not know"
        ))
    })?;
    let json = |column: &str| read::<Json>(&id, column, row.get(column)?);
    let done: Option<i64> = row.get("done")?;
    let total: Option<i64> = row.get("total")?;
    Ok(Job {
        kind: row.get("kind")?,
        payload: json("payload")?.unwrap_or_default(),
        state,
        attempt: count(row.get("attempt")?),
        max_attempts: count(row.get("max_attempts")?),
        cancel_requested: row.get("cancel_requested")?,
        progress: done.map(|done| Progress {
            done: done.unsigned_abs(),
            total: total.map(i64::unsigned_abs),
        }),
        checkpoint: json("checkpoint")?,
        result: json("result")?,
        failure: read(&id, "failure", row.get("failure")?)?,
        created_at: time(row.get("created_at")?),
        started_at: row.get::<Option<i64>>("started_at")?.map(time),
        finished_at: row.get::<Option<i64>>("finished_at")?.map(time),
        id,
    })
}

fn read<T: for<'a> Deserialize<'a>>(id: &str, column: &str, text: Option<String>) -> Result<Option<T>> {
    let read = text.map(|text| serde_json::from_str(&text)).transpose();
    read.map_err(|error| Error::internal(format!("the {column} of the job `{id}` cannot be read")).with_source(error))
}

fn stored(failure: &JobFailure) -> Result<String> {
    serde_json::to_string(failure).map_err(|error| Error::internal("a failure has no JSON form").with_source(error))
}

/// PostgreSQL takes no zero characters.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn progress_values(progress: Option<Progress>) -> [Value; 2] {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    [
        progress.map(|progress| number(progress.done)).into(),
        progress.and_then(|progress| progress.total).map(number).into(),
    ]
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}

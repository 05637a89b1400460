//! Tables that change from version to version.

use std::time::{SystemTime, UNIX_EPOCH};

use puna_api::{Error, Result};

use super::{Database, Dialect, TableName};

/// The lock of PostgreSQL that whoever changes tables holds: a number that nobody else is likely to use.
const LOCK: i64 = 0x70756e61;

/// A change of a component's tables. A released one is never edited: what is to be different goes into a new one.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// 1, 2, 3 and so on.
    pub number: u32,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Migration {
    /// Statements, separated by semicolons, that both databases understand. `{table}` stands for the component's table.
    pub const fn portable(number: u32, sql: &'static str) -> Self {
        Self::by_dialect(number, sql, sql)
    }

    /// Statements for each of the two.
    pub const fn by_dialect(number: u32, sqlite: &'static str, postgres: &'static str) -> Self {
        Self {
            number,
            sqlite,
            postgres,
        }
    }
}

impl Database {
    /// Brings the tables of a component to the newest of its migrations, which are numbered from 1 without gaps: each once, in order, all of
    /// them or none, whoever else is starting at the same time. Fails when a newer version of the program has been here.
    pub async fn migrate(&self, component: &str, table: &TableName, migrations: &[Migration]) -> Result<()> {
        if migrations
            .iter()
            .zip(1..)
            .any(|(migration, number)| migration.number != number)
        {
            return Err(Error::internal(format!(
                "the migrations of `{component}` are not numbered 1, 2, 3, …"
            )));
        }
        let key = format!("{component}/{table}");
        let mut transaction = self.begin().await?;
        if self.dialect() == Dialect::Postgres {
            transaction
                .rows("SELECT pg_advisory_xact_lock($1)", vec![LOCK.into()])
                .await?;
        }
        transaction
            .run(
                "CREATE TABLE IF NOT EXISTS puna_migrations (
                    component TEXT NOT NULL, number BIGINT NOT NULL, applied_at BIGINT NOT NULL, PRIMARY KEY (component, number)
                )"
                .into(),
            )
            .await?;
        let done = transaction
            .row(
                "SELECT COALESCE(MAX(number), 0) AS number FROM puna_migrations WHERE component = $1",
                vec![key.as_str().into()],
            )
            .await?;
        let done = done.map_or(Ok(0), |row| row.get::<i64>("number"))?;
        if done > migrations.len() as i64 {
            return Err(Error::configuration(format!(
                "the table `{table}` was written by a newer version of this program (its shape is number {done}, and this version knows {})",
                migrations.len()
            )));
        }
        for migration in migrations.iter().filter(|migration| i64::from(migration.number) > done) {
            let sql = match self.dialect() {
                Dialect::Sqlite => migration.sqlite,
                Dialect::Postgres => migration.postgres,
            };
            transaction.run(table.sql(sql)).await?;
            transaction
                .write(
                    "INSERT INTO puna_migrations (component, number, applied_at) VALUES ($1, $2, $3)",
                    vec![key.as_str().into(), i64::from(migration.number).into(), now().into()],
                )
                .await?;
        }
        transaction.commit().await
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

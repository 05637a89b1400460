//! PostgreSQL, for several replicas over one state.

use std::str::FromStr;
use std::time::Duration;

use puna_api::{Error, Result};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow, PgSslMode, Postgres};
use sqlx::{ConnectOptions, Executor, SqlStr};

use super::value::postgres_arguments;
use super::{Pools, Row, Value};
use crate::settings::{PostgresSettings, SslMode};

/// How long a statement waits for a connection, and a connection for the server.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that nothing uses go after this time.
const IDLE: Duration = Duration::from_secs(300);

pub(super) async fn open(settings: &PostgresSettings) -> Result<Pools> {
    let pool = PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(PATIENCE)
        .idle_timeout(IDLE)
        .max_lifetime(settings.max_lifetime)
        .test_before_acquire(settings.test_before_use)
        .connect_with(options(settings)?)
        .await
        .map_err(|error| {
            let reason = match &error {
                sqlx::Error::PoolTimedOut => format!("no answer within {} s", PATIENCE.as_secs()),
                error => error.to_string(),
            };
            Error::unavailable(format!("failed to connect to the database {settings}: {reason}")).with_source(error)
        })?;
    Ok(Pools::Postgres(pool))
}

fn options(settings: &PostgresSettings) -> Result<PgConnectOptions> {
    let mut options = match &settings.connection_string {
        Some(text) => PgConnectOptions::from_str(text.expose()).map_err(|error| {
            // Its message may quote the string, which holds a password.
            Error::configuration("the `connection_string` of a PostgreSQL backend cannot be read").with_source(error)
        })?,
        None => {
            let mut options = PgConnectOptions::new_without_pgpass()
                .port(settings.port)
                .database(&settings.database)
                .username(&settings.user);
            options = match settings.host.starts_with('/') {
                true => options.socket(&settings.host),
                false => options.host(&settings.host),
            };
            if let Some(password) = &settings.password {
                options = options.password(password.expose());
            }
            options
        }
    };
    if let Some(mode) = settings.ssl_mode {
        options = options.ssl_mode(match mode {
            SslMode::Disable => PgSslMode::Disable,
            SslMode::Allow => PgSslMode::Allow,
            SslMode::Prefer => PgSslMode::Prefer,
            SslMode::Require => PgSslMode::Require,
            SslMode::VerifyCa => PgSslMode::VerifyCa,
            SslMode::VerifyFull => PgSslMode::VerifyFull,
        });
    }
    if let Some(path) = &settings.ca_cert_path {
        options = options.ssl_root_cert(path);
    }
    if let Some(timeout) = settings.statement_timeout {
        options = options.options([("statement_timeout", timeout.as_millis().to_string())]);
    }
    Ok(options.application_name("puna").disable_statement_logging())
}

pub(super) async fn rows<'e>(
    executor: impl Executor<'e, Database = Postgres>,
    sql: SqlStr,
    values: Vec<Value>,
) -> sqlx::Result<Vec<Row>> {
    let rows: Vec<PgRow> = sqlx::query_with(sql, postgres_arguments(values)?)
        .fetch_all(executor)
        .await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

pub(super) async fn execute<'e>(
    executor: impl Executor<'e, Database = Postgres>,
    sql: SqlStr,
    values: Vec<Value>,
) -> sqlx::Result<u64> {
    let done = sqlx::query_with(sql, postgres_arguments(values)?)
        .execute(executor)
        .await?;
    Ok(done.rows_affected())
}

/// Runs statements without parameters, one after the other.
pub(super) async fn run(connection: &mut sqlx::PgConnection, sql: SqlStr) -> sqlx::Result<()> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}

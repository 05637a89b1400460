//! From the plan's storage to the storage.

use std::sync::Arc;

use puna_api::{Error, Result};
use puna_completions::CompletionsSettings;
use puna_config::{BackendPlan, KeptCompletions, LocationPlan, PostgresPlan, StoragePlan};
use puna_storage::{
    BackendSettings, Location, PostgresSettings, SqlReference, SslMode, Storage, StorageSettings, TableName,
};

/// The storage of a plan. Opens nothing.
pub(crate) fn of(plan: &StoragePlan) -> Result<Storage> {
    let backends = |plans: &std::collections::BTreeMap<String, BackendPlan>| {
        let settings = plans.iter().map(|(name, plan)| Ok((name.clone(), backend(plan)?)));
        settings.collect::<Result<_>>()
    };
    Ok(Storage::new(StorageSettings {
        kv: backends(&plan.kv)?,
        sql: backends(&plan.sql)?,
    }))
}

/// Where the jobs of a plan are kept.
pub(crate) fn jobs(plan: &StoragePlan) -> SqlReference {
    SqlReference {
        backend: plan.jobs.backend.clone(),
        table_name: plan.jobs.table_name.clone(),
    }
}

/// Which chat completions of a plan are kept, and where; nothing where none are. Fails as a configuration error where the table cannot be named
/// so.
pub(crate) fn completions(plan: &StoragePlan, storage: &Arc<Storage>) -> Result<Option<CompletionsSettings>> {
    let plan = &plan.completions;
    if plan.kept == KeptCompletions::None {
        return Ok(None);
    }
    if let Some(name) = &plan.tables.table_name {
        TableName::new(name.as_str())?;
    }
    Ok(Some(CompletionsSettings {
        storage: Arc::clone(storage),
        store: SqlReference {
            backend: plan.tables.backend.clone(),
            table_name: plan.tables.table_name.clone(),
        },
        keeps_all: plan.kept == KeptCompletions::All,
        max_write_queue_size: plan.max_write_queue_size,
        num_writers: plan.num_writers,
    }))
}

fn backend(plan: &BackendPlan) -> Result<BackendSettings> {
    Ok(BackendSettings {
        location: match &plan.location {
            LocationPlan::Sqlite(path) => Location::Sqlite(path.clone()),
            LocationPlan::Postgres(plan) => Location::Postgres(Box::new(postgres(plan)?)),
        },
        table: plan.table_name.clone(),
        namespace: plan.namespace.clone(),
    })
}

fn postgres(plan: &PostgresPlan) -> Result<PostgresSettings> {
    Ok(PostgresSettings {
        host: plan.host.clone(),
        port: plan.port,
        database: plan.database.clone(),
        user: plan.user.clone(),
        password: plan.password.clone(),
        connection_string: plan.connection_string.clone(),
        ssl_mode: plan.ssl_mode.as_deref().map(ssl_mode).transpose()?,
        ca_cert_path: plan.ca_cert_path.clone(),
        max_connections: plan.max_connections,
        max_lifetime: plan.max_lifetime,
        test_before_use: plan.test_before_use,
        statement_timeout: plan.statement_timeout,
    })
}

fn ssl_mode(name: &str) -> Result<SslMode> {
    Ok(match name {
        "disable" => SslMode::Disable,
        "allow" => SslMode::Allow,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => return Err(Error::configuration(format!("there is no `ssl_mode` `{name}`"))),
    })
}

//! The conformance suite of files: with what is known of them in SQLite, and where `PUNA_TEST_POSTGRES` names a server, in PostgreSQL.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use puna_api::{HostBuilder, Secret};
use puna_provider_localfs::PROVIDER;
use puna_storage::{BackendSettings, Location, PostgresSettings, Storage, StorageSettings};
use puna_testkit::conformance::{self, FilesTarget};
use puna_testkit::live_setting;
use serde_json::json;

fn main() -> ExitCode {
    let sqlite = target("inline").host(|host, folder| host.resource(Arc::new(Storage::in_folder(folder))));
    let postgres = match live_setting("PUNA_TEST_POSTGRES") {
        Some(url) => target("postgres").host(move |host, _| with_postgres(host, &url)),
        None => target("postgres").not_run("`PUNA_TEST_POSTGRES` names no server"),
    };
    conformance::files(&[sqlite, postgres])
}

fn target(place: &'static str) -> FilesTarget {
    let config = |folder: &Path| {
        // Trials share a server, so each has a table of its own.
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let table = format!("files_{}", name.trim_start_matches('.').to_lowercase());
        json!({ "storage_dir": folder.join("files"), "metadata_store": { "table_name": table } })
    };
    FilesTarget::new(place, PROVIDER, config).expiring(move |folder| {
        let mut config = config(folder);
        config["ttl_secs"] = 1.into();
        config
    })
}

fn with_postgres(host: HostBuilder, url: &str) -> HostBuilder {
    let backend = BackendSettings {
        location: Location::Postgres(Box::new(PostgresSettings {
            connection_string: Some(Secret::new(url.to_owned())),
            max_connections: 4,
            ..PostgresSettings::default()
        })),
        table: None,
        namespace: None,
    };
    host.resource(Arc::new(Storage::new(StorageSettings {
        kv: BTreeMap::new(),
        sql: [("sql_default".to_owned(), backend)].into(),
    })))
}

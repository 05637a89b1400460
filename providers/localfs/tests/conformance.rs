//! The conformance suite of files: with what is known of them in SQLite, and where `PUNA_TEST_POSTGRES` names a server, in PostgreSQL.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use puna_provider_localfs::PROVIDER;
use puna_storage::Storage;
use puna_testkit::conformance::{self, FilesTarget};
use puna_testkit::databases::{postgres_storage, table_of};
use puna_testkit::live_setting;
use serde_json::json;

fn main() -> ExitCode {
    let sqlite = target("inline").host(|host, folder| host.resource(Arc::new(Storage::in_folder(folder))));
    let postgres = match live_setting("PUNA_TEST_POSTGRES") {
        Some(url) => target("postgres").host(move |host, _| host.resource(Arc::new(postgres_storage(&url)))),
        None => target("postgres").not_run("`PUNA_TEST_POSTGRES` names no server"),
    };
    conformance::files(&[sqlite, postgres])
}

fn target(place: &'static str) -> FilesTarget {
    let config = |folder: &Path| json!({ "storage_dir": folder.join("files"), "metadata_store": { "table_name": table_of(folder) } });
    FilesTarget::new(place, PROVIDER, config).expiring(move |folder| {
        let mut config = config(folder);
        config["ttl_secs"] = 1.into();
        config
    })
}

//! The conformance suite of files: before a stub that gives back the bytes of few purposes, as OpenAI does, and before ones that give back all. What is
//! known of them is in SQLite, and where `PUNA_TEST_POSTGRES` names a server, in PostgreSQL.

#![expect(clippy::unwrap_used, reason = "without an upstream there is nothing to try")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use puna_api::Api;
use puna_provider_openai::PROVIDER;
use puna_storage::Storage;
use puna_testkit::conformance::{self, FilesTarget};
use puna_testkit::databases::{postgres_storage, table_of};
use puna_testkit::{StubFiles, StubSettings, StubUpstream, live_setting};
use serde_json::{Value, json};

const KEY: &str = "sk-conformance";

fn main() -> ExitCode {
    let openai = stub(StubFiles::default());
    let brief = stub(StubFiles {
        lifetime: Some(1),
        ..StubFiles::default()
    });
    let generous = stub(StubFiles {
        gives_back_all: true,
        ..StubFiles::default()
    });
    let ranged = stub(StubFiles {
        gives_back_all: true,
        knows_ranges: true,
        ..StubFiles::default()
    });
    let without_copies = |url: String| {
        move |folder: &Path| {
            let mut config = config(&url, folder);
            config["keep_copies"] = false.into();
            config
        }
    };
    let target = |place| {
        let (url, brief_url) = (openai.url(), brief.url());
        FilesTarget::new(place, PROVIDER, move |folder| config(&url, folder))
            .expiring(move |folder| config(&brief_url, folder))
    };
    let in_folder = |target: FilesTarget| {
        target.host(|host, folder| host.apis([Api::Files]).resource(Arc::new(Storage::in_folder(folder))))
    };
    let postgres = match live_setting("PUNA_TEST_POSTGRES") {
        Some(database) => target("postgres")
            .host(move |host, _| host.apis([Api::Files]).resource(Arc::new(postgres_storage(&database)))),
        None => target("postgres").not_run("`PUNA_TEST_POSTGRES` names no server"),
    };
    conformance::files(&[
        in_folder(target("openai")),
        in_folder(FilesTarget::new(
            "without_copies",
            PROVIDER,
            without_copies(generous.url()),
        )),
        in_folder(FilesTarget::new("with_ranges", PROVIDER, without_copies(ranged.url()))),
        postgres,
    ])
}

fn stub(files: StubFiles) -> StubUpstream {
    StubUpstream::with_settings(StubSettings {
        files,
        api_key: Some(KEY.to_owned()),
        ..StubSettings::default()
    })
    .unwrap()
}

fn config(url: &str, folder: &Path) -> Value {
    json!({ "base_url": format!("{url}/v1"), "api_key": KEY, "storage_dir": folder.join("files"), "metadata_store": { "table_name": table_of(folder) } })
}

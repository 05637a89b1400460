//! The conformance suite of files: before a stub that gives back the bytes of few purposes, as OpenAI does, and before ones that give back all.

#![expect(clippy::unwrap_used, reason = "without an upstream there is nothing to try")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use puna_api::Api;
use puna_provider_openai::PROVIDER;
use puna_storage::Storage;
use puna_testkit::conformance::{self, FilesTarget};
use puna_testkit::{StubFiles, StubSettings, StubUpstream};
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
    let (url, brief_url) = (openai.url(), brief.url());
    let targets = [
        FilesTarget::new("openai", PROVIDER, move |folder| config(&url, folder))
            .expiring(move |folder| config(&brief_url, folder)),
        FilesTarget::new("without_copies", PROVIDER, without_copies(generous.url())),
        FilesTarget::new("with_ranges", PROVIDER, without_copies(ranged.url())),
    ];
    let targets = targets.map(|target| {
        target.host(|host, folder| {
            let storage = Arc::new(Storage::in_folder(folder));
            host.apis([Api::Files]).resource(storage)
        })
    });
    conformance::files(&targets)
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
    json!({ "base_url": format!("{url}/v1"), "api_key": KEY, "storage_dir": folder.join("files") })
}

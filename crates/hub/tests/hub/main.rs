//! Pulls from a stand-in that speaks the hub's protocol.

#![expect(clippy::unwrap_used, reason = "what tests share may fail as loudly as they do")]

mod pulls;
mod refusals;
mod stand_in;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use puna_api::{Result, Secret};
use puna_hub::{Hub, HubSettings, Progress, PullRequest, Pulled};

use crate::stand_in::{Repofile, Script, StandIn};

/// A model as they are: a few small files, and weights in storage.
fn model() -> Vec<Repofile> {
    vec![
        Repofile::small(".gitattributes", "*.safetensors filter=lfs\n"),
        Repofile::small("config.json", "{\"model_type\": \"llama\"}\n"),
        Repofile::small("deep/er/chat template.jinja", "{{ messages }}"),
        Repofile::large("model.safetensors", 300_000),
        Repofile::large("pytorch_model.bin", 10),
    ]
}

/// A stand-in with a model.
fn stand_in(change: impl FnOnce(&mut Script)) -> StandIn {
    let mut script = Script {
        files: model(),
        ..Script::default()
    };
    change(&mut script);
    StandIn::start(script)
}

fn settings(hub: &StandIn, cache: &Path) -> HubSettings {
    HubSettings {
        endpoint: hub.endpoint.parse().unwrap(),
        token: None,
        cache: cache.to_owned(),
        offline: false,
        retry_wait: Duration::ZERO,
    }
}

async fn pull(settings: HubSettings, request: &PullRequest) -> Result<Pulled> {
    Hub::new(settings)?.pull(request, &puna_hub::Silent).await
}

fn request() -> PullRequest {
    PullRequest::new("hf:org/name".parse().unwrap())
}

fn with_token(settings: HubSettings, token: &str) -> HubSettings {
    HubSettings {
        token: Some(Secret::new(token.to_owned())),
        ..settings
    }
}

/// Writes down what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn begin(&self, file: &str, bytes: u64, have: u64) {
        self.0.lock().unwrap().push(format!("begin {file} {have}/{bytes}"));
    }

    fn advance(&self, _: &str, _: u64) {}

    fn restart(&self, file: &str) {
        self.0.lock().unwrap().push(format!("restart {file}"));
    }

    fn end(&self, file: &str) {
        self.0.lock().unwrap().push(format!("end {file}"));
    }

    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

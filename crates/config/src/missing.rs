//! What a file asks for and no binary of this version has.

use serde_json::Value;

use crate::conditional::resource_id;
use crate::document::{Document, Logging, Safety, Telemetry};
use crate::path::Path;
use crate::report::Site;
use crate::{MissingPart, Problem};

/// The names that Llama Stack and OGX have for APIs, beside those that [`Api`](puna_api::Api) knows.
pub(crate) const OTHER_APIS: &[&str] = &[
    "admin",
    "agents",
    "batches",
    "benchmarks",
    "connectors",
    "container_runtime",
    "containers",
    "conversations",
    "datasetio",
    "datasets",
    "eval",
    "interactions",
    "messages",
    "post_training",
    "prompts",
    "responses",
    "safety",
    "scoring",
    "scoring_functions",
    "shields",
    "skills",
    "synthetic_data_generation",
    "telemetry",
    "tool_groups",
    "tool_runtime",
    "vector_dbs",
];

/// APIs that are part of the server and need no provider: they may be listed, and are there anyway.
pub(crate) const ALWAYS_SERVED: &[&str] = &["inspect", "models", "providers", "vector_stores"];

/// Collects missing parts, with their places.
pub(crate) struct Missing<'a> {
    site: &'a Site<'a>,
    parts: Vec<MissingPart>,
}

impl<'a> Missing<'a> {
    pub(crate) fn new(site: &'a Site<'a>) -> Self {
        Self {
            site,
            parts: Vec::new(),
        }
    }

    /// Adds a part that stands at a path of the converted value.
    pub(crate) fn add(&mut self, path: &Path, what: impl Into<String>, reason: impl Into<String>) {
        let place = self.site.locate(path, true);
        self.parts.push(MissingPart {
            path: place.path.to_string(),
            position: Some(place.position),
            what: what.into(),
            reason: reason.into(),
        });
    }

    /// The parts, in the order of the file.
    pub(crate) fn into_parts(mut self) -> Vec<MissingPart> {
        self.parts.sort_by_key(|part| part.position);
        self.parts
    }

    /// Adds everything outside of `apis`, `providers`, `server` and the models.
    pub(crate) fn add_parts_of(&mut self, document: &Document) {
        let Document {
            registered_resources,
            safety,
            logging_config,
            logging,
            telemetry,
            connectors,
            external_providers_dir,
            external_apis_dir,
            shields,
            vector_dbs,
            datasets,
            scoring_fns,
            benchmarks,
            tool_groups,
            metadata_store,
            inference_store,
            conversations_store,
            ..
        } = document;

        let no_state = "this version reads `storage`, where later versions of the original have it";
        let python = "it describes Python packages; a provider here is a crate that `build.yaml` names";
        let default_shield = |safety: &Safety| safety.default_shield_id.is_some();
        let levels = |logging: &Logging| !logging.category_levels.is_empty();
        for (key, asked_for, reason) in [
            ("metadata_store", metadata_store.is_some(), no_state),
            ("inference_store", inference_store.is_some(), no_state),
            ("conversations_store", conversations_store.is_some(), no_state),
            (
                "safety",
                safety.as_ref().is_some_and(default_shield),
                "this binary serves no moderation",
            ),
            (
                "logging_config",
                logging_config.as_ref().is_some_and(levels),
                "its categories are those of the original's code; use `server.log.filter`",
            ),
            (
                "logging",
                logging.as_ref().is_some_and(levels),
                "its categories are those of the original's code; use `server.log.filter`",
            ),
            (
                "telemetry",
                telemetry.as_ref().is_some_and(|Telemetry { enabled }| *enabled),
                "this binary collects no traces",
            ),
            (
                "connectors",
                connectors.as_ref().is_some_and(|connectors| !connectors.is_empty()),
                "this binary calls no MCP servers",
            ),
            ("external_providers_dir", external_providers_dir.is_some(), python),
            ("external_apis_dir", external_apis_dir.is_some(), python),
        ] {
            if asked_for {
                self.add(&Path::default().key(key), format!("`{key}`"), reason);
            }
        }

        let top = Path::default();
        for (kind, entries) in [
            ("shields", shields),
            ("vector_dbs", vector_dbs),
            ("datasets", datasets),
            ("scoring_fns", scoring_fns),
            ("benchmarks", benchmarks),
            ("tool_groups", tool_groups),
        ] {
            self.add_resources(&top, kind, entries.as_deref().unwrap_or_default());
        }
        let Some(resources) = registered_resources else { return };
        let below = Path::default().key("registered_resources");
        for (kind, entries) in [
            ("shields", &resources.shields),
            ("vector_dbs", &resources.vector_dbs),
            ("datasets", &resources.datasets),
            ("scoring_fns", &resources.scoring_fns),
            ("benchmarks", &resources.benchmarks),
            ("tool_groups", &resources.tool_groups),
            ("connectors", &resources.connectors),
        ] {
            self.add_resources(&below, kind, entries.as_deref().unwrap_or_default());
        }
    }

    fn add_resources(&mut self, below: &Path, kind: &str, entries: &[crate::document::Free]) {
        if entries.is_empty() {
            return;
        }
        let id = resource_id(kind).unwrap_or_default();
        let ids: Vec<&str> = entries
            .iter()
            .filter_map(|entry| entry.get(id).and_then(Value::as_str))
            .collect();
        let what = match ids.as_slice() {
            [] => format!("`{kind}`"),
            _ => format!("`{kind}` ({})", ids.join(", ")),
        };
        self.add(&below.clone().key(kind), what, "this binary does not serve them");
    }
}

/// The problem that a missing part is when nothing may be left out.
pub(crate) fn problem(file: &str, part: &MissingPart) -> Problem {
    Problem {
        source: file.to_owned(),
        position: part.position,
        path: part.path.clone(),
        message: format!("{} is not available in this binary", part.what),
        hint: Some(part.reason.clone()),
        is_missing_part: true,
    }
}

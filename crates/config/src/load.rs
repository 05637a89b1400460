//! Reads and checks a configuration.

use std::path::PathBuf;

use puna_api::{ConfigProblem, ProviderSpec};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::check::{Background, check};
use crate::conditional::expand_file;
use crate::document::{Document, schema};
use crate::layers::{Layers, Origin, merge};
use crate::missing::{self, Missing};
use crate::path::Path;
use crate::report::Site;
use crate::schema::Schema;
use crate::value::convert;
use crate::{
    Environment, Overrides, Plan, Problem, Problems, Source, models, providers, serving, storage, vector_stores,
};

/// The version of the shape that this crate reads.
const VERSION: u64 = 2;

/// Reads and checks a configuration against the providers of this binary, and reports every problem together.
///
/// Nothing but the file is touched: no socket, no device, no other file. Of the environment it uses what `environment` holds.
pub fn load(
    source: &Source,
    linked: &[ProviderSpec],
    environment: &Environment,
    overrides: &Overrides,
) -> Result<Plan, Problems> {
    let mut problems = Vec::new();
    let plan = plan(source, linked, environment, overrides, &mut problems);
    match Problems::new(problems) {
        None => {
            plan.ok_or_else(|| Problems::one(Problem::of_whole(&source.name(), "the configuration cannot be read")))
        }
        Some(problems) => Err(problems),
    }
}

/// Returns a plan whenever it adds no problem.
fn plan(
    source: &Source,
    linked: &[ProviderSpec],
    environment: &Environment,
    overrides: &Overrides,
    problems: &mut Vec<Problem>,
) -> Option<Plan> {
    let file = source.name();
    let mut root = match source.tree(problems) {
        Ok(root) => root,
        Err(problem) => {
            problems.push(*problem);
            return None;
        }
    };
    let disabled = expand_file(&file, &mut root, environment, problems);
    let site = Site::root(&file, &root);
    let schema = schema();
    let schema = Schema::new(&schema);

    let mut converted = convert(&root, &schema);
    let Value::Object(document) = &mut converted.value else {
        problems.push(site.problem(
            &Path::default(),
            "must be a mapping",
            Some("a configuration starts with `version: 2`".to_owned()),
        ));
        return None;
    };
    let server = Path::default().key("server");
    let given = document.remove("server").unwrap_or_default();
    let layers = merge(&given, &schema.follow(&server), environment, overrides, problems);
    document.insert("server".to_owned(), layers.value.clone());

    let veil = |path: &Path| site.veil(path, &schema);
    let background = Background {
        schema: &schema,
        sample: None,
        settled: &converted.settled,
        veil: &veil,
    };
    let (document, findings) = check(converted.value, &background, read_as::<Document>);
    for finding in findings {
        let origin = below(&finding.path, &server).map(|path| layers.origin(&path));
        let mut problem = site.finding(finding, &schema, &converted.emptied);
        if let Some(Origin::Outside(origin)) = origin {
            problem.source = origin;
            problem.position = None;
        }
        problems.push(problem);
    }
    let mut document = document?;

    if document.version != VERSION {
        let hint = format!("this binary reads version {VERSION}");
        problems.push(site.problem(
            &Path::default().key("version"),
            format!("there is no version {}", document.version),
            Some(hint),
        ));
    }
    let name = name(&site, &document, problems);
    let state_dir = state_dir(&file, &name, environment, problems);
    let server = read_server(&site, std::mem::take(&mut document.server), &layers, problems);

    let mut missing = Missing::new(&site);
    missing.add_parts_of(&document);
    let storage = storage::read(
        &site,
        document.storage.take(),
        state_dir.as_deref(),
        environment,
        &mut missing,
        problems,
    );
    let entries = document.providers.take().unwrap_or_default();
    let providers = providers::read(
        &site,
        document.apis.as_deref(),
        &entries,
        disabled,
        &providers::Here {
            linked,
            storage: &storage,
        },
        &mut missing,
        problems,
    );
    let resources = document.registered_resources.as_mut();
    let registered_stores = resources.and_then(|resources| resources.vector_stores.take());
    let vector_stores = vector_stores::read(
        &site,
        document.vector_stores.take(),
        registered_stores.unwrap_or_default(),
        &providers,
        &mut missing,
        overrides.skip_missing,
        problems,
    );
    let models = models::read(
        &site,
        document,
        &providers,
        &mut missing,
        overrides.skip_missing,
        problems,
    );
    let missing = missing.into_parts();
    if !overrides.skip_missing {
        problems.extend(missing.iter().map(|part| missing::problem(&file, part)));
    }
    Some(Plan {
        name,
        state_dir: state_dir?,
        apis: providers.apis,
        providers: providers.plans,
        models,
        storage: storage.plan?,
        vector_stores,
        server: server?,
        disabled: providers.disabled,
        missing,
    })
}

/// Reads a value as a type, with the place of the first fault.
pub(crate) fn read_as<T: DeserializeOwned>(value: Value) -> Result<T, ConfigProblem> {
    serde_path_to_error::deserialize(value).map_err(|error| ConfigProblem {
        path: Some(error.path().to_string())
            .filter(|path| path != ".")
            .unwrap_or_default(),
        message: error.inner().to_string(),
    })
}

fn read_server(
    site: &Site<'_>,
    server: crate::document::Server,
    layers: &Layers,
    problems: &mut Vec<Problem>,
) -> Option<crate::ServerConfig> {
    match serving::read(server) {
        Ok(server) => Some(server),
        Err(faults) => {
            for fault in faults {
                let origin = layers.origin(&fault.path);
                let mut problem = site.problem(
                    &Path::default().key("server").join(&fault.path),
                    fault.message,
                    fault.hint,
                );
                match origin {
                    Origin::Outside(origin) => {
                        problem.source = origin;
                        problem.position = None;
                    }
                    // Nothing stands there because what stands below is wrong.
                    Origin::File if problems.iter().any(|known| is_below(known, &problem)) => continue,
                    Origin::File => {}
                }
                problems.push(problem);
            }
            None
        }
    }
}

/// Whether a problem is about a part of what another one is about.
fn is_below(part: &Problem, whole: &Problem) -> bool {
    part.source == whole.source
        && part
            .path
            .strip_prefix(&whole.path)
            .is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The rest of a path that starts with another.
fn below(path: &Path, start: &Path) -> Option<Path> {
    path.starts_with(start)
        .then(|| Path::from_steps(&path.steps()[start.steps().len()..]))
}

fn name(site: &Site<'_>, document: &Document, problems: &mut Vec<Problem>) -> String {
    let (key, name) = match (&document.image_name, &document.distro_name) {
        (Some(image), Some(distro)) if image != distro => {
            let message = format!("differs from `image_name`, which is `{image}`");
            let hint = "both name the distribution; keep one of them".to_owned();
            problems.push(site.problem(&Path::default().key("distro_name"), message, Some(hint)));
            ("image_name", image)
        }
        (Some(image), _) => ("image_name", image),
        (None, Some(distro)) => ("distro_name", distro),
        (None, None) => {
            problems.push(site.problem(
                &Path::default().key("image_name"),
                "is required",
                Some("the distribution's name".to_owned()),
            ));
            return String::new();
        }
    };
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(is_plain) {
        let hint = "letters, digits, `-`, `_` and `.`, since it names a folder too".to_owned();
        problems.push(site.problem(
            &Path::default().key(key),
            format!("`{name}` cannot name a distribution"),
            Some(hint),
        ));
    }
    name.clone()
}

/// Where a distribution keeps its state.
fn state_dir(file: &str, name: &str, environment: &Environment, problems: &mut Vec<Problem>) -> Option<PathBuf> {
    let Some(home) = environment.puna_home() else {
        let mut problem = Problem::of_whole(file, "there is no folder for the distribution's state");
        problem.hint = Some("set `PUNA_HOME`, or `HOME`".to_owned());
        problems.push(problem);
        return None;
    };
    Some(home.join("distributions").join(name))
}

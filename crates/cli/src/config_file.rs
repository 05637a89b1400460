//! Which configuration file a command means.

use std::path::{Path, PathBuf};

use puna_api::{Error, Result};
use puna_config::{Environment, Overrides, Plan, Problems, Source, load};
use puna_http::EgressPolicy;

use crate::Invocation;
use crate::args::ConfigArgs;

const FILE_NAME: &str = "config.yaml";

/// Finds, reads and checks the configuration.
pub(crate) fn plan(invocation: &Invocation, args: &ConfigArgs, overrides: Overrides) -> Result<(PathBuf, Plan)> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|binary| binary.parent().map(Path::to_owned));
    let path = find(args.config.as_deref(), beside.as_deref(), &invocation.environment)?;
    let overrides = Overrides {
        skip_missing: args.skip_missing,
        ..overrides
    };
    let source = Source::File(path.clone());
    let plan = load(&source, invocation.linked, &invocation.environment, &overrides)
        .map_err(|problems| Error::configuration(refusal(&path, &problems)))?;
    egress_policy(&plan)?;
    Ok((path, plan))
}

fn refusal(path: &Path, problems: &Problems) -> String {
    let mut text = format!("{} cannot be used:\n{problems}", path.display());
    if problems.iter().all(|problem| problem.is_missing_part) {
        text.push_str("\n`--skip-missing` leaves out what this binary does not have, and uses the rest");
    }
    text
}

/// Where requests may lead the server.
pub(crate) fn egress_policy(plan: &Plan) -> Result<EgressPolicy> {
    EgressPolicy::allowing(plan.server.egress_allow.iter().map(String::as_str))
        .map_err(|error| Error::configuration(format!("server.egress_allow: {error}")))
}

fn find(asked: Option<&Path>, beside: Option<&Path>, environment: &Environment) -> Result<PathBuf> {
    let candidates: Vec<PathBuf> = match asked {
        Some(asked) if asked.is_file() => return Ok(asked.to_owned()),
        Some(asked) if asked.is_dir() => vec![asked.join(FILE_NAME)],
        // A distribution by name; a path with separators that is not there is a mistake, not a name.
        Some(name) if name.components().count() == 1 => environment
            .puna_home()
            .map(|home| home.join("distributions").join(name).join(FILE_NAME))
            .into_iter()
            .collect(),
        Some(_) => Vec::new(),
        None => beside.map(|folder| folder.join(FILE_NAME)).into_iter().collect(),
    };
    if let Some(found) = candidates.iter().find(|candidate| candidate.is_file()) {
        return Ok(found.clone());
    }
    let looked: Vec<String> = asked
        .into_iter()
        .chain(candidates.iter().map(PathBuf::as_path))
        .map(|path| path.display().to_string())
        .collect();
    Err(Error::configuration(format!(
        "no configuration found; looked for {}",
        looked.join(" and ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_a_folder_a_name_or_the_one_beside_the_binary() {
        let root = std::env::temp_dir().join(format!("puna-config-file-{}", std::process::id()));
        let named = root.join("distributions/mine");
        std::fs::create_dir_all(&named).unwrap();
        std::fs::write(named.join(FILE_NAME), "version: 2").unwrap();
        let environment: Environment = [("PUNA_HOME", root.to_str().unwrap())].into_iter().collect();
        let config = named.join(FILE_NAME);
        for asked in [Path::new("mine"), &named, &config] {
            assert_eq!(find(Some(asked), None, &environment).unwrap(), config);
        }
        assert_eq!(find(None, Some(&named), &environment).unwrap(), config);
        let error = find(Some(Path::new("no/such.yaml")), None, &environment).unwrap_err();
        assert!(error.message().contains("no/such.yaml"), "{error}");
        std::fs::remove_dir_all(root).unwrap();
    }
}

//! What a provider's record says of it, whatever it serves.

use puna_api::{Api, ProviderSpec};
use serde_json::{Map, json};

use super::outcome::{Verdict, ensure};

pub(super) fn its_type_says_where_it_works(provider: &ProviderSpec, api: Api) -> Verdict {
    for name in std::iter::once(&provider.provider_type).chain(provider.aliases) {
        let named = name.strip_prefix("inline::").or_else(|| name.strip_prefix("remote::"));
        ensure!(
            named.is_some_and(|name| !name.is_empty()),
            "the type `{name}` is not `inline::…` or `remote::…`"
        );
    }
    ensure!(!provider.summary.trim().is_empty(), "the provider has no summary");
    ensure!(
        provider.apis.contains(&api),
        "the provider serves `{api}` and does not list it: {:?}",
        provider.apis
    );
    Ok(())
}

pub(super) fn its_sample_configuration_is_valid(provider: &ProviderSpec) -> Verdict {
    let sample = provider.sample()?;
    let checked = provider.check(sample.clone());
    ensure!(
        checked.is_ok(),
        "the sample configuration {sample} is refused: {checked:?}"
    );
    Ok(())
}

pub(super) fn an_unknown_configuration_key_is_refused(provider: &ProviderSpec) -> Verdict {
    const KEY: &str = "no_such_key_5b0d";
    let mut config = provider.sample()?;
    config[KEY] = json!(1);
    match provider.check(config) {
        Ok(_) => Err(format!("the configuration key `{KEY}` was accepted").into()),
        Err(problem) => {
            let named = problem.path.contains(KEY) || problem.message.contains(KEY);
            ensure!(named, "the problem does not name `{KEY}`: {problem:?}");
            Ok(())
        }
    }
}

pub(super) fn every_configuration_key_is_documented(provider: &ProviderSpec) -> Verdict {
    let schema = provider.schema();
    let none = Map::new();
    for (key, property) in schema["properties"].as_object().unwrap_or(&none) {
        // A reference brings the description of its type along.
        let documented = property["description"].is_string() || property.get("$ref").is_some();
        ensure!(
            documented,
            "the configuration key `{key}` has no description: {property}"
        );
    }
    Ok(())
}

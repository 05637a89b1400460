//! Checks of the table of providers that a binary was linked with.

use std::collections::{BTreeMap, BTreeSet};

use puna_api::{Error, ProviderSpec, Result, linked_by_inventory};

/// Checks that the table in the binary's main and the providers that registered themselves are the same, and that no two claim one type.
///
/// A crate that registers a provider but is missing in the table would be served in one build and silently absent in the next.
pub fn check_linked(linked: &[ProviderSpec]) -> Result<()> {
    let registered: Vec<ProviderSpec> = linked_by_inventory().copied().collect();
    let problems: Vec<String> = disagreements(linked, &registered)
        .into_iter()
        .chain(double_claims(linked))
        .collect();
    match problems.as_slice() {
        [] => Ok(()),
        problems => Err(Error::configuration(problems.join("\n"))),
    }
}

fn names(specs: &[ProviderSpec]) -> BTreeSet<(&'static str, &'static str)> {
    specs.iter().map(|spec| (spec.crate_name, spec.provider_type)).collect()
}

fn disagreements(linked: &[ProviderSpec], registered: &[ProviderSpec]) -> Vec<String> {
    let (linked, registered) = (names(linked), names(registered));
    let unlisted = registered.difference(&linked).map(|(name, provider_type)| {
        format!("the crate {name} registers {provider_type}, but the table LINKED in the binary's main does not name it; build the distribution again")
    });
    let unregistered = linked.difference(&registered).map(|(name, provider_type)| {
        format!("the table LINKED names {provider_type} of the crate {name}, which did not register it; use `puna_api::register_provider!`")
    });
    unlisted.chain(unregistered).collect()
}

fn double_claims(linked: &[ProviderSpec]) -> Vec<String> {
    let mut claims: BTreeMap<&str, Vec<&ProviderSpec>> = BTreeMap::new();
    for spec in linked {
        claims.entry(spec.provider_type).or_default().push(spec);
    }
    // An alias gives way to a provider that has the name as its own, and two aliases of one name exclude each other.
    for spec in linked {
        for alias in spec
            .aliases
            .iter()
            .filter(|alias| !linked.iter().any(|other| other.provider_type == **alias))
        {
            claims.entry(alias).or_default().push(spec);
        }
    }
    claims
        .into_iter()
        .filter(|(_, specs)| specs.len() > 1)
        .map(|(provider_type, specs)| {
            let crates: Vec<String> = specs
                .iter()
                .map(|spec| format!("{} {}", spec.crate_name, spec.crate_version))
                .collect();
            format!(
                "the provider type {provider_type} is claimed by {}; leave one of them out of build.yaml",
                crates.join(" and ")
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use puna_api::{Api, Host, Provider, Services};

    use super::*;

    struct Door;

    impl Provider for Door {
        const TYPE: &'static str = "inline::door";
        const SUMMARY: &'static str = "A door.";
        const APIS: &'static [Api] = &[Api::Inference];
        type Config = serde_json::Map<String, serde_json::Value>;

        fn sample() -> Self::Config {
            Self::Config::new()
        }

        async fn build(_: Self::Config, _: Host) -> Result<Services> {
            Ok(Services::default())
        }
    }

    puna_api::register_provider!(Door);

    #[test]
    fn the_table_and_the_inventory_must_agree() {
        assert!(check_linked(&[PROVIDER]).is_ok());
        let missing = check_linked(&[]).unwrap_err();
        assert!(
            missing.message().contains("puna-router registers inline::door"),
            "{missing}"
        );
        let foreign = PROVIDER.from_crate("somebody-else", "1.0.0");
        let problems = disagreements(&[PROVIDER, foreign], &[PROVIDER]);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("the crate somebody-else, which did not register it"),
            "{problems:?}"
        );
    }

    #[test]
    fn two_crates_cannot_claim_one_type() {
        let foreign = PROVIDER.from_crate("somebody-else", "1.0.0");
        let problems = double_claims(&[PROVIDER, foreign]);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("inline::door is claimed by puna-router"),
            "{problems:?}"
        );
        assert!(problems[0].contains("somebody-else 1.0.0"), "{problems:?}");
    }
}

//! Run configurations of the original are read unchanged.

use puna_api::ProviderSpec;
use puna_config::{Overrides, Plan, Source};

use crate::support::{Mountain, SKIP, environment};

/// The pretend binary holds the types that the file beside a fixture lists.
fn linked_for(fixture: &str) -> Vec<ProviderSpec> {
    let path = format!("{}/tests/fixtures/{fixture}.linked.txt", env!("CARGO_MANIFEST_DIR"));
    let types = std::fs::read_to_string(path).unwrap();
    types
        .lines()
        .map(|provider_type| {
            let mut spec = ProviderSpec::of::<Mountain>();
            spec.provider_type = provider_type.to_owned().leak();
            spec
        })
        .collect()
}

pub(crate) fn fixture(name: &str) -> Source {
    let path = format!("{}/tests/fixtures/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    Source::Text {
        name: format!("{name}.yaml"),
        text: std::fs::read_to_string(path).unwrap(),
    }
}

fn summary(plan: &Plan) -> String {
    let mut lines = vec![format!(
        "{} serves {:?} on {}:{}",
        plan.name, plan.apis, plan.server.host, plan.server.port
    )];
    for provider in &plan.providers {
        lines.push(format!(
            "provider {} ({}): {}",
            provider.id, provider.spec.provider_type, provider.shown
        ));
    }
    for model in &plan.models {
        lines.push(format!("model {model:?}"));
    }
    for disabled in &plan.disabled {
        let linked = if disabled.linked { "here" } else { "not here" };
        let id = disabled.id.as_deref().unwrap_or("?");
        lines.push(format!(
            "off: {}/{id} ({}, {linked}) by {}",
            disabled.api,
            disabled.provider_type,
            disabled.env.join(", ")
        ));
    }
    for part in &plan.missing {
        lines.push(format!("left out: {}: {} ({})", part.path, part.what, part.reason));
    }
    lines.join("\n")
}

#[test]
fn starter_0_3_5_is_read_unchanged() {
    let linked = linked_for("starter-0.3.5");
    let source = fixture("starter-0.3.5");
    let load = |variables: &[(&str, &str)], overrides: &Overrides| {
        puna_config::load(&source, &linked, &environment(variables), overrides)
    };
    let problems = load(&[], &Overrides::default()).unwrap_err();
    assert!(problems.iter().all(|problem| problem.is_missing_part), "{problems}");
    insta::assert_snapshot!("starter-0.3.5-report", problems);
    insta::assert_snapshot!("starter-0.3.5-rest", summary(&load(&[], &SKIP).unwrap()));
    let variables = [
        ("OLLAMA_URL", "http://o:11434"),
        ("VLLM_URL", "http://v/v1"),
        ("VLLM_API_TOKEN", "0123"),
        ("OPENAI_API_KEY", "sk-1"),
    ];
    insta::assert_snapshot!("starter-0.3.5-switched-on", summary(&load(&variables, &SKIP).unwrap()));
}

#[test]
fn starter_0_8_is_read_unchanged() {
    let linked = linked_for("starter-0.8");
    let source = fixture("starter-0.8");
    let load = |variables: &[(&str, &str)]| puna_config::load(&source, &linked, &environment(variables), &SKIP);
    insta::assert_snapshot!("starter-0.8-rest", summary(&load(&[]).unwrap()));
    let variables = [
        ("VLLM_URL", "http://v/v1"),
        ("INFERENCE_MODEL", "llama"),
        ("OGX_PORT", "9000"),
    ];
    insta::assert_snapshot!("starter-0.8-switched-on", summary(&load(&variables).unwrap()));
    // What protects the server is never left out.
    let problems = load(&[("AUTH_PROVIDER", "yes"), ("AUTH_AUDIENCE", "a")]).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "starter-0.8.yaml:91:13 server.auth.provider_config.type: authentication of type `oauth2_token` is not available in this binary \
         (this binary has `local_api_key`; authentication protects the server, so `--skip-missing` does not leave it out)"
    );
}

//! Whole configurations, through the public interface.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helpers may fail loudly, as the test may"
)]

mod refused;
mod server;
mod starter;
mod storage;
mod support;
mod vector_stores;

use puna_api::{Api, ModelType, ProviderSpec};
use puna_config::{BuildManifest, LogFormat, Overrides, Source};
use serde_json::json;
use support::{LINKED, Mountain, SKIP, config, environment, load, load_with, report};

#[test]
fn a_small_configuration_comes_to_a_plan_with_defaults() {
    let plan = load(&config(
        "providers:\n  inference:\n  - provider_id: m\n    provider_type: remote::mountain\n    config: {base_url: 'http://h/v1'}\n",
    ))
    .unwrap();
    assert_eq!(plan.name, "test");
    assert_eq!(plan.state_dir.to_str(), Some("/home/jo/.puna/distributions/test"));
    assert_eq!(plan.apis, [Api::Inference]);
    assert_eq!(plan.providers.len(), 1);
    assert_eq!(
        (plan.providers[0].id.as_str(), plan.providers[0].apis.as_slice()),
        ("m", [Api::Inference].as_slice())
    );
    assert_eq!(plan.providers[0].spec.provider_type, "remote::mountain");
    assert_eq!(plan.providers[0].shown, json!({ "base_url": "http://h/v1" }));
    assert!(plan.models.is_empty() && plan.disabled.is_empty() && plan.missing.is_empty());
    let server = plan.server;
    assert_eq!(
        (server.host.as_str(), server.port, server.workers),
        ("127.0.0.1", 8321, None)
    );
    assert!(server.api_keys.is_empty() && server.cors.is_none());
    assert_eq!(server.registry_refresh_interval.as_secs(), 300);
    assert_eq!(server.limits.max_body_bytes, 64 << 20);
    assert_eq!(server.limits.max_decompressed_bytes, 100 << 20);
    assert_eq!(
        (server.limits.max_json_depth, server.limits.max_header_bytes),
        (64, 64 << 10)
    );
    assert_eq!(
        (server.limits.request_timeout, server.limits.shutdown_grace.as_secs()),
        (None, 30)
    );
    assert_eq!(
        (server.log.format, server.log.filter.as_str()),
        (LogFormat::Text, "info")
    );
}

const THREE_MISTAKES: &str = "providers:
  inference:
  - provider_id: m
    provider_type: remote::mountain
    config:
      bse_url: http://h/v1
server:
  port: many
modles: []
";

#[test]
fn three_mistakes_are_all_reported() {
    insta::assert_snapshot!(report(&config(THREE_MISTAKES)));
}

#[test]
fn mistakes_of_every_kind_are_reported_with_their_places() {
    insta::assert_snapshot!(report(
        "version: 3
image_name: a/b
distro_name: c
apis: [inference, inferense, safety, inspect]
providers:
  inferense: [{provider_id: x, provider_type: remote::mountain}]
  inference:
  - provider_id: one
    provider_type: remote::mountain
    config:
      base_url: ftp://h
      max_tokens: -1
      network:
        tls: {verify: []}
        heders: {}
  - provider_id: one
    provider_type: inline::cave
  - provider_id: two/three
    provider_type: inline::cave
    config: {colour: red}
  - provider_id: four
    provider_type: remote::montain
  - provider_id: five
    provider_type: inline::void
  - provider_id: six
    provider_type: remote::mountain
  - provider_id: seven
    provider_type: remote::mountain
    config: {base_url: 'http://h', url: 'http://i'}
  - provider_id: eight
    provider_type: remote::mountain
    module: some.package
    config: {base_url: '${env.NOWHERE}', max_tokens: '${env.OPEN'}
  - provider_type: inline::cave
  - provider_id: nine
    provider_type: inline::cave
    confg: {}
storage:
  backends:
    kv: {type: kv_sqlight, db_path: x}
    sql: {type: sql_postgres, port: high}
registered_resources:
  models:
  - model_id: a
    provider_id: on
  - model_id: b
    provider_id: one
  - model_id: b
    provider_id: one
  - model_id: c
  - model_id: d
    provider_id: one
    model_type: llmm
server:
  port: 70000
  limits: {max_body_byts: 1, shutdown_grace_seconds: -1}
  cors: {allow_origins: ['*'], allow_credentials: true}
  tls_certfile: /cert.pem
"
    ));
}

#[test]
fn faults_that_only_show_once_the_shape_is_right_are_reported_together() {
    insta::assert_snapshot!(report(
        "version: 3
image_name: a/b
distro_name: c
apis: [inference, inferense, safety, inspect]
providers:
  inferense: [{provider_id: x, provider_type: remote::mountain}]
  inference:
  - provider_id: one
    provider_type: inline::cave
  - provider_id: one
    provider_type: inline::cave
  - provider_id: two/three
    provider_type: inline::cave
  - provider_id: all
    provider_type: inline::cave
  - provider_id: five
    provider_type: inline::void
registered_resources:
  models:
  - model_id: a
    provider_id: on
  - model_id: b
    provider_id: one
  - model_id: b
    provider_id: one
models:
  - model_id: a
    provider_id: elsewhere
server:
  host: http://localhost:80
  registry_refresh_interval_seconds: 0
  limits: {shutdown_grace_seconds: -1, request_timeout_seconds: 1e300}
  cors: {allow_origins: ['*', 'example.com/x'], allow_credentials: true, allow_origin_regex: '(', allow_headers: ['a b']}
  log: {filter: 'info,puna_server=debgu'}
  tls_certfile: /cert.pem
  tls_keyfile: /key.pem
  hsts_max_age: 1
  insecure: false
  quota: {anonymous_max_requests: 5}
  tenancy: {mode: multi}
  auth:
    provider_config: {type: oauth2_token, issuer: x}
    route_policy: [{permit: {paths: '*'}}]
    access_policy: [{permit: {actions: read}}]
"
    ));
}

#[test]
fn a_disabled_provider_is_neither_expanded_nor_checked_and_its_models_go_with_it() {
    let text = config(
        "providers:
  inference:
  - provider_id: ${env.MOUNTAIN_URL:+mountain}
    provider_type: remote::mountain
    config: {base_url: '${env.MOUNTAIN_URL}', api_token: '${env.MOUNTAIN_TOKEN}', colour: red}
  - provider_id: ${env.CAVE:=__disabled__}
    provider_type: inline::cave
  - provider_id: typeless
    provider_type: ${env.TYPE_A:+inline}${env.TYPE_B:=}
  - provider_id: stays
    provider_type: inline::cave
models:
- {model_id: a, provider_id: mountain}
- {model_id: b, provider_id: stays}
- {model_id: '${env.MODEL:=}', provider_id: stays}
- {model_id: c, provider_id: '${env.MOUNTAIN_URL:+mountain}'}
",
    );
    let plan = load(&text).unwrap();
    assert_eq!(
        plan.providers
            .iter()
            .map(|provider| provider.id.as_str())
            .collect::<Vec<_>>(),
        ["stays"]
    );
    assert_eq!(
        plan.models
            .iter()
            .map(|model| model.model_id.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
    let disabled: Vec<_> = plan
        .disabled
        .iter()
        .map(|disabled| (disabled.id.as_deref(), disabled.env.join(" "), disabled.linked))
        .collect();
    assert_eq!(
        disabled,
        [
            (Some("mountain"), "MOUNTAIN_URL".to_owned(), true),
            (None, "CAVE".to_owned(), true),
            (Some("typeless"), "TYPE_A TYPE_B".to_owned(), false),
        ]
    );
    let problems = load_with(&text, &[("MOUNTAIN_URL", "http://m")], &Overrides::default()).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "config.yaml:7:58 providers.inference[0].config.api_token: the environment variable `MOUNTAIN_TOKEN` is not set, or empty \
         (set it, or give a default: `${env.MOUNTAIN_TOKEN:=default}`)\n\
         config.yaml:7:83 providers.inference[0].config.colour: unknown key (known here: `base_url`, `api_token`, `max_tokens`, \
         `refresh_models`, `allowed_models`, `tls_verify`, `network` and `store`)"
    );
}

#[test]
fn models_find_their_providers() {
    let providers = "providers:\n  inference:\n  - {provider_id: a, provider_type: inline::cave}\n";
    let plan = load(&config(&format!(
        "{providers}registered_resources:
  models:
  - model_id: alone
  - {{model_id: any, provider_id: all, provider_model_id: auto, model_type: embedding, metadata: {{embedding_dimension: 3}}}}
models:
  - {{model_id: old, provider_id: a, provider_model_id: x/y}}
"
    )))
    .unwrap();
    let [alone, any, old] = plan.models.as_slice() else {
        panic!("{:?}", plan.models)
    };
    assert_eq!(
        (alone.provider_id.as_str(), alone.model_type, &alone.provider_model_id),
        ("a", ModelType::Llm, &None)
    );
    assert_eq!(
        (
            any.provider_id.as_str(),
            any.provider_model_id.as_deref(),
            any.model_type
        ),
        ("all", Some("auto"), ModelType::Embedding)
    );
    assert_eq!(any.metadata["embedding_dimension"], json!(3));
    assert_eq!(
        (old.provider_id.as_str(), old.provider_model_id.as_deref()),
        ("a", Some("x/y"))
    );

    for (rest, message) in [
        (
            "models: [{model_id: m, provider_id: b}]",
            "config.yaml:6:37 models[0].provider_id: there is no provider `b` (there are `a`, and `all`)",
        ),
        (
            "  - {provider_id: b, provider_type: inline::cave}\nmodels: [{model_id: m}]",
            "config.yaml:7:10 models[0].provider_id: the model `m` names no provider, and there are several (name one of `a` and `b`, or `all`)",
        ),
        (
            "models: [{model_id: m}, {model_id: m}]",
            "config.yaml:6:36 models[1].model_id: the model `m` is registered a second time (the first one is `models[0]`)",
        ),
    ] {
        assert_eq!(report(&config(&format!("{providers}{rest}"))), message);
    }
    assert_eq!(
        report(&config("models: [{model_id: m}]")),
        "config.yaml:3:10 models[0].provider_id: the model `m` names no provider, and there is none (add one under `providers.inference`)"
    );
}

#[test]
fn secrets_are_neither_shown_nor_quoted() {
    let providers = |config: &str| {
        format!(
            "version: 2\nimage_name: t\nproviders: {{inference: [{{provider_id: m, provider_type: remote::mountain, config: {{{config}}}}}]}}"
        )
    };
    let secret = [("SECRET", "hush-hush")];
    let text = providers(
        "base_url: 'http://u:hush-hush@h/v1', api_token: '${env.SECRET}', network: {headers: {X-Key: hush-hush}}",
    );
    let plan = load_with(&text, &secret, &Overrides::default()).unwrap();
    assert_eq!(
        plan.providers[0].shown,
        json!({ "base_url": "http://u:********@h/v1", "api_token": "********", "network": { "headers": { "X-Key": "********" } } })
    );
    assert!(!format!("{plan:?}").contains("hush-hush"));
    for (config, said) in [
        (
            "base_url: 'http://h', max_tokens: '${env.SECRET}'",
            "must be a whole number from 0 to 4294967295, not what `${env.SECRET}` expanded to",
        ),
        ("base_url: '${env.SECRET}'", "`${env.SECRET}` is not an http address"),
        (
            "base_url: 'http://h', api_token: [hush-hush]",
            "must be text, not what stands there",
        ),
        (
            "base_url: 'http://h', refresh_models: '${env.SECRET}'",
            "must be true or false, not what `${env.SECRET}` expanded to",
        ),
    ] {
        let report = load_with(&providers(config), &secret, &Overrides::default())
            .unwrap_err()
            .to_string();
        assert!(report.contains(said) && !report.contains("hush-hush"), "{report}");
    }
}

#[test]
fn an_older_spelling_and_another_name_of_a_type_are_taken() {
    let text = "providers: {inference: [{provider_id: m, provider_type: remote::hill, config: {url: 'http://h', api_key: 5}}]}";
    let plan = load(&config(text)).unwrap();
    assert_eq!(plan.providers[0].spec.provider_type, "remote::mountain");
    assert_eq!(
        plan.providers[0].shown,
        json!({ "url": "http://h", "api_key": "********" })
    );
}

#[test]
fn a_variable_that_is_empty_leaves_its_key_out() {
    let providers = |config: &str| {
        format!(
            "version: 2\nimage_name: t\nproviders: {{inference: [{{provider_id: m, provider_type: remote::mountain, config: {{{config}}}}}]}}"
        )
    };
    let plan = load(&providers(
        "base_url: 'http://h', refresh_models: '${env.NONE:=}', api_token: '${env.NONE:=}'",
    ))
    .unwrap();
    assert_eq!(
        plan.providers[0].shown,
        json!({ "base_url": "http://h", "api_token": null })
    );
    assert_eq!(
        report(&providers("base_url: '${env.NONE:=}'")),
        "config.yaml:3:94 providers.inference[0].config.base_url: is required, but `${env.NONE:=}` expanded to nothing \
         (the address of the server, such as `http://localhost:8000/v1`)"
    );
}

#[test]
fn state_lives_below_a_home() {
    let source = Source::Text {
        name: "c".to_owned(),
        text: config(""),
    };
    let load =
        |variables: &[(&str, &str)]| puna_config::load(&source, LINKED, &variables.iter().copied().collect(), &SKIP);
    let plan = load(&[("HOME", "/home/jo"), ("PUNA_HOME", "/srv/puna")]).unwrap();
    assert_eq!(plan.state_dir.to_str(), Some("/srv/puna/distributions/test"));
    assert_eq!(
        load(&[]).unwrap_err().to_string(),
        "c: there is no folder for the distribution's state (set `PUNA_HOME`, or `HOME`)"
    );
}

#[test]
fn anchors_and_merges_save_typing() {
    let text = config(
        "providers:
  inference:
  - &first
    provider_id: a
    provider_type: remote::mountain
    config: &settings {base_url: 'http://h', max_tokens: 5}
  - <<: *first
    provider_id: b
    config: {<<: *settings, base_url: 'http://i'}
",
    );
    let plan = load(&text).unwrap();
    assert_eq!(plan.providers[1].id, "b");
    assert_eq!(
        plan.providers[1].shown,
        json!({ "base_url": "http://i", "max_tokens": 5 })
    );
}

#[test]
fn the_examples_of_the_reference_are_right() {
    let page = include_str!("../../../../docs/reference/configuration.md");
    let block = |language: &str, index: usize| {
        let start = format!("```{language}\n");
        let block = page.split(start.as_str()).nth(index).unwrap();
        block.split("```").next().unwrap().to_owned()
    };
    let text = block("yaml", 1);
    let provider_type = text.split("provider_type: ").nth(1).unwrap().lines().next().unwrap();
    let mut spec = ProviderSpec::of::<Mountain>();
    spec.provider_type = provider_type.to_owned().leak();
    let source = Source::Text {
        name: "example".to_owned(),
        text,
    };
    let load = |variables: &[(&str, &str)]| {
        puna_config::load(&source, &[spec], &environment(variables), &Overrides::default()).unwrap()
    };
    let plan = load(&[]);
    assert!(plan.providers.is_empty() && plan.models.is_empty());
    let switch = plan.disabled[0].env[0].clone();
    let plan = load(&[(&switch, "http://h/v1")]);
    assert_eq!((plan.providers.len(), plan.models[0].model_id.as_str()), (1, "chat"));

    let manifest = BuildManifest::read(&Source::Text {
        name: "example".to_owned(),
        text: block("yaml", 2),
    })
    .unwrap();
    assert_eq!(manifest.crates.len(), 2);
    assert_eq!(block("text", 1).trim(), report(&config(THREE_MISTAKES)));
}

//! The `server` part.

use std::num::NonZero;

use puna_config::Overrides;

use crate::support::{SKIP, config, load, load_with, report};

#[test]
fn variables_and_flags_win_over_the_file() {
    let text = config("server: {port: 1, host: 10.0.0.1, workers: 2, limits: {max_json_depth: 7}}");
    let variables = [
        ("PUNA_SERVER__PORT", "2"),
        ("PUNA_WORKERS", "4"),
        ("PUNA_SERVER__LIMITS__REQUEST_TIMEOUT_SECONDS", "1.5"),
    ];
    let overrides = Overrides {
        workers: Some(3),
        ..Overrides::default()
    };
    let server = load_with(&text, &variables, &overrides).unwrap().server;
    assert_eq!(
        (server.host.as_str(), server.port, server.workers.map(NonZero::get)),
        ("10.0.0.1", 2, Some(3))
    );
    assert_eq!(server.limits.max_json_depth, 7);
    assert_eq!(
        server.limits.request_timeout,
        Some(std::time::Duration::from_millis(1500))
    );

    let variables = [
        ("PUNA_PORT", "high"),
        ("PUNA_SERVER__HSOT", "x"),
        ("PUNA_SERVER__LIMITS__SHUTDOWN_GRACE_SECONDS", "-1"),
    ];
    let overrides = Overrides {
        workers: Some(0),
        host: Some("a b".to_owned()),
        ..Overrides::default()
    };
    insta::assert_snapshot!(load_with(&text, &variables, &overrides).unwrap_err());
}

#[test]
fn keys_of_clients_are_read_and_stay_secret() {
    let text = config(
        "server:
  auth:
    provider_config:
      type: local_api_key
      api_keys: [0123, '${env.KEY}', {name: jo, key: abc}]
",
    );
    let keys = load_with(&text, &[("KEY", "00456")], &Overrides::default())
        .unwrap()
        .server
        .api_keys;
    let shown: Vec<_> = keys
        .iter()
        .map(|key| (key.name.as_deref(), key.key.expose().as_str()))
        .collect();
    assert_eq!(shown, [(None, "0123"), (None, "00456"), (Some("jo"), "abc")]);
    assert!(!format!("{keys:?}").contains("456"));

    for (keys, message) in [
        ("", ": must hold a key at least, or nobody can call"),
        (
            "'${env.NONE}'",
            "[0]: the environment variable `NONE` is not set, or empty (set it, or give a default: `${env.NONE:=default}`)",
        ),
        ("a, a", "[1]: is the same key as one before"),
        ("''", "[0]: must not be empty"),
        (
            "'a b'",
            "[0]: must be made of visible ASCII characters, since it is sent in a header",
        ),
        ("[]", "[0]: must be text or a mapping, not what stands there"),
        (
            "'${env.NONE:=}'",
            "[0]: must be text or a mapping, not what `${env.NONE:=}` expanded to",
        ),
        ("{key: abc}", "[0]: must be text or a mapping, not what stands there"),
    ] {
        let text = config(&format!(
            "server: {{auth: {{provider_config: {{type: local_api_key, api_keys: [{keys}]}}}}}}"
        ));
        let report = report(&text);
        assert_eq!(report.lines().count(), 1, "{report}");
        assert!(
            report.ends_with(&format!("server.auth.provider_config.api_keys{message}")),
            "{report}"
        );
    }
    let report = report(&config(
        "server: {auth: {provider_config: {type: local_api_key, api_keys: [a], audience: b}}}",
    ));
    assert!(
        report.contains("server.auth.provider_config.audience: unknown key"),
        "{report}"
    );
}

#[test]
fn parts_that_protect_the_server_are_never_left_out() {
    for part in [
        "tls_certfile: c",
        "tls_keyfile: k",
        "tls_cafile: c",
        "tls_config: {}",
        "hsts_max_age: 1",
        "insecure: false",
        "quota: {period: day}",
        "tenancy: {mode: single}",
        "auth: {provider_config: {type: github_token}}",
        "auth: {route_policy: [{permit: {paths: '*'}}]}",
        "auth: {access_policy: [{permit: {}}]}",
    ] {
        let problems = load_with(&config(&format!("server: {{{part}}}")), &[], &SKIP).expect_err(part);
        assert!(
            problems
                .iter()
                .all(|problem| !problem.is_missing_part && problem.message.contains("not available")),
            "{problems}"
        );
    }
    for harmless in [
        "quota: null",
        "tenancy: {mode: disabled}",
        "insecure: true",
        "auth: {}",
        "auth: {provider_config: null, access_policy: []}",
    ] {
        load(&config(&format!("server: {{{harmless}}}"))).expect(harmless);
    }
}

#[test]
fn web_pages_of_this_machine_or_of_named_origins_may_call() {
    assert!(load(&config("server: {cors: false}")).unwrap().server.cors.is_none());
    let cors = load(&config("server: {cors: true}")).unwrap().server.cors.unwrap();
    assert!(cors.allow_origins.is_empty() && cors.allow_origin_regex.is_some() && !cors.allow_credentials);
    let cors = load(&config(
        "server: {cors: {allow_origins: ['https://a.example'], allow_methods: [POST], max_age: 5}}",
    ));
    let cors = cors.unwrap().server.cors.unwrap();
    assert_eq!(
        (cors.allow_origins.as_slice(), cors.allow_methods.as_slice()),
        (
            ["https://a.example".to_owned()].as_slice(),
            ["POST".to_owned()].as_slice()
        )
    );
    assert_eq!(cors.max_age.as_secs(), 5);
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    for (server, message) in [
        ("workers: 5000", "workers: must be at most 1024, not 5000"),
        ("workers: 0", "workers: must be a whole number, 1 or more, not 0"),
        (
            "limits: {max_json_depth: 128}",
            "limits.max_json_depth: must be at most 127, not 128",
        ),
        (
            "limits: {max_body_bytes: 0}",
            "limits.max_body_bytes: must be a whole number, 1 or more, not 0",
        ),
        (
            "limits: {request_timeout_seconds: 0}",
            "limits.request_timeout_seconds: must be more than 0 seconds, not 0",
        ),
        (
            "log: {format: xml}",
            "log.format: must be one of `text` and `json`, not the text `xml`",
        ),
        (
            "port: '8321'",
            "port: must be a whole number from 0 to 65535, not the text `8321`",
        ),
    ] {
        let report = report(&config(&format!("server: {{{server}}}")));
        assert!(report.ends_with(&format!(" server.{message}")), "{report}");
    }
}

#[test]
fn metrics_are_on_unless_they_are_switched_off() {
    for (text, enabled) in [
        ("server: {}", true),
        ("server: {metrics: {}}", true),
        ("server: {metrics: {enabled: false}}", false),
    ] {
        assert_eq!(load(&config(text)).unwrap().server.metrics_enabled, enabled, "{text}");
    }
    let problems = load(&config("server: {metrics: {enable: true}}")).unwrap_err();
    assert!(problems.to_string().contains("`enabled`"), "{problems}");
}

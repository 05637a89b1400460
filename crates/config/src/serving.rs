//! From the `server` part of a file to how to serve.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::document::{Auth, AuthProvider, Cors, CorsRules, Format, Key, Limits, Log, NamedKey, Server};
use crate::path::Path;
use crate::{ApiKey, CorsConfig, LimitsConfig, LogConfig, LogFormat, ServerConfig};

/// The longest time that a setting may name: a century, so that adding it to a clock cannot fail.
const MAX_SECONDS: f64 = 100.0 * 365.0 * 86400.0;

/// How deep a JSON value may nest before the JSON reader itself gives up.
const MAX_JSON_DEPTH: usize = 127;
/// More threads than this serve nobody better.
const MAX_WORKERS: usize = 1024;

/// A fault at a path below `server`.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) path: Path,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Checks what types alone cannot say. What protects the server and is not available is a fault, never left out.
pub(crate) fn read(server: Server) -> Result<ServerConfig, Vec<Fault>> {
    let mut reader = Reader { faults: Vec::new() };
    reader.refuse_unavailable(&server);
    reader.check_host(&server.host);
    let Limits {
        max_body_bytes,
        max_file_bytes,
        max_decompressed_bytes,
        max_json_depth,
        max_header_bytes,
        request_timeout_seconds,
        shutdown_grace_seconds,
    } = server.limits;
    reader.at_most(
        max_json_depth,
        MAX_JSON_DEPTH,
        Path::default().key("limits").key("max_json_depth"),
    );
    if let Some(workers) = server.workers {
        reader.at_most(workers, MAX_WORKERS, Path::default().key("workers"));
    }
    let limits = |key: &str| Path::default().key("limits").key(key);
    let limits = LimitsConfig {
        max_body_bytes: max_body_bytes.get(),
        max_file_bytes: max_file_bytes.get(),
        max_decompressed_bytes: max_decompressed_bytes.get(),
        max_json_depth: max_json_depth.get(),
        max_header_bytes: max_header_bytes.get(),
        request_timeout: request_timeout_seconds
            .map(|seconds| reader.positive(seconds, limits("request_timeout_seconds"))),
        shutdown_grace: reader.duration(shutdown_grace_seconds, limits("shutdown_grace_seconds")),
    };
    let interval = Path::default().key("registry_refresh_interval_seconds");
    let config = ServerConfig {
        registry_refresh_interval: reader.positive(server.registry_refresh_interval_seconds, interval),
        host: server.host,
        port: server.port,
        workers: server.workers,
        api_keys: reader.api_keys(server.auth),
        egress_allow: server.egress_allow,
        limits,
        cors: server.cors.and_then(|cors| reader.cors(cors)),
        log: reader.log(server.log),
        metrics_enabled: server.metrics.enabled,
    };
    if reader.faults.is_empty() {
        Ok(config)
    } else {
        Err(reader.faults)
    }
}

struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, path: Path, message: impl Into<String>, hint: Option<&str>) {
        self.faults.push(Fault {
            path,
            message: message.into(),
            hint: hint.map(str::to_owned),
        });
    }

    fn refuse_unavailable(&mut self, server: &Server) {
        let kept = "it protects the server, so `--skip-missing` does not leave it out";
        let tls = "put a reverse proxy that speaks TLS in front, and remove the key";
        let mode = server.tenancy.as_ref().and_then(|tenancy| tenancy.mode.as_deref());
        for (key, asked_for, hint) in [
            ("tls_certfile", server.tls_certfile.is_some(), tls),
            ("tls_keyfile", server.tls_keyfile.is_some(), tls),
            ("tls_cafile", server.tls_cafile.is_some(), tls),
            ("tls_config", server.tls_config.is_some(), tls),
            ("hsts_max_age", server.hsts_max_age.is_some(), tls),
            ("quota", server.quota.is_some(), kept),
            ("tenancy", mode.is_some_and(|mode| mode != "disabled"), kept),
        ] {
            if asked_for {
                self.fault(
                    Path::default().key(key),
                    format!("`server.{key}` is not available in this binary"),
                    Some(hint),
                );
            }
        }
        if server.insecure == Some(false) {
            self.fault(
                Path::default().key("insecure"),
                "`false` asks for TLS, which is not available in this binary",
                Some(tls),
            );
        }
        let Some(auth) = &server.auth else { return };
        for (key, rules) in [
            ("route_policy", &auth.route_policy),
            ("access_policy", &auth.access_policy),
        ] {
            if rules.as_ref().is_some_and(|rules| !rules.is_empty()) {
                let message = format!("`server.auth.{key}` is not available in this binary");
                self.fault(Path::default().key("auth").key(key), message, Some(kept));
            }
        }
    }

    fn check_host(&mut self, host: &str) {
        let is_name = !host.is_empty()
            && host.len() <= 253
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
        if !is_name && host.parse::<std::net::Ipv6Addr>().is_err() {
            let hint = "such as `127.0.0.1` for this machine alone, `0.0.0.0` or `::` for every interface";
            self.fault(
                Path::default().key("host"),
                "must be an address or a host name, without scheme and port",
                Some(hint),
            );
        }
    }

    fn api_keys(&mut self, auth: Option<Auth>) -> Vec<ApiKey> {
        let Some(AuthProvider {
            r#type,
            api_keys,
            others,
        }) = auth.and_then(|auth| auth.provider_config)
        else {
            return Vec::new();
        };
        let path = Path::default().key("auth").key("provider_config");
        if r#type != "local_api_key" {
            let hint = "this binary has `local_api_key`; authentication protects the server, so `--skip-missing` does not leave it out";
            self.fault(
                path.key("type"),
                format!("authentication of type `{}` is not available in this binary", r#type),
                Some(hint),
            );
            return Vec::new();
        }
        for key in others.keys() {
            self.fault(
                path.clone().key(key),
                "unknown key",
                Some("known here: `type` and `api_keys`"),
            );
        }
        let path = path.key("api_keys");
        let given = api_keys.unwrap_or_default();
        if given.is_empty() {
            self.fault(path, "must hold a key at least, or nobody can call", None);
            return Vec::new();
        }
        let mut keys: Vec<ApiKey> = Vec::new();
        for (index, key) in given.into_iter().enumerate() {
            let key = match key {
                Key::Plain(key) => ApiKey { name: None, key },
                Key::Named(NamedKey { name, key }) => ApiKey { name: Some(name), key },
            };
            let path = path.clone().index(index);
            if key.key.expose().is_empty() {
                self.fault(path, "must not be empty", None);
            } else if key.key.expose().chars().any(|c| !c.is_ascii_graphic()) {
                self.fault(
                    path,
                    "must be made of visible ASCII characters, since it is sent in a header",
                    None,
                );
            } else if keys.iter().any(|other| other.key == key.key) {
                self.fault(path, "is the same key as one before", None);
            } else {
                keys.push(key);
            }
        }
        keys
    }

    fn cors(&mut self, cors: Cors) -> Option<CorsConfig> {
        let rules = match cors {
            Cors::Switch(false) => return None,
            // What a page served from this machine needs during development.
            Cors::Switch(true) => CorsRules {
                allow_origin_regex: Some(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?".to_owned()),
                allow_methods: Some(vec!["*".to_owned()]),
                allow_headers: vec!["*".to_owned()],
                ..CorsRules::default()
            },
            Cors::Rules(rules) => rules,
        };
        let path = Path::default().key("cors");
        if rules.allow_credentials && rules.allow_origins.iter().any(|origin| origin == "*") {
            let hint = "name the origins: with `*` any page could act for whoever opens it";
            self.fault(
                path.clone().key("allow_credentials"),
                "must not be `true` with the origin `*`",
                Some(hint),
            );
        }
        for (index, origin) in rules.allow_origins.iter().enumerate() {
            if origin != "*" && !is_origin(origin) {
                let hint = "such as `https://chat.example.com`, without a path";
                self.fault(
                    path.clone().key("allow_origins").index(index),
                    format!("`{origin}` is not an origin"),
                    Some(hint),
                );
            }
        }
        if let Some(Err(error)) = rules.allow_origin_regex.as_deref().map(regex::Regex::new) {
            let reason = error.to_string();
            let reason = reason
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            self.fault(
                path.clone().key("allow_origin_regex"),
                format!("is not a regular expression: {reason}"),
                None,
            );
        }
        let tokens = [
            ("allow_methods", rules.allow_methods.as_deref().unwrap_or_default()),
            ("allow_headers", &rules.allow_headers),
            ("expose_headers", &rules.expose_headers),
        ];
        for (key, tokens) in tokens {
            for (index, token) in tokens.iter().enumerate() {
                if !is_token(token) {
                    self.fault(
                        path.clone().key(key).index(index),
                        format!("`{token}` is not a name that HTTP allows"),
                        None,
                    );
                }
            }
        }
        Some(CorsConfig {
            allow_origins: rules.allow_origins,
            allow_origin_regex: rules.allow_origin_regex,
            allow_methods: rules.allow_methods.unwrap_or_else(|| vec!["GET".to_owned()]),
            allow_headers: rules.allow_headers,
            allow_credentials: rules.allow_credentials,
            expose_headers: rules.expose_headers,
            max_age: Duration::from_secs(rules.max_age.unwrap_or(600).min(MAX_SECONDS as u64)),
        })
    }

    fn log(&mut self, log: Log) -> LogConfig {
        const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
        for directive in log.filter.split(',') {
            let level = directive.rsplit_once('=').map(|(_, level)| level.trim());
            if level.is_some_and(|level| !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))) {
                let hint = "a level, or levels by target: `info,puna_server=debug`; the levels are off, error, warn, info, debug and trace";
                self.fault(
                    Path::default().key("log").key("filter"),
                    format!("`{directive}` names no level"),
                    Some(hint),
                );
            }
        }
        let format = match log.format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        };
        LogConfig {
            format,
            filter: log.filter,
        }
    }

    fn at_most(&mut self, number: NonZeroUsize, greatest: usize, path: Path) {
        if number.get() > greatest {
            self.fault(path, format!("must be at most {greatest}, not {number}"), None);
        }
    }

    fn positive(&mut self, seconds: f64, path: Path) -> Duration {
        if seconds > 0.0 {
            return self.duration(seconds, path);
        }
        self.fault(path, format!("must be more than 0 seconds, not {seconds}"), None);
        Duration::ZERO
    }

    fn duration(&mut self, seconds: f64, path: Path) -> Duration {
        if (0.0..=MAX_SECONDS).contains(&seconds) {
            return Duration::from_secs_f64(seconds);
        }
        self.fault(
            path,
            format!("must be a number of seconds, 0 or more and at most a century, not {seconds:?}"),
            None,
        );
        Duration::ZERO
    }
}

/// Scheme, host and perhaps a port, as a browser sends it.
fn is_origin(origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else {
        return false;
    };
    let is_scheme = !scheme.is_empty()
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme
        && !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '/' | '?' | '#' | '@' | '*' | ','))
}

/// What HTTP allows as a method or header name; `*` is one.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

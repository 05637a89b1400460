//! `puna-bench load`: the load alone, against any server that speaks HTTP/1.1 without TLS.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::error::{Context as _, Error, Result};
use crate::load::{Outcome, Workload};
use crate::report;
use crate::request::{ChatRequest, chat_body};
use crate::rig::{Rig, RigSettings};

/// What `puna-bench load` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadOptions {
    /// Where to send chat completions, such as http://127.0.0.1:8321/v1/chat/completions
    #[arg(long, value_name = "URL")]
    url: String,
    /// How many connections send at the same time
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How long to send, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = crate::command::parse_seconds)]
    duration: Duration,
    /// How long to send before anything counts, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = crate::command::parse_seconds)]
    warm_up: Duration,
    /// The size of the prompt, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    prompt_bytes: usize,
    /// The model to ask for
    #[arg(long, value_name = "MODEL", default_value = crate::answers::MODEL)]
    model: String,
    /// The key to send
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Ask for streams
    #[arg(long)]
    stream: bool,
    /// The core to stay on
    #[arg(long, value_name = "CORE")]
    core: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Sends the load and prints what came of it.
///
/// # Errors
/// When the address is not understood, or any request failed.
pub(crate) fn run(options: &LoadOptions) -> Result<()> {
    let (target, path) = parse_url(&options.url)?;
    let chat = ChatRequest {
        target,
        path: &path,
        api_key: options.api_key.as_deref(),
    };
    let rig = Rig::start(RigSettings {
        core: options.core,
        ..RigSettings::default()
    })?;
    let mut outcome = rig.run(Workload {
        target,
        request: chat.with_body(&chat_body(&options.model, options.prompt_bytes, options.stream)),
        streaming: options.stream,
        connections: options.connections,
        spacing: Duration::ZERO,
        warm_up: options.warm_up,
        duration: options.duration,
        requests_per_connection: None,
        keep_answer: false,
    })?;
    let figures = figures(&mut outcome, options.duration);
    let text = if options.json {
        format!("{:#}\n", Value::Object(figures))
    } else {
        to_text(&figures)
    };
    report::print(&text)?;
    match outcome.first_failure {
        Some(failure) => Err(Error::new(format!(
            "{} requests failed; the first: {failure}",
            outcome.failed
        ))),
        None if outcome.unfinished > 0 => Err(Error::new(format!(
            "{} requests were not answered within 10 s of the end",
            outcome.unfinished
        ))),
        None => Ok(()),
    }
}

fn figures(outcome: &mut Outcome, duration: Duration) -> serde_json::Map<String, Value> {
    let mut figures = serde_json::Map::new();
    let mut add = |name: &str, value: Value| drop(figures.insert(name.into(), value));
    add("answered", json!(outcome.answered_in_time));
    add("requests_per_second", json!(outcome.requests_per_second(duration)));
    add("failed", json!(outcome.failed));
    add("unfinished", json!(outcome.unfinished));
    add("load_busy_percent", json!(outcome.busy * 100.0));
    for (name, samples) in [
        ("latency", &mut outcome.latencies),
        ("first_chunk", &mut outcome.first_chunks),
        ("gap", &mut outcome.gaps),
    ] {
        for (suffix, fraction) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
            if let Some(nanoseconds) = samples.percentile(fraction) {
                add(&format!("{name}_{suffix}_us"), json!(nanoseconds as f64 / 1e3));
            }
        }
    }
    figures
}

fn to_text(figures: &serde_json::Map<String, Value>) -> String {
    let line = |(name, value): (&String, &Value)| match value.as_f64() {
        Some(number) if value.is_f64() => format!("{name:<22} {number:>14.1}\n"),
        _ => format!("{name:<22} {value:>14}\n"),
    };
    figures.iter().map(line).collect()
}

/// Takes `http://host[:port][/path]` apart; the port is 80 when it is not given.
fn parse_url(url: &str) -> Result<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://").ok_or_else(|| {
        Error::new(format!(
            "--url is {url:?}; it must begin with http://, TLS is not spoken here"
        ))
    })?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut addresses = authority
        .to_socket_addrs()
        .while_trying(|| format!("find the host of {url}"))?;
    let address = addresses
        .next()
        .ok_or_else(|| Error::new(format!("the host of {url} has no address")))?;
    Ok((address, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (url, address, path) in [
            (
                "http://127.0.0.1:8321/v1/chat/completions",
                "127.0.0.1:8321",
                "/v1/chat/completions",
            ),
            ("http://127.0.0.1", "127.0.0.1:80", "/"),
            ("http://[::1]:9/x?y=1", "[::1]:9", "/x?y=1"),
            ("http://[::1]/x", "[::1]:80", "/x"),
        ] {
            assert_eq!(
                parse_url(url).unwrap(),
                (address.parse().unwrap(), path.into()),
                "{url}"
            );
        }
        for url in ["https://127.0.0.1/", "127.0.0.1:80", "http://:x/", "http:///path"] {
            assert!(parse_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn figures_without_samples_are_left_out() {
        let mut outcome = Outcome {
            answered_in_time: 10,
            latencies: [3_000, 1_000, 2_000].into_iter().collect(),
            ..Outcome::default()
        };
        let figures = figures(&mut outcome, Duration::from_secs(2));
        assert_eq!(figures["requests_per_second"], 5.0);
        assert_eq!(figures["latency_p50_us"], 2.0);
        assert_eq!(figures["latency_max_us"], 3.0);
        assert!(!figures.contains_key("gap_p50_us"));
        assert!(to_text(&figures).contains("requests_per_second"));
    }
}

//! The names of the server's metrics, those of OpenTelemetry's semantic conventions in the spelling of Prometheus, and their buckets.
//!
//! `docs/guides/metrics.md` lists them, together with those that providers add.

use metrics::{Unit, describe_gauge, describe_histogram};

/// `http.server.request.duration`.
pub(super) const HTTP_DURATION: &str = "http_server_request_duration_seconds";
/// `http.server.active_requests`.
pub(super) const HTTP_ACTIVE: &str = "http_server_active_requests";
/// `gen_ai.server.request.duration`.
pub(super) const DURATION: &str = "gen_ai_server_request_duration_seconds";
/// `gen_ai.server.time_to_first_token`.
pub(super) const TIME_TO_FIRST_TOKEN: &str = "gen_ai_server_time_to_first_token_seconds";
/// `gen_ai.server.time_per_output_token`.
pub(super) const TIME_PER_OUTPUT_TOKEN: &str = "gen_ai_server_time_per_output_token_seconds";
/// `gen_ai.client.token.usage`; the conventions have no name for a server's.
pub(super) const TOKEN_USAGE: &str = "gen_ai_client_token_usage";
/// What runs.
pub(super) const BUILD: &str = "puna_build_info";

/// The conventions' buckets of each histogram, in seconds.
const HTTP_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const OPERATION_SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const FIRST_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const OUTPUT_TOKEN_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
/// In tokens, or whatever else is counted.
const COUNTS: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];

/// The buckets of a histogram: those of its name, else those that suit its unit.
pub(super) fn bounds(name: &str, unit: Option<Unit>) -> &'static [f64] {
    match (name, unit) {
        (HTTP_DURATION, _) => HTTP_SECONDS,
        (DURATION, _) => OPERATION_SECONDS,
        (TIME_TO_FIRST_TOKEN, _) => FIRST_TOKEN_SECONDS,
        (TIME_PER_OUTPUT_TOKEN, _) => OUTPUT_TOKEN_SECONDS,
        (TOKEN_USAGE, _) | (_, Some(Unit::Count)) => COUNTS,
        _ => OPERATION_SECONDS,
    }
}

/// Describes the server's metrics to the recorder in use.
pub(super) fn describe() {
    describe_histogram!(
        HTTP_DURATION,
        Unit::Seconds,
        "The time from a request's arrival to the end of its answer."
    );
    describe_gauge!(HTTP_ACTIVE, Unit::Count, "Requests whose answer has not ended.");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "The time from a request's arrival to the end of a model's answer."
    );
    describe_histogram!(
        TIME_TO_FIRST_TOKEN,
        Unit::Seconds,
        "The time from a request's arrival to the first chunk of a stream."
    );
    describe_histogram!(
        TIME_PER_OUTPUT_TOKEN,
        Unit::Seconds,
        "The time for each token of a stream after the first."
    );
    describe_histogram!(TOKEN_USAGE, Unit::Count, "Tokens of a request and of its answer.");
    describe_gauge!(BUILD, "1, with the version that runs.");
}

//! Addresses of real services, given by the environment of the test run.

/// The value of an environment variable of the test run, such as `VLLM_URL`; none when it is unset or empty.
///
/// Tests alone may ask: what a server does is decided by its configuration.
#[expect(
    clippy::disallowed_methods,
    reason = "where real services are is a matter of the test run, not of a configuration file"
)]
pub fn live_setting(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

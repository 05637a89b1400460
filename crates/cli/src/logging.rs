//! The log: where it goes and what a line looks like.

use std::io::IsTerminal;

use puna_api::{Error, Result};
use puna_config::{LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

/// Sends log lines to standard error from here on.
pub(crate) fn start(config: &LogConfig) -> Result<()> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| {
        Error::configuration(format!(
            "`server.log.filter` is not a filter such as `info,puna_server=debug`: {error}"
        ))
        .with_param("server.log.filter")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    started.map_err(|error| Error::internal(format!("failed to start the log: {error}")))
}

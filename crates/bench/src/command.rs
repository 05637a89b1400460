//! The command line of `puna-bench`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::answers::StreamShape;
use crate::engine::{self, EngineOptions};
use crate::error::Result;
use crate::gateway::{self, GatewayOptions};
use crate::load_command::{self, LoadOptions};
use crate::rag::{self, RagOptions};
use crate::random_model::{self, RandomModelOptions};
use crate::report;
use crate::rig::{Rig, RigSettings};

/// Measures what the server adds to a request, next to what nginx adds, what it takes from the engine in it, and how it retrieves.
#[derive(Debug, Parser)]
#[command(name = "puna-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare a server with nginx, both in front of a mock upstream
    Gateway(Box<GatewayOptions>),
    /// Compare the engine in a server with the engine alone
    Engine(Box<EngineOptions>),
    /// Measure how fast files are ingested, and how well searches find what is in them
    Rag(RagOptions),
    /// Write a model of a size, with weights that mean nothing
    RandomModel(RandomModelOptions),
    /// Send chat completions to a server and say how it answers
    Load(LoadOptions),
    /// Serve the mock upstream, to try a server by hand
    Mock(MockOptions),
}

/// What `puna-bench mock` takes.
#[derive(Debug, Clone, Args)]
struct MockOptions {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// The core to stay on
    #[arg(long, value_name = "CORE")]
    core: Option<usize>,
    /// How many chunks a stream has
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    chunks: u32,
    /// The time from chunk to chunk, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "0.02", value_parser = parse_seconds)]
    interval: Duration,
}

/// Runs the command that the arguments of this process name.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Gateway(options) => gateway::run(&options),
        Command::Engine(options) => engine::run(&options),
        Command::Rag(options) => rag::run(&options),
        Command::RandomModel(options) => random_model::run(&options),
        Command::Load(options) => load_command::run(&options),
        Command::Mock(options) => mock(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn mock(options: &MockOptions) -> Result<()> {
    let stream = StreamShape {
        chunks: options.chunks,
        interval: options.interval,
    };
    let rig = Rig::start(RigSettings {
        port: options.port,
        core: options.core,
        stream,
    })?;
    report::print(&format!(
        "the mock upstream listens on http://{}/v1\n",
        rig.mock_address()
    ))?;
    rig.wait()
}

/// A number of seconds, with a fraction if need be.
pub(crate) fn parse_seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("{text:?} is not a number of seconds, such as 1 or 0.5"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && seconds <= 86_400.0 => Ok(duration),
        _ => Err(format!("{text} must be more than 0 and at most 86400 seconds")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn seconds_are_positive_and_bounded() {
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_seconds("3600"), Ok(Duration::from_secs(3600)));
        for text in ["", "x", "0", "-1", "nan", "inf", "1e-12", "1e9"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}

//! The `puna` command. A distribution's main is one call of [`main`] with the table of the providers in its binary.

mod args;
mod chat;
mod config_file;
mod describe;
mod files;
mod logging;
mod model;
mod output;
mod providers;
mod run;
mod runtime;
mod server;
mod stores;
mod transfer;
mod validate;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use puna_api::{ProviderSpec, Result};
use puna_config::Environment;
use puna_worker::{Program, Role};

use crate::args::{Args, Command};

/// What every command needs.
struct Invocation {
    linked: &'static [ProviderSpec],
    environment: Environment,
}

/// Runs the command line of this process. `linked` names the providers in the binary.
///
/// The exit status is 0 for success, 1 for a failure, 2 for a command line that cannot be understood.
pub fn main(linked: &'static [ProviderSpec]) -> ExitCode {
    let workers = match puna_worker::role(linked) {
        Role::Worker(code) => return code,
        Role::Main(program) => program,
    };
    let matches = Args::command().get_matches();
    let args = match Args::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    match start(args, linked, workers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args, linked: &'static [ProviderSpec], workers: Program) -> Result<()> {
    puna_router::check_linked(linked)?;
    puna_http::choose_tls();
    let invocation = Invocation {
        linked,
        environment: Environment::process(),
    };
    match args.command {
        Command::Run(args) => run::run(&invocation, workers, args),
        Command::Validate(args) => validate::validate(&invocation, &args),
        Command::Describe(args) => describe::describe(&invocation, &args),
        Command::Providers(args) => providers::providers(&invocation, &args),
        Command::Model(command) => model::model(&invocation, command),
        Command::Chat(args) => chat::chat(&invocation, args),
        Command::Files(args) => files::files(&invocation, args),
        Command::Stores(args) => stores::stores(&invocation, args),
        Command::Completions(args) => {
            let mut command = Args::command();
            let name = command.get_name().to_owned();
            clap_complete::generate(args.shell, &mut command, name, &mut std::io::stdout());
            Ok(())
        }
    }
}

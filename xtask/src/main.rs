//! Puna's development commands: `cargo xtask help`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to whoever called it"
)]

mod args;
mod bench;
mod codegen;
mod distributions;
mod new_provider;
mod shared_builds;
mod suite;
mod tidy;
mod tiny_model;
mod workspace;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::workspace::Workspace;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run(Args::parse().command, &Workspace::here()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, workspace: &Workspace) -> Result {
    match command {
        Command::BuildDistro(args) => distributions::build(workspace, &args).map(|_| ()),
        Command::Run(args) => distributions::run(workspace, &args),
        Command::TinyModel(args) => tiny_model::run(workspace, &args),
        Command::NewProvider(args) => new_provider::write(workspace, &args),
        Command::Tidy => tidy::check(workspace),
        Command::Codegen(args) => codegen::run(workspace, &args),
        Command::Bench { arguments } => bench::run(workspace, arguments),
        Command::Test(args) => suite::run(workspace, &args),
    }
}

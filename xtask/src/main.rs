//! Puna's development commands: `cargo xtask help`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to whoever called it"
)]

mod args;
mod codegen;
mod distributions;
mod new_provider;
mod shared_builds;
mod suite;
mod tidy;
mod workspace;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, BuildArgs, Command};
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
        Command::TinyModel { out, gguf } => tiny_model(workspace, out, gguf),
        Command::NewProvider(args) => new_provider::write(workspace, &args),
        Command::Tidy => tidy::check(workspace),
        Command::Codegen(args) => codegen::run(workspace, &args),
        Command::Bench { arguments } => bench(workspace, arguments),
        Command::Test(args) => suite::run(workspace, &args),
    }
}

/// `gateway` measures a release build of the gateway, made now, unless another server is named.
fn bench(workspace: &Workspace, mut arguments: Vec<String>) -> Result {
    let names_server = |it: &String| it == "--server" || it.starts_with("--server=") || it == "--help" || it == "-h";
    if arguments.first().is_some_and(|it| it == "gateway") && !arguments.iter().any(names_server) {
        let args = BuildArgs {
            release: true,
            ..BuildArgs::of("remote")
        };
        let output = distributions::build(workspace, &args)?
            .output
            .ok_or("the build stopped before its output")?;
        let binary = output.binary.to_str().ok_or("the path of the server is not UTF-8")?;
        arguments.extend(["--server".to_owned(), binary.to_owned()]);
    }
    workspace
        .cargo(["run", "--quiet", "--release", "--package", "puna-bench", "--"])
        .run_with(arguments.iter().map(String::as_str))
}

fn tiny_model(workspace: &Workspace, out: Option<PathBuf>, gguf: bool) -> Result {
    let out = match out {
        Some(out) => out,
        None => workspace.target()?.join("tiny-model"),
    };
    if gguf {
        puna_tiny_model::write_gguf(&out)?;
    } else {
        puna_tiny_model::write(&out)?;
    }
    println!("{}", out.display());
    Ok(())
}

//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use puna_distro::WithCrate;

/// Puna's development commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true, disable_version_flag = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a distribution: a binary with the provider crates of its build.yaml, and what goes with it.
    BuildDistro(BuildArgs),
    /// Build a distribution and start its server.
    Run(RunArgs),
    /// Write the tiny model, a small Llama for tests and first steps; or train it, or measure it.
    TinyModel(TinyModelArgs),
    /// Write a provider crate that builds and passes the conformance suite.
    NewProvider(NewProviderArgs),
    /// Check the invariants that can be checked by reading the tree.
    Tidy,
    /// Write the generated files: the OpenAPI document, and the tables and pages about providers.
    Codegen(CodegenArgs),
    /// Run a benchmark, such as `gateway`.
    Bench {
        /// The benchmark and its arguments; `help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        arguments: Vec<String>,
    },
    /// Run all checks and tests, as CI does.
    #[command(alias = "ci")]
    Test(TestArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct BuildArgs {
    /// The distribution: a folder with build.yaml and config.yaml, or the name of one in distributions/.
    #[arg(value_name = "FOLDER|NAME")]
    pub(crate) distribution: PathBuf,

    /// A provider crate beside those of build.yaml, from the registry or from a folder. Can be given several times.
    #[arg(long, value_name = "CRATE[@VERSION][=PATH]")]
    pub(crate) with: Vec<WithCrate>,

    /// The output folder; by default `distributions/NAME/out` in the target folder.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,

    /// Compile for use: slower to build, faster to run.
    #[arg(long)]
    pub(crate) release: bool,

    /// Features for the provider crates that have them, such as `cuda`; `crate/feature` means one crate.
    #[arg(long, value_delimiter = ',')]
    pub(crate) features: Vec<String>,

    /// Stop before compiling, and say where the generated crate is.
    #[arg(long)]
    pub(crate) generate_only: bool,
}

impl BuildArgs {
    /// A distribution with all settings at their defaults.
    pub(crate) fn of(distribution: &str) -> Self {
        Self {
            distribution: PathBuf::from(distribution),
            with: Vec::new(),
            out: None,
            release: false,
            features: Vec::new(),
            generate_only: false,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The distribution: a folder with build.yaml and config.yaml, or the name of one in distributions/.
    #[arg(value_name = "FOLDER|NAME", default_value = "starter")]
    pub(crate) distribution: PathBuf,

    /// Compile for use: slower to build, faster to run.
    #[arg(long)]
    pub(crate) release: bool,

    /// Features for the provider crates that have them, such as `cuda`.
    #[arg(long, value_delimiter = ',')]
    pub(crate) features: Vec<String>,

    /// Arguments for `puna run`, such as `--port 8000`.
    #[arg(last = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TinyModelArgs {
    /// The folder to write; by default `tiny-model` in the target folder.
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,

    /// Write one GGUF file, model.gguf, in place of a checkpoint folder.
    #[arg(long)]
    pub(crate) gguf: bool,

    /// Train it again, in an hour, and replace the weights in the repository.
    #[arg(long, conflicts_with_all = ["out", "gguf", "evaluate"])]
    pub(crate) train: bool,

    /// Learn a new tokenizer before; without it the one in the repository stays.
    #[arg(long, requires = "train")]
    pub(crate) new_merges: bool,

    /// How long to train.
    #[arg(long, value_name = "MINUTES", requires = "train", default_value_t = 52)]
    pub(crate) minutes: u32,

    /// Have it answer so many prompts of each kind that it never saw, and print how many it answered right.
    #[arg(long, value_name = "PROMPTS", num_args = 0..=1, default_missing_value = "200", conflicts_with_all = ["out", "gguf"])]
    pub(crate) evaluate: Option<u64>,

    /// Print so many wrong answers of each kind.
    #[arg(long, value_name = "ANSWERS", requires = "evaluate", default_value_t = 0)]
    pub(crate) wrong: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NewProviderArgs {
    /// Its short name in lower case, such as `acme`; the folder and the provider type are made of it.
    pub(crate) name: String,

    /// The API that it serves.
    #[arg(long, value_parser = ["inference"])]
    pub(crate) api: String,

    /// Write it to this folder outside the workspace, as a third party would have it, instead of providers/NAME.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) outside: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CodegenArgs {
    /// Write nothing, and fail when a generated file is stale.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// Leave out what needs the local engine, which takes minutes to compile.
    #[arg(long)]
    pub(crate) fast: bool,

    /// Run these steps only, such as `tidy,clippy`.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}

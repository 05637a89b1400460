//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Serves models, and everything an application needs around them.
#[derive(Debug, Parser)]
#[command(name = "puna", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server.
    Run(RunArgs),
    /// Check a configuration, touching nothing but the file.
    Validate(ValidateArgs),
    /// Say what this binary holds.
    Describe(DescribeArgs),
    /// List the provider types in this binary, or the configuration keys of one.
    Providers(ProvidersArgs),
    /// Get models from the Hugging Face hub, and see and remove those on this machine.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Chat with a model of a running server.
    Chat(ChatArgs),
    /// Upload files to a running server, and see, fetch and remove those on it.
    Files(FilesArgs),
    /// Put documents into the vector stores of a running server, and search them.
    Stores(StoresArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// Which configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// A configuration file, or the name of a distribution in ~/.puna/distributions; by default the config.yaml beside this binary.
    #[arg(value_name = "DISTRO|FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Start without the parts that this binary does not have, instead of refusing. Parts that protect the server are never left out.
    #[arg(long)]
    pub(crate) skip_missing: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The port to listen on; 0 takes a free one.
    #[arg(long)]
    pub(crate) port: Option<u16>,

    /// The address to listen on, such as 0.0.0.0 for all.
    #[arg(long)]
    pub(crate) host: Option<String>,

    /// How many threads serve; one for each core by default.
    #[arg(long)]
    pub(crate) workers: Option<usize>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DescribeArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProvidersArgs {
    /// A provider type, as the list without it has them.
    #[arg(value_name = "TYPE")]
    pub(crate) provider_type: Option<String>,

    /// Print the JSON Schema of the configuration.
    #[arg(long, requires = "provider_type")]
    pub(crate) schema: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ChatArgs {
    /// What to say; without it, the conversation is read line by line.
    pub(crate) message: Option<String>,

    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// The model; by default the first one that generates text.
    #[arg(long, short)]
    pub(crate) model: Option<String>,

    /// Instructions that stand before the conversation.
    #[arg(long, short)]
    pub(crate) system: Option<String>,

    /// The most tokens of an answer.
    #[arg(long)]
    pub(crate) max_tokens: Option<u32>,
}

/// Which server. The key that it may want is in the variable `PUNA_API_KEY`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The server.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8321")]
    pub(crate) url: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Get a model, or go on where that was interrupted; prints the folder that it is in.
    Pull(ModelPullArgs),
    /// List the models on this machine.
    List(ModelListArgs),
    /// Show the files of a model on this machine, and where they are.
    Show(ModelShowArgs),
    /// Remove a model from this machine; with a revision, only what no other revision uses.
    Rm(ModelRmArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ModelPullArgs {
    /// The model, such as hf:Qwen/Qwen3-0.6B or hf:ORG/NAME@REVISION.
    #[arg(value_name = "MODEL")]
    pub(crate) name: String,

    /// Only these files, where * stands for anything; may be given several times.
    #[arg(long = "file", value_name = "PATTERN")]
    pub(crate) files: Vec<String>,

    /// A folder for plain files, instead of the cache that Python's tools use too.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ModelListArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ModelShowArgs {
    /// The model, such as hf:Qwen/Qwen3-0.6B.
    #[arg(value_name = "MODEL")]
    pub(crate) name: String,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ModelRmArgs {
    /// The model, such as hf:Qwen/Qwen3-0.6B.
    #[arg(value_name = "MODEL")]
    pub(crate) name: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FilesArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,

    #[command(subcommand)]
    pub(crate) command: FilesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FilesCommand {
    /// Upload files; prints the id of each.
    Upload(FilesUploadArgs),
    /// List the files on the server.
    List(FilesListArgs),
    /// Describe a file.
    Show(FilesShowArgs),
    /// Fetch the content of a file.
    Get(FilesGetArgs),
    /// Remove files from the server.
    Rm(FilesRmArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FilesUploadArgs {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// What they are for: assistants, batch, fine-tune, vision, user_data or evals.
    #[arg(long, default_value = "user_data")]
    pub(crate) purpose: String,

    /// Let the server remove them after so many seconds, 3600 to 2592000.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) expires_after: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FilesListArgs {
    /// Only files for this purpose.
    #[arg(long)]
    pub(crate) purpose: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FilesShowArgs {
    /// The file's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FilesGetArgs {
    /// The file's id.
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Where to write it; by default to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FilesRmArgs {
    /// The files' ids.
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StoresArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,

    #[command(subcommand)]
    pub(crate) command: StoresCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoresCommand {
    /// Make a vector store; prints its id.
    Create(StoresCreateArgs),
    /// Add files and folders to a store, and wait until they can be found. What is there already and did not change is left as it is.
    Add(StoresAddArgs),
    /// Find passages in a store.
    Search(StoresSearchArgs),
    /// List the vector stores on the server.
    List(StoresListArgs),
    /// Describe a store and the files in it.
    Show(StoresShowArgs),
    /// Remove a store; the files that were in it stay on the server.
    Rm(StoresRmArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct StoresCreateArgs {
    /// A name for people.
    pub(crate) name: String,

    /// The model that makes vectors of texts; by default the server's.
    #[arg(long, value_name = "MODEL")]
    pub(crate) embedding_model: Option<String>,

    /// Let the server remove the store when nobody used it for so many days, 1 to 365.
    #[arg(long, value_name = "DAYS")]
    pub(crate) expires_after: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StoresAddArgs {
    /// The store's id, or its name if no other store has it.
    pub(crate) store: String,

    /// Files, and folders with all that is in them but hidden files and what a .gitignore leaves out.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Remove what was added from these folders earlier and is not in them any more.
    #[arg(long)]
    pub(crate) prune: bool,

    /// The most tokens of a passage, 100 to 4096; by default the server chooses.
    #[arg(long, value_name = "TOKENS")]
    pub(crate) chunk_tokens: Option<u32>,

    /// How many tokens a passage shares with the one before it, at most half of a passage; half of it by default.
    #[arg(long, value_name = "TOKENS", requires = "chunk_tokens")]
    pub(crate) chunk_overlap: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StoresSearchArgs {
    /// The store's id, or its name if no other store has it.
    pub(crate) store: String,

    /// What to look for.
    pub(crate) query: String,

    /// The most passages, 1 to 50.
    #[arg(long, short, default_value_t = 5)]
    pub(crate) limit: u32,

    /// How to look for it: vector (by meaning), keyword or hybrid; by default the server chooses.
    #[arg(long)]
    pub(crate) mode: Option<String>,

    /// Only files whose attributes match, as JSON: '{"type": "eq", "key": "path", "value": "docs/guide.md"}'.
    #[arg(long, value_name = "JSON")]
    pub(crate) filter: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StoresListArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StoresShowArgs {
    /// The store's id, or its name if no other store has it.
    pub(crate) store: String,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StoresRmArgs {
    /// The store's id, or its name if no other store has it.
    pub(crate) store: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
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

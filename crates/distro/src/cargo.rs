//! Running cargo.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::{Error, Result, Step};

/// What cargo tells the programs that it runs of their crates. Handed on to another cargo, it has build scripts that look at these
/// variables (that of `ring` does) run again, and with them everything above them be compiled again: TLS, and the engine.
const OF_THE_CALLER: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// Keeps from a command what a cargo that runs this program told it of its crate, for commands that may start another cargo.
pub fn forget_crate(command: &mut Command) {
    for variable in OF_THE_CALLER {
        command.env_remove(variable);
    }
}

/// A cargo that runs in the workspace's root, so that the workspace's `.cargo/config.toml` holds for what it builds.
pub(crate) struct Cargo<'a> {
    pub(crate) program: &'a Path,
    pub(crate) workspace: &'a Path,
}

/// What a build made.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    executable: Option<PathBuf>,
}

impl Cargo<'_> {
    /// Runs it and returns what it printed. Its own messages go to this process's standard error when it works.
    pub(crate) fn output<S: AsRef<OsStr>>(
        &self,
        step: Step,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Vec<u8>> {
        capture(step, self.command().args(arguments))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.current_dir(self.workspace);
        forget_crate(&mut command);
        command
    }

    /// Compiles a crate and returns its executable. Progress and compile errors go to this process's standard error.
    pub(crate) fn build<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<PathBuf> {
        let step = Step::Compile;
        let output = self
            .command()
            .arg("build")
            .arg("--message-format=json-render-diagnostics")
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Error::file(step, "run", self.program, &error))?;
        if !output.status.success() {
            return Err(Error::new(
                step,
                "cargo build failed, see its messages above; a provider crate must export its record as `PROVIDER`, \
                 which `puna_api::register_provider!` in its root does",
            ));
        }
        output
            .stdout
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Message>(line).ok())
            .filter(|message| message.reason == "compiler-artifact")
            .filter_map(|message| message.executable)
            .next_back()
            .ok_or_else(|| Error::new(step, "cargo build made no executable"))
    }

    /// The triple of the machine that the compiler builds for by default.
    pub(crate) fn host(&self) -> Result<String> {
        let step = Step::Resolve;
        let version = self.output(step, ["-vV"])?;
        String::from_utf8_lossy(&version)
            .lines()
            .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
            .ok_or_else(|| Error::new(step, "`cargo -vV` names no host"))
    }
}

/// Runs a program to its end and returns its standard output; when it fails, the error holds its standard error.
pub(crate) fn capture(step: Step, command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::file(step, "run", Path::new(command.get_program()), &error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy();
    let argument = command.get_args().next().unwrap_or_default().to_string_lossy();
    Err(Error::new(
        step,
        format!(
            "`{program} {argument}` failed ({}):\n{}",
            output.status,
            said.trim_end()
        ),
    ))
}

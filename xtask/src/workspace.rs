//! The workspace, and commands that run in it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// The folder that this file's crate is part of.
pub(crate) struct Workspace {
    root: PathBuf,
}

/// A command line, to be run in the workspace's root.
pub(crate) struct CommandLine(Command);

impl Workspace {
    pub(crate) fn here() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self::at(manifest.parent().unwrap_or(manifest))
    }

    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    pub(crate) fn command<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = S>,
    ) -> CommandLine {
        let mut command = Command::new(program);
        command.current_dir(&self.root).args(arguments).stdin(Stdio::null());
        puna_distro::forget_crate(&mut command);
        CommandLine(command)
    }

    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> CommandLine {
        self.command("cargo", arguments)
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        let output = self.cargo(["metadata", "--format-version=1", "--no-deps"]).output()?;
        let metadata: serde_json::Value = serde_json::from_str(&output)?;
        let target = metadata["target_directory"]
            .as_str()
            .ok_or("`cargo metadata` names no target folder")?;
        Ok(PathBuf::from(target))
    }

    /// The files that git knows or would take, as paths below the root, in order.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let output = self
            .command("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .output()?;
        let mut files: Vec<String> = output
            .split('\0')
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect();
        // A file that was deleted but not committed is still listed.
        files.retain(|file| self.path(file).is_file());
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The crates in a folder of the workspace, by folder name, in order.
    pub(crate) fn crates(&self, folder: &str) -> Result<Vec<String>> {
        self.folders_with(folder, "Cargo.toml")
    }

    /// The names of the folders in a folder that hold this file, in order.
    pub(crate) fn folders_with(&self, folder: &str, file: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.path(folder))? {
            let entry = entry?;
            if entry.path().join(file).is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

impl CommandLine {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Runs it with this process's output.
    pub(crate) fn run(mut self) -> Result {
        let shown = self.shown();
        let status = self
            .0
            .status()
            .map_err(|error| format!("failed to run `{shown}`: {error}"))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("`{shown}` failed ({status})").into())
        }
    }

    /// Runs it with more arguments and this process's input and output.
    pub(crate) fn run_with<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Result {
        self.0.args(arguments).stdin(Stdio::inherit());
        self.run()
    }

    /// Puts the command in the place of this process, with its input and output; comes back only when that fails.
    #[cfg(unix)]
    pub(crate) fn replace_this_process(mut self, arguments: &[String]) -> Box<dyn std::error::Error> {
        use std::os::unix::process::CommandExt;
        let error = self.0.args(arguments).stdin(Stdio::inherit()).exec();
        format!("failed to run `{}`: {error}", self.shown()).into()
    }

    /// Runs it and returns its standard output; its standard error is shown when it fails.
    pub(crate) fn output(mut self) -> Result<String> {
        let shown = self.shown();
        let output = self
            .0
            .output()
            .map_err(|error| format!("failed to run `{shown}`: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        Err(format!(
            "`{shown}` failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        )
        .into())
    }

    /// Whether it runs and succeeds; what it prints is dropped.
    pub(crate) fn succeeds(mut self) -> bool {
        self.0
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn shown(&self) -> String {
        let words: Vec<OsString> = std::iter::once(self.0.get_program())
            .chain(self.0.get_args())
            .map(OsStr::to_owned)
            .collect();
        words.join(OsStr::new(" ")).to_string_lossy().into_owned()
    }
}

//! One suite for every provider of files.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Trial as LibtestTrial};
use puna_api::{Error, Files, HostBuilder, ProviderSpec, Result};
use serde_json::Value;
use tempfile::TempDir;

use super::ignored;
use super::outcome::{Failure, Verdict};
use crate::host::TestHost;

mod content;
mod expiry;
mod list;
mod provider;
mod upload;

/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(60);

type Configure = Arc<dyn Fn(&Path) -> Value + Send + Sync>;
type Extend = Arc<dyn Fn(HostBuilder, &Path) -> HostBuilder + Send + Sync>;
type Act = fn(FilesSubject) -> BoxFuture<'static, Verdict>;

/// A provider of files, and where it is tried.
#[derive(Clone)]
pub struct FilesTarget {
    place: &'static str,
    spec: ProviderSpec,
    config: Configure,
    expiring: Option<Configure>,
    extend: Extend,
    not_run: Option<String>,
}

impl FilesTarget {
    /// A provider, with a configuration that is made for a folder. Each trial has a folder, and calls this once for each server that it pretends
    /// to start over it. `place` is the first part of the names of trials, such as `inline` or `stub`.
    pub fn new(
        place: &'static str,
        spec: ProviderSpec,
        config: impl Fn(&Path) -> Value + Send + Sync + 'static,
    ) -> Self {
        Self {
            place,
            spec,
            config: Arc::new(config),
            expiring: None,
            extend: Arc::new(|host, _| host),
            not_run: None,
        }
    }

    /// A configuration in which files go after a second or so unless their upload says otherwise. Without one, that is not tried.
    #[must_use]
    pub fn expiring(mut self, config: impl Fn(&Path) -> Value + Send + Sync + 'static) -> Self {
        self.expiring = Some(Arc::new(config));
        self
    }

    /// Lists the trials as not run, for this reason: what the provider would need is not here.
    #[must_use]
    pub fn not_run(mut self, reason: impl Into<String>) -> Self {
        self.not_run = Some(reason.into());
        self
    }

    /// Adds to the host what the server shares with its providers, such as the storage in the trial's folder.
    #[must_use]
    pub fn host(mut self, extend: impl Fn(HostBuilder, &Path) -> HostBuilder + Send + Sync + 'static) -> Self {
        self.extend = Arc::new(extend);
        self
    }
}

impl fmt::Debug for FilesTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilesTarget")
            .field("place", &self.place)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// Runs the suite of files with the arguments of the process, as `cargo test` and `cargo nextest` call it.
pub fn files(targets: &[FilesTarget]) -> ExitCode {
    let listed = targets.iter().flat_map(listed).collect();
    libtest_mimic::run(&Arguments::from_args(), listed).exit_code()
}

fn listed(target: &FilesTarget) -> Vec<LibtestTrial> {
    let everywhere = [provider::trials(), upload::trials(), content::trials(), list::trials()].concat();
    let everywhere = everywhere
        .into_iter()
        .map(|(name, act)| (name, act, Some(&target.config)));
    let expiring = expiry::trials()
        .into_iter()
        .map(|(name, act)| (name, act, target.expiring.as_ref()));
    let list = |(name, act, config): (&str, Act, Option<&Configure>)| {
        let name = format!("{}::{name}", target.place);
        let reason = match (&target.not_run, config) {
            (Some(reason), _) => reason.clone(),
            (None, None) => "the target names no configuration in which files go by themselves".to_owned(),
            (None, Some(config)) => {
                let target = FilesTarget {
                    config: Arc::clone(config),
                    ..target.clone()
                };
                return LibtestTrial::test(name, move || run(target, act));
            }
        };
        ignored(&name, reason)
    };
    everywhere.chain(expiring).map(list).collect()
}

fn run(target: FilesTarget, act: Act) -> std::result::Result<(), libtest_mimic::Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let trial = async {
        let subject = FilesSubject::new(target).await?;
        act(subject).await
    };
    let verdict = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, trial)
            .await
            .unwrap_or_else(|_| Err(Failure::from(format!("the trial did not end within {PATIENCE:?}"))))
    });
    runtime.shutdown_background();
    verdict.map_err(|failure| failure.to_string().into())
}

/// A built provider with a folder of its own.
pub(super) struct FilesSubject {
    pub(super) files: Arc<dyn Files>,
    pub(super) target: FilesTarget,
    _host: TestHost,
    folder: TempDir,
}

impl FilesSubject {
    async fn new(target: FilesTarget) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let (files, host) = build(&target, folder.path()).await?;
        Ok(Self {
            files,
            target,
            _host: host,
            folder,
        })
    }

    /// Another server over the same state.
    async fn second(&self) -> Result<(Arc<dyn Files>, TestHost), Failure> {
        Ok(build(&self.target, self.folder.path()).await?)
    }
}

async fn build(target: &FilesTarget, folder: &Path) -> Result<(Arc<dyn Files>, TestHost)> {
    let config = target.spec.check((target.config)(folder)).map_err(|problem| {
        Error::configuration(format!(
            "the target's configuration is refused: {}: {}",
            problem.path, problem.message
        ))
    })?;
    let host = TestHost::with(|builder| (target.extend)(builder, folder))?;
    let services = target.spec.build(config, host.host().clone()).await?;
    let files = services
        .files
        .ok_or_else(|| Error::internal("the provider serves no files"))?;
    Ok((files, host))
}

/// Makes pairs of name and trial of async functions.
macro_rules! trials {
    ($module:literal, $($function:ident),+ $(,)?) => {
        vec![$((concat!("files::", $module, "::", stringify!($function)), |subject| Box::pin($function(subject)))),+]
    };
}
use trials;

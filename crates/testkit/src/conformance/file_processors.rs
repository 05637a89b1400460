//! One suite for every provider that reads files.
//!
//! A provider crate runs it from `tests/conformance.rs` as it would the one for inference. Each bullet of the `# Behavior` list of
//! [`FileProcessors`](puna_api::FileProcessors) is a trial or more.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use puna_api::{HostBuilder, ProviderSpec};
use puna_worker::{Program, Role};
use serde_json::Value;

mod contexts;
mod faults;
mod reading;
mod splitting;
mod subject;
mod writer;

use super::outcome::Failure;
use subject::{Act, Subject};

/// What the suite runs against.
#[derive(Clone)]
pub struct Target {
    provider: ProviderSpec,
    config: Value,
    samples: Vec<Sample>,
    patience: Duration,
    extend_host: Arc<dyn Fn(HostBuilder) -> HostBuilder + Send + Sync>,
}

/// A file of a kind that the provider reads.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it is, as the provider has to find out.
    pub media_type: &'static str,
    /// What must be found in its text.
    pub says: &'static [&'static str],
    /// Whether a file of this kind that is cut in half must be refused, as its directory is at its end.
    pub breaks: bool,
}

impl Target {
    /// A provider, with its configuration.
    pub fn new(provider: ProviderSpec, config: Value) -> Self {
        Self {
            provider,
            config,
            samples: Vec::new(),
            patience: Duration::from_secs(120),
            extend_host: Arc::new(|builder| builder),
        }
    }

    /// Adds a file that the provider must be able to read.
    #[must_use]
    pub fn sample(mut self, sample: Sample) -> Self {
        self.samples.push(sample);
        self
    }

    /// Adds to the host of every trial, such as shared resources that the provider asks for.
    #[must_use]
    pub fn host(mut self, extend: impl Fn(HostBuilder) -> HostBuilder + Send + Sync + 'static) -> Self {
        self.extend_host = Arc::new(extend);
        self
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Target")
            .field("provider", &self.provider)
            .field("samples", &self.samples.len())
            .finish_non_exhaustive()
    }
}

/// An inference without a model of use, for tests of a provider that needs one and does not ask it.
pub fn refusing_inference() -> Arc<dyn puna_api::Inference> {
    Arc::new(writer::Writer::default())
}

/// Runs the suite with the arguments of the process, as `cargo test` and `cargo nextest` call it; or does the work of a worker, if this
/// process is one of the provider's.
pub fn main(target: &Target) -> ExitCode {
    let program = match puna_worker::role(&[target.provider]) {
        Role::Worker(code) => return code,
        Role::Main(program) => program,
    };
    libtest_mimic::run(&Arguments::from_args(), listed(target, &program)).exit_code()
}

fn listed(target: &Target, program: &Program) -> Vec<Trial> {
    let general = [
        reading::trials(),
        splitting::trials(),
        contexts::trials(),
        faults::trials(),
    ]
    .concat();
    let general = general.into_iter().map(|(name, act)| (name.to_owned(), None, act));
    let of_samples = target.samples.iter().flat_map(|sample| {
        reading::sample_trials()
            .into_iter()
            .map(move |(name, act)| (format!("{name}::{}", sample.name), Some(sample.clone()), act))
    });
    general
        .chain(of_samples)
        .map(|(name, sample, act)| {
            let (target, program) = (target.clone(), program.clone());
            Trial::test(name, move || {
                run(&target, program, sample, act).map_err(|failure| failure.to_string().into())
            })
        })
        .collect()
}

fn run(target: &Target, program: Program, sample: Option<Sample>, act: Act) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let patience = target.patience;
    let verdict = runtime.block_on(async move {
        let whole = async { act(Subject::build(target, program, sample).await?).await };
        tokio::time::timeout(patience, whole)
            .await
            .unwrap_or_else(|_| Err(Failure::from(format!("the trial did not end within {patience:?}"))))
    });
    runtime.shutdown_background();
    verdict
}

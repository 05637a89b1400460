//! Measurements, and their text for Prometheus.

use std::fmt;
use std::sync::Arc;

use puna_api::{Error, Result};

mod generation;
mod histogram;
mod http;
mod names;
mod process;
mod registry;
mod route;
mod text;
mod usage;

pub(crate) use generation::{Generation, Operation, Outcome};
pub(crate) use http::EndpointMetrics;
pub(crate) use route::ROUTES;

use registry::Registry;

/// What is measured in this process: what the server itself measures, and what reaches the facade `metrics` once [`install`](Self::install)
/// was called. Cheap to clone.
///
/// Memory depends on the number of series alone, not on how much is measured or on how often somebody looks.
#[derive(Clone)]
pub struct Metrics(Arc<Fields>);

struct Fields {
    registry: Arc<Registry>,
    models: generation::Models,
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new() -> Self {
        let metrics = Self(Arc::new(Fields {
            registry: Arc::default(),
            models: generation::Models::default(),
        }));
        metrics.record(|| {
            names::describe();
            process::begin();
            metrics::gauge!(names::BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        });
        metrics
    }

    /// Takes what this process measures with the macros of the crate `metrics`, which is how providers do. Handles that were made before
    /// lead nowhere, so this comes before providers are built. Fails when it was done before.
    pub fn install(&self) -> Result<()> {
        metrics::set_global_recorder(Arc::clone(&self.0.registry))
            .map_err(|_| Error::internal("metrics were installed twice in this process"))
    }

    /// Everything that was measured so far, in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.record(process::measure);
        self.0.registry.render()
    }

    /// Runs what uses the facade, and keeps what it measures.
    fn record<T>(&self, record: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&*self.0.registry, record)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

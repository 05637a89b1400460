//! What the suite runs against.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use puna_api::{Error, Host, ProviderSpec, Result, Services, VectorCapabilities};
use serde_json::Value;

/// What the suite runs against: how to build the provider, and what it can do.
pub struct Target {
    build: Build,
    pub(super) place: &'static str,
    pub(super) absent: Option<&'static str>,
    pub(super) provider: Option<ProviderSpec>,
    pub(super) capabilities: VectorCapabilities,
    pub(super) patience: Duration,
}

type Build = Arc<dyn Fn(Host) -> BoxFuture<'static, Result<Services>> + Send + Sync>;

impl Target {
    /// A provider that works in this process. It must declare just these capabilities, and must refuse all else by name.
    pub fn inline(provider: ProviderSpec, config: Value, capabilities: VectorCapabilities) -> Self {
        Self::remote("inline", provider, move |_| config.clone(), capabilities)
    }

    /// A provider that calls a real service, whose name is that of the place in the names of trials. `config` tells the configuration of a trial's
    /// provider: as trials share the service, each has indexes of its own, which are found by the host's data folder.
    pub fn remote(
        place: &'static str,
        provider: ProviderSpec,
        config: impl Fn(&Host) -> Value + Send + Sync + 'static,
        capabilities: VectorCapabilities,
    ) -> Self {
        let build = move |host: Host| -> BoxFuture<'static, Result<Services>> {
            let config = config(&host);
            Box::pin(async move {
                let config = provider.check(config).map_err(|problem| {
                    Error::configuration(format!("the target's configuration: {}", problem.message))
                        .with_param(problem.path)
                })?;
                provider.build(config, host).await
            })
        };
        let mut target = Self::built_by(build, capabilities);
        target.provider = Some(provider);
        target.place = place;
        target
    }

    /// A service that there is not, and why: the trials are listed as not run.
    #[must_use]
    pub fn absent(mut self, reason: &'static str) -> Self {
        self.absent = Some(reason);
        self
    }

    /// Services that are built by code, for a provider that needs more than its configuration.
    pub fn built_by(
        build: impl Fn(Host) -> BoxFuture<'static, Result<Services>> + Send + Sync + 'static,
        capabilities: VectorCapabilities,
    ) -> Self {
        Self {
            build: Arc::new(build),
            place: "inline",
            absent: None,
            provider: None,
            capabilities,
            patience: Duration::from_secs(120),
        }
    }

    /// How long a trial may take before it counts as hanging; 120 s by default.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) async fn build(&self, host: Host) -> Result<Services> {
        (self.build)(host).await
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Target")
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

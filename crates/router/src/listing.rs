//! Keeps the list of a provider's models fresh.

use std::sync::Arc;
use std::time::Duration;

use puna_api::{Error, Models, RequestContext, Result, Tasks};

use crate::registry::Registry;

/// How long a provider may take to list its models.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first pause after a failure; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One provider's list.
pub(crate) struct Listing {
    pub(crate) provider_id: String,
    pub(crate) models: Arc<dyn Models>,
    pub(crate) registry: Arc<Registry>,
    /// The time between two looks at a list that may change.
    pub(crate) interval: Duration,
}

impl Listing {
    /// Asks once.
    pub(crate) async fn refresh(&self) -> Result<usize> {
        let context = RequestContext::new(format!("list-models-{}", self.provider_id));
        let models = tokio::time::timeout(PATIENCE, self.models.list_models(&context))
            .await
            .map_err(|_| {
                Error::timeout(format!(
                    "the provider `{}` took too long to list its models",
                    self.provider_id
                ))
            })??;
        let count = models.len();
        self.registry.set_listed(&self.provider_id, models);
        Ok(count)
    }

    /// Asks until it succeeds, and then as often as the list may change, until the server ends.
    pub(crate) fn keep_fresh(self, tasks: &Arc<dyn Tasks>) {
        let shutdown = tasks.shutdown();
        tasks.spawn(Box::pin(async move {
            tokio::select! {
                () = shutdown => {}
                () = self.run() => {}
            }
        }));
    }

    async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut failing = false;
        loop {
            match self.refresh().await {
                Ok(count) => {
                    tracing::debug!(provider_id = %self.provider_id, count, "models listed");
                    if failing {
                        tracing::info!(provider_id = %self.provider_id, count, "models can be listed again");
                    }
                    (pause, failing) = (FIRST_PAUSE, false);
                    if !self.models.changes() {
                        return;
                    }
                    tokio::time::sleep(self.interval).await;
                }
                Err(error) => {
                    // Once is enough for the log: an upstream that is down stays down for a while.
                    if !failing {
                        tracing::warn!(provider_id = %self.provider_id, error = ?error, "failed to list models; trying again");
                    }
                    failing = true;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

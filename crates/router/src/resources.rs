//! What the server shares with its providers.

use std::fmt;
use std::sync::Arc;

use puna_api::HostBuilder;

type Add = dyn Fn(HostBuilder) -> HostBuilder + Send + Sync;

/// Shared resources, such as the policy for outbound requests; each provider's `Host` gets all of them.
#[derive(Clone, Default)]
pub struct Resources(Vec<Arc<Add>>);

impl Resources {
    /// Adds a resource, found again by its type.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, resource: Arc<T>) -> Self {
        self.0.push(Arc::new(move |host| host.resource(Arc::clone(&resource))));
        self
    }

    pub(crate) fn add_to(&self, host: HostBuilder) -> HostBuilder {
        self.0.iter().fold(host, |host, add| add(host))
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resources").field(&self.0.len()).finish()
    }
}

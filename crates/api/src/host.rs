//! What a provider may use of the process that it lives in.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::{Api, Error, Files, Inference, Result, Services};

/// A provider's view of its server: its own id and data folder, tasks that end with the server, the APIs that it declared in
/// [`Provider::NEEDS`](crate::Provider::NEEDS), and shared resources such as the outbound HTTP settings. Cheap to clone.
#[derive(Clone)]
pub struct Host(Arc<Fields>);

struct Fields {
    provider_id: String,
    data_dir: PathBuf,
    apis: Option<Vec<Api>>,
    tasks: Arc<dyn Tasks>,
    needs: Services,
    resources: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

/// Runs background work and ends it with the server.
pub trait Tasks: Send + Sync {
    /// Starts a task. It must end soon after [`shutdown`](Self::shutdown) does.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Resolves when the server is shutting down.
    fn shutdown(&self) -> BoxFuture<'static, ()>;
}

impl Host {
    /// Starts a host for the provider of this id. `data_dir` is a folder of its own, which need not exist yet.
    pub fn builder(provider_id: impl Into<String>, data_dir: impl Into<PathBuf>, tasks: Arc<dyn Tasks>) -> HostBuilder {
        HostBuilder(Fields {
            provider_id: provider_id.into(),
            data_dir: data_dir.into(),
            apis: None,
            tasks,
            needs: Services::default(),
            resources: HashMap::new(),
        })
    }

    /// The provider's id in the configuration.
    pub fn provider_id(&self) -> &str {
        &self.0.provider_id
    }

    /// Whether the configuration lists the provider under this API. A provider of several builds those that it is listed under.
    pub fn serves(&self, api: Api) -> bool {
        self.0.apis.as_ref().is_none_or(|apis| apis.contains(&api))
    }

    /// The provider's own folder, made on first use. Nobody else writes there, and it outlives the process.
    pub fn data_dir(&self) -> Result<&Path> {
        std::fs::create_dir_all(&self.0.data_dir).map_err(|error| {
            Error::configuration(format!(
                "failed to create the data folder {}: {error}",
                self.0.data_dir.display()
            ))
            .with_source(error)
        })?;
        Ok(&self.0.data_dir)
    }

    /// Starts background work. It must watch [`shutdown`](Self::shutdown).
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(Box::pin(task));
    }

    /// Resolves when the server is shutting down.
    pub fn shutdown(&self) -> BoxFuture<'static, ()> {
        self.0.tasks.shutdown()
    }

    /// The inference of the whole server, routed by model id. Fails unless the provider declared that it needs it.
    pub fn inference(&self) -> Result<Arc<dyn Inference>> {
        let inference = self.0.needs.inference.clone();
        inference.ok_or_else(|| self.undeclared(Api::Inference))
    }

    /// The files of the whole server. Fails unless the provider declared that it needs them, and where the server has none.
    pub fn files(&self) -> Result<Arc<dyn Files>> {
        let files = self.0.needs.files.clone();
        files.ok_or_else(|| self.undeclared(Api::Files))
    }

    fn undeclared(&self, api: Api) -> Error {
        Error::internal(format!(
            "provider `{}` uses `{api}` without declaring it, or the server has no provider of it",
            self.0.provider_id
        ))
    }

    /// A resource that the server shares with its providers, by type.
    pub fn resource<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0
            .resources
            .get(&TypeId::of::<T>())
            .and_then(|resource| Arc::clone(resource).downcast().ok())
    }
}

/// Collects a [`Host`].
pub struct HostBuilder(Fields);

impl HostBuilder {
    /// Sets the APIs that the provider declared it needs.
    #[must_use]
    pub fn needs(mut self, needs: Services) -> Self {
        self.0.needs = needs;
        self
    }

    /// Sets the APIs that the provider is listed under; all that it has by default.
    #[must_use]
    pub fn apis(mut self, apis: impl Into<Vec<Api>>) -> Self {
        self.0.apis = Some(apis.into());
        self
    }

    /// Adds a shared resource.
    #[must_use]
    pub fn resource<T: Send + Sync + 'static>(mut self, resource: Arc<T>) -> Self {
        self.0.resources.insert(TypeId::of::<T>(), resource);
        self
    }

    /// Finishes the host.
    pub fn build(self) -> Host {
        Host(Arc::new(self.0))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(type_name::<Self>())
            .field("provider_id", &self.0.provider_id)
            .finish_non_exhaustive()
    }
}

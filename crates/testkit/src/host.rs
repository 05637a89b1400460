//! What a provider needs to live in: a host and a request context for tests.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use puna_api::{Error, Host, HostBuilder, RequestContext, Result, Tasks};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A context with nothing but an id.
pub fn context() -> RequestContext {
    RequestContext::new("test-request")
}

/// A host for one provider under test, with a data folder that goes when this is dropped. Make it inside a tokio runtime.
pub struct TestHost {
    host: Host,
    tasks: Arc<RuntimeTasks>,
    folder: TempDir,
}

impl TestHost {
    /// A host without shared resources.
    pub fn new() -> Result<Self> {
        Self::with(|builder| builder)
    }

    /// A host with what `extend` adds, such as the shared resources of a server.
    pub fn with(extend: impl FnOnce(HostBuilder) -> HostBuilder) -> Result<Self> {
        let folder = tempfile::tempdir()
            .map_err(|error| Error::configuration(format!("failed to make a folder for the test: {error}")))?;
        Self::over(folder, extend)
    }

    /// A host for the same provider after a restart of the server: this one's tasks are told to end, and the data folder stays.
    pub async fn restarted(self, patience: Duration, extend: impl FnOnce(HostBuilder) -> HostBuilder) -> Result<Self> {
        self.shutdown(patience).await?;
        Self::over(self.folder, extend)
    }

    fn over(folder: TempDir, extend: impl FnOnce(HostBuilder) -> HostBuilder) -> Result<Self> {
        let handle = Handle::try_current()
            .map_err(|error| Error::internal(format!("a test host is made inside a tokio runtime: {error}")))?;
        let tasks = Arc::new(RuntimeTasks {
            handle,
            running: Mutex::default(),
            stopping: watch::channel(false).0,
        });
        let builder = Host::builder(
            "under-test",
            folder.path().join("data"),
            Arc::clone(&tasks) as Arc<dyn Tasks>,
        );
        Ok(Self {
            host: extend(builder).build(),
            tasks,
            folder,
        })
    }

    /// The host to build the provider with.
    pub fn host(&self) -> Host {
        self.host.clone()
    }

    /// Tells the background tasks to end and waits for them. Fails when one is still there after `patience`.
    pub async fn shutdown(&self, patience: Duration) -> Result<()> {
        self.tasks.stopping.send_replace(true);
        let mut running = std::mem::take(&mut *self.tasks.running());
        let all = async { while running.join_next().await.is_some() {} };
        tokio::time::timeout(patience, all).await.map_err(|_| {
            Error::timeout(format!(
                "background tasks are still running {patience:?} after the shutdown began"
            ))
        })
    }
}

impl fmt::Debug for TestHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TestHost")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

struct RuntimeTasks {
    handle: Handle,
    running: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
}

impl RuntimeTasks {
    fn running(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tasks for RuntimeTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let mut running = self.running();
        // Those that have ended take memory until somebody looks.
        while running.try_join_next().is_some() {}
        running.spawn_on(task, &self.handle);
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        let mut stopping = self.stopping.subscribe();
        Box::pin(async move {
            // An error means that the host is gone, which is a shutdown too.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_end_with_the_host() {
        let test = TestHost::new().unwrap();
        let host = test.host();
        assert!(host.data_dir().unwrap().is_dir());
        let shutdown = host.shutdown();
        host.spawn(shutdown);
        test.shutdown(Duration::from_secs(10)).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_ignores_the_shutdown_is_told() {
        let test = TestHost::new().unwrap();
        test.host().spawn(std::future::pending());
        assert_eq!(
            test.shutdown(Duration::ZERO).await.unwrap_err().kind(),
            puna_api::ErrorKind::Timeout
        );
    }
}

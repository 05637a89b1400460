//! A server that speaks S3, in this process, over a folder that goes with it.

use std::net::TcpListener as StdListener;
use std::thread::JoinHandle;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use puna_api::{Error, Result};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A running server. It asks for the credentials that stand here, and knows no bucket yet.
#[derive(Debug)]
pub struct S3Server {
    url: String,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl S3Server {
    /// The id of the key that it takes.
    pub const ACCESS_KEY_ID: &'static str = "test-key-id";
    /// The key that it takes.
    pub const SECRET_ACCESS_KEY: &'static str = "test-secret-key";

    /// Starts a server on a free port.
    pub fn start() -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| Error::internal(format!("the S3 server did not start: {error}"));
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let files = FileSystem::new(folder.path()).map_err(|error| failed(&format_args!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY_ID, Self::SECRET_ACCESS_KEY));
        let service = service.build();
        let listener = StdListener::bind(("127.0.0.1", 0)).map_err(|error| failed(&error))?;
        listener.set_nonblocking(true).map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(&error))?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || runtime.block_on(serve(listener, service, stopped)));
        Ok(Self {
            url: format!("http://{address}"),
            folder,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder with a folder for each bucket.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: StdListener, service: S3Service, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let service = service.clone();
                connections.spawn(async move {
                    // A client that goes away is no concern of the server's.
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        }
    }
}

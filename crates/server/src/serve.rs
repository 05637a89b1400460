//! Serving: one thread with one runtime of its own for each worker, so that a request never changes threads.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use puna_api::{Error, Result};
use puna_router::Stack;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tower::Service;

use crate::listen::Listeners;
use crate::settings::{Limits, ServerSettings};

/// Threads of each worker for what would block it, such as unpacking large bodies and looking up host names.
const BLOCKING_THREADS: usize = 16;

/// Serves until `shutdown` resolves, then stops accepting, lets running requests end within [`Limits::shutdown_grace`], and cancels the rest.
///
/// Runs on threads of its own; it only waits on the caller's runtime. Afterwards the Stack is idle, and the caller ends it with
/// [`Stack::shutdown`]. Fails when threads cannot be started or a worker dies.
pub async fn serve(
    stack: Stack,
    listeners: Listeners,
    settings: &ServerSettings,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let router = crate::app(stack, settings);
    let (end, ending) = watch::channel(());
    let mut workers = Vec::new();
    for (i, listener) in listeners.into_sockets().into_iter().enumerate() {
        workers.push(Worker::start(
            i + 1,
            listener,
            router.clone(),
            settings.limits,
            ending.clone(),
        )?);
    }
    // Where a worker dies, the others must not go on alone: a part of all connections would hang.
    let died = async {
        let (_, _, _) = futures::future::select_all(workers.iter_mut().map(|worker| &mut worker.ended)).await;
    };
    tokio::select! {
        () = shutdown => {}
        () = died => {}
    }
    // Receivers see the sender go.
    drop(end);
    let mut outcome = Ok(());
    for worker in workers {
        outcome = outcome.and(worker.join().await);
    }
    outcome
}

struct Worker {
    thread: JoinHandle<Result<()>>,
    /// Resolves when the thread is about to end, in whatever way.
    ended: oneshot::Receiver<Infallible>,
}

impl Worker {
    fn start(
        number: usize,
        listener: TcpListener,
        router: Router,
        limits: Limits,
        ending: watch::Receiver<()>,
    ) -> Result<Self> {
        let (alive, ended) = oneshot::channel();
        let run = move || {
            let _alive = alive;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .build()
                .map_err(|error| Error::internal("a worker has no runtime").with_source(error))?;
            runtime.block_on(accept(listener, router, limits, ending))
        };
        let thread = Builder::new()
            .name(format!("puna-worker-{number}"))
            .spawn(run)
            .map_err(|error| Error::internal("a worker thread cannot be started").with_source(error))?;
        Ok(Self { thread, ended })
    }

    async fn join(mut self) -> Result<()> {
        let _ = (&mut self.ended).await;
        // The thread has nothing left to do but to drop its runtime.
        self.thread
            .join()
            .unwrap_or_else(|panic| Err(crate::sse::panicked(&*panic)))
    }
}

async fn accept(listener: TcpListener, router: Router, limits: Limits, mut ending: watch::Receiver<()>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)
        .map_err(|error| Error::internal("a worker cannot use its socket").with_source(error))?;
    let protocol = Arc::new(protocol(&limits));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(stream, Arc::clone(&protocol), router.clone(), ending.clone()));
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    // Most likely the process has no file descriptors left; some may be free again soon.
                    tracing::warn!(%error, "failed to accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
            // The sender never sends; it goes.
            _ = ending.changed() => break,
        }
    }
    drop(listener);
    let deadline = Instant::now() + limits.shutdown_grace;
    while let Ok(Some(_)) = timeout_at(deadline, connections.join_next()).await {}
    if !connections.is_empty() {
        tracing::warn!(
            connections = connections.len(),
            "cancelled what did not end within the time of grace"
        );
    }
    // Connections that are left are dropped here, and with them their requests.
    connections.shutdown().await;
    Ok(())
}

fn protocol(limits: &Limits) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.max_header_bytes)
        // The buffer must hold the headers, and its size is also that of the pieces in which a large body is read.
        .max_buf_size((400 << 10).max(limits.max_header_bytes));
    protocol
}

async fn connection(stream: TcpStream, protocol: Arc<http1::Builder>, router: Router, mut ending: watch::Receiver<()>) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut router = router.clone();
        async move { router.call(request.map(Body::new)).await }
    });
    let mut connection = std::pin::pin!(protocol.serve_connection(TokioIo::new(stream), service));
    // What goes wrong on a connection is the peer's doing; a request that it broke off has a log line of its own.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ending.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Errors that a peer causes by giving up early.
fn is_about_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

//! The threads that compute, and who may use them when.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use puna_api::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::config::SentenceTransformersConfig;
use crate::encoder::Abandoned;
use crate::error;

/// Threads of the provider's own. Work comes to its turn in the order in which it asks for it.
pub(crate) struct Workers {
    pool: ThreadPool,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    max_batch_tokens: usize,
}

/// Leave to compute, until it is dropped.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Workers {
    pub(crate) fn start(config: &SentenceTransformersConfig) -> Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(config.threads.map_or(0, usize::from))
            .thread_name(|number| format!("puna-embed-{number}"))
            .build()
            .map_err(|cause| Error::configuration(format!("failed to start the threads that compute: {cause}")))?;
        Ok(Self {
            pool,
            free: Arc::new(Semaphore::new(config.max_running.get())),
            waiting: AtomicUsize::new(0),
            max_waiting: config.max_waiting,
            max_batch_tokens: config.max_batch_tokens.get(),
        })
    }

    /// How many tokens may be computed in one turn, filling included.
    pub(crate) fn max_batch_tokens(&self) -> usize {
        self.max_batch_tokens
    }

    /// Waits for the first turn of a request. Fails as rate limited when too many wait already. Who stops waiting has cost nothing.
    pub(crate) async fn first_turn(&self) -> Result<Turn> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(Turn { _permit: permit });
        }
        let place = Place::take(&self.waiting);
        if place.before >= self.max_waiting {
            return Err(Error::rate_limited(format!(
                "{} requests wait for their turn already; try again later",
                place.before
            )));
        }
        self.another_turn().await
    }

    /// Waits for another turn of a request that had one.
    pub(crate) async fn another_turn(&self) -> Result<Turn> {
        let permit = Arc::clone(&self.free)
            .acquire_owned()
            .await
            .map_err(|_| Error::unavailable("the server is shutting down"))?;
        Ok(Turn { _permit: permit })
    }

    /// Does some work in a turn. When the future is dropped before the work begins, it does not begin; later, the work is told.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(Abandoned<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            if sender.is_closed() {
                return;
            }
            let done = catch_unwind(AssertUnwindSafe(|| work(&|| sender.is_closed())))
                .unwrap_or_else(|_| Err(error::failed("the computation panicked")));
            drop(turn);
            // Who asked may be gone.
            let _ = sender.send(done);
        });
        receiver
            .await
            .map_err(|_| Error::unavailable("the server is shutting down"))?
    }
}

/// A place among those who wait, given back when dropped.
struct Place<'a> {
    waiting: &'a AtomicUsize,
    before: usize,
}

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        Self {
            before: waiting.fetch_add(1, Ordering::Relaxed),
            waiting,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::mpsc;

    use puna_api::ErrorKind;

    use super::*;

    fn workers() -> Workers {
        Workers::start(&SentenceTransformersConfig {
            threads: Some(NonZeroUsize::MIN),
            max_running: NonZeroUsize::MIN,
            max_waiting: 1,
            ..SentenceTransformersConfig::default()
        })
        .unwrap()
    }

    #[tokio::test]
    async fn waiting_is_bounded_and_who_leaves_makes_room() {
        let workers = workers();
        let first = workers.first_turn().await.unwrap();
        let second = workers.first_turn();
        tokio::pin!(second);
        assert!(futures_pending(second.as_mut()).await);
        let refused = workers.first_turn().await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::RateLimited);
        drop(first);
        second.await.unwrap();
        drop(workers.first_turn().await.unwrap());
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_ends_the_turn() {
        let workers = workers();
        let turn = workers.first_turn().await.unwrap();
        let panicked = workers.run::<()>(turn, |_| panic!("on purpose")).await.unwrap_err();
        assert_eq!(panicked.context(), ["the computation panicked"]);
        let turn = workers.first_turn().await.unwrap();
        assert_eq!(workers.run(turn, |_| Ok(1)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn work_is_told_when_nobody_wants_it_any_more() {
        let workers = workers();
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        let turn = workers.first_turn().await.unwrap();
        let work = workers.run(turn, move |abandoned| {
            begun.send(()).unwrap();
            while !abandoned() {
                std::thread::yield_now();
            }
            ended.send(()).unwrap();
            Ok(())
        });
        let mut work = Box::pin(work);
        assert!(futures_pending(work.as_mut()).await);
        has_begun.recv().unwrap();
        drop(work);
        has_ended.recv().unwrap();
        // Its turn is over, too.
        drop(workers.first_turn().await.unwrap());
    }

    /// Whether a future is not done when it is looked at once.
    async fn futures_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}

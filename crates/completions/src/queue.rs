//! What waits to be written.

use std::collections::{BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::entry::Entry;

/// How many bytes may wait, beside the bound on their number: requests may be long.
const MOST_BYTES: usize = 256 << 20;
/// How many entries are taken at once, and how many bytes.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 8 << 20;

/// Entries in their order, at most so many. Entries that were taken count as under way until they are settled.
pub(crate) struct Queue {
    bound: usize,
    bound_bytes: usize,
    state: Mutex<State>,
    /// Wakes one who takes.
    filled: Notify,
    /// Wakes all who wait for room, or for what is under way.
    moved: Notify,
    depth: Gauge,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Ticket>,
    bytes: usize,
    /// The number of the next entry.
    next: u64,
    /// The numbers of all that wait or are under way.
    unsettled: BTreeSet<u64>,
}

/// An entry and its place in the order.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) number: u64,
    pub(crate) entry: Entry,
}

impl Queue {
    /// An empty one. `depth` shows how many wait.
    pub(crate) fn new(bound: usize, depth: Gauge) -> Self {
        Self {
            bound,
            bound_bytes: MOST_BYTES,
            state: Mutex::default(),
            filled: Notify::new(),
            moved: Notify::new(),
            depth,
        }
    }

    /// Adds an entry, waiting this long for room. Gives it back where there was none.
    pub(crate) async fn put(&self, entry: Entry, patience: Duration) -> Option<Entry> {
        let mut entry = self.try_put(entry)?;
        let deadline = Instant::now() + patience;
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            entry = self.try_put(entry)?;
            if timeout_at(deadline, moved).await.is_err() {
                return Some(entry);
            }
        }
    }

    /// Adds an entry if there is room, and else gives it back.
    pub(crate) fn try_put(&self, entry: Entry) -> Option<Entry> {
        let mut state = self.state();
        let bytes = entry.bytes();
        let is_full = state.waiting.len() >= self.bound || state.bytes + bytes > self.bound_bytes;
        // One that is longer than everything may go alone.
        if is_full && !state.waiting.is_empty() {
            return Some(entry);
        }
        let number = state.next;
        state.next += 1;
        state.bytes += bytes;
        state.unsettled.insert(number);
        state.waiting.push_back(Ticket { number, entry });
        self.depth.set(state.waiting.len() as f64);
        drop(state);
        self.filled.notify_one();
        None
    }

    /// The next entries, at least one; waits for it.
    pub(crate) async fn take(&self) -> Vec<Ticket> {
        loop {
            let mut filled = pin!(self.filled.notified());
            filled.as_mut().enable();
            let batch = self.take_now();
            if !batch.is_empty() {
                return batch;
            }
            filled.await;
        }
    }

    /// The next entries; none where none waits.
    pub(crate) fn take_now(&self) -> Vec<Ticket> {
        let mut state = self.state();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(ticket) = state.waiting.pop_front() {
            bytes += ticket.entry.bytes();
            batch.push(ticket);
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                break;
            }
        }
        state.bytes -= bytes;
        self.depth.set(state.waiting.len() as f64);
        let is_left = !state.waiting.is_empty();
        drop(state);
        if is_left {
            self.filled.notify_one();
        }
        if !batch.is_empty() {
            self.moved.notify_waiters();
        }
        batch
    }

    /// Notes that entries are written, or given up.
    pub(crate) fn settle(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut state = self.state();
        for number in numbers {
            state.unsettled.remove(&number);
        }
        drop(state);
        self.moved.notify_waiters();
    }

    /// Waits, at most this long, until all is settled that was added before.
    pub(crate) async fn settled(&self, patience: Duration) {
        let next = self.state().next;
        let deadline = Instant::now() + patience;
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            let is_settled = self.state().unsettled.first().is_none_or(|first| *first >= next);
            if is_settled || timeout_at(deadline, moved).await.is_err() {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Metadata;
    use crate::entry::Answer;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(60);

    fn entry(bytes: usize) -> Entry {
        Entry {
            id: String::new(),
            model: String::new(),
            request_id: String::new(),
            metadata: Metadata::default(),
            request: Bytes::new(),
            answer: Answer::Whole(vec![b'x'; bytes].into()),
            waiting: None,
        }
    }

    fn queue(bound: usize) -> Queue {
        Queue {
            bound_bytes: 100,
            ..Queue::new(bound, Gauge::noop())
        }
    }

    #[tokio::test]
    async fn a_full_queue_makes_wait_and_gives_back() {
        let queue = queue(2);
        for _ in 0..2 {
            assert!(queue.put(entry(1), SHORT).await.is_none());
        }
        assert!(queue.put(entry(1), SHORT).await.is_some());
        let (full, batch) = tokio::join!(queue.put(entry(1), LONG), async {
            tokio::task::yield_now().await;
            queue.take().await
        });
        assert!(full.is_none());
        assert_eq!(batch.len(), 2);
        assert_eq!(queue.take().await.len(), 1);
    }

    #[tokio::test]
    async fn bytes_are_bounded_too() {
        let queue = queue(10);
        assert!(queue.try_put(entry(1000)).is_none());
        assert!(queue.try_put(entry(1)).is_some());
        assert_eq!(queue.take().await.len(), 1);
        assert!(queue.try_put(entry(60)).is_none());
        assert!(queue.try_put(entry(60)).is_some());
    }

    #[tokio::test]
    async fn who_waits_for_the_rest_waits_for_what_was_there() {
        let queue = queue(10);
        queue.settled(LONG).await;
        assert!(queue.try_put(entry(1)).is_none());
        let batch = queue.take().await;
        assert!(queue.try_put(entry(1)).is_none());
        let later = queue.take_now();
        // The second one is settled, the first one is not.
        queue.settle(later.iter().map(|ticket| ticket.number));
        assert!(tokio::time::timeout(SHORT, queue.settled(LONG)).await.is_err());
        tokio::join!(queue.settled(LONG), async {
            tokio::task::yield_now().await;
            assert!(queue.try_put(entry(1)).is_none());
            queue.settle(batch.iter().map(|ticket| ticket.number));
        });
        queue.settled(SHORT).await;
        assert_eq!(queue.state().unsettled.len(), 1);
    }
}

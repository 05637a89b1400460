//! Who may use the engine, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::Counter;
use puna_api::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error;
use crate::meters::{Counted, Meters};

/// How many times as long as it was read an answer is written in a turn, at least: of all time, reading again takes a tenth at most.
const WRITING_PER_READING: u32 = 9;

/// Answers come to their turn in the order in which they ask for it.
///
/// Where the engine works on one answer at a time, a long one steps aside now and then for those that wait. To go on it has to be
/// read again from its beginning, which is quicker than writing it, but not free; so the longer that takes, the longer is its turn.
#[derive(Debug)]
pub(super) struct Turns {
    model: String,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    /// How long an answer is written, at least, before it steps aside; none where it never does.
    shortest: Option<Duration>,
    meters: Meters,
    /// Lets a test end the engine as a defect of its own would.
    #[cfg(test)]
    pub(super) defect: std::sync::atomic::AtomicBool,
    /// The tokens that were chosen in all turns.
    #[cfg(test)]
    pub(super) chosen: AtomicUsize,
    /// How often an answer stepped aside.
    #[cfg(test)]
    pub(super) stepped_aside: AtomicUsize,
}

/// A turn, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _running: Counted,
}

impl Turns {
    /// Turns for `at_once` answers at the same time, and for `max_waiting` that wait to begin. Where it is but one, an answer steps
    /// aside when it was written for as long as `shortest`, if that is given.
    pub(super) fn new(
        model: &str,
        at_once: usize,
        shortest: Option<Duration>,
        max_waiting: usize,
        meters: Meters,
    ) -> Self {
        Self {
            model: model.to_owned(),
            free: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
            max_waiting,
            shortest: shortest.filter(|_| at_once == 1),
            meters,
            #[cfg(test)]
            defect: false.into(),
            #[cfg(test)]
            chosen: AtomicUsize::new(0),
            #[cfg(test)]
            stepped_aside: AtomicUsize::new(0),
        }
    }

    /// Waits for the first turn of an answer. Fails as rate limited when too many wait already. Who stops waiting has cost
    /// nothing.
    pub(super) async fn first(&self) -> Result<Turn> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(self.turn(permit));
        }
        let place = Place::take(&self.waiting);
        if place.before > self.max_waiting.saturating_sub(1) {
            let (waiting, model) = (place.before, &self.model);
            return Err(Error::rate_limited(format!(
                "{waiting} answers wait for the model `{model}` already; try again later"
            )));
        }
        let _waiting = Counted::new(&self.meters.waiting);
        let mut leaving = Leaving(Some(&self.meters.cancelled));
        let turn = self.wait().await;
        leaving.0 = None;
        turn
    }

    /// Waits for another turn of an answer that stepped aside.
    pub(super) async fn another(&self) -> Result<Turn> {
        let _place = Place::take(&self.waiting);
        self.wait().await
    }

    async fn wait(&self) -> Result<Turn> {
        let permit = Arc::clone(&self.free)
            .acquire_owned()
            .await
            .map_err(|_| error::stopped())?;
        Ok(self.turn(permit))
    }

    fn turn(&self, permit: OwnedSemaphorePermit) -> Turn {
        Turn {
            _permit: permit,
            _running: Counted::new(&self.meters.running),
        }
    }

    /// Whether an answer should step aside whose turn went into `reading` it and then into `writing`.
    pub(super) fn is_over(&self, reading: Duration, writing: Duration) -> bool {
        let shortest = |shortest: Duration| shortest.max(reading * WRITING_PER_READING);
        self.shortest.is_some_and(|given| writing >= shortest(given)) && self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Whether answers step aside at all.
    pub(super) fn steps_aside(&self) -> bool {
        self.shortest.is_some()
    }
}

/// Counts one who stops waiting.
struct Leaving<'a>(Option<&'a Counter>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(cancelled) = self.0 {
            cancelled.increment(1);
        }
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
            waiting,
            before: waiting.fetch_add(1, Ordering::Relaxed),
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
    use futures::FutureExt;
    use puna_api::ErrorKind;

    use super::*;

    const TURN: Option<Duration> = Some(Duration::from_secs(2));

    #[tokio::test]
    async fn turns_come_in_order_and_waiting_is_bounded() {
        let turns = Turns::new("m", 1, TURN, 2, Meters::unread());
        let first = turns.first().await.unwrap();
        let (mut second, mut third) = (Box::pin(turns.first()), Box::pin(turns.first()));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        assert_eq!(turns.first().await.unwrap_err().kind(), ErrorKind::RateLimited);
        drop(second);
        let mut fourth = Box::pin(turns.first());
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(first);
        let third = third.await.unwrap();
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(third);
        fourth.await.unwrap();
    }

    #[tokio::test]
    async fn a_long_answer_steps_aside_only_for_others() {
        let turns = Turns::new("m", 1, TURN, 2, Meters::unread());
        let _first = turns.first().await.unwrap();
        let is_over = |reading, writing| turns.is_over(Duration::from_millis(reading), Duration::from_millis(writing));
        assert!(!is_over(1, 10_000));
        let mut second = Box::pin(turns.first());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(!is_over(1, 1_999) && is_over(1, 2_000));
        assert!(!is_over(1_000, 8_999) && is_over(1_000, 9_000));
    }

    #[tokio::test]
    async fn without_a_length_of_turns_nobody_steps_aside() {
        let turns = Turns::new("m", 1, None, 2, Meters::unread());
        let _first = turns.first().await.unwrap();
        let mut second = Box::pin(turns.first());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(!turns.is_over(Duration::ZERO, Duration::from_secs(1_000)) && !turns.steps_aside());
    }

    #[tokio::test]
    async fn with_many_turns_at_once_nobody_steps_aside() {
        let turns = Turns::new("m", 2, TURN, 2, Meters::unread());
        let _both = (turns.first().await.unwrap(), turns.first().await.unwrap());
        let mut third = Box::pin(turns.first());
        assert!(third.as_mut().now_or_never().is_none());
        assert!(!turns.is_over(Duration::ZERO, Duration::from_secs(1_000)) && !turns.steps_aside());
    }
}

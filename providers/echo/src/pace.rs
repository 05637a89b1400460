//! How fast the model talks.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use puna_api::{BoxStream, Error, Json, RequestContext, Result};

/// So many chunks may follow each other before others get their turn.
const CHUNKS_AT_ONCE: u64 = 64;

/// When a chunk comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beat {
    /// With the one before it.
    Rest,
    /// When the token of this place, from 0, has been said.
    Token(u64),
}

/// The delays of an answer, and until when it is of use.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    first_token_delay: Duration,
    token_delay: Duration,
    deadline: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(first_token_delay: Duration, token_delay: Duration, context: &RequestContext) -> Self {
        Self {
            first_token_delay,
            token_delay,
            deadline: context.deadline(),
        }
    }

    /// Waits as long as it takes to say the token of this place, from 0.
    pub(crate) async fn token(&self, place: u64) -> Result<()> {
        self.wait(if place == 0 {
            self.first_token_delay
        } else {
            self.token_delay
        })
        .await
    }

    /// Waits as long as it takes to say this many tokens.
    pub(crate) async fn tokens(&self, count: u64) -> Result<()> {
        let later = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
        let first = if count > 0 {
            self.first_token_delay
        } else {
            Duration::ZERO
        };
        self.wait(first.saturating_add(self.token_delay.saturating_mul(later)))
            .await
    }

    async fn wait(&self, delay: Duration) -> Result<()> {
        let now = Instant::now();
        let end = now.checked_add(delay);
        match self.deadline {
            // Nothing could be said before the deadline, so there is nothing to wait for but that.
            Some(deadline) if deadline <= now || end.is_none_or(|end| end > deadline) => {
                tokio::time::sleep_until(deadline.into()).await;
                Err(Error::timeout("the deadline passed before the answer was complete"))
            }
            _ if delay.is_zero() => Ok(()),
            _ => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
        }
    }
}

/// A stream of these chunks, each in its time. It makes a chunk when it is asked for the chunk, and ends at the deadline with an error.
pub(crate) fn paced<T: Send + 'static>(
    chunks: impl Iterator<Item = (Beat, T)> + Send + 'static,
    pace: Pace,
) -> BoxStream<Result<Json<T>>> {
    let state = (Some(chunks), pace, 0_u64);
    stream::unfold(state, |(mut rest, pace, given)| async move {
        let mut chunks = rest.take()?;
        let (beat, chunk) = chunks.next()?;
        if given % CHUNKS_AT_ONCE == CHUNKS_AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let outcome = match beat {
            Beat::Rest => Ok(()),
            Beat::Token(place) => pace.token(place).await,
        };
        match outcome {
            Ok(()) => Some((Ok(Json::new(chunk)), (Some(chunks), pace, given + 1))),
            Err(error) => Some((Err(error), (None, pace, given))),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(deadline: Option<Instant>) -> Pace {
        Pace {
            first_token_delay: Duration::from_secs(3),
            token_delay: Duration::from_secs(1),
            deadline,
        }
    }

    /// How long a wait takes on a clock that stands still but for waits.
    async fn lasts<T>(wait: impl Future<Output = T>) -> (u64, T) {
        let start = tokio::time::Instant::now();
        let outcome = wait.await;
        (start.elapsed().as_secs(), outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_answer_takes_as_long_as_its_tokens() {
        assert_eq!(lasts(pace(None).token(0)).await.0, 3);
        assert_eq!(lasts(pace(None).token(1)).await.0, 1);
        for (count, seconds) in [(0, 0), (1, 3), (5, 7)] {
            let (lasted, outcome) = lasts(pace(None).tokens(count)).await;
            assert_eq!(lasted, seconds);
            outcome.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_takes_as_long_as_a_whole_answer() {
        let chunks = [
            (Beat::Rest, 0),
            (Beat::Token(0), 1),
            (Beat::Token(1), 2),
            (Beat::Rest, 3),
        ];
        let (lasted, chunks) = lasts(paced(chunks.into_iter(), pace(None)).collect::<Vec<_>>()).await;
        assert_eq!(lasted, 4);
        assert_eq!(chunks.len(), 4);
        let late = pace(Some(Instant::now()));
        let chunks: Vec<_> = paced(
            [(Beat::Rest, 0), (Beat::Token(0), 1), (Beat::Rest, 2)].into_iter(),
            late,
        )
        .collect()
        .await;
        assert!(matches!(&chunks[..], [Ok(_), Err(_)]), "{chunks:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_the_wait() {
        let (_, outcome) = lasts(pace(Some(Instant::now())).token(0)).await;
        assert_eq!(outcome.unwrap_err().kind(), puna_api::ErrorKind::Timeout);
        pace(Some(Instant::now() + Duration::from_secs(3600)))
            .token(0)
            .await
            .unwrap();
    }
}

//! Where jobs are kept, and how patient everybody is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use puna_api::Tasks;
use puna_storage::{SqlReference, Storage};

/// What jobs need of their server.
#[derive(Clone)]
pub struct JobsSettings {
    /// The server's storage.
    pub storage: Arc<Storage>,
    /// The tables in it; `jobs` where no name is given. Their database is opened when there may be jobs in it, or when the first comes.
    pub store: SqlReference,
    /// Ends the work with the server.
    pub tasks: Arc<dyn Tasks>,
    /// How patient everybody is.
    pub timing: Timing,
}

/// How patient everybody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a job stays with a server that gives no sign of life. Such a sign is given four times in this time.
    pub lease: Duration,
    /// How often the table is looked at for what nobody told: jobs of other servers, and of those that died.
    pub look: Duration,
    /// After which time a job is tried again that failed once; twice as long after each further failure.
    pub first_retry: Duration,
    /// The longest time between two attempts, where the error does not ask for more.
    pub longest_retry: Duration,
    /// How long a cancelled job may take to end by itself.
    pub cancel_grace: Duration,
    /// How long a job that has ended is kept, with its log.
    pub keep: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(20),
            look: Duration::from_secs(5),
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(300),
            cancel_grace: Duration::from_secs(10),
            keep: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

impl Timing {
    /// How long to wait after so many failures, without the chance that is to spread the attempts of many jobs.
    pub(crate) fn retry_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first_retry.saturating_mul(1 << doublings).min(self.longest_retry)
    }
}

impl fmt::Debug for JobsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobsSettings")
            .field("store", &self.store)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_later_and_later() {
        let timing = Timing::default();
        let seconds = [1, 2, 3, 9, 10, 4_000_000_000].map(|attempt| timing.retry_after(attempt).as_secs());
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300]);
    }
}

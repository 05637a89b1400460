//! One attempt at a job.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use puna_api::{Error, Result};
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::handler::RunningJob;
use crate::job::{Job, JobFailure, Progress};
use crate::jobs::Jobs;
use crate::lane::Lane;
use crate::settings::Timing;
use crate::table::{End, JobTable, Lease};

/// Progress is not told to the table more often than this.
const PACE: Duration = Duration::from_secs(1);

/// How an attempt came to its end.
enum Outcome {
    Ended(End),
    Again(Error),
    /// The server shuts down.
    Interrupted,
    /// Somebody else has the job, or may have it.
    Lost,
}

/// Runs a job that was taken, and writes down what came of it.
pub(crate) async fn run(jobs: Jobs, table: JobTable, lane: Arc<Lane>, job: Job, lease: Lease) {
    let id = job.id.clone();
    let cancelled = CancellationToken::new();
    jobs.add_running(&id, cancelled.clone());
    let attempt = Attempt {
        timing: jobs.settings().timing,
        table,
        lane,
        lease,
        cancelled,
        alive: watch::Sender::new(Instant::now()),
    };
    attempt.run(&jobs, job).await;
    jobs.remove_running(&id);
}

struct Attempt {
    timing: Timing,
    table: JobTable,
    lane: Arc<Lane>,
    lease: Lease,
    cancelled: CancellationToken,
    /// When the lease was renewed last.
    alive: watch::Sender<Instant>,
}

impl Attempt {
    async fn run(&self, jobs: &Jobs, job: Job) {
        let (attempt, max_attempts) = (job.attempt, job.max_attempts);
        let (progress, told) = watch::channel(job.progress);
        let outcome = if job.cancel_requested {
            Outcome::Ended(End::Cancelled)
        } else if attempt > max_attempts {
            Outcome::Ended(End::Failed(given_up(&job)))
        } else {
            let running = RunningJob {
                job,
                lease: self.lease.clone(),
                table: self.table.clone(),
                progress,
                cancelled: self.cancelled.clone(),
                writing_log: Mutex::default(),
            };
            self.outcome(jobs, running, told.clone()).await
        };
        let progress = *told.borrow();
        let outcome = match outcome {
            Outcome::Again(error) if attempt >= max_attempts => Outcome::Ended(End::Failed((&error).into())),
            outcome => outcome,
        };
        self.write_down(jobs, &outcome, attempt, progress).await;
    }

    async fn outcome(&self, jobs: &Jobs, job: RunningJob, progress: watch::Receiver<Option<Progress>>) -> Outcome {
        let shutdown = jobs.settings().tasks.shutdown();
        // A task of its own: the lease is renewed, and the job can be dropped, whatever it does.
        let mut handling = JoinSet::new();
        let lane = Arc::clone(&self.lane);
        handling.spawn(async move { lane.handler.run(&job).await });
        let cut_off = async {
            self.cancelled.cancelled().await;
            tokio::time::sleep(self.timing.cancel_grace).await;
        };
        let outcome = tokio::select! {
            // What has ended has ended, whatever else happened meanwhile.
            biased;
            ended = handling.join_next() => self.of_handler(ended),
            () = shutdown => Outcome::Interrupted,
            () = self.keep(progress) => Outcome::Lost,
            () = cut_off => Outcome::Ended(End::Cancelled),
        };
        // Nothing of it goes on when somebody else may begin.
        handling.shutdown().await;
        outcome
    }

    fn of_handler(&self, ended: Option<Result<Result<Value>, tokio::task::JoinError>>) -> Outcome {
        let error = match ended {
            Some(Ok(Ok(result))) => return Outcome::Ended(End::Completed(result)),
            Some(Ok(Err(_))) if self.cancelled.is_cancelled() => return Outcome::Ended(End::Cancelled),
            Some(Ok(Err(error))) => error,
            Some(Err(error)) if error.is_panic() => {
                let message = panic_message(error.into_panic());
                tracing::error!(job = self.lease.id, kind = self.lane.kind, message, "a job panicked");
                Error::internal("the job ended with a fault of the server's own")
            }
            Some(Err(_)) | None => return Outcome::Interrupted,
        };
        match error.is_transient() {
            true => Outcome::Again(error),
            false => {
                tracing::info!(?error, job = self.lease.id, kind = self.lane.kind, "a job failed");
                Outcome::Ended(End::Failed((&error).into()))
            }
        }
    }

    /// Renews the lease and tells the progress, until the lease is lost.
    async fn keep(&self, mut progress: watch::Receiver<Option<Progress>>) {
        let beat = self.timing.lease / 4;
        let pace = PACE.min(beat);
        let mut is_told = true;
        loop {
            tokio::time::sleep(pace).await;
            tokio::select! {
                () = tokio::time::sleep(beat.saturating_sub(pace)) => {}
                changed = progress.changed(), if is_told => is_told = changed.is_ok(),
            }
            let asked_at = Instant::now();
            let now = *progress.borrow_and_update();
            match self.table.renew(&self.lease, now).await {
                Ok(Some(is_cancelled)) => {
                    self.alive.send_replace(asked_at);
                    if is_cancelled {
                        self.cancelled.cancel();
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(?error, job = self.lease.id, "failed to renew the lease of a job");
                    if !self.is_leased() {
                        return;
                    }
                }
            }
        }
    }

    fn is_leased(&self) -> bool {
        self.alive.borrow().elapsed() < self.timing.lease
    }

    /// Writes the outcome down; while that fails, again and again for as long as the lease may last.
    async fn write_down(&self, jobs: &Jobs, outcome: &Outcome, attempt: u32, progress: Option<Progress>) {
        loop {
            let written = match outcome {
                Outcome::Ended(end) => self.table.end(&self.lease, end, progress, &*self.lane.handler).await,
                Outcome::Again(error) => {
                    let after = self.timing.retry_after(attempt);
                    // Not all at once, when what failed them all is there again.
                    let after = after
                        .mul_f64(0.5 + fastrand::f64() / 2.0)
                        .max(error.retry_after().unwrap_or_default());
                    tracing::info!(
                        ?error,
                        job = self.lease.id,
                        kind = self.lane.kind,
                        ?after,
                        "a job is tried again"
                    );
                    self.table.retry(&self.lease, &error.into(), progress, after).await
                }
                Outcome::Interrupted => self
                    .table
                    .release(&self.lease, &self.lane.kind, progress)
                    .await
                    .map(|()| true),
                Outcome::Lost => Ok(false),
            };
            match written {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(
                        job = self.lease.id,
                        kind = self.lane.kind,
                        "a job was lost to another attempt"
                    );
                    return;
                }
                Err(error) => tracing::warn!(?error, job = self.lease.id, "failed to write down how a job ended"),
            }
            if !self.is_leased() {
                return;
            }
            tokio::select! {
                () = jobs.settings().tasks.shutdown() => return,
                () = tokio::time::sleep(PACE.min(self.timing.lease / 4)) => {}
            }
        }
    }
}

/// Why a job is not taken up again whose servers died each time.
fn given_up(job: &Job) -> JobFailure {
    let message = format!(
        "the job was interrupted {} times and is not tried again",
        job.max_attempts
    );
    (&Error::internal(message)).into()
}

fn panic_message(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic
            .downcast_ref::<&str>()
            .map_or_else(|| "no message".to_owned(), |message| (*message).to_owned()),
    }
}

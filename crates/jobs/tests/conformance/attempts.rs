//! What is tried again, and what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use puna_api::{Error, ErrorKind, Result};
use puna_jobs::{Job, JobHandler, JobState, NewJob, RunningJob, Timing};
use puna_storage::Transaction;
use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::{Value, json};

use crate::script::script;
use crate::server::{Server, TIMING};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_transient_error_is_tried_again,
        the_last_attempt_decides,
        another_error_is_not_tried_again,
        a_panic_fails_the_job_and_nothing_else,
        the_next_attempt_comes_later,
        an_end_that_fails_is_tried_again,
        so_many_at_a_time,
    ]
}

async fn a_transient_error_is_tried_again(place: Place) {
    let (handler, mut audience) = script(|job, _| {
        async move {
            let before: Option<u32> = job.checkpoint()?;
            assert_eq!(before.unwrap_or(0) + 1, job.attempt());
            job.save(&job.attempt()).await?;
            match job.attempt() {
                3 => Ok(json!("third time")),
                _ => Err(Error::unavailable("not yet")),
            }
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("flaky", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server
        .jobs
        .submit(NewJob::new("a", "flaky", json!(null)))
        .await
        .unwrap();
    let job = server.jobs.wait("a").await.unwrap();
    assert_eq!((job.state, job.attempt, job.failure), (JobState::Completed, 3, None));
    assert_eq!(job.result, Some(json!("third time")));
    assert_eq!(audience.ends(), [("a".to_owned(), JobState::Completed)]);
    server.stop().await;
}

async fn the_last_attempt_decides(place: Place) {
    let (handler, mut audience) = script(|job, _| {
        async move {
            assert_eq!(job.is_last_attempt(), job.attempt() == 2);
            Err(Error::unavailable(format!("attempt {}", job.attempt()))
                .with_code("down")
                .with_param("b[0]"))
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("down", 1, handler).unwrap();
    server.jobs.start().unwrap();
    let new = NewJob::new("a", "down", json!(null)).with_max_attempts(2);
    server.jobs.submit(new).await.unwrap();
    let job = server.jobs.wait("a").await.unwrap();
    assert_eq!((job.state, job.attempt, job.result), (JobState::Failed, 2, None));
    let error = job.failure.unwrap().to_error();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "attempt 2"));
    assert_eq!((error.code(), error.param()), (Some("down"), Some("b[0]")));
    assert_eq!(audience.ends(), [("a".to_owned(), JobState::Failed)]);
    server.stop().await;
}

async fn another_error_is_not_tried_again(place: Place) {
    let server = Server::over(&place, TIMING);
    let (handler, _audience) = script(|job, _| async move { job.payload::<bool>().map(|_| json!(1)) }.boxed());
    server.jobs.handle("bool", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server
        .jobs
        .submit(NewJob::new("a", "bool", json!("no flag")))
        .await
        .unwrap();
    let job = server.jobs.wait("a").await.unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Failed, 1));
    let failure = job.failure.unwrap();
    assert!(
        failure.message.contains("payload") && failure.message.contains("`bool`"),
        "{failure:?}"
    );
    server.stop().await;
}

async fn a_panic_fails_the_job_and_nothing_else(place: Place) {
    let (handler, mut audience) = script(|job, _| {
        async move {
            assert!(job.payload()?, "a secret that is for the log alone");
            Ok(json!(1))
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("panic", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server
        .jobs
        .submit(NewJob::new("a", "panic", json!(false)))
        .await
        .unwrap();
    server
        .jobs
        .submit(NewJob::new("b", "panic", json!(true)))
        .await
        .unwrap();
    assert_eq!(server.jobs.wait("b").await.unwrap().state, JobState::Completed);
    let job = server.jobs.wait("a").await.unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Failed, 1));
    let failure = job.failure.unwrap();
    assert_eq!(failure.kind, ErrorKind::Internal);
    assert!(!failure.message.contains("secret"), "{failure:?}");
    assert_eq!(audience.ends().len(), 2);
    server.stop().await;
}

async fn the_next_attempt_comes_later(place: Place) {
    let (handler, mut audience) = script(|job, stage| {
        async move {
            stage.meet(job).await;
            match job.attempt() {
                1 => Err(Error::rate_limited("slow down").with_retry_after(Duration::from_secs(3600))),
                _ => Ok(json!(1)),
            }
        }
        .boxed()
    });
    let server = Server::over(
        &place,
        Timing {
            // What ends the wait is the trial.
            look: Duration::from_secs(3600),
            ..TIMING
        },
    );
    server.jobs.handle("slow", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server.jobs.submit(NewJob::new("a", "slow", json!(1))).await.unwrap();
    audience.begun().await;
    audience.let_go(2);
    loop {
        let job = server.jobs.get("a").await.unwrap();
        if job.state == JobState::Queued {
            // Whoever looks sees why it waits.
            assert_eq!(job.failure.unwrap().message, "slow down");
            break;
        }
        tokio::task::yield_now().await;
    }
    server.jobs.wake("slow");
    server
        .jobs
        .submit(NewJob::new("b", "slow", json!(1)).with_max_attempts(1))
        .await
        .unwrap();
    assert_eq!(audience.begun().await, "b");
    assert_eq!(server.jobs.wait("b").await.unwrap().state, JobState::Failed);
    assert_eq!(server.jobs.get("a").await.unwrap().state, JobState::Queued);
    server.expire("a").await;
    server.jobs.wake("slow");
    audience.let_go(1);
    assert_eq!(server.jobs.wait("a").await.unwrap().state, JobState::Completed);
    server.stop().await;
}

/// Ends its jobs at the second try.
#[derive(Clone, Default)]
struct Forgetful {
    tries: Arc<AtomicU32>,
}

#[async_trait]
impl JobHandler for Forgetful {
    async fn run(&self, _job: &RunningJob) -> Result<Value> {
        Ok(json!(1))
    }

    async fn ended(&self, _job: &Job, _transaction: &mut Transaction) -> Result<()> {
        match self.tries.fetch_add(1, Ordering::SeqCst) {
            0 => Err(Error::invalid_request("not now")),
            _ => Ok(()),
        }
    }
}

async fn an_end_that_fails_is_tried_again(place: Place) {
    let server = Server::over(&place, TIMING);
    let handler = Forgetful::default();
    server.jobs.handle("forget", 1, handler.clone()).unwrap();
    server.jobs.start().unwrap();
    server.jobs.submit(NewJob::new("a", "forget", json!(1))).await.unwrap();
    let job = server.jobs.wait("a").await.unwrap();
    assert_eq!((job.state, job.attempt), (JobState::Completed, 1));
    assert_eq!(handler.tries.load(Ordering::SeqCst), 2);
    server.stop().await;
}

async fn so_many_at_a_time(place: Place) {
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (handler, mut audience) = {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        script(move |job, stage| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                stage.meet(job).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(json!(1))
            }
            .boxed()
        })
    };
    let server = Server::over(&place, TIMING);
    server.jobs.handle("some", 3, handler).unwrap();
    // A kind that is busy is in no other's way.
    server
        .jobs
        .handle("other", 1, script(|_, _| async { Ok(json!(1)) }.boxed()).0)
        .unwrap();
    server.jobs.start().unwrap();
    for number in 0..8 {
        server
            .jobs
            .submit(NewJob::new(format!("{number}"), "some", json!(1)))
            .await
            .unwrap();
    }
    for _ in 0..3 {
        audience.begun().await;
    }
    server
        .jobs
        .submit(NewJob::new("other", "other", json!(1)))
        .await
        .unwrap();
    server.jobs.wait("other").await.unwrap();
    assert_eq!(audience.begun_so_far(), [] as [&str; 0]);
    for _ in 0..8 {
        audience.let_go(1);
    }
    for number in 0..8 {
        server.jobs.wait(&number.to_string()).await.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
    server.stop().await;
}

//! Jobs that somebody does not want any more.

use std::time::Duration;

use futures::FutureExt;
use puna_api::Error;
use puna_jobs::{JobState, NewJob, Timing};
use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::json;
use tokio::sync::mpsc;

use crate::script::script;
use crate::server::{Server, TIMING};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_job_that_waits_never_runs,
        a_job_that_waits_for_its_next_attempt_has_had_its_last,
        a_handler_ends_its_job_itself,
        a_handler_that_does_not_listen_is_dropped,
        a_job_that_has_ended_stays_as_it_is,
        another_server_can_cancel,
    ]
}

async fn a_job_that_waits_never_runs(place: Place) {
    let (handler, mut audience) = script(|job, stage| {
        async move {
            stage.meet(job).await;
            Ok(json!(1))
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("wait", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server
        .jobs
        .submit(NewJob::new("first", "wait", json!(1)))
        .await
        .unwrap();
    assert_eq!(audience.begun().await, "first");
    server
        .jobs
        .submit(NewJob::new("second", "wait", json!(1)))
        .await
        .unwrap();
    let job = server.jobs.cancel("second").await.unwrap();
    assert_eq!(
        (job.state, job.attempt, job.cancel_requested),
        (JobState::Cancelled, 0, true)
    );
    assert!(job.finished_at.is_some());
    assert_eq!(audience.ends(), [("second".to_owned(), JobState::Cancelled)]);
    audience.let_go(2);
    server.jobs.wait("first").await.unwrap();
    server
        .jobs
        .submit(NewJob::new("third", "wait", json!(1)))
        .await
        .unwrap();
    assert_eq!(server.jobs.wait("third").await.unwrap().state, JobState::Completed);
    assert_eq!(audience.begun_so_far(), ["third"]);
    server.stop().await;
}

async fn a_job_that_waits_for_its_next_attempt_has_had_its_last(place: Place) {
    let (handler, mut audience) = script(|job, stage| {
        async move {
            stage.meet(job).await;
            Err(Error::unavailable("later").with_retry_after(Duration::from_secs(3600)))
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("later", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server.jobs.submit(NewJob::new("a", "later", json!(1))).await.unwrap();
    audience.begun().await;
    audience.let_go(1);
    while server.jobs.get("a").await.unwrap().state != JobState::Queued {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.jobs.cancel("a").await.unwrap().state, JobState::Cancelled);
    assert_eq!(audience.ends(), [("a".to_owned(), JobState::Cancelled)]);
    server.stop().await;
}

async fn a_handler_ends_its_job_itself(place: Place) {
    let (handler, mut audience) = script(|job, stage| {
        async move {
            stage.meet(job).await;
            job.cancelled().await;
            assert!(job.is_cancelled());
            match job.payload()? {
                true => Ok(json!("what there is")),
                false => Err(Error::unavailable("cut off")),
            }
        }
        .boxed()
    });
    let server = Server::over(
        &place,
        Timing {
            cancel_grace: Duration::from_secs(3600),
            ..TIMING
        },
    );
    server.jobs.handle("listen", 2, handler).unwrap();
    server.jobs.start().unwrap();
    for (id, answers, state) in [("a", true, JobState::Completed), ("b", false, JobState::Cancelled)] {
        server
            .jobs
            .submit(NewJob::new(id, "listen", json!(answers)))
            .await
            .unwrap();
        audience.begun().await;
        audience.let_go(1);
        let job = server.jobs.cancel(id).await.unwrap();
        assert!(job.cancel_requested);
        let job = server.jobs.wait(id).await.unwrap();
        assert_eq!((job.state, job.attempt), (state, 1));
        assert_eq!(audience.ends(), [(id.to_owned(), state)]);
    }
    server.stop().await;
}

async fn a_handler_that_does_not_listen_is_dropped(place: Place) {
    /// Tells that it was dropped.
    struct Held(mpsc::UnboundedSender<()>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }
    let (drop_it, mut dropped) = mpsc::unbounded_channel();
    let (handler, mut audience) = script(move |job, stage| {
        let held = Held(drop_it.clone());
        async move {
            let _held = held;
            stage.meet(job).await;
            Ok(json!(1))
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("deaf", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server.jobs.submit(NewJob::new("a", "deaf", json!(1))).await.unwrap();
    audience.begun().await;
    assert_eq!(server.jobs.cancel("a").await.unwrap().state, JobState::Running);
    assert_eq!(server.jobs.wait("a").await.unwrap().state, JobState::Cancelled);
    // Before the job's end was told, and not after.
    dropped.try_recv().unwrap();
    server.stop().await;
}

async fn a_job_that_has_ended_stays_as_it_is(place: Place) {
    let (handler, mut audience) = script(|_, _| async { Ok(json!(1)) }.boxed());
    let server = Server::over(&place, TIMING);
    server.jobs.handle("some", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server.jobs.submit(NewJob::new("a", "some", json!(1))).await.unwrap();
    let ended = server.jobs.wait("a").await.unwrap();
    assert_eq!(server.jobs.cancel("a").await.unwrap(), ended);
    assert_eq!(audience.ends().len(), 1);
    server.stop().await;
}

async fn another_server_can_cancel(place: Place) {
    let play = || {
        script(|job, stage| {
            async move {
                stage.meet(job).await;
                job.cancelled().await;
                Err(Error::cancelled("as asked"))
            }
            .boxed()
        })
    };
    // By the sign of life, which asks; PostgreSQL tells it sooner.
    let timing = Timing {
        lease: Duration::from_secs(4),
        ..TIMING
    };
    let (one, other) = (Server::over(&place, timing), Server::over(&place, timing));
    let (handler, mut audience) = play();
    one.jobs.handle("listen", 1, handler).unwrap();
    one.jobs.start().unwrap();
    other.jobs.handle("listen", 1, play().0).unwrap();
    one.jobs.submit(NewJob::new("a", "listen", json!(1))).await.unwrap();
    audience.begun().await;
    audience.let_go(1);
    assert_eq!(other.jobs.cancel("a").await.unwrap().state, JobState::Running);
    assert_eq!(other.jobs.wait("a").await.unwrap().state, JobState::Cancelled);
    assert_eq!(audience.ends(), [("a".to_owned(), JobState::Cancelled)]);
    one.stop().await;
    other.stop().await;
}

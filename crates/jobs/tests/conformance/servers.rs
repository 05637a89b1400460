//! Servers that come, go, die, and share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use puna_api::{Error, ErrorKind};
use puna_jobs::{JobState, NewJob, Progress, Timing};
use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::json;
use tokio::sync::mpsc;

use crate::script::{Audience, script};
use crate::server::{Server, TIMING};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_shutdown_gives_jobs_back,
        a_killed_servers_job_goes_on_from_its_checkpoint,
        a_lost_lease_changes_nothing,
        a_checkpoint_is_there_with_the_row_that_came_with_it,
        a_lease_is_kept_while_its_job_runs,
        a_job_that_kills_its_servers_is_given_up,
        two_servers_share_jobs,
    ]
}

pub(crate) fn acts_on_postgres() -> Vec<(&'static str, Act)> {
    acts![a_server_hears_of_anothers_jobs]
}

/// A server whose handler saves 1, meets the trial, and answers with what it started from.
fn stepping(place: &Place, timing: Timing) -> (Server, Audience) {
    let (handler, audience) = script(|job, stage| {
        async move {
            let from: Option<u32> = job.checkpoint()?;
            job.save(&(from.unwrap_or(0) + 1)).await?;
            job.progress(u64::from(from.unwrap_or(0)) + 1, None);
            stage.meet(job).await;
            Ok(json!({"from": from, "attempt": job.attempt()}))
        }
        .boxed()
    });
    let server = Server::over(place, timing);
    server.jobs.handle("step", 1, handler).unwrap();
    server.jobs.start().unwrap();
    (server, audience)
}

async fn a_shutdown_gives_jobs_back(place: Place) {
    let (one, mut audience) = stepping(&place, TIMING);
    one.jobs
        .submit(NewJob::new("a", "step", json!(1)).with_max_attempts(1))
        .await
        .unwrap();
    audience.begun().await;
    one.stop().await;
    assert_eq!(audience.ends(), []);
    let (other, mut audience) = stepping(&place, TIMING);
    assert_eq!(audience.begun().await, "a");
    assert_eq!(
        other.jobs.get("a").await.unwrap().progress,
        Some(Progress { done: 1, total: None })
    );
    audience.let_go(1);
    let job = other.jobs.wait("a").await.unwrap();
    // What a shutdown ended was no attempt.
    assert_eq!(job.result, Some(json!({"from": 1, "attempt": 1})));
    assert_eq!(audience.ends(), [("a".to_owned(), JobState::Completed)]);
    other.stop().await;
}

async fn a_killed_servers_job_goes_on_from_its_checkpoint(place: Place) {
    let (one, mut audience) = stepping(&place, TIMING);
    one.jobs.submit(NewJob::new("a", "step", json!(1))).await.unwrap();
    audience.begun().await;
    one.kill().await;
    let (other, mut audience) = stepping(&place, TIMING);
    // Nobody takes it before its time.
    let job = other.jobs.get("a").await.unwrap();
    assert_eq!((job.state, job.checkpoint), (JobState::Running, Some(json!(1))));
    assert_eq!(audience.begun_so_far(), [] as [&str; 0]);
    other.expire("a").await;
    assert_eq!(audience.begun().await, "a");
    audience.let_go(1);
    let job = other.jobs.wait("a").await.unwrap();
    assert_eq!(job.result, Some(json!({"from": 1, "attempt": 2})));
    assert_eq!(audience.ends(), [("a".to_owned(), JobState::Completed)]);
    other.stop().await;
}

async fn a_lost_lease_changes_nothing(place: Place) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (handler, mut slow) = script(move |job, stage| {
        let tell = tell.clone();
        async move {
            stage.meet(job).await;
            job.progress(77, None);
            tell.send((job.save(&json!("late")).await, job.log("late").await))
                .unwrap();
            Ok(json!("late"))
        }
        .boxed()
    });
    let one = Server::over(&place, TIMING);
    one.jobs.handle("step", 1, handler).unwrap();
    one.jobs.start().unwrap();
    one.jobs.submit(NewJob::new("a", "step", json!(1))).await.unwrap();
    slow.begun().await;
    // The job is taken from a server that is alive and does not know.
    let (other, mut audience) = stepping(&place, TIMING);
    other.expire("a").await;
    audience.begun().await;
    slow.let_go(1);
    let (saved, logged) = told.recv().await.unwrap();
    assert_eq!(saved.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(logged.unwrap_err().kind(), ErrorKind::Cancelled);
    // It has written down its end, to no effect, when it has stopped.
    one.stop().await;
    let job = other.jobs.get("a").await.unwrap();
    assert_eq!(
        (job.state, job.checkpoint, job.result),
        (JobState::Running, Some(json!(1)), None)
    );
    audience.let_go(1);
    let job = other.jobs.wait("a").await.unwrap();
    assert_eq!(job.result, Some(json!({"from": null, "attempt": 2})));
    assert_eq!(job.progress, Some(Progress { done: 1, total: None }));
    assert_eq!(other.jobs.logs("a", 0, 10).await.unwrap(), []);
    assert_eq!(slow.ends(), []);
    assert_eq!(audience.ends(), [("a".to_owned(), JobState::Completed)]);
    other.stop().await;
}

async fn a_checkpoint_is_there_with_the_row_that_came_with_it(place: Place) {
    let jobs = Arc::new(Mutex::new(None::<puna_jobs::Jobs>));
    let rows = place
        .table_name("jobs")
        .sql("CREATE TABLE {table}_rows (n BIGINT NOT NULL)");
    let insert = place.table_name("jobs").sql("INSERT INTO {table}_rows (n) VALUES ($1)");
    let (handler, _audience) = {
        let jobs = Arc::clone(&jobs);
        script(move |job, _| {
            let (jobs, insert) = (jobs.lock().unwrap().clone().unwrap(), insert.clone());
            async move {
                let from: i64 = job.checkpoint()?.unwrap_or(0);
                for n in from..3 {
                    let mut transaction = jobs.begin().await?;
                    transaction.write(insert.clone(), vec![n.into()]).await?;
                    job.save_in(&mut transaction, &(n + 1)).await?;
                    if (n, job.attempt()) == (1, 1) {
                        drop(transaction);
                        return Err(Error::unavailable("before the commit"));
                    }
                    transaction.commit().await?;
                }
                Ok(json!(from))
            }
            .boxed()
        })
    };
    let server = Server::over(&place, TIMING);
    *jobs.lock().unwrap() = Some(server.jobs.clone());
    server.jobs.database().await.unwrap().write(rows, vec![]).await.unwrap();
    server.jobs.handle("rows", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server.jobs.submit(NewJob::new("a", "rows", json!(1))).await.unwrap();
    let job = server.jobs.wait("a").await.unwrap();
    assert_eq!((job.result, job.attempt), (Some(json!(1)), 2));
    let select = place.table_name("jobs").sql("SELECT n FROM {table}_rows ORDER BY n");
    let rows = server
        .jobs
        .database()
        .await
        .unwrap()
        .read(select, vec![])
        .await
        .unwrap();
    let rows: Vec<i64> = rows.iter().map(|row| row.get("n").unwrap()).collect();
    assert_eq!(rows, [0, 1, 2]);
    jobs.lock().unwrap().take();
    server.stop().await;
}

async fn a_lease_is_kept_while_its_job_runs(place: Place) {
    let timing = Timing {
        lease: Duration::from_secs(4),
        ..TIMING
    };
    let (one, mut audience) = stepping(&place, timing);
    one.jobs.submit(NewJob::new("a", "step", json!(1))).await.unwrap();
    audience.begun().await;
    let (other, mut others) = stepping(&place, timing);
    let due_at = async || {
        let statement = place.table_name("jobs").sql("SELECT due_at FROM {table}");
        let database = other.jobs.database().await.unwrap();
        let row = database.read_one(statement, vec![]).await.unwrap().unwrap();
        row.get::<i64>("due_at").unwrap()
    };
    let first = due_at().await;
    while due_at().await < first + 5000 {
        tokio::time::sleep(TIMING.look).await;
    }
    assert_eq!(others.begun_so_far(), [] as [&str; 0]);
    audience.let_go(1);
    assert_eq!(one.jobs.wait("a").await.unwrap().attempt, 1);
    one.stop().await;
    other.stop().await;
}

async fn a_job_that_kills_its_servers_is_given_up(place: Place) {
    let new = NewJob::new("a", "step", json!(1)).with_max_attempts(2);
    for attempt in 1..=2 {
        let (server, mut audience) = stepping(&place, TIMING);
        server.jobs.submit(new.clone()).await.unwrap();
        if attempt > 1 {
            server.expire("a").await;
        }
        audience.begun().await;
        server.kill().await;
    }
    let (server, mut audience) = stepping(&place, TIMING);
    server.expire("a").await;
    let job = server.jobs.wait("a").await.unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert!(job.failure.unwrap().message.contains("interrupted 2 times"));
    assert_eq!(audience.begun_so_far(), [] as [&str; 0]);
    assert_eq!(audience.ends(), [("a".to_owned(), JobState::Failed)]);
    server.stop().await;
}

async fn two_servers_share_jobs(place: Place) {
    const JOBS: usize = 60;
    let runs = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let server = || {
        let runs = Arc::clone(&runs);
        let (handler, audience) = script(move |job, _| {
            *runs.lock().unwrap().entry(job.id().to_owned()).or_default() += 1;
            async move { Ok(json!(job.id())) }.boxed()
        });
        let server = Server::over(&place, TIMING);
        server.jobs.handle("share", 4, handler).unwrap();
        server.jobs.start().unwrap();
        (server, audience)
    };
    let ((one, mut ends), (other, mut others)) = (server(), server());
    for number in 0..JOBS {
        let jobs = if number % 2 == 0 { &one.jobs } else { &other.jobs };
        jobs.submit(NewJob::new(format!("{number}"), "share", json!(1)))
            .await
            .unwrap();
    }
    for number in 0..JOBS {
        let job = one.jobs.wait(&number.to_string()).await.unwrap();
        assert_eq!((job.result, job.attempt), (Some(json!(number.to_string())), 1));
    }
    let runs = runs.lock().unwrap().clone();
    assert_eq!(runs.len(), JOBS);
    assert!(runs.values().all(|runs| *runs == 1), "{runs:?}");
    assert_eq!(ends.ends().len() + others.ends().len(), JOBS);
    one.stop().await;
    other.stop().await;
}

async fn a_server_hears_of_anothers_jobs(place: Place) {
    // Nobody looks by himself.
    let timing = Timing {
        look: Duration::from_secs(3600),
        ..TIMING
    };
    let (one, mut audience) = stepping(&place, timing);
    let other = Server::over(&place, timing);
    let (handler, _audience) = script(|_, _| async { Ok(json!(1)) }.boxed());
    other.jobs.handle("step", 1, handler).unwrap();
    for id in ["a", "b"] {
        other.jobs.submit(NewJob::new(id, "step", json!(1))).await.unwrap();
        assert_eq!(audience.begun().await, id);
        audience.let_go(1);
        one.jobs.wait(id).await.unwrap();
    }
    // A job that is given back is told too.
    other.jobs.submit(NewJob::new("c", "step", json!(1))).await.unwrap();
    audience.begun().await;
    let (third, mut thirds) = stepping(&place, timing);
    // When this is heard, the server is listening.
    third.jobs.submit(NewJob::new("d", "step", json!(1))).await.unwrap();
    assert_eq!(thirds.begun().await, "d");
    thirds.let_go(2);
    one.stop().await;
    assert_eq!(thirds.begun().await, "c");
    third.jobs.wait("c").await.unwrap();
    other.stop().await;
    third.stop().await;
}

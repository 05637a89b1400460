//! What is kept of jobs.

use std::time::Duration;

use futures::FutureExt;
use puna_api::{ErrorKind, Result};
use puna_jobs::{JobQuery, JobState, NewJob, Progress, Timing};
use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::{Value, json};

use crate::script::script;
use crate::server::{Server, TIMING};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_job_runs_to_its_result,
        submitting_again_changes_nothing,
        a_job_is_there_with_the_row_that_came_with_it,
        jobs_are_listed_newest_first,
        what_has_ended_can_be_deleted,
        what_ended_long_ago_goes,
        what_a_job_cannot_be_is_told,
    ]
}

pub(crate) fn acts_on_sqlite() -> Vec<(&'static str, Act)> {
    acts![nothing_is_opened_before_a_job_comes]
}

async fn a_job_runs_to_its_result(place: Place) {
    let (handler, mut audience) = script(|job, _| {
        async move {
            let number: i64 = job.payload()?;
            assert_eq!((job.id(), job.attempt(), job.checkpoint::<Value>()?), ("one", 1, None));
            job.progress(1, Some(2));
            job.log("half of it").await?;
            job.save(&json!({"at": "half"})).await?;
            job.progress(2, None);
            job.log("a \0 is no \n line's end").await?;
            Ok(json!({"twice": number * 2, "text": "a\0b"}))
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("double", 1, handler).unwrap();
    let submitted = server
        .jobs
        .submit(NewJob::new("one", "double", json!(21)))
        .await
        .unwrap();
    assert_eq!((submitted.state, submitted.attempt), (JobState::Queued, 0));
    assert!(submitted.started_at.is_none());
    server.jobs.start().unwrap();
    let job = server.jobs.wait("one").await.unwrap();
    assert_eq!((job.state, job.attempt, job.failure), (JobState::Completed, 1, None));
    assert_eq!(job.result, Some(json!({"twice": 42, "text": "a\0b"})));
    assert_eq!(job.checkpoint, Some(json!({"at": "half"})));
    assert_eq!(job.progress, Some(Progress { done: 2, total: None }));
    assert!(job.created_at <= job.started_at.unwrap() && job.started_at <= job.finished_at);
    assert_eq!(audience.ends(), [("one".to_owned(), JobState::Completed)]);
    let lines = server.jobs.logs("one", 0, 10).await.unwrap();
    let texts: Vec<&str> = lines.iter().map(|line| line.line.as_str()).collect();
    assert_eq!(texts, ["half of it", "a \u{fffd} is no \n line's end"]);
    assert_eq!(server.jobs.logs("one", 1, 10).await.unwrap(), lines[1..]);
    assert_eq!(server.jobs.logs("one", 0, 1).await.unwrap(), lines[..1]);
    server.stop().await;
}

async fn submitting_again_changes_nothing(place: Place) {
    let (handler, mut audience) = script(|job, stage| {
        async move {
            stage.meet(job).await;
            Ok(Value::Null)
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("wait", 2, handler).unwrap();
    server
        .jobs
        .handle("other", 1, script(|_, _| async { Ok(Value::Null) }.boxed()).0)
        .unwrap();
    server.jobs.start().unwrap();
    // A number that reads differently from what it was written as in some parsers.
    let new = || NewJob::new("one", "wait", json!({"x": 0.1 + 0.2, "y": 1e300, "z": [null, "ä"]}));
    server.jobs.submit(new()).await.unwrap();
    assert_eq!(audience.begun().await, "one");
    assert_eq!(server.jobs.submit(new()).await.unwrap().state, JobState::Running);
    audience.let_go(1);
    let ended = server.jobs.wait("one").await.unwrap();
    // A result that is null is one.
    assert_eq!(ended.result, Some(Value::Null));
    assert_eq!(server.jobs.submit(new()).await.unwrap(), ended);
    for other in [
        NewJob::new("one", "wait", json!({})),
        NewJob {
            kind: "other".to_owned(),
            ..new()
        },
    ] {
        let error = server.jobs.submit(other).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    assert_eq!(audience.begun_so_far(), [] as [&str; 0]);
    server.stop().await;
}

async fn a_job_is_there_with_the_row_that_came_with_it(place: Place) {
    let server = Server::over(&place, TIMING);
    server
        .jobs
        .handle("note", 1, script(|_, _| async { Ok(json!(1)) }.boxed()).0)
        .unwrap();
    server.jobs.start().unwrap();
    let submit = async |id: &str| -> Result<_> {
        let mut transaction = server.jobs.begin().await?;
        server
            .jobs
            .submit_in(&mut transaction, &NewJob::new(id, "note", json!(null)))
            .await?;
        Ok(transaction)
    };
    drop(submit("dropped").await.unwrap());
    submit("kept").await.unwrap().commit().await.unwrap();
    server.jobs.wake("note");
    assert_eq!(server.jobs.wait("kept").await.unwrap().state, JobState::Completed);
    assert_eq!(
        server.jobs.get("dropped").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    server.stop().await;
}

async fn jobs_are_listed_newest_first(place: Place) {
    let server = Server::over(&place, TIMING);
    for kind in ["listed", "others"] {
        server
            .jobs
            .handle(kind, 1, script(|_, _| async { Ok(json!(1)) }.boxed()).0)
            .unwrap();
    }
    for number in 0..7 {
        let kind = if number == 3 { "others" } else { "listed" };
        server
            .jobs
            .submit(NewJob::new(format!("job-{number}"), kind, json!(number)))
            .await
            .unwrap();
    }
    server.jobs.cancel("job-5").await.unwrap();
    let list = async |state, after: Option<&str>, limit| -> Result<Vec<String>> {
        let query = JobQuery {
            kind: "listed".to_owned(),
            state,
            after: after.map(str::to_owned),
            limit,
        };
        let jobs = server.jobs.list(&query).await?;
        Ok(jobs.into_iter().map(|job| job.id).collect())
    };
    let all = list(None, None, 100).await.unwrap();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(sorted, ["job-0", "job-1", "job-2", "job-4", "job-5", "job-6"]);
    // Jobs of one millisecond may come in any order, which stays.
    let mut pages = list(None, None, 4).await.unwrap();
    pages.extend(list(None, Some(&pages[3]), 4).await.unwrap());
    assert_eq!(pages, all);
    assert_eq!(list(Some(JobState::Cancelled), None, 100).await.unwrap(), ["job-5"]);
    assert_eq!(list(Some(JobState::Queued), None, 100).await.unwrap().len(), 5);
    assert_eq!(list(None, Some(&all[5]), 4).await.unwrap(), [] as [&str; 0]);
    for (after, limit, param) in [(Some("nowhere"), 4, "after"), (None, 0, "limit"), (None, 1001, "limit")] {
        let error = list(None, after, limit).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::InvalidRequest, Some(param)));
    }
    server.stop().await;
}

async fn what_has_ended_can_be_deleted(place: Place) {
    let (handler, mut audience) = script(|job, stage| {
        async move {
            job.log("a line").await?;
            stage.meet(job).await;
            Ok(json!(1))
        }
        .boxed()
    });
    let server = Server::over(&place, TIMING);
    server.jobs.handle("wait", 1, handler).unwrap();
    server.jobs.start().unwrap();
    server.jobs.submit(NewJob::new("one", "wait", json!(1))).await.unwrap();
    audience.begun().await;
    let error = server.jobs.delete("one").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("running"), "{error}");
    audience.let_go(1);
    server.jobs.wait("one").await.unwrap();
    server.jobs.delete("one").await.unwrap();
    assert_eq!(server.jobs.get("one").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(server.jobs.logs("one", 0, 10).await.unwrap(), []);
    assert_eq!(server.jobs.delete("one").await.unwrap_err().kind(), ErrorKind::NotFound);
    server.stop().await;
}

async fn what_ended_long_ago_goes(place: Place) {
    let (handler, mut audience) = script(|job, stage| {
        async move {
            job.log("a line").await?;
            if job.id() == "two" {
                stage.meet(job).await;
            }
            Ok(json!(1))
        }
        .boxed()
    });
    let keep = Duration::from_millis(100);
    let server = Server::over(&place, Timing { keep, ..TIMING });
    server.jobs.handle("wait", 2, handler).unwrap();
    server.jobs.start().unwrap();
    server.jobs.submit(NewJob::new("two", "wait", json!(1))).await.unwrap();
    audience.begun().await;
    for _ in 0..2 {
        server.jobs.submit(NewJob::new("one", "wait", json!(1))).await.unwrap();
        let gone = async {
            while server.jobs.get("one").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.unwrap();
        assert_eq!(server.jobs.logs("one", 0, 10).await.unwrap(), []);
    }
    assert_eq!(server.jobs.get("two").await.unwrap().state, JobState::Running);
    assert_eq!(server.jobs.logs("two", 0, 10).await.unwrap().len(), 1);
    audience.let_go(1);
    server.stop().await;
}

async fn what_a_job_cannot_be_is_told(place: Place) {
    let server = Server::over(&place, TIMING);
    let nothing = || script(|_, _| async { Ok(json!(1)) }.boxed()).0;
    server.jobs.handle("some", 1, nothing()).unwrap();
    let long = "x".repeat(256);
    for id in ["", "a\0b", &long] {
        let error = server.jobs.submit(NewJob::new(id, "some", json!(1))).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::InvalidRequest, Some("id")));
    }
    let never = NewJob::new("a", "some", json!(1)).with_max_attempts(0);
    assert_eq!(
        server.jobs.submit(never).await.unwrap_err().param(),
        Some("max_attempts")
    );
    let error = server
        .jobs
        .submit(NewJob::new("a", "none", json!(1)))
        .await
        .unwrap_err();
    assert!(error.message().contains("`none`"), "{error}");
    assert!(server.jobs.handle("some", 1, nothing()).is_err());
    assert!(server.jobs.handle("never", 0, nothing()).is_err());
    assert_eq!(server.jobs.cancel("a").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(server.jobs.wait("a").await.unwrap_err().kind(), ErrorKind::NotFound);
    server.jobs.start().unwrap();
    assert!(server.jobs.handle("late", 1, nothing()).is_err());
    assert!(server.jobs.start().is_err());
    server.stop().await;
}

async fn nothing_is_opened_before_a_job_comes(place: Place) {
    let path = place.file();
    let server = Server::over(&place, TIMING);
    server
        .jobs
        .handle("some", 1, script(|_, _| async { Ok(json!(1)) }.boxed()).0)
        .unwrap();
    server.jobs.start().unwrap();
    tokio::time::sleep(TIMING.look * 3).await;
    assert!(!path.exists());
    server.jobs.submit(NewJob::new("a", "some", json!(1))).await.unwrap();
    server.jobs.wait("a").await.unwrap();
    assert!(path.exists());
    server.stop().await;
}

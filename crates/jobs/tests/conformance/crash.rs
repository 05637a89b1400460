//! What was acknowledged ends, and ends once, however often its server is killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use puna_api::{Error, Result};
use puna_jobs::{Job, JobHandler, JobQuery, JobState, Jobs, NewJob, RunningJob, Timing};
use puna_storage::{TableName, Transaction};
use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::server::{Server, TIMING};

/// The argument that makes this program a server.
const SERVER: &str = "--be-the-server";
/// How often a server is killed, each time somewhere else.
const ROUNDS: usize = 25;
/// What each job does.
const STEPS: i64 = 4;
/// How many jobs a server has at a time.
const AT_A_TIME: usize = 3;
/// Short, so that the next server takes up what the last one had.
const LEASE: Duration = Duration::from_millis(500);

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![what_was_acknowledged_ends_once]
}

/// Writes a row for each step, together with the checkpoint, and one for each end.
struct Steps {
    table: TableName,
    jobs: Jobs,
    /// As many as may be submitted.
    free: Arc<Semaphore>,
    is_told: bool,
}

#[async_trait]
impl JobHandler for Steps {
    async fn run(&self, job: &RunningJob) -> Result<Value> {
        let from: i64 = job.checkpoint()?.unwrap_or(0);
        for step in from..STEPS {
            job.log(&format!("step {step}")).await?;
            let mut transaction = self.jobs.begin().await?;
            let insert = self
                .table
                .sql("INSERT INTO {table}_steps (job_id, step) VALUES ($1, $2)");
            transaction.write(insert, vec![job.id().into(), step.into()]).await?;
            job.save_in(&mut transaction, &(step + 1)).await?;
            transaction.commit().await?;
            self.tell(&format!("did {step} of {}", job.id()));
        }
        Ok(json!({"of": job.payload::<Value>()?}))
    }

    async fn ended(&self, job: &Job, transaction: &mut Transaction) -> Result<()> {
        let insert = self.table.sql("INSERT INTO {table}_ends (job_id) VALUES ($1)");
        transaction.write(insert, vec![job.id.as_str().into()]).await?;
        self.free.add_permits(1);
        self.tell(&format!("ended {}", job.id));
        Ok(())
    }
}

impl Steps {
    /// Each line is a moment at which the server may be killed.
    fn tell(&self, line: &str) {
        if self.is_told {
            say(line);
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The place to serve, if this process is a server.
pub(crate) fn place_of_server() -> Option<Place> {
    Place::of_process(SERVER)
}

async fn server(place: &Place, is_told: bool) -> (Server, Arc<Semaphore>) {
    let server = Server::over(place, Timing { lease: LEASE, ..TIMING });
    let free = Arc::new(Semaphore::new(AT_A_TIME));
    let handler = Steps {
        table: place.table_name("jobs"),
        jobs: server.jobs.clone(),
        free: Arc::clone(&free),
        is_told,
    };
    for statement in [
        "CREATE TABLE IF NOT EXISTS {table}_steps (job_id TEXT NOT NULL, step BIGINT NOT NULL)",
        "CREATE TABLE IF NOT EXISTS {table}_ends (job_id TEXT NOT NULL)",
    ] {
        let database = server.jobs.database().await.unwrap();
        database
            .write(place.table_name("jobs").sql(statement), vec![])
            .await
            .unwrap();
    }
    server.jobs.handle("steps", AT_A_TIME, handler).unwrap();
    server.jobs.start().unwrap();
    (server, free)
}

/// Submits and runs jobs until it is killed.
pub(crate) fn serve(place: &Place) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (server, free) = server(place, true).await;
        loop {
            free.acquire().await.unwrap().forget();
            let id = format!("{:x}", fastrand::u64(..));
            let new = NewJob::new(&id, "steps", json!(id)).with_max_attempts(u32::MAX);
            server.jobs.submit(new).await.unwrap();
            say(&format!("submitted {id}"));
        }
    })
}

async fn what_was_acknowledged_ends_once(place: Place) {
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut server = place.process(SERVER).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap())
            .lines()
            .map(|line| line.unwrap());
        let mut told: Vec<String> = lines.by_ref().take(1 + (round * 7) % 23).collect();
        server.kill().unwrap();
        server.wait().unwrap();
        // What it told before it was killed.
        told.extend(lines);
        let ids = told.iter().filter_map(|line| line.strip_prefix("submitted "));
        acknowledged.extend(ids.map(str::to_owned));
    }
    assert!(acknowledged.len() >= ROUNDS, "{acknowledged:?}");

    let (server, _free) = server(&place, false).await;
    for id in &acknowledged {
        let job = server.jobs.wait(id).await.unwrap();
        assert_eq!((job.state, job.result), (JobState::Completed, Some(json!({"of": id}))));
    }
    // What was not acknowledged may be there, but then as a whole.
    let query = JobQuery {
        kind: "steps".to_owned(),
        state: None,
        after: None,
        limit: 1000,
    };
    let all = server.jobs.list(&query).await.unwrap();
    assert!(acknowledged.len() <= all.len() && all.len() <= acknowledged.len() + ROUNDS);
    let mut interrupted = 0;
    for job in &all {
        interrupted += server.jobs.wait(&job.id).await.unwrap().attempt - 1;
    }
    assert!(interrupted > 0, "no server was killed while it ran something");
    let steps = count(
        &server,
        &place,
        "SELECT job_id, COUNT(*) AS n FROM {table}_steps GROUP BY job_id",
    )
    .await;
    let different = "SELECT job_id, COUNT(DISTINCT step) AS n FROM {table}_steps GROUP BY job_id";
    assert_eq!(steps, count(&server, &place, different).await);
    let ends = count(
        &server,
        &place,
        "SELECT job_id, COUNT(*) AS n FROM {table}_ends GROUP BY job_id",
    )
    .await;
    for Job { id, .. } in &all {
        assert_eq!((steps.get(id), ends.get(id)), (Some(&STEPS), Some(&1)), "{id}");
    }
    assert_eq!((steps.len(), ends.len()), (all.len(), all.len()));
    server.stop().await;
}

async fn count(server: &Server, place: &Place, statement: &'static str) -> BTreeMap<String, i64> {
    let database = server.jobs.database().await.unwrap();
    let rows = database
        .read(place.table_name("jobs").sql(statement), vec![])
        .await
        .unwrap();
    let pair = |row: &puna_storage::Row| Ok::<_, Error>((row.get("job_id")?, row.get("n")?));
    rows.iter().map(|row| pair(row).unwrap()).collect()
}

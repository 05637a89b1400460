//! The jobs of a server.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use puna_api::{Error, Result};
use puna_storage::{Database, TableName, Transaction};
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;

use crate::handler::JobHandler;
use crate::job::{Job, JobQuery, LogLine, NewJob};
use crate::lane::Lane;
use crate::settings::JobsSettings;
use crate::table::{JobTable, due};
use crate::{listener, sweep};

/// What the tables are called by default.
const TABLE: &str = "jobs";
/// The longest page of a list.
const LONGEST_PAGE: u32 = 1000;

/// The jobs of a server, or of several over one database. Cheap to clone.
///
/// # Behavior
/// - What `submit` has acknowledged is there after a crash, and reaches a final state once.
/// - A job is run by one server at a time; only the one that has its lease changes it.
/// - A final state is written once, together with what the handler's `ended` adds to it.
#[derive(Clone)]
pub struct Jobs(Arc<Fields>);

struct Fields {
    settings: JobsSettings,
    table: OnceCell<JobTable>,
    lanes: Mutex<Lanes>,
    /// Those that run here, and how to tell them that they are cancelled.
    running: Mutex<HashMap<String, CancellationToken>>,
    /// Somebody's job may have ended.
    ended: Notify,
}

#[derive(Default)]
struct Lanes {
    by_kind: HashMap<String, Arc<Lane>>,
    are_started: bool,
}

impl Jobs {
    /// Jobs kept as the settings say. Opens nothing.
    pub fn new(settings: JobsSettings) -> Self {
        Self(Arc::new(Fields {
            settings,
            table: OnceCell::new(),
            lanes: Mutex::default(),
            running: Mutex::default(),
            ended: Notify::new(),
        }))
    }

    /// Has this handler run the jobs of a kind, so many at a time on this server. To be called before [`start`](Self::start).
    pub fn handle(&self, kind: &str, concurrency: usize, handler: impl JobHandler) -> Result<()> {
        if concurrency == 0 {
            let message = format!("the jobs of the kind `{kind}` must be run 1 or more at a time, not 0");
            return Err(Error::configuration(message));
        }
        let mut lanes = self.lanes();
        if lanes.are_started {
            let message = format!("a handler for jobs of the kind `{kind}` came after the start");
            return Err(Error::internal(message));
        }
        let lane = Lane::new(kind, concurrency, Arc::new(handler));
        match lanes.by_kind.insert(kind.to_owned(), Arc::new(lane)) {
            None => Ok(()),
            Some(_) => Err(Error::internal(format!(
                "there are two handlers for jobs of the kind `{kind}`"
            ))),
        }
    }

    /// Starts to run jobs, those that earlier servers left too. They end with the server. Without handlers nothing is started; with some, a
    /// place for jobs that is not there is a configuration error.
    pub fn start(&self) -> Result<()> {
        let mut lanes = self.lanes();
        if std::mem::replace(&mut lanes.are_started, true) {
            return Err(Error::internal("the jobs are started twice"));
        }
        if lanes.by_kind.is_empty() {
            return Ok(());
        }
        let JobsSettings {
            storage, store, tasks, ..
        } = &self.0.settings;
        // Told now, and not when the first job comes.
        TableName::new(store.table_name.as_deref().unwrap_or(TABLE))?;
        storage.may_hold_sql(store)?;
        for lane in lanes.by_kind.values() {
            tasks.spawn(Box::pin(Arc::clone(lane).work(self.clone())));
        }
        tasks.spawn(Box::pin(listener::listen(self.clone())));
        tasks.spawn(Box::pin(sweep::keep_swept(self.clone())));
        Ok(())
    }

    /// Adds a job, durably, and answers it as it is kept. The same job again is no error and changes nothing; another one of the same id is a
    /// conflict.
    pub async fn submit(&self, new: NewJob) -> Result<Job> {
        let mut transaction = self.begin().await?;
        let job = self.submit_in(&mut transaction, &new).await?;
        transaction.commit().await?;
        self.wake(&new.kind);
        Ok(job)
    }

    /// A transaction of the database that the jobs are in.
    pub async fn begin(&self) -> Result<Transaction> {
        self.table().await?.database.begin().await
    }

    /// The database that the jobs are in, for tables that belong to them.
    pub async fn database(&self) -> Result<&Database> {
        Ok(&self.table().await?.database)
    }

    /// Adds a job together with what else the transaction does. To be followed by [`wake`](Self::wake) once that is committed.
    pub async fn submit_in(&self, transaction: &mut Transaction, new: &NewJob) -> Result<Job> {
        self.lane(&new.kind)?;
        let table = self.table().await?;
        let job = table.insert(transaction, new).await?;
        table.tell(transaction, &due(&new.kind)).await?;
        Ok(job)
    }

    /// Has this server look for jobs of a kind now. It would some seconds later, too.
    pub fn wake(&self, kind: &str) {
        if let Ok(lane) = self.lane(kind) {
            lane.wake.notify_one();
        }
    }

    /// A job as it is now. Fails as not found.
    pub async fn get(&self, id: &str) -> Result<Job> {
        self.table().await?.get(id).await
    }

    /// Jobs of a kind, newest first; 1000 of them at most. Fails as an invalid request when there is no job to go on after.
    pub async fn list(&self, query: &JobQuery) -> Result<Vec<Job>> {
        if !(1..=LONGEST_PAGE).contains(&query.limit) {
            let message = format!("`limit` must be from 1 to {LONGEST_PAGE}, not {}", query.limit);
            return Err(Error::invalid_request(message).with_param("limit"));
        }
        self.table().await?.list(query).await
    }

    /// Lines of a job's log after the line of this number, so many at most. A job without a log, or none, has no lines.
    pub async fn logs(&self, id: &str, after: u64, limit: u32) -> Result<Vec<LogLine>> {
        self.table().await?.lines(id, after, limit).await
    }

    /// Cancels a job: at once if it waits; if it runs, its handler is told, and it ends some seconds later. A job that has ended stays as it is.
    /// Answers with the job as it is then.
    pub async fn cancel(&self, id: &str) -> Result<Job> {
        let table = self.table().await?;
        let mut transaction = table.database.begin().await?;
        let Some(job) = table.cancel(&mut transaction, id).await? else {
            drop(transaction);
            return table.get(id).await;
        };
        if job.state.is_final() {
            self.lane(&job.kind)?.handler.ended(&job, &mut transaction).await?;
        }
        transaction.commit().await?;
        self.cancel_here(id);
        self.0.ended.notify_waiters();
        Ok(job)
    }

    /// Takes a job away that has ended, with its log. Fails as a conflict when it has not.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let table = self.table().await?;
        let mut transaction = table.database.begin().await?;
        table.delete(&mut transaction, id).await?;
        transaction.commit().await
    }

    /// Waits until a job has reached its final state.
    pub async fn wait(&self, id: &str) -> Result<Job> {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            // Before the job is looked at, so that no end falls in between.
            ended.as_mut().enable();
            let job = self.get(id).await?;
            if job.state.is_final() {
                return Ok(job);
            }
            // It may end on another server.
            let _ = tokio::time::timeout(self.0.settings.timing.look, ended).await;
        }
    }

    pub(crate) fn settings(&self) -> &JobsSettings {
        &self.0.settings
    }

    pub(crate) async fn table(&self) -> Result<&JobTable> {
        let settings = &self.0.settings;
        let open = async || {
            let (database, table) = settings.storage.sql(&settings.store, TABLE).await?;
            JobTable::open(database, table, settings.timing.lease).await
        };
        self.0.table.get_or_try_init(open).await
    }

    /// Whether there may be jobs, told without opening anything.
    pub(crate) fn may_be_there(&self) -> bool {
        let Fields { settings, table, .. } = &*self.0;
        table.initialized() || settings.storage.may_hold_sql(&settings.store).unwrap_or(true)
    }

    pub(crate) fn add_running(&self, id: &str, token: CancellationToken) {
        self.running().insert(id.to_owned(), token);
    }

    pub(crate) fn remove_running(&self, id: &str) {
        self.running().remove(id);
        self.0.ended.notify_waiters();
    }

    pub(crate) fn cancel_here(&self, id: &str) {
        if let Some(token) = self.running().get(id) {
            token.cancel();
        }
    }

    /// Has this server look for jobs of all kinds.
    pub(crate) fn wake_all(&self) {
        for lane in self.lanes().by_kind.values() {
            lane.wake.notify_one();
        }
        self.0.ended.notify_waiters();
    }

    fn lane(&self, kind: &str) -> Result<Arc<Lane>> {
        let lane = self.lanes().by_kind.get(kind).map(Arc::clone);
        lane.ok_or_else(|| Error::internal(format!("nothing on this server runs jobs of the kind `{kind}`")))
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

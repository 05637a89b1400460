//! The chat completions that are kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use puna_api::{Error, RequestContext, Result, Tasks};
use tokio::sync::OnceCell;

use crate::meters::Meters;
use crate::query::{CompletionList, CompletionQuery, MessageList, MessageQuery, StoredCompletion};
use crate::queue::Queue;
use crate::table::CompletionTable;
use crate::{CompletionsSettings, Metadata, Recording, message, writer};

/// What an id begins with.
pub(crate) const ID_PREFIX: &str = "chatcmpl-";
/// What the table is called by default; the original's own is called otherwise, so both can be in one database.
const TABLE: &str = "inference_store";
/// How long a reader waits for what is under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Chat completions as rows of a table. Nothing is opened before the first one is kept.
pub struct StoredCompletions {
    settings: CompletionsSettings,
    table: OnceCell<CompletionTable>,
    pub(crate) queue: Queue,
    pub(crate) meters: Meters,
}

impl StoredCompletions {
    /// Completions kept as the settings say.
    pub fn new(settings: CompletionsSettings) -> Self {
        let meters = Meters::new();
        Self {
            queue: Queue::new(settings.max_write_queue_size, meters.waiting.clone()),
            table: OnceCell::new(),
            settings,
            meters,
        }
    }

    /// Writes what is to be kept until the server ends.
    pub fn keep_written(self: &Arc<Self>, tasks: &dyn Tasks) {
        for _ in 0..self.settings.num_writers {
            tasks.spawn(Box::pin(writer::run(Arc::clone(self), tasks.shutdown())));
        }
    }

    /// Whether the completion of a request is to be kept that says so, says not so, or says nothing (`store`).
    pub fn keeps(&self, asked: Option<bool>) -> bool {
        asked.unwrap_or(self.settings.keeps_all)
    }

    /// Begins to record the answer to a request that is to be kept. `model` is the model as the client named it, `request` the body as it
    /// came, and `is_asked` whether that says `store: true`.
    pub fn record(
        self: &Arc<Self>,
        context: &RequestContext,
        model: &str,
        request: Bytes,
        metadata: Metadata,
        is_asked: bool,
    ) -> Recording {
        Recording::new(Arc::clone(self), context, model, request, metadata, is_asked)
    }

    /// The completion of an id. Fails as not found.
    pub async fn get(&self, id: &str) -> Result<StoredCompletion> {
        let table = self.holding(id).await?;
        table.get(id).await?.ok_or_else(|| not_found(id))
    }

    /// Some of the completions. Fails as an invalid request when `after` is no id.
    pub async fn list(&self, query: &CompletionQuery) -> Result<CompletionList> {
        if let Some(after) = query.after.as_deref().filter(|after| !is_id(after)) {
            let shown: String = after.chars().take(100).collect();
            let message =
                format!("`after` is `{shown}`; send the id of a stored completion, such as the `last_id` of a list");
            return Err(Error::invalid_request(message).with_param("after"));
        }
        // No text in the tables has a zero character.
        let has_zero = query.model.as_deref().is_some_and(|model| model.contains('\0'));
        if has_zero || !self.may_hold().await? {
            return Ok(CompletionList::default());
        }
        self.table().await?.list(query).await
    }

    /// Some of the messages of a completion's request. Fails as not found, and as an invalid request when `after` is none of them.
    pub async fn messages(&self, id: &str, query: &MessageQuery) -> Result<MessageList> {
        let table = self.holding(id).await?;
        let messages = table.messages(id).await?.ok_or_else(|| not_found(id))?;
        message::page(id, &messages, query)
    }

    /// Replaces the notes on a completion. Fails as not found.
    pub async fn update(&self, id: &str, metadata: &Metadata) -> Result<StoredCompletion> {
        let table = self.holding(id).await?;
        match table.update(id, metadata).await? {
            true => table.get(id).await?.ok_or_else(|| not_found(id)),
            false => Err(not_found(id)),
        }
    }

    /// Removes a completion. Fails as not found.
    pub async fn delete(&self, id: &str) -> Result<()> {
        match self.holding(id).await?.delete(id).await? {
            true => Ok(()),
            false => Err(not_found(id)),
        }
    }

    /// Notes that a completion was to be kept and is not.
    pub(crate) fn lose(&self, id: &str, error: &Error) {
        self.meters.lost.increment(1);
        tracing::error!(error = ?error, completion = id, "a chat completion could not be kept");
    }

    pub(crate) async fn table(&self) -> Result<&CompletionTable> {
        let open = async || {
            let (database, table) = self.settings.storage.sql(&self.settings.store, TABLE).await?;
            CompletionTable::open(database, table).await
        };
        self.table.get_or_try_init(open).await
    }

    /// The table, where it may have a completion of this id.
    async fn holding(&self, id: &str) -> Result<&CompletionTable> {
        if !is_id(id) || !self.may_hold().await? {
            return Err(not_found(id));
        }
        self.table().await
    }

    /// Whether a completion may ever have been kept, told without opening anything. What is under way is waited for.
    async fn may_hold(&self) -> Result<bool> {
        self.queue.settled(PATIENCE).await;
        Ok(self.table.initialized() || self.settings.storage.may_hold_sql(&self.settings.store)?)
    }
}

impl fmt::Debug for StoredCompletions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCompletions")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Whether a text has the form of an id of ours.
fn is_id(id: &str) -> bool {
    id.strip_prefix(ID_PREFIX)
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(100).collect();
    Error::not_found(format!("there is no stored chat completion `{shown}`")).with_param("completion_id")
}

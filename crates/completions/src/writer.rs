//! Writes what waits in the queue.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use puna_api::{Error, Result};
use tokio::sync::oneshot;

use crate::document::Record;
use crate::entry::Entry;
use crate::queue::Ticket;
use crate::stored::StoredCompletions;

/// How long is waited before each new try of what cannot be written now.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1600),
];

/// A record, and who waits for it.
type Waited = (Record, Option<oneshot::Sender<Result<()>>>);

/// Writes until the server ends, and then what is left.
pub(crate) async fn run(store: Arc<StoredCompletions>, mut shutdown: BoxFuture<'static, ()>) {
    loop {
        let batch = tokio::select! {
            batch = store.queue.take() => batch,
            () = &mut shutdown => break,
        };
        write(&store, batch).await;
    }
    loop {
        let batch = store.queue.take_now();
        if batch.is_empty() {
            return;
        }
        write(&store, batch).await;
    }
}

async fn write(store: &StoredCompletions, batch: Vec<Ticket>) {
    let numbers: Vec<_> = batch.iter().map(|ticket| ticket.number).collect();
    let mut records = Vec::with_capacity(batch.len());
    for Ticket { mut entry, .. } in batch {
        let waiting = entry.waiting.take();
        match Record::of(&entry) {
            Ok(Some(record)) => records.push((record, waiting)),
            Ok(None) => Entry::tell(waiting, Ok(())),
            Err(error) => lose(store, &entry.id, waiting, &error),
        }
    }
    write_records(store, records).await;
    store.queue.settle(numbers);
}

async fn write_records(store: &StoredCompletions, records: Vec<Waited>) {
    match insert(store, &records).await {
        Ok(()) => {
            for (_, waiting) in records {
                store.meters.stored.increment(1);
                Entry::tell(waiting, Ok(()));
            }
        }
        Err(error) if error.is_transient() || records.len() == 1 => {
            for (record, waiting) in records {
                lose(store, &record.id, waiting, &error);
            }
        }
        // One of them may be what the database does not take; the others are not to suffer for it.
        Err(_) => {
            for record in records {
                Box::pin(write_records(store, vec![record])).await;
            }
        }
    }
}

async fn insert(store: &StoredCompletions, records: &[Waited]) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let records: Vec<_> = records.iter().map(|(record, _)| record).collect();
    let insert = async || store.table().await?.insert(&records).await;
    for pause in PAUSES {
        match insert().await {
            Err(error) if error.is_transient() => {
                tracing::warn!(error = ?error, "failed to keep chat completions; trying again");
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
    insert().await
}

fn lose(store: &StoredCompletions, id: &str, waiting: Option<oneshot::Sender<Result<()>>>, error: &Error) {
    store.lose(id, error);
    Entry::tell(waiting, Err(not_kept(error)));
}

/// What a client hears that asked for its completion to be kept.
pub(crate) fn not_kept(error: &Error) -> Error {
    let message = format!(
        "the answer was made, but could not be kept (`store`): {}",
        error.message()
    );
    let told = Error::new(error.kind(), message);
    match error.retry_after() {
        Some(wait) => told.with_retry_after(wait),
        None => told,
    }
}

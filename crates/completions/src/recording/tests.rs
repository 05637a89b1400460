//! What becomes of answers when nothing is written.

use futures::stream;
use puna_api::ErrorKind;
use puna_storage::{SqlReference, Storage};

use super::*;
use crate::CompletionsSettings;

/// A store with room for one completion, which nobody writes.
fn store() -> Arc<StoredCompletions> {
    Arc::new(StoredCompletions::new(CompletionsSettings {
        storage: Arc::new(Storage::in_folder("/nowhere".as_ref())),
        store: SqlReference {
            backend: None,
            table_name: None,
        },
        keeps_all: true,
        max_write_queue_size: 1,
        num_writers: 1,
    }))
}

fn record(store: &Arc<StoredCompletions>, is_asked: bool) -> Recording {
    let context = RequestContext::new("req_1");
    store.record(&context, "m", Bytes::from_static(b"{}"), Metadata::default(), is_asked)
}

fn answer() -> Json<ChatCompletion> {
    Json::from_bytes(r#"{"id":"theirs","choices":[]}"#)
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_holds_up_an_answer_for_a_moment_and_loses_what_nobody_asked_for() {
    let store = store();
    record(&store, false).keep(&answer()).await.unwrap();
    let before = tokio::time::Instant::now();
    let kept = record(&store, false).keep(&answer()).await.unwrap();
    assert_eq!(before.elapsed(), PATIENCE);
    assert!(kept.get().unwrap().id.starts_with(ID_PREFIX));
    // As soon as there is room, it goes on.
    let answer = answer();
    let (_, kept) = futures::join!(
        async {
            tokio::time::sleep(PATIENCE / 2).await;
            store.queue.take().await
        },
        record(&store, false).keep(&answer)
    );
    assert!(kept.is_ok() && before.elapsed() < PATIENCE * 2);
}

#[tokio::test(start_paused = true)]
async fn who_asked_hears_that_the_queue_is_full() {
    let store = store();
    record(&store, false).keep(&answer()).await.unwrap();
    let error = record(&store, true).keep(&answer()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.message().contains("too many") && error.retry_after().is_some(),
        "{error:?}"
    );

    let chunk = Json::from_bytes(r#"{"choices":[]}"#);
    let mut stream = record(&store, true).stream(stream::iter([Ok(chunk)]).boxed());
    assert!(stream.next().await.unwrap().is_ok());
    assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn who_asked_waits_for_the_disk() {
    let store = store();
    let answer = answer();
    let mut kept = Box::pin(record(&store, true).keep(&answer));
    assert!(futures::poll!(&mut kept).is_pending());
    let mut batch = store.queue.take().await;
    assert!(futures::poll!(&mut kept).is_pending());
    Entry::tell(batch.remove(0).entry.waiting, Ok(()));
    assert!(kept.await.is_ok());
    // A writer that is gone is no disk.
    let mut kept = Box::pin(record(&store, true).keep(&answer));
    assert!(futures::poll!(&mut kept).is_pending());
    drop(store.queue.take().await);
    assert!(kept.await.unwrap_err().message().contains("ending"));
}

#[tokio::test]
async fn an_answer_that_is_no_object_is_refused() {
    let store = store();
    let error = record(&store, false).keep(&Json::from_bytes("[1]")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let mut stream = record(&store, false).stream(stream::iter([Ok(Json::from_bytes("oops"))]).boxed());
    assert!(stream.next().await.unwrap().is_err());
    drop(stream);
    assert!(store.queue.take_now().is_empty());
}

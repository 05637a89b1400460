//! Files that cannot be ingested.

use std::sync::atomic::Ordering;

use puna_api::{ErrorKind, Files};
use puna_jobs::JobQuery;
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{AttachFile, LastErrorCode, SearchStore, StoreFileStatus};

use crate::server::{Server, counts};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_file_that_cannot_be_read_says_why,
        a_file_that_is_deleted_meanwhile_fails,
        a_model_of_another_dimension_is_told,
        a_model_that_is_away_is_waited_for,
        a_provider_that_is_missing_is_told,
        what_a_failure_left_is_taken_away,
    ]
}

async fn a_file_that_cannot_be_read_says_why(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    for (text, code, message) in [
        (
            "%! something",
            LastErrorCode::UnsupportedFile,
            "files of the kind `%!` cannot be read",
        ),
        (" \n", LastErrorCode::InvalidFile, "there is no text in the file"),
    ] {
        let file_id = server.upload("a", text).await;
        server
            .stores
            .attach(&context(), &store.id, AttachFile::new(&file_id))
            .await
            .unwrap();
        let file = server.done(&store.id, &file_id).await;
        let error = file.last_error.unwrap();
        assert_eq!(
            (file.status, error.code, error.message.as_str()),
            (StoreFileStatus::Failed, code, message)
        );
    }
    server.stop().await;
}

async fn a_file_that_is_deleted_meanwhile_fails(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    // The others hold all places, so that this one is not read before it is deleted.
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(server.upload("a", "the cat waits").await);
    }
    for file_id in &others {
        server
            .stores
            .attach(&context(), &store.id, AttachFile::new(file_id))
            .await
            .unwrap();
    }
    let file_id = server.upload("b", "the dog").await;
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&file_id))
        .await
        .unwrap();
    server.around.files.delete(&context(), &file_id).await.unwrap();
    server.around.reader.gate.add_permits(3);
    let error = server.done(&store.id, &file_id).await.last_error.unwrap();
    assert_eq!(error.code, LastErrorCode::InvalidFile);
    assert!(
        error.message.contains("was deleted before it was ingested"),
        "{}",
        error.message
    );
    assert_eq!(server.settled(&store.id).await.file_counts, counts(0, 3, 1, 0));
    server.stop().await;
}

async fn a_model_of_another_dimension_is_told(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a", "the cat")]).await;
    server.around.dimension.store(8, Ordering::SeqCst);
    let file_id = server.upload("b", "the dog").await;
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&file_id))
        .await
        .unwrap();
    let error = server.done(&store.id, &file_id).await.last_error.unwrap();
    assert_eq!(error.code, LastErrorCode::ServerError);
    let message = "the model `words` makes vectors of dimension 8, and the vector store has dimension 64";
    assert_eq!(error.message, message);
    let error = server
        .stores
        .search(&context(), &store.id, SearchStore::new("cat"))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, message));
    server.stop().await;
}

async fn a_model_that_is_away_is_waited_for(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    server.around.failing.store(7, Ordering::SeqCst);
    let file_id = server.upload("a", "the cat").await;
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&file_id))
        .await
        .unwrap();
    let file = server.done(&store.id, &file_id).await;
    assert_eq!((file.status, file.last_error), (StoreFileStatus::Completed, None));
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 1);
    server.around.failing.store(2, Ordering::SeqCst);
    for _ in 0..2 {
        let search = SearchStore::new("cat");
        let error = server.stores.search(&context(), &store.id, search).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::Unavailable, None));
    }
    server.stop().await;
}

async fn a_provider_that_is_missing_is_told(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a", "the cat")]).await;
    server.around.has_index.store(false, Ordering::SeqCst);
    let file_id = server.upload("b", "the dog").await;
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&file_id))
        .await
        .unwrap();
    let error = server.done(&store.id, &file_id).await.last_error.unwrap();
    assert_eq!(error.code, LastErrorCode::ServerError);
    assert!(error.message.contains("the provider `rows`"), "{}", error.message);
    let error = server
        .stores
        .search(&context(), &store.id, SearchStore::new("cat"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    // A store can be deleted all the same, and its index goes when the provider is there again.
    server.stores.delete(&context(), &store.id).await.unwrap();
    let is_tried = async || {
        let query = JobQuery {
            kind: "vector_store.removal".to_owned(),
            state: None,
            after: None,
            limit: 10,
        };
        let jobs = server.jobs.list(&query).await.unwrap();
        let removal = jobs.iter().find(|job| job.id.contains("/store/"))?;
        (removal.attempt > 1).then_some(())
    };
    server.until(is_tried).await;
    assert_eq!(server.around.index.ids().await.len(), 1);
    server.around.has_index.store(true, Ordering::SeqCst);
    server
        .until(async || server.around.index.ids().await.is_empty().then_some(()))
        .await;
    server.stop().await;
}

async fn what_a_failure_left_is_taken_away(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    // Several requests to the model, of which the third one meets another dimension.
    server.around.narrow_after.store(100, Ordering::SeqCst);
    let text: Vec<String> = (0..300).map(|number| format!("the cat {number}")).collect();
    let file_id = server.upload("a", &text.join("\n\n")).await;
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&file_id))
        .await
        .unwrap();
    let file = server.done(&store.id, &file_id).await;
    assert_eq!((file.status, file.usage_bytes), (StoreFileStatus::Failed, 0));
    assert!(server.around.index.written.load(Ordering::SeqCst) >= 64);
    server
        .until(async || server.around.index.chunks(&store.id).await.is_empty().then_some(()))
        .await;
    server.stop().await;
}

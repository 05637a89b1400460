//! Damage is told by its file, and harms nobody else.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use puna_api::{
    Attributes, Chunk, ChunkQuery, Error, ErrorKind, Metric, Result, SearchChunks, Services, UpsertChunks, VectorIndex,
};
use puna_testkit::{TestHost, context};
use serde_json::{Map, json};

async fn services(folder: &Path) -> Result<Services> {
    let provider = puna_provider_sqlite_vec::PROVIDER;
    let config = provider.check(json!({ "path": folder })).unwrap();
    provider.build(config, TestHost::new().unwrap().host()).await
}

async fn search(services: &Services, index_id: &str) -> Result<usize> {
    let request = SearchChunks {
        index_id: index_id.to_owned(),
        query: ChunkQuery::Vector(vec![1.0, 2.0]),
        filter: None,
        limit: 1000,
        score_threshold: None,
    };
    let found = services
        .vector_io
        .as_ref()
        .unwrap()
        .search_chunks(&context(), request)
        .await;
    found.map(|found| found.len())
}

/// A folder with the indexes `one` and `other`, of 200 chunks each.
async fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let services = services(folder.path()).await.unwrap();
    let vector_io = services.vector_io.unwrap();
    for index_id in ["one", "other"] {
        let index = VectorIndex {
            index_id: index_id.to_owned(),
            dimension: 2,
            metric: Metric::Cosine,
        };
        vector_io.create_index(&context(), index).await.unwrap();
        let chunks = (0..200).map(|number| Chunk {
            chunk_id: format!("c{number}"),
            document_id: "d".to_owned(),
            position: number,
            text: format!("words {number} {}", "and more ".repeat(50)),
            vector: vec![1.0, number as f32],
            attributes: Attributes::new(),
            metadata: Map::new(),
        });
        let (index_id, chunks) = (index_id.to_owned(), chunks.collect());
        vector_io
            .upsert_chunks(&context(), UpsertChunks { index_id, chunks })
            .await
            .unwrap();
    }
    folder
}

fn file_of(folder: &Path, index_id: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_it = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.starts_with(&format!("{index_id}.")) && name.ends_with(".sqlite")
    };
    files.into_iter().find(is_it).unwrap()
}

fn names(error: &Error, file: &Path) {
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(error.message().contains(name), "{error:?}");
}

fn garbage(length: usize) -> Vec<u8> {
    vec![0x5a; length]
}

#[tokio::test]
async fn a_damaged_file_is_named_and_others_work() {
    let harms: [fn(&Path); 4] = [
        |file| fs::write(file, garbage(50_000)).unwrap(),
        |file| fs::write(file, b"").unwrap(),
        |file| {
            let mut bytes = fs::read(file).unwrap();
            let (from, to) = (bytes.len() / 8, bytes.len() * 7 / 8);
            bytes[from..to].copy_from_slice(&garbage(to - from));
            fs::write(file, bytes).unwrap();
        },
        |file| {
            let length = fs::metadata(file).unwrap().len();
            let file = fs::OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(length / 2).unwrap();
        },
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        let folder = filled().await;
        let file = file_of(folder.path(), "one");
        harm(&file);
        let services = services(folder.path()).await.unwrap();
        for _ in 0..2 {
            let error = search(&services, "one").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "harm {number}: {error:?}");
            names(&error, &file);
            assert_eq!(search(&services, "other").await.unwrap(), 200);
        }
        // It can be removed, and made again.
        let vector_io = services.vector_io.as_ref().unwrap();
        vector_io.delete_index(&context(), "one").await.unwrap();
        assert_eq!(search(&services, "one").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(!file.exists());
    }
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let folder = filled().await;
    let first = services(folder.path()).await.unwrap();
    let error = services(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("is in use by another server"), "{error:?}");
    assert_eq!(search(&first, "one").await.unwrap(), 200);
    drop(first);
    services(folder.path()).await.unwrap();
}

#[tokio::test]
async fn two_files_of_one_index_are_refused() {
    let folder = filled().await;
    let file = file_of(folder.path(), "one");
    let copy = folder.path().join("one.00000000.sqlite");
    fs::copy(&file, &copy).unwrap();
    let error = services(folder.path()).await.unwrap_err();
    names(&error, &file);
    names(&error, &copy);
}

#[tokio::test]
async fn a_folder_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    let error = services(&file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains(file.to_str().unwrap()), "{error:?}");
}

#[tokio::test]
async fn what_is_not_ours_stays() {
    let folder = filled().await;
    let others = [
        "notes.txt",
        "sqlite_vec.db",
        "a.sqlite",
        "one.12345678.making",
        "one.12345678.deleted-wal",
        "x.12345678.sqlite-wal",
    ];
    for name in others {
        fs::write(folder.path().join(name), "text").unwrap();
    }
    services(folder.path()).await.unwrap();
    let there: Vec<&str> = others
        .into_iter()
        .filter(|name| folder.path().join(name).exists())
        .collect();
    assert_eq!(there, ["notes.txt", "sqlite_vec.db", "a.sqlite"]);
}

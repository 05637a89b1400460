//! What is there after a pull, and what was asked for it.

use std::fs;
use std::path::{Path, PathBuf};

use puna_hub::{Cache, Hub, PullRequest, Silent};
use tempfile::tempdir;

use crate::stand_in::{COMMIT, Repofile};
use crate::{Heard, model, pull, request, settings, stand_in, with_token};

fn content(name: &str) -> Vec<u8> {
    model().into_iter().find(|file| file.name == name).unwrap().content
}

/// The files below a folder that are being fetched, or locks.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(leftovers(&path));
        } else if path.to_str().unwrap().contains(".incomplete") {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn a_model_lies_where_python_would_have_put_it() {
    let (hub, folder) = (stand_in(|_| {}), tempdir().unwrap());
    let pulled = pull(settings(&hub, folder.path()), &request()).await.unwrap();
    let repository = folder.path().join("models--org--name");
    assert_eq!(pulled.folder, repository.join("snapshots").join(COMMIT));
    assert_eq!((pulled.files, pulled.fetched_bytes), (3, 300_000 + 24 + 14));
    assert_eq!(
        pulled.skipped.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        ["pytorch_model.bin"]
    );
    for name in ["config.json", "deep/er/chat template.jinja", "model.safetensors"] {
        let file = pulled.folder.join(name);
        assert_eq!(fs::read(&file).unwrap(), content(name), "{name}");
        let blob = fs::canonicalize(&file).unwrap();
        assert_eq!(
            blob.parent().unwrap(),
            fs::canonicalize(repository.join("blobs")).unwrap()
        );
        assert!(fs::read_link(&file).unwrap().is_relative());
    }
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read_dir(repository.join("blobs")).unwrap().count(), 3);
    assert!(leftovers(folder.path()).is_empty());
    assert_eq!(Cache::new(folder.path()).find(&request().name).unwrap(), pulled.folder);
}

#[tokio::test]
async fn what_is_there_is_not_asked_for_again() {
    let (hub, folder) = (stand_in(|_| {}), tempdir().unwrap());
    pull(settings(&hub, folder.path()), &request()).await.unwrap();
    hub.seen();
    let again = pull(settings(&hub, folder.path()), &request()).await.unwrap();
    assert_eq!((again.files, again.fetched_bytes), (3, 0));
    let seen = hub.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].path, "/api/models/org/name/revision/main?blobs=true");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_alone() {
    for renamed in [false, true] {
        let hub = stand_in(|script| {
            script.token = Some("hf_secret");
            script.renamed = renamed;
        });
        let folder = tempdir().unwrap();
        pull(with_token(settings(&hub, folder.path()), "hf_secret"), &request())
            .await
            .unwrap();
        let seen = hub.seen();
        for server in ["hub", "storage"] {
            assert!(seen.iter().any(|seen| seen.server == server));
        }
        for seen in seen {
            let token = seen.headers.get("authorization").map(String::as_str);
            assert_eq!(token, (seen.server == "hub").then_some("Bearer hf_secret"), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_transfer_that_breaks_goes_on_where_it_was() {
    let hub = stand_in(|script| script.breaks = vec![100_000, 0, 0, 50_000]);
    let folder = tempdir().unwrap();
    let pulled = pull(settings(&hub, folder.path()), &request()).await.unwrap();
    assert_eq!(
        fs::read(pulled.folder.join("model.safetensors")).unwrap(),
        content("model.safetensors")
    );
    let seen = hub.seen();
    let ranges: Vec<_> = seen
        .iter()
        .filter(|seen| seen.server == "storage")
        .map(|seen| seen.headers.get("range").map_or("all", String::as_str))
        .collect();
    assert_eq!(
        ranges,
        [
            "all",
            "bytes=100000-",
            "bytes=100000-",
            "bytes=100000-",
            "bytes=150000-"
        ]
    );
}

#[tokio::test]
async fn what_an_interrupted_run_left_is_used_by_the_next() {
    let hub = stand_in(|script| script.breaks = vec![200_000, 0, 0, 0, 0, 0]);
    let folder = tempdir().unwrap();
    let error = pull(settings(&hub, folder.path()), &request()).await.unwrap_err();
    assert_eq!(error.code(), Some("transfer_interrupted"));
    assert!(
        error
            .message()
            .contains("200.0 kB (200000 bytes) of 300.0 kB (300000 bytes)"),
        "{error}"
    );
    assert_eq!(leftovers(folder.path()).len(), 1);
    // A model that is not whole is not found.
    for name in ["hf:org/name", &format!("hf:org/name@{COMMIT}")] {
        assert!(Cache::new(folder.path()).find(&name.parse().unwrap()).is_err());
    }

    hub.change(|script| script.breaks.clear());
    hub.seen();
    let heard = Heard::default();
    let pulled = Hub::new(settings(&hub, folder.path()))
        .unwrap()
        .pull(&request(), &heard)
        .await
        .unwrap();
    assert_eq!(pulled.fetched_bytes, 100_000);
    let seen = hub.seen();
    let stored: Vec<_> = seen.iter().filter(|seen| seen.server == "storage").collect();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].headers["range"], "bytes=200000-");
    assert!(
        heard
            .0
            .into_inner()
            .unwrap()
            .contains(&"begin model.safetensors 200000/300000".to_owned())
    );
    assert!(leftovers(folder.path()).is_empty());
}

#[tokio::test]
async fn a_server_without_ranges_begins_again() {
    let hub = stand_in(|script| {
        script.breaks = vec![100_000];
        script.no_ranges = true;
    });
    let folder = tempdir().unwrap();
    let heard = Heard::default();
    let pulled = Hub::new(settings(&hub, folder.path()))
        .unwrap()
        .pull(&request(), &heard)
        .await
        .unwrap();
    assert_eq!(
        fs::read(pulled.folder.join("model.safetensors")).unwrap(),
        content("model.safetensors")
    );
    assert!(
        heard
            .0
            .into_inner()
            .unwrap()
            .contains(&"restart model.safetensors".to_owned())
    );
}

#[tokio::test]
async fn a_beginning_that_does_not_fit_is_fetched_anew() {
    let (hub, folder) = (
        stand_in(|script| script.breaks = vec![200_000, 0, 0, 0, 0, 0]),
        tempdir().unwrap(),
    );
    pull(settings(&hub, folder.path()), &request()).await.unwrap_err();
    let partial = leftovers(folder.path()).remove(0);
    fs::write(&partial, vec![0; 1000]).unwrap();
    hub.change(|script| script.breaks.clear());
    let heard = Heard::default();
    let pulled = Hub::new(settings(&hub, folder.path()))
        .unwrap()
        .pull(&request(), &heard)
        .await
        .unwrap();
    assert_eq!(
        fs::read(pulled.folder.join("model.safetensors")).unwrap(),
        content("model.safetensors")
    );
    assert!(
        heard
            .0
            .into_inner()
            .unwrap()
            .contains(&"restart model.safetensors".to_owned())
    );
}

#[tokio::test]
async fn a_fault_that_passes_is_waited_out() {
    let (hub, folder) = (stand_in(|script| script.unavailable = 3), tempdir().unwrap());
    assert_eq!(pull(settings(&hub, folder.path()), &request()).await.unwrap().files, 3);
}

#[tokio::test]
async fn a_listing_with_names_alone_is_enough() {
    let (hub, folder) = (stand_in(|script| script.names_only = true), tempdir().unwrap());
    let pulled = pull(settings(&hub, folder.path()), &request()).await.unwrap();
    assert_eq!(
        fs::read(pulled.folder.join("config.json")).unwrap(),
        content("config.json")
    );
}

#[tokio::test]
async fn single_files_and_plain_folders() {
    let (hub, folder) = (stand_in(|_| {}), tempdir().unwrap());
    let to = folder.path().join("plain");
    let some = PullRequest {
        files: vec!["*.json".to_owned(), "model.safetensors".to_owned()],
        to: Some(to.clone()),
        ..PullRequest::new("hf:org/name@refs/pr/1".parse().unwrap())
    };
    for fetched in [300_024, 0] {
        let pulled = pull(settings(&hub, &folder.path().join("cache")), &some).await.unwrap();
        assert_eq!(
            (pulled.folder.as_path(), pulled.files, pulled.fetched_bytes),
            (to.as_path(), 2, fetched)
        );
    }
    let mut names: Vec<_> = fs::read_dir(&to)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors"]);
    assert!(!folder.path().join("cache").exists());

    // A file that changed is put right.
    fs::write(to.join("config.json"), "x".repeat(24)).unwrap();
    assert_eq!(
        pull(settings(&hub, folder.path()), &some).await.unwrap().fetched_bytes,
        24
    );
    assert_eq!(fs::read(to.join("config.json")).unwrap(), content("config.json"));
}

#[tokio::test]
async fn pulls_at_once_fetch_a_file_once() {
    let hub = stand_in(|script| script.files.push(Repofile::large("same bytes.safetensors", 300_000)));
    let folder = tempdir().unwrap();
    let all = request();
    let pulls = (0..4).map(|_| pull(settings(&hub, folder.path()), &all));
    let pulled: Vec<_> = futures::future::join_all(pulls).await;
    let fetched: u64 = pulled.into_iter().map(|pulled| pulled.unwrap().fetched_bytes).sum();
    assert_eq!(fetched, 300_000 + 24 + 14);
    let stored = hub.seen().into_iter().filter(|seen| seen.server == "storage").count();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn without_the_hub_the_cache_answers() {
    let (hub, folder) = (stand_in(|_| {}), tempdir().unwrap());
    let mut offline = settings(&hub, folder.path());
    offline.offline = true;
    let error = pull(offline.clone(), &request()).await.unwrap_err();
    assert_eq!(error.code(), Some("offline"));
    assert!(error.message().contains("HF_HUB_OFFLINE"), "{error}");

    let pulled = pull(settings(&hub, folder.path()), &request()).await.unwrap();
    hub.seen();
    let again = Hub::new(offline).unwrap().pull(&request(), &Silent).await.unwrap();
    assert_eq!((again.folder, again.files), (pulled.folder, 3));
    assert_eq!(hub.seen().len(), 0);
}

//! What cannot be had, and what is said about it.

use std::fs;

use puna_hub::{Cache, PullRequest};
use tempfile::tempdir;

use crate::stand_in::Repofile;
use crate::{pull, request, settings, stand_in, with_token};

#[tokio::test]
async fn wrong_bytes_are_removed_and_named() {
    let folder = tempdir().unwrap();
    // Of the same length, and from one break on: the checksum alone can tell.
    for breaks in [vec![], vec![100_000]] {
        let hub = stand_in(|script| {
            script.tampered.insert("model.safetensors", vec![7; 300_000]);
            script.breaks = breaks;
        });
        let error = pull(settings(&hub, folder.path()), &request()).await.unwrap_err();
        assert_eq!(error.code(), Some("checksum_mismatch"), "{error}");
        assert!(
            error.message().contains("`model.safetensors` came with wrong bytes"),
            "{error}"
        );
        let blobs = fs::read_dir(folder.path().join("models--org--name/blobs")).unwrap();
        for blob in blobs {
            assert!(
                fs::metadata(blob.unwrap().path()).unwrap().len() < 100,
                "the small files alone are right"
            );
        }
        assert!(Cache::new(folder.path()).find(&request().name).is_err());
    }
}

#[tokio::test]
async fn more_or_fewer_bytes_than_announced_are_refused() {
    for content in [vec![7; 300_001], vec![7; 299_999]] {
        let folder = tempdir().unwrap();
        let hub = stand_in(|script| {
            script.tampered.insert("model.safetensors", content);
        });
        let error = pull(settings(&hub, folder.path()), &request()).await.unwrap_err();
        assert!(
            error.message().contains("another size of `model.safetensors`"),
            "{error}"
        );
        assert!(Cache::new(folder.path()).find(&request().name).is_err());
    }
}

#[tokio::test]
async fn a_disk_without_room_is_told_before_anything_is_fetched() {
    let folder = tempdir().unwrap();
    let hub = stand_in(|script| {
        script.files[3].claimed = Some(1 << 60);
    });
    let error = pull(settings(&hub, folder.path()), &request()).await.unwrap_err();
    assert_eq!(error.code(), Some("no_disk_space"));
    assert!(
        error.message().contains("(1152921504606847014 bytes) are needed and "),
        "{error}"
    );
    assert!(
        hub.seen()
            .iter()
            .all(|seen| seen.method != "GET" || seen.path.starts_with("/api/"))
    );
}

/// The kernel's own full device stands where the bytes would go.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_disk_that_fills_up_on_the_way_is_told() {
    let folder = tempdir().unwrap();
    let hub = stand_in(|_| {});
    let pulled = pull(settings(&hub, folder.path()), &request()).await.unwrap();
    let blob = fs::canonicalize(pulled.folder.join("model.safetensors")).unwrap();
    fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink("/dev/full", blob.with_extension("incomplete")).unwrap();
    let error = pull(settings(&hub, folder.path()), &request()).await.unwrap_err();
    assert_eq!(error.code(), Some("no_disk_space"));
    assert!(
        error.message().contains("300.0 kB (300000 bytes) are needed"),
        "{error}"
    );
}

#[tokio::test]
async fn each_refusal_of_the_hub_says_what_to_do() {
    for (refusal, token, code, says) in [
        (
            (401, "RepoNotFound", "Repository not found"),
            None,
            "repository_not_found",
            "no token is set (`HF_TOKEN`)",
        ),
        (
            (404, "RepoNotFound", "Repository not found"),
            Some("hf_x"),
            "repository_not_found",
            "cannot see it",
        ),
        (
            (401, "GatedRepo", "Access is restricted"),
            None,
            "gated_repo",
            "no token is set (`HF_TOKEN`); ask for access at http://127.0.0.1:",
        ),
        (
            (403, "GatedRepo", "Access is restricted"),
            Some("hf_x"),
            "gated_repo",
            "was not granted access",
        ),
        (
            (401, "", "Invalid credentials in Authorization header"),
            Some("hf_x"),
            "invalid_token",
            "does not know the token",
        ),
    ] {
        let (hub, folder) = (stand_in(|script| script.refusal = Some(refusal)), tempdir().unwrap());
        let settings = settings(&hub, folder.path());
        let settings = match token {
            Some(token) => with_token(settings, token),
            None => settings,
        };
        let error = pull(settings, &request()).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error}");
        assert!(error.message().contains(says), "{error}");
        assert!(!format!("{error:?}").contains("hf_x"));
    }
}

#[tokio::test]
async fn what_the_model_does_not_have_is_named() {
    let (hub, folder) = (stand_in(|_| {}), tempdir().unwrap());
    let of = |name: &str, file: &str| PullRequest {
        files: Vec::from_iter((!file.is_empty()).then(|| file.to_owned())),
        ..PullRequest::new(name.parse().unwrap())
    };
    for (request, code, says) in [
        (
            of("hf:org/name@nightly", ""),
            "revision_not_found",
            "no revision `nightly`",
        ),
        (of("hf:org/other", ""), "repository_not_found", "no model `org/other`"),
        (of("hf:org/name", "model.gguf"), "entry_not_found", "model.safetensors"),
        (of("hf:org/name", "pytorch_model.bin"), "pickle_refused", "run code"),
    ] {
        let error = pull(settings(&hub, folder.path()), &request).await.unwrap_err();
        assert_eq!(error.code(), Some(code), "{error}");
        assert!(error.message().contains(says), "{error}");
    }
}

#[tokio::test]
async fn names_that_lead_out_of_the_folder_are_refused() {
    for name in [
        "../../escaped.json",
        "/tmp/escaped.json",
        "a/../../escaped.json",
        "a\\b.json",
    ] {
        let folder = tempdir().unwrap();
        let hub = stand_in(|script| script.files.push(Repofile::small(name, "{}")));
        let error = pull(settings(&hub, &folder.path().join("cache")), &request())
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some("unsafe_file_name"), "{name}: {error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_said_without_secrets() {
    let folder = tempdir().unwrap();
    let hub = stand_in(|_| {});
    let mut settings = with_token(settings(&hub, folder.path()), "hf_secret");
    // Nobody listens on port 1.
    settings.endpoint = "http://127.0.0.1:1".parse().unwrap();
    let error = pull(settings, &request()).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("127.0.0.1:1 cannot be reached (Connection refused"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("hf_secret"));
}

#[tokio::test]
async fn a_server_that_never_gets_to_the_end_is_given_up() {
    let folder = tempdir().unwrap();
    let hub = stand_in(|script| {
        // A little more each time, which looks like progress.
        script.breaks = (1..20).map(|at| at * 10_000).collect();
        script.no_ranges = true;
    });
    let error = pull(settings(&hub, folder.path()), &request()).await.unwrap_err();
    assert!(error.message().contains("without its end, each time"), "{error}");
}

//! `puna stores add`: brings a store up to what is on this machine.
//!
//! Each file in the store carries the attributes `path` and `sha256`, which tell the next time what it is a copy of.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use puna_api::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use super::documents::{Document, Documents};
use super::wire::StoreFile;
use super::{find, path};
use crate::args::StoresAddArgs;
use crate::output;
use crate::server::{Server, segment};
use crate::transfer::{Upload, bytes_bar, count_bar};

/// How many files are on their way at once.
const AT_ONCE: usize = 4;
/// How long to wait before the server is asked again, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

pub(super) async fn add(server: &Server, args: &StoresAddArgs) -> Result<()> {
    let chunking = chunking(args)?;
    let documents = Documents::of(&args.paths)?;
    let store = path(&find(server, &args.store).await?);
    let there: Vec<StoreFile> = server.list(&format!("{store}/files"), &[]).await?;
    let plan = Plan::of(documents, there, args.prune).await?;
    let addition = Addition {
        server,
        store,
        chunking,
    };
    let sent = addition.send(plan.new).await?;
    let waiting = sent
        .iter()
        .flatten()
        .map(|(id, _)| id.clone())
        .chain(plan.pending)
        .collect();
    addition.wait(waiting).await?;
    addition.finish(sent, plan.unchanged, plan.obsolete).await
}

/// What differs between this machine and the store.
struct Plan {
    /// What the store does not have, with its content's hash and the ids of what it takes the place of.
    new: Vec<(Document, String, Vec<String>)>,
    /// The ids of what is being taken in already.
    pending: Vec<String>,
    /// How many files are in the store as they are here.
    unchanged: usize,
    /// The ids of what the store has no use for.
    obsolete: Vec<String>,
}

impl Plan {
    async fn of(documents: Documents, there: Vec<StoreFile>, prune: bool) -> Result<Self> {
        let mut by_name: HashMap<String, Vec<StoreFile>> = HashMap::new();
        for file in there {
            // What has no path was not added by this command.
            if let (Some(path), Some(_)) = (file.attributes.path(), file.attributes.sha256()) {
                by_name.entry(path.to_owned()).or_default().push(file);
            }
        }
        let mut plan = Self {
            new: Vec::new(),
            pending: Vec::new(),
            unchanged: 0,
            obsolete: Vec::new(),
        };
        for document in documents.files {
            let (document, hash) = tokio::task::spawn_blocking(|| document.sha256().map(|hash| (document, hash)))
                .await
                .map_err(|error| Error::internal("reading a file broke down").with_source(error))??;
            let mut same = by_name.remove(&document.name).unwrap_or_default();
            let is_there = |file: &StoreFile| {
                file.attributes.sha256() == Some(&hash) && matches!(file.status.as_str(), "completed" | "in_progress")
            };
            let kept = same.iter().position(is_there).map(|place| same.swap_remove(place));
            let others = same.into_iter().map(|file| file.id);
            match kept {
                Some(kept) => {
                    plan.unchanged += 1;
                    plan.obsolete.extend(others);
                    if kept.status == "in_progress" {
                        plan.pending.push(kept.id);
                    }
                }
                None => plan.new.push((document, hash, others.collect())),
            }
        }
        if prune {
            let is_gone = |name: &str| documents.folders.iter().any(|folder| name.starts_with(folder.as_str()));
            let gone = by_name.into_iter().filter(|(name, _)| is_gone(name));
            plan.obsolete
                .extend(gone.flat_map(|(_, files)| files).map(|file| file.id));
        }
        Ok(plan)
    }
}

/// The id that a file got, and the ids of what it takes the place of; none when it could not be sent.
type Sent = Option<(String, Vec<String>)>;

struct Addition<'a> {
    server: &'a Server,
    store: String,
    chunking: Option<Value>,
}

impl Addition<'_> {
    /// Uploads files and puts them into the store. One that is refused does not keep the others out; a server that is gone does.
    async fn send(&self, new: Vec<(Document, String, Vec<String>)>) -> Result<Vec<Sent>> {
        let count = new.len();
        let bar = bytes_bar(new.iter().map(|(document, ..)| document.bytes).sum());
        bar.set_message(format!("uploading {count} file(s)"));
        let sent = stream::iter(new)
            .map(|(document, hash, replaced)| {
                let bar = &bar;
                async move {
                    match self.send_one(&document, &hash, bar).await {
                        Ok(id) => Ok(Some((id, replaced))),
                        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
                        Err(error) => {
                            remark(bar, &format!("{}: {error}", document.name));
                            Ok(None)
                        }
                    }
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await;
        bar.finish_and_clear();
        sent
    }

    async fn send_one(&self, document: &Document, hash: &str, bar: &ProgressBar) -> Result<String> {
        let name = document.name.rsplit('/').next().unwrap_or(&document.name);
        let upload = Upload {
            file: &document.file,
            name,
            purpose: "assistants",
            expires_after: None,
        };
        let file = self.server.upload(upload, bar).await?;
        let mut body = json!({
            "file_id": file.id,
            "attributes": { "path": document.name, "sha256": hash },
        });
        if let Some(chunking) = &self.chunking {
            body["chunking_strategy"] = chunking.clone();
        }
        let attached: Result<StoreFile> = self.server.post(&format!("{}/files", self.store), &body).await;
        if let Err(error) = attached {
            // Nobody would know what it was for.
            let _ = self.server.delete(&format!("/v1/files/{}", segment(&file.id))).await;
            return Err(error);
        }
        Ok(file.id)
    }

    /// Waits until the server has taken all of these in, or has given them up.
    async fn wait(&self, mut waiting: HashSet<String>) -> Result<()> {
        let count = waiting.len();
        let bar = count_bar(count).with_message("indexing");
        let mut pause = FIRST_WAIT;
        while !waiting.is_empty() {
            let pending: Vec<StoreFile> = self
                .server
                .list(&format!("{}/files", self.store), &[("filter", "in_progress")])
                .await?;
            let pending: HashSet<String> = pending.into_iter().map(|file| file.id).collect();
            waiting.retain(|id| pending.contains(id));
            bar.set_position((count - waiting.len()) as u64);
            if !waiting.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_WAIT);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Removes what something newer took the place of, and says what became of all.
    async fn finish(&self, sent: Vec<Sent>, unchanged: usize, mut obsolete: Vec<String>) -> Result<()> {
        let files: Vec<StoreFile> = self.server.list(&format!("{}/files", self.store), &[]).await?;
        let files: HashMap<&str, &StoreFile> = files.iter().map(|file| (file.id.as_str(), file)).collect();
        let (mut added, mut failed) = (0, 0);
        for sent in sent {
            let Some((id, replaced)) = sent else {
                failed += 1;
                continue;
            };
            match files.get(id.as_str()) {
                Some(file) if file.status == "completed" => {
                    added += 1;
                    obsolete.extend(replaced);
                }
                file => {
                    failed += 1;
                    let name = file.and_then(|file| file.attributes.path()).unwrap_or(&id);
                    let reason = match file {
                        Some(file) => file
                            .last_error
                            .as_ref()
                            .map_or(file.status.as_str(), |error| &error.message),
                        None => "somebody removed it from the store",
                    };
                    output::remark(&output::printable(&format!("{name}: {reason}")));
                }
            }
        }
        let removed = obsolete.len();
        for id in obsolete {
            let id = segment(&id);
            for path in [format!("{}/files/{id}", self.store), format!("/v1/files/{id}")] {
                match self.server.delete(&path).await {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        output::say(&format!("{added} added, {removed} removed, {unchanged} unchanged\n"))?;
        if failed > 0 {
            let message = format!("{failed} file(s) could not be added; the same command tries them again");
            return Err(Error::invalid_request(message));
        }
        Ok(())
    }
}

fn chunking(args: &StoresAddArgs) -> Result<Option<Value>> {
    let Some(tokens) = args.chunk_tokens else {
        return Ok(None);
    };
    let overlap = args.chunk_overlap.unwrap_or(tokens / 2);
    if !(100..=4096).contains(&tokens) {
        let message = format!("--chunk-tokens is {tokens}; it must be from 100 to 4096");
        return Err(Error::invalid_request(message));
    }
    if overlap > tokens / 2 {
        let message = format!(
            "--chunk-overlap is {overlap}; it must be at most half of --chunk-tokens, {}",
            tokens / 2
        );
        return Err(Error::invalid_request(message));
    }
    Ok(Some(json!({
        "type": "static",
        "static": { "max_chunk_size_tokens": tokens, "chunk_overlap_tokens": overlap },
    })))
}

/// Says something above the bar, which would be torn otherwise.
fn remark(bar: &ProgressBar, text: &str) {
    let text = output::printable(text);
    if std::io::stderr().is_terminal() {
        bar.println(text);
    } else {
        output::remark(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: &str, status: &str, path: &str, content: &str) -> StoreFile {
        let attributes = json!({ "path": path, "sha256": sha256(content) });
        serde_json::from_value(json!({ "id": id, "status": status, "attributes": attributes })).unwrap()
    }

    fn sha256(content: &str) -> String {
        hex::encode(ring::digest::digest(&ring::digest::SHA256, content.as_bytes()))
    }

    #[tokio::test]
    async fn what_did_not_change_stays() {
        let home = tempfile::tempdir().unwrap();
        let docs = home.path().join("docs");
        std::fs::create_dir(&docs).unwrap();
        for (name, content) in [
            ("same", "1"),
            ("changed", "2"),
            ("failed", "3"),
            ("new", "4"),
            ("coming", "5"),
        ] {
            std::fs::write(docs.join(name), content).unwrap();
        }
        let there = || {
            vec![
                file("a", "completed", "docs/same", "1"),
                // What an interruption left.
                file("b", "completed", "docs/same", "0"),
                file("c", "completed", "docs/changed", "old"),
                file("d", "failed", "docs/failed", "3"),
                file("e", "in_progress", "docs/coming", "5"),
                file("f", "completed", "docs/gone", "6"),
                file("g", "completed", "elsewhere/gone", "6"),
                serde_json::from_value(json!({ "id": "h", "status": "completed", "attributes": null })).unwrap(),
            ]
        };
        let plan = Plan::of(Documents::of(std::slice::from_ref(&docs)).unwrap(), there(), false)
            .await
            .unwrap();
        let new: Vec<_> = plan
            .new
            .iter()
            .map(|(document, _, replaced)| (document.name.as_str(), replaced.clone()))
            .collect();
        assert_eq!(
            new,
            [
                ("docs/changed", vec!["c".to_owned()]),
                ("docs/failed", vec!["d".to_owned()]),
                ("docs/new", vec![])
            ]
        );
        assert_eq!(
            (plan.unchanged, plan.pending, plan.obsolete),
            (2, vec!["e".to_owned()], vec!["b".to_owned()])
        );

        let plan = Plan::of(Documents::of(&[docs]).unwrap(), there(), true).await.unwrap();
        assert_eq!(plan.obsolete, ["b", "f"]);
    }

    #[test]
    fn chunks_are_as_openai_has_them() {
        let args = |tokens, overlap| StoresAddArgs {
            store: String::new(),
            paths: Vec::new(),
            prune: false,
            chunk_tokens: tokens,
            chunk_overlap: overlap,
        };
        assert_eq!(chunking(&args(None, None)).unwrap(), None);
        let static_chunks = chunking(&args(Some(801), None)).unwrap().unwrap();
        assert_eq!(static_chunks["static"]["chunk_overlap_tokens"], 400);
        assert!(chunking(&args(Some(99), None)).is_err());
        assert!(chunking(&args(Some(800), Some(401))).is_err());
    }
}

//! Something that speaks the hub's HTTP protocol: the listing of a model, `resolve` with its headers, redirects to storage on another port, and
//! ranges there. What the protocol is was read in the sources of `huggingface_hub` 2.4: `file_download.py`, `utils/_http.py`, `hf_api.py`.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::{Value, json};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A model `org/name`, and how its servers behave.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) files: Vec<Repofile>,
    /// The token that the hub wants.
    pub(crate) token: Option<&'static str>,
    /// What the hub refuses everything with: status, `X-Error-Code`, `X-Error-Message`.
    pub(crate) refusal: Option<(u16, &'static str, &'static str)>,
    /// After how many bytes each of the first answers of storage breaks off.
    pub(crate) breaks: Vec<usize>,
    /// How often the hub answers 503 before it answers.
    pub(crate) unavailable: usize,
    /// What storage sends in place of a file's bytes.
    pub(crate) tampered: HashMap<&'static str, Vec<u8>>,
    /// Whether storage knows no ranges.
    pub(crate) no_ranges: bool,
    /// Whether the hub moved the model: its `resolve` leads to another path of the hub first.
    pub(crate) renamed: bool,
    /// Whether the listing has names alone, as some mirrors' have.
    pub(crate) names_only: bool,
}

pub(crate) struct Repofile {
    pub(crate) name: &'static str,
    pub(crate) content: Vec<u8>,
    /// Whether git has only a pointer to it, so that it lies in storage.
    pub(crate) large: bool,
    /// The size that is claimed.
    pub(crate) claimed: Option<u64>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `hub` or `storage`.
    pub(crate) server: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
}

/// The two servers; they end with the test's process.
pub(crate) struct StandIn {
    pub(crate) endpoint: String,
    state: Arc<Mutex<(Script, Vec<Seen>)>>,
}

impl Repofile {
    pub(crate) fn small(name: &'static str, content: &str) -> Self {
        Self {
            name,
            content: content.into(),
            large: false,
            claimed: None,
        }
    }

    /// Bytes that differ from place to place.
    pub(crate) fn large(name: &'static str, bytes: usize) -> Self {
        Self {
            name,
            content: (0..bytes).map(|at| (at * at / 7 + at / 256) as u8).collect(),
            large: true,
            claimed: None,
        }
    }

    fn etag(&self) -> String {
        if self.large {
            hex(digest(&SHA256, &self.content).as_ref())
        } else {
            self.blob_id()
        }
    }

    fn blob_id(&self) -> String {
        let mut blob = format!("blob {}\0", self.content.len()).into_bytes();
        blob.extend(&self.content);
        hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &blob).as_ref())
    }

    fn bytes(&self) -> u64 {
        self.claimed.unwrap_or(self.content.len() as u64)
    }
}

impl StandIn {
    pub(crate) fn start(script: Script) -> Self {
        let state = Arc::new(Mutex::new((script, Vec::new())));
        let (hub, storage) = (
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let endpoint = format!("http://{}", hub.local_addr().unwrap());
        let storage_url = format!("http://{}", storage.local_addr().unwrap());
        for (listener, server) in [(hub, "hub"), (storage, "storage")] {
            let (state, storage_url) = (Arc::clone(&state), storage_url.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let (state, storage_url) = (Arc::clone(&state), storage_url.clone());
                    std::thread::spawn(move || serve(stream.unwrap(), server, &state, &storage_url));
                }
            });
        }
        Self { endpoint, state }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.state.lock().unwrap().0);
    }

    /// What came since this was asked last.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.state.lock().unwrap().1)
    }
}

fn serve(stream: TcpStream, server: &'static str, state: &Mutex<(Script, Vec<Seen>)>, storage: &str) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let seen = Seen {
        server,
        method,
        path,
        headers,
    };
    let answer = {
        let mut state = state.lock().unwrap();
        state.1.push(seen.clone());
        match server {
            "hub" => hub(&mut state.0, &seen, storage),
            _ => bytes(&mut state.0, &seen),
        }
    };
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = reader.into_inner();
    let sent = if seen.method == "HEAD" {
        &[][..]
    } else {
        &answer.body[..answer.body.len().min(answer.sent)]
    };
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(b"\r\n"))
        .and_then(|()| stream.write_all(sent));
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How much of the body is sent before the connection goes.
    sent: usize,
}

impl Answer {
    fn new(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            sent: body.len(),
            body,
        }
    }

    fn error(status: u16, code: &str, message: &str) -> Self {
        let headers = vec![
            ("X-Error-Code", code.to_owned()),
            ("X-Error-Message", message.to_owned()),
            ("Content-Length", "0".to_owned()),
        ];
        Self::new(status, headers, Vec::new())
    }
}

fn hub(script: &mut Script, seen: &Seen, storage: &str) -> Answer {
    if script.unavailable > 0 {
        script.unavailable -= 1;
        return Answer::error(503, "", "");
    }
    if let Some((status, code, message)) = script.refusal {
        return Answer::error(status, code, message);
    }
    if let Some(token) = script.token
        && seen.headers.get("authorization") != Some(&format!("Bearer {token}"))
    {
        return Answer::error(401, "RepoNotFound", "Repository not found");
    }
    let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
    if let Some(revision) = path.strip_prefix("/api/models/org/name/revision/") {
        if !["main", "refs%2Fpr%2F1", COMMIT].contains(&revision) {
            return Answer::error(404, "RevisionNotFound", "Invalid rev id");
        }
        let names_only = script.names_only || query != "blobs=true";
        let siblings: Vec<_> = script.files.iter().map(|file| sibling(file, names_only)).collect();
        let body = json!({ "id": "org/name", "sha": COMMIT, "private": false, "siblings": siblings }).to_string();
        return Answer::new(200, vec![("Content-Length", body.len().to_string())], body.into());
    }
    let Some(name) = path.strip_prefix(&format!("/org/name/resolve/{COMMIT}/")) else {
        return match path.strip_prefix("/moved/resolve/") {
            Some(name) => resolve(script, &name.replace("%20", " "), storage),
            None => Answer::error(404, "RepoNotFound", "Repository not found"),
        };
    };
    if script.renamed {
        let headers = vec![
            ("Location", format!("/moved/resolve/{name}")),
            ("Content-Length", "0".to_owned()),
        ];
        return Answer::new(307, headers, Vec::new());
    }
    resolve(script, &name.replace("%20", " "), storage)
}

fn sibling(file: &Repofile, names_only: bool) -> Value {
    if names_only {
        return json!({ "rfilename": file.name });
    }
    let mut sibling = json!({ "rfilename": file.name, "size": file.bytes(), "blobId": file.blob_id() });
    if file.large {
        // The blob in git is the pointer.
        sibling["blobId"] = "f".repeat(40).into();
        sibling["lfs"] = json!({ "sha256": file.etag(), "size": file.bytes(), "pointerSize": 134 });
    }
    sibling
}

fn resolve(script: &Script, name: &str, storage: &str) -> Answer {
    let Some(file) = script.files.iter().find(|file| file.name == name) else {
        return Answer::error(404, "EntryNotFound", "Entry not found");
    };
    let commit = ("X-Repo-Commit", COMMIT.to_owned());
    if file.large {
        let headers = vec![
            commit,
            ("X-Linked-Size", file.bytes().to_string()),
            ("X-Linked-Etag", format!("\"{}\"", file.etag())),
            (
                "Location",
                format!(
                    "{storage}/blobs/{}?Signature=s1gned%2B&Expires=1",
                    name.replace(' ', "%20")
                ),
            ),
            ("Content-Length", "0".to_owned()),
        ];
        return Answer::new(302, headers, Vec::new());
    }
    let headers = vec![
        commit,
        ("ETag", format!("\"{}\"", file.etag())),
        ("Content-Length", file.content.len().to_string()),
    ];
    Answer::new(200, headers, file.content.clone())
}

fn bytes(script: &mut Script, seen: &Seen) -> Answer {
    let (path, query) = seen.path.split_once('?').unwrap_or_default();
    let name = path.strip_prefix("/blobs/").unwrap_or_default().replace("%20", " ");
    let Some(file) = script.files.iter().find(|file| file.name == name) else {
        return Answer::error(404, "", "");
    };
    if query != "Signature=s1gned%2B&Expires=1" {
        return Answer::error(403, "", "the signature does not fit");
    }
    let content = script.tampered.get(file.name).unwrap_or(&file.content).clone();
    let start = seen
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let mut answer = match start {
        Some(start) if !script.no_ranges && start >= content.len() => Answer::error(416, "", ""),
        Some(start) if !script.no_ranges => {
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            let body = content[start..].to_vec();
            Answer::new(
                206,
                vec![("Content-Range", range), ("Content-Length", body.len().to_string())],
                body,
            )
        }
        _ => Answer::new(200, vec![("Content-Length", content.len().to_string())], content),
    };
    if !script.breaks.is_empty() {
        answer.sent = script.breaks.remove(0);
    }
    answer
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What the benchmark asks of a server: files and vector stores.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::error::{Error, Result};

/// The model's id in the configuration that the server runs with.
const MODEL: &str = "bench/embed";
/// The most files of a batch.
const MOST_FILES: usize = 2000;
/// How long a batch may take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// How long to wait from one look at a batch to the next.
const PAUSE: Duration = Duration::from_millis(10);

/// A file to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// What a search goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Vector,
    Keyword,
    Hybrid,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Vector, Self::Keyword, Self::Hybrid];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Keyword => "keyword",
            Self::Hybrid => "hybrid",
        }
    }
}

/// A server that keeps vector stores.
#[derive(Debug)]
pub(crate) struct Service(Client);

impl Service {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        Client::connect(address).map(Self)
    }

    /// Makes a store, and answers its id.
    pub(crate) fn create_store(&mut self) -> Result<String> {
        let body = json!({ "name": "bench", "embedding_model": MODEL });
        let store = self.0.post_json("/v1/vector_stores", &body)?;
        text(&store, "id")
    }

    /// Uploads files one after the other, and answers their ids.
    pub(crate) fn upload(&mut self, files: &[Upload]) -> Result<Vec<String>> {
        let upload = |file: &Upload| {
            let boundary = boundary(&file.bytes);
            let body = multipart(file, &boundary);
            let content_type = format!("multipart/form-data; boundary={boundary}");
            let uploaded = self.0.post("/v1/files", &content_type, &body)?;
            text(&uploaded, "id")
        };
        files.iter().map(upload).collect()
    }

    /// Attaches files to a store, and waits until all of them are ingested.
    ///
    /// # Errors
    /// When one of them fails; the message says why.
    pub(crate) fn ingest(&mut self, store: &str, file_ids: &[String]) -> Result<()> {
        for some in file_ids.chunks(MOST_FILES) {
            let path = format!("/v1/vector_stores/{store}/file_batches");
            let batch = self.0.post_json(&path, &json!({ "file_ids": some }))?;
            let path = format!("{path}/{}", text(&batch, "id")?);
            let began = Instant::now();
            loop {
                let batch = self.0.get_json(&path)?;
                match batch["status"].as_str() {
                    Some("in_progress") if began.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                    Some("completed") if batch["file_counts"]["completed"] == json!(some.len()) => break,
                    _ => {
                        let failed = format!("/v1/vector_stores/{store}/files?filter=failed&limit=1");
                        let why = &self.0.get_json(&failed)?["data"][0]["last_error"];
                        return Err(Error::new(format!(
                            "a batch of {} files ended as {batch}; the first that failed says {why}",
                            some.len()
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// The names of the files that a search finds, the best first.
    pub(crate) fn search(&mut self, store: &str, query: &str, mode: Mode, limit: usize) -> Result<Vec<String>> {
        let path = format!("/v1/vector_stores/{store}/search");
        let body = json!({ "query": query, "search_mode": mode.as_str(), "max_num_results": limit });
        let answer = self.0.post_json(&path, &body)?;
        let results = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        results.iter().map(|result| text(result, "filename")).collect()
    }
}

fn text(answer: &Value, field: &str) -> Result<String> {
    let text = answer[field].as_str().map(str::to_owned);
    text.ok_or_else(|| Error::new(format!("`{field}` is missing in the answer {answer}")))
}

/// A boundary that does not stand in the bytes.
fn boundary(bytes: &[u8]) -> String {
    let mut number = 0_u64;
    loop {
        let boundary = format!("puna-bench-{number}");
        if memchr::memmem::find(bytes, boundary.as_bytes()).is_none() {
            return boundary;
        }
        number += 1;
    }
}

/// `multipart/form-data` (RFC 7578) with a purpose and a file.
fn multipart(file: &Upload, boundary: &str) -> Vec<u8> {
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nassistants\r\n--{boundary}\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"{}\"\r\ncontent-type: application/octet-stream\r\n\r\n",
        file.name
    );
    let end = format!("\r\n--{boundary}--\r\n");
    [head.as_bytes(), &file.bytes, end.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_is_not_in_the_file() {
        assert_eq!(boundary(b"nothing of the kind"), "puna-bench-0");
        assert_eq!(boundary(b"--puna-bench-0 and puna-bench-1"), "puna-bench-2");
    }

    #[test]
    fn a_file_is_between_its_boundaries() {
        let file = Upload {
            name: "a.txt".into(),
            bytes: b"llamas\r\n".to_vec(),
        };
        let body = String::from_utf8(multipart(&file, "x")).unwrap();
        assert!(body.contains("filename=\"a.txt\"\r\n"), "{body}");
        assert!(body.ends_with("\r\n\r\nllamas\r\n\r\n--x--\r\n"), "{body}");
        assert_eq!(body.matches("--x\r\n").count(), 2);
    }
}

//! Whatever was acknowledged is there after the process was killed, and nothing half-done is.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a helper of a test fails the test"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures::future::BoxFuture;
use puna_api::{
    Attributes, Chunk, ChunkQuery, ChunkSelection, DeleteChunks, ErrorKind, Host, Metric, SearchChunks, Tasks,
    UpsertChunks, VectorIndex, VectorIo,
};
use puna_testkit::context;
use serde_json::{Map, json};

/// How often a process is killed.
const RUNS: usize = 20;

const INDEX: &str = "vs_crash";

/// What one index holds: the texts of chunks by their ids.
type State = Option<BTreeMap<String, String>>;

/// The operation of a number. The same number is always the same operation.
enum Operation {
    Upsert(Vec<Chunk>),
    Delete(ChunkSelection),
    Create,
    Drop,
}

impl Operation {
    fn of(number: usize) -> Self {
        match number % 41 {
            0 => Self::Create,
            40 => Self::Drop,
            place if place % 6 == 4 => {
                let ids = (0..4).map(|at| format!("c{}", (number * 3 + at * 5) % 50));
                Self::Delete(ChunkSelection::Chunks(ids.collect()))
            }
            place if place % 11 == 7 => Self::Delete(ChunkSelection::Document(format!("d{}", number % 5))),
            _ => Self::Upsert((0..6).map(|at| chunk(number, (number * 7 + at * 3) % 50)).collect()),
        }
    }

    fn apply(&self, state: &mut State) {
        match self {
            Self::Create => _ = state.get_or_insert_default(),
            Self::Drop => *state = None,
            Self::Upsert(chunks) => {
                let texts = chunks.iter().map(|chunk| (chunk.chunk_id.clone(), chunk.text.clone()));
                state.as_mut().unwrap().extend(texts);
            }
            Self::Delete(ChunkSelection::Chunks(ids)) => {
                state.as_mut().unwrap().retain(|id, _| !ids.contains(id));
            }
            Self::Delete(ChunkSelection::Document(document)) => {
                state.as_mut().unwrap().retain(|id, _| document_of(id) != *document);
            }
        }
    }

    async fn run(self, vector_io: &dyn VectorIo) -> puna_api::Result<()> {
        let index_id = INDEX.to_owned();
        match self {
            Self::Create => {
                let index = VectorIndex {
                    index_id,
                    dimension: 8,
                    metric: Metric::Cosine,
                };
                vector_io.create_index(&context(), index).await
            }
            Self::Drop => vector_io.delete_index(&context(), INDEX).await,
            Self::Upsert(chunks) => {
                vector_io
                    .upsert_chunks(&context(), UpsertChunks { index_id, chunks })
                    .await
            }
            Self::Delete(selection) => {
                vector_io
                    .delete_chunks(&context(), DeleteChunks { index_id, selection })
                    .await
            }
        }
    }
}

fn document_of(id: &str) -> String {
    format!("d{}", id[1..].parse::<usize>().unwrap() % 5)
}

fn chunk(number: usize, which: usize) -> Chunk {
    let chunk_id = format!("c{which}");
    Chunk {
        document_id: document_of(&chunk_id),
        chunk_id,
        position: which as u32,
        text: format!("words of operation {number}"),
        vector: (0..8).map(|at| (number * 8 + at) as f32).collect(),
        attributes: Attributes::from([("number".to_owned(), (number as f64).into())]),
        metadata: Map::new(),
    }
}

struct NoTasks;

impl Tasks for NoTasks {
    fn spawn(&self, _: BoxFuture<'static, ()>) {
        unreachable!("the provider has no background tasks");
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

async fn provider(folder: &str) -> Arc<dyn VectorIo> {
    let host = Host::builder("under-test", folder, Arc::new(NoTasks)).build();
    let provider = puna_provider_sqlite_vec::PROVIDER;
    let config = provider.check(json!({})).unwrap();
    provider.build(config, host).await.unwrap().vector_io.unwrap()
}

/// The process that is killed: works on the folder that it reads the name of, and tells the number of each operation that is done.
#[tokio::test]
#[ignore = "the other test runs it in a process of its own"]
async fn victim() {
    let mut folder = String::new();
    stdin().read_line(&mut folder).unwrap();
    if folder.trim().is_empty() {
        return;
    }
    let vector_io = provider(folder.trim()).await;
    let mut out = std::io::stdout();
    for number in 0.. {
        Operation::of(number).run(&*vector_io).await.unwrap();
        writeln!(out, "\ndone {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts the other process, and kills it once it has told so many operations.
fn kill_after(folder: &str, told: usize) -> usize {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    writeln!(victim.stdin.take().unwrap(), "{folder}").unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut done = || {
        let number = lines
            .by_ref()
            .find_map(|line| Some(line.unwrap().strip_prefix("done ")?.to_owned()));
        number.map(|number| number.parse::<usize>().unwrap())
    };
    let mut last = done().unwrap();
    while last + 1 < told {
        last = done().unwrap();
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    // What it told before it was killed counts too.
    while let Some(number) = done() {
        last = number;
    }
    last
}

/// What is there, which searches by vectors, by words and the lists of documents must agree on.
async fn state(vector_io: &dyn VectorIo) -> State {
    let mut states = Vec::new();
    for query in [
        ChunkQuery::Vector(vec![1.0; 8]),
        ChunkQuery::Keyword("words".to_owned()),
    ] {
        let request = SearchChunks {
            index_id: INDEX.to_owned(),
            query,
            filter: None,
            limit: 1000,
            score_threshold: None,
        };
        let found = match vector_io.search_chunks(&context(), request).await {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("{error:?}"),
        };
        for found in &found {
            // No chunk is made of two.
            let number = found.chunk.text.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
            let which = found.chunk.chunk_id[1..].parse::<usize>().unwrap();
            assert_eq!(found.chunk, chunk(number, which));
        }
        let texts = found.into_iter().map(|found| (found.chunk.chunk_id, found.chunk.text));
        states.push(texts.collect());
    }
    assert_eq!(states[0], states[1]);
    states.pop()
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let mut random = 1_usize;
    for run in 0..RUNS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let last = kill_after(path, 1 + (random >> 33) % 120);
        let mut expected = State::None;
        for number in 0..=last {
            Operation::of(number).apply(&mut expected);
        }
        let vector_io = provider(path).await;
        let is = state(&*vector_io).await;
        if is != expected {
            // The next one was under way, and may be there as a whole.
            Operation::of(last + 1).apply(&mut expected);
            assert_eq!(is, expected, "run {run}, after {last}");
        }
        // It goes on where it stopped, and nothing of what was under way is left behind.
        let left: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("making") || name.contains("deleted"))
            .collect();
        assert_eq!(left, Vec::<String>::new());
        Operation::Create.run(&*vector_io).await.unwrap();
        Operation::Upsert(vec![chunk(9, 9)]).run(&*vector_io).await.unwrap();
    }
}

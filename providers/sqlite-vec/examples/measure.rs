//! What `cargo xtask bench vectors` measures of this provider: `measure DATA FOLDER VECTORS DIMENSION LIMIT`.
//!
//! `DATA` holds `vectors.f32` and `queries.f32`, rows of little-endian numbers; `FOLDER` is made for the indexes. Chunk number `n` has the
//! attribute `bucket` of `n % 100`. The figures go to standard output as JSON.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use puna_api::{
    Attributes, Chunk, ChunkQuery, Filter, Host, Metric, RequestContext, SearchChunks, Tasks, UpsertChunks,
    VectorIndex, VectorIo,
};
use serde_json::{Map, Value, json};

const INDEX: &str = "measured";

/// How many chunks a request has.
const BATCH: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, folder, vectors, dimension, limit] = arguments.as_slice() else {
        return Err("usage: measure DATA FOLDER VECTORS DIMENSION LIMIT".into());
    };
    let (count, dimension, limit) = (vectors.parse()?, dimension.parse()?, limit.parse()?);
    let data = Path::new(data);
    let vectors = rows(&data.join("vectors.f32"), dimension)?;
    let queries = rows(&data.join("queries.f32"), dimension)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let figures = runtime.block_on(measure(folder, &vectors[..count], &queries, limit))?;

    writeln!(std::io::stdout(), "{figures}")?;
    Ok(())
}

async fn measure(
    folder: &str,
    vectors: &[Vec<f32>],
    queries: &[Vec<f32>],
    limit: usize,
) -> Result<Value, Box<dyn Error>> {
    let context = RequestContext::new("bench");
    let vector_io = provider(folder).await?;
    let index = VectorIndex {
        index_id: INDEX.to_owned(),
        dimension: u32::try_from(vectors[0].len())?,
        metric: Metric::Cosine,
    };
    vector_io.create_index(&context, index).await?;
    let start = Instant::now();
    for (batch, vectors) in vectors.chunks(BATCH).enumerate() {
        let chunks = (batch * BATCH..)
            .zip(vectors)
            .map(|(number, vector)| chunk(number, vector));
        let request = UpsertChunks {
            index_id: INDEX.to_owned(),
            chunks: chunks.collect(),
        };
        vector_io.upsert_chunks(&context, request).await?;
    }
    let insert = start.elapsed().as_secs_f64();

    // As after a restart of the server.
    drop(vector_io);
    let vector_io = provider(folder).await?;
    let start = Instant::now();
    search(&*vector_io, &queries[0], None, 1).await?;
    let open = start.elapsed().as_secs_f64();

    let bucket = |value: f64| {
        let key = "bucket".to_owned();
        Filter::Lt { key, value }
    };
    let mut cases = Map::new();
    for (name, filter) in [
        ("plain", None),
        ("1 %", Some(bucket(1.0))),
        ("50 %", Some(bucket(50.0))),
    ] {
        let (mut found, mut microseconds) = (Vec::new(), Vec::new());
        for query in queries {
            let start = Instant::now();
            let ids = search(&*vector_io, query, filter.clone(), limit).await?;
            microseconds.push(start.elapsed().as_secs_f64() * 1e6);
            found.push(ids);
        }
        cases.insert(name.to_owned(), json!({ "found": found, "us": microseconds }));
    }
    let bytes: u64 = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum();
    Ok(
        json!({ "insert_s": insert, "open_s": open, "disk_mb": bytes / 1_000_000, "memory_mb": memory(), "cases": cases }),
    )
}

async fn search(
    vector_io: &dyn VectorIo,
    query: &[f32],
    filter: Option<Filter>,
    limit: usize,
) -> puna_api::Result<Vec<usize>> {
    let request = SearchChunks {
        index_id: INDEX.to_owned(),
        query: ChunkQuery::Vector(query.to_vec()),
        filter,
        limit,
        score_threshold: None,
    };
    let found = vector_io.search_chunks(&RequestContext::new("bench"), request).await?;
    Ok(found.iter().map(|found| found.chunk.position as usize).collect())
}

fn chunk(number: usize, vector: &[f32]) -> Chunk {
    Chunk {
        chunk_id: format!("chunk-{number}"),
        document_id: format!("document-{}", number / 20),
        position: number as u32,
        text: format!("The text of chunk {number} is as long as a sentence, which is shorter than most chunks are."),
        vector: vector.to_vec(),
        attributes: Attributes::from([("bucket".to_owned(), ((number % 100) as f64).into())]),
        metadata: Map::new(),
    }
}

fn rows(file: &Path, dimension: usize) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
    let bytes = fs::read(file)?;
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(numbers.chunks_exact(dimension).map(<[f32]>::to_vec).collect())
}

/// Megabytes that the process holds, where the system tells.
fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1000)
}

async fn provider(folder: &str) -> puna_api::Result<Arc<dyn VectorIo>> {
    let host = Host::builder("bench", folder, Arc::new(NoTasks)).build();
    let provider = puna_provider_sqlite_vec::PROVIDER;
    let config = provider
        .check(json!({}))
        .map_err(|problem| puna_api::Error::configuration(problem.message))?;
    let services = provider.build(config, host).await?;
    services
        .vector_io
        .ok_or_else(|| puna_api::Error::internal("no vector indexes"))
}

/// The provider has no background tasks.
struct NoTasks;

impl Tasks for NoTasks {
    fn spawn(&self, _: BoxFuture<'static, ()>) {}

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

//! How fast files become chunks that are found, and where the time goes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::prometheus::Scrape;
use crate::rag::service::{Service, Upload};

const CHUNKS: &str = "puna_ingestion_chunks_total";
const INGESTION: &str = "puna_ingestion_stage_seconds_sum";
const PROCESSING: &str = "puna_file_processing_stage_seconds_sum";

/// What a set of files took.
#[derive(Debug, Clone)]
pub(crate) struct Ingested {
    /// The bytes of the files.
    pub(crate) bytes: usize,
    /// From the first upload to the last.
    pub(crate) upload: Duration,
    /// From then until the last file was ingested.
    pub(crate) ingest: Duration,
    /// What the server says of that; `None` where it does not measure it.
    pub(crate) measured: Option<Measured>,
}

/// What the server measured.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) chunks: f64,
    /// The seconds of each stage, of all files together.
    pub(crate) stages: BTreeMap<Stage, f64>,
}

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// A worker is waited for, started, and told; its answer is taken.
    Worker,
    Parse,
    Chunk,
    Embed,
    Store,
}

impl Stage {
    pub(crate) const ALL: [Self; 5] = [Self::Worker, Self::Parse, Self::Chunk, Self::Embed, Self::Store];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Parse => "parse",
            Self::Chunk => "chunk",
            Self::Embed => "embed",
            Self::Store => "store",
        }
    }

    /// How long the server was at it so far, in seconds.
    fn seconds(self, scrape: &Scrape) -> Result<f64> {
        let of = |metric, stage| scrape.labelled(metric, "stage", stage);
        match self {
            // What is left of the reading, the bytes of the file on their way included.
            Self::Worker => Ok(of(INGESTION, "read")? - of(PROCESSING, "parse")? - of(PROCESSING, "chunk")?),
            Self::Parse => of(PROCESSING, "parse"),
            Self::Chunk => of(PROCESSING, "chunk"),
            Self::Embed => of(INGESTION, "embed"),
            Self::Store => of(INGESTION, "store"),
        }
    }
}

/// Whether a server measures what it ingests.
pub(crate) fn is_measured(address: SocketAddr) -> Result<bool> {
    Scrape::of(address).map(|scrape| Measured::is_in(&scrape))
}

/// Uploads files and has them ingested into a store of their own.
pub(crate) fn run(address: SocketAddr, files: &[Upload]) -> Result<Ingested> {
    let mut service = Service::connect(address)?;
    let store = service.create_store()?;
    let before = Scrape::of(address)?;
    let began = Instant::now();
    let file_ids = service.upload(files)?;
    let upload = began.elapsed();
    service.ingest(&store, &file_ids)?;
    let ingest = began.elapsed().saturating_sub(upload);
    let after = Scrape::of(address)?;
    Ok(Ingested {
        bytes: files.iter().map(|file| file.bytes.len()).sum(),
        upload,
        ingest,
        measured: match Measured::is_in(&before) {
            true => Some(Measured::between(&before, &after)?),
            false => None,
        },
    })
}

impl Measured {
    fn is_in(scrape: &Scrape) -> bool {
        [CHUNKS, INGESTION, PROCESSING]
            .iter()
            .all(|metric| scrape.tells(metric))
    }

    fn between(before: &Scrape, after: &Scrape) -> Result<Self> {
        let stage = |stage: Stage| Ok((stage, stage.seconds(after)? - stage.seconds(before)?));
        Ok(Self {
            chunks: after.total(CHUNKS)? - before.total(CHUNKS)?,
            stages: Stage::ALL.into_iter().map(stage).collect::<Result<_>>()?,
        })
    }
}

impl Ingested {
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds()
    }

    pub(crate) fn chunks_per_second(&self) -> Option<f64> {
        Some(self.measured.as_ref()?.chunks / self.seconds())
    }

    /// The part of the whole time that a stage took, when files are ingested one after the other.
    pub(crate) fn part(&self, stage: Stage) -> Option<f64> {
        Some(self.measured.as_ref()?.stages.get(&stage)? / self.seconds())
    }

    /// The part of the whole time that the uploads took.
    pub(crate) fn upload_part(&self) -> f64 {
        self.upload.as_secs_f64() / self.seconds()
    }

    /// From the first upload until the last file was ingested.
    fn seconds(&self) -> f64 {
        (self.upload + self.ingest).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_what_was_added_between_two_looks() {
        let scrape = |read: f64, parse: f64, chunk: f64, chunks: u32| {
            Scrape::parse(&format!(
                "{INGESTION}{{stage=\"read\"}} {read}\n{INGESTION}{{stage=\"embed\"}} 2\n{INGESTION}{{stage=\"store\"}} 1\n\
                 {PROCESSING}{{stage=\"parse\"}} {parse}\n{PROCESSING}{{stage=\"chunk\"}} {chunk}\n{CHUNKS} {chunks}\n"
            ))
        };
        let measured = Measured::between(&scrape(1.0, 0.25, 0.25, 3), &scrape(5.0, 1.25, 0.75, 11)).unwrap();
        assert_eq!(measured.chunks, 8.0);
        let stages: Vec<f64> = measured.stages.values().copied().collect();
        assert_eq!(stages, [2.5, 1.0, 0.5, 0.0, 0.0]);
        let ingested = Ingested {
            bytes: 2_000_000,
            upload: Duration::from_secs(1),
            ingest: Duration::from_secs(4),
            measured: Some(measured),
        };
        assert_eq!(ingested.megabytes_per_second(), 0.4);
        assert_eq!(ingested.chunks_per_second(), Some(1.6));
        assert_eq!((ingested.part(Stage::Worker), ingested.upload_part()), (Some(0.5), 0.2));
    }
}

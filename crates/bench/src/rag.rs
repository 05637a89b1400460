//! The benchmark of retrieval: how fast files are ingested, and how well searches find what is in them.

mod collection;
mod corpus;
mod figures;
mod gain;
mod ingestion;
mod pdf;
mod quality;
mod service;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::affinity::Cores;
use crate::error::{Context as _, Result};
use crate::machine::Machine;
use crate::ports;
use crate::report;
use crate::server::{Launch, Server};

use collection::Collection;
use corpus::Format;
use figures::Figures;
use quality::Quality;

/// What `puna-bench rag` takes.
#[derive(Debug, Clone, Args)]
pub struct RagOptions {
    /// The server to measure: a built distribution that keeps files and vector stores
    #[arg(long, value_name = "FILE")]
    server: PathBuf,
    /// The configuration to run it with, which names BENCH_EMBEDDING_MODEL and BENCH_FILES_AT_ONCE
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// An embedding model: a folder, or a name that the configuration's provider knows; may be given more than once
    #[arg(long, value_name = "MODEL", default_value = "puna/tiny-embed")]
    model: Vec<String>,
    /// How many megabytes of files of each format to ingest
    #[arg(long, value_name = "NUMBER", default_value_t = 0.5, value_parser = parse_megabytes)]
    megabytes: f64,
    /// How many files the server ingests at the same time, beside one after the other
    #[arg(long, value_name = "NUMBER", default_value = "3")]
    files_at_once: NonZeroUsize,
    /// How many rounds of ingestion to run; the figures are their medians
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure only this
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
    /// Write all figures there, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How fast files are ingested
    Ingestion,
    /// How well searches find what answers a query
    Quality,
}

/// Runs the rounds and prints the tables.
///
/// # Errors
/// When the server fails, or a file is not ingested.
pub fn run(options: &RagOptions) -> Result<()> {
    let machine = Machine::look(Cores::choose(None, None)?);
    let collections = Collection::judged()?;
    let mut all = Vec::new();
    for model in &options.model {
        report::say(&format!("measuring with {model}"));
        let bench = Bench {
            options,
            model: model_path(model)?,
            collections: &collections,
        };
        report::print(&format!("{model}\n\n"))?;
        let mut figures = json!({ "model": model });
        if options.only != Some(Part::Quality) {
            let ingestion = bench.ingestion()?;
            for figures in &ingestion {
                report::print(&format!("{}\n", figures.table()))?;
            }
            figures["ingestion"] = ingestion.iter().map(Figures::to_json).collect();
        }
        if options.only != Some(Part::Ingestion) {
            let mut of_all = serde_json::Map::new();
            let mut held_out = Quality::default();
            for collection in &collections {
                let quality = bench.quality(collection)?;
                report::print(&format!("{}\n\n{}\n", collection.name, quality.table()))?;
                of_all.insert(collection.name.to_owned(), quality.to_json());
                if collection.is_held_out {
                    held_out.extend(quality);
                }
            }
            report::print(&format!("all that was held out\n\n{}\n", held_out.table()))?;
            figures["quality"] = of_all.into();
        }
        all.push(figures);
    }
    report::print(&format!(
        "{}, {} cores, Linux {}, load average {} before; {} rounds, {} MB of each format\n",
        machine.processor, machine.core_count, machine.kernel, machine.load_average, options.rounds, options.megabytes,
    ))?;
    match &options.json {
        None => Ok(()),
        Some(path) => {
            fs::write(path, format!("{:#}\n", Value::Array(all))).while_trying(|| format!("write {}", path.display()))
        }
    }
}

/// One model's measurements.
struct Bench<'a> {
    options: &'a RagOptions,
    model: PathBuf,
    collections: &'a [Collection],
}

/// A server with a home of its own, which goes with it.
struct Rented {
    server: Server,
    _home: tempfile::TempDir,
}

impl Bench<'_> {
    /// Rounds with one file at once, and with several.
    fn ingestion(&self) -> Result<Vec<Figures>> {
        let bytes = (self.options.megabytes * 1e6) as usize;
        let sets: Vec<_> = Format::ALL
            .into_iter()
            .map(|format| (format, corpus::files(&self.collections[0], format, bytes)))
            .collect();
        let mut ways = vec![NonZeroUsize::MIN];
        if self.options.files_at_once > NonZeroUsize::MIN {
            ways.push(self.options.files_at_once);
        }
        let mut all: Vec<Figures> = ways
            .iter()
            .map(|files_at_once| Figures::new(files_at_once.get()))
            .collect();
        for round in 0..self.options.rounds {
            for (files_at_once, figures) in ways.iter().zip(&mut all) {
                let rented = self.start(files_at_once.get())?;
                let address = rented.server.address();
                let is_first = round == 0 && files_at_once.get() == 1;
                if is_first && !ingestion::is_measured(address)? {
                    report::say(
                        "the server is too old to measure the stages of ingestion, or does not show them at /metrics: \
                         chunks and the split are left out",
                    );
                }
                // The model and the workers have been at it before anything counts.
                let first: Vec<_> = sets.iter().filter_map(|(_, files)| files.first()).cloned().collect();
                ingestion::run(address, &first)?;
                for (format, files) in &sets {
                    figures.add(*format, ingestion::run(address, files)?);
                }
            }
        }
        Ok(all)
    }

    fn quality(&self, collection: &Collection) -> Result<Quality> {
        let rented = self.start(self.options.files_at_once.get())?;
        quality::run(rented.server.address(), collection)
    }

    fn start(&self, files_at_once: usize) -> Result<Rented> {
        let home = tempfile::tempdir().while_trying(|| "make a temporary folder".into())?;
        let address = ports::free()?;
        let mut command = Command::new(absolute(&self.options.server)?);
        command
            .arg("run")
            .arg(absolute(&self.options.config)?)
            .arg("--port")
            .arg(address.port().to_string())
            .env("PUNA_HOME", home.path())
            .env("BENCH_EMBEDDING_MODEL", &self.model)
            .env("BENCH_FILES_AT_ONCE", files_at_once.to_string());
        let launch = Launch {
            name: "puna",
            command,
            address,
            health_path: "/v1/health",
            healthy: &[200],
            log: home.path().join("puna.log"),
        };
        Ok(Rented {
            server: launch.start_anywhere()?,
            _home: home,
        })
    }
}

/// What stands for a model in the configuration: a folder with its whole path, a name as it is.
fn model_path(model: &str) -> Result<PathBuf> {
    let path = Path::new(model);
    if path.is_dir() {
        absolute(path)
    } else {
        Ok(path.to_owned())
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).while_trying(|| format!("make {} absolute", path.display()))
}

fn parse_megabytes(text: &str) -> std::result::Result<f64, String> {
    let megabytes: f64 = text
        .parse()
        .map_err(|_| format!("{text:?} is not a number of megabytes, such as 2 or 0.5"))?;
    match megabytes {
        0.01..=1000.0 => Ok(megabytes),
        _ => Err(format!("{text} must be from 0.01 to 1000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn megabytes_are_bounded() {
        assert_eq!(parse_megabytes("0.5"), Ok(0.5));
        for text in ["", "x", "0", "-1", "nan", "inf", "1e9"] {
            assert!(parse_megabytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_is_no_folder() {
        assert_eq!(model_path("puna/tiny-embed"), Ok(PathBuf::from("puna/tiny-embed")));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(model_path(path), Ok(folder.path().to_owned()));
    }
}

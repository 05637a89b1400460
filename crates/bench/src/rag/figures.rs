//! What the rounds of ingestion gave.

use serde_json::{Value, json};

use crate::rag::corpus::Format;
use crate::rag::ingestion::{Ingested, Stage};
use crate::report::table;
use crate::statistics::Summary;

/// All rounds with as many files at once.
#[derive(Debug)]
pub(crate) struct Figures {
    files_at_once: usize,
    /// Each format of each round.
    rounds: Vec<(Format, Ingested)>,
}

impl Figures {
    pub(crate) fn new(files_at_once: usize) -> Self {
        Self {
            files_at_once,
            rounds: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, format: Format, ingested: Ingested) {
        self.rounds.push((format, ingested));
    }

    /// A table of the medians; the stages only where they come one after the other.
    pub(crate) fn table(&self) -> String {
        let has_stages = self.files_at_once == 1;
        let title = match self.files_at_once {
            1 => "1 file at once".to_owned(),
            more => format!("{more} files at once"),
        };
        let mut header: Vec<String> = vec![title];
        header.extend(["MB", "MB/s", "least to greatest", "chunks/s"].map(str::to_owned));
        if has_stages {
            header.push("upload".to_owned());
            header.extend(Stage::ALL.map(|stage| stage.as_str().to_owned()));
        }
        let mut rows = vec![header];
        for format in Format::ALL {
            let Some(speed) = self.summary(format, |ingested| Some(ingested.megabytes_per_second())) else {
                continue;
            };
            let megabytes = self.summary(format, |ingested| Some(ingested.bytes as f64 / 1e6));
            let chunks = self.summary(format, Ingested::chunks_per_second);
            let mut row = vec![
                format.as_str().to_owned(),
                shown(megabytes, |megabytes| format!("{megabytes:.2}")),
                format!("{:.3}", speed.median),
                format!("{:.3} to {:.3}", speed.least, speed.greatest),
                shown(chunks, |chunks| format!("{chunks:.1}")),
            ];
            if has_stages {
                let percent = |part: f64| format!("{:.1} %", 100.0 * part);
                let upload = self.summary(format, |ingested| Some(ingested.upload_part()));
                row.push(shown(upload, percent));
                row.extend(Stage::ALL.map(|stage| shown(self.summary(format, |it| it.part(stage)), percent)));
            }
            rows.push(row);
        }
        table(&rows)
    }

    /// Every figure of every round.
    pub(crate) fn to_json(&self) -> Value {
        let round = |(format, ingested): &(Format, Ingested)| {
            let stages = ingested.measured.as_ref().map(|measured| {
                let stages = measured.stages.iter();
                let stages = stages.map(|(stage, seconds)| (stage.as_str().to_owned(), json!(seconds)));
                json!({ "chunks": measured.chunks, "stage_seconds": stages.collect::<serde_json::Map<_, _>>() })
            });
            json!({
                "format": format.as_str(),
                "bytes": ingested.bytes,
                "upload_seconds": ingested.upload.as_secs_f64(),
                "ingest_seconds": ingested.ingest.as_secs_f64(),
                "measured": stages,
            })
        };
        json!({
            "files_at_once": self.files_at_once,
            "rounds": self.rounds.iter().map(round).collect::<Vec<_>>(),
        })
    }

    fn summary(&self, format: Format, figure: impl Fn(&Ingested) -> Option<f64>) -> Option<Summary> {
        let of_format = self.rounds.iter().filter(|(of, _)| *of == format);
        let figures: Vec<f64> = of_format.filter_map(|(_, ingested)| figure(ingested)).collect();
        Summary::of(&figures)
    }
}

fn shown(summary: Option<Summary>, show: impl Fn(f64) -> String) -> String {
    summary.map_or_else(|| "-".to_owned(), |summary| show(summary.median))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rag::ingestion::Measured;

    fn ingested(seconds: u64, measured: Option<Measured>) -> Ingested {
        Ingested {
            bytes: 1_000_000,
            upload: Duration::from_secs(1),
            ingest: Duration::from_secs(seconds - 1),
            measured,
        }
    }

    #[test]
    fn a_table_holds_medians_and_the_split() {
        let measured = Measured {
            chunks: 100.0,
            stages: Stage::ALL.into_iter().zip([0.5, 0.25, 0.25, 2.0, 0.5]).collect(),
        };
        let mut figures = Figures::new(1);
        for seconds in [4, 5, 10] {
            figures.add(Format::Html, ingested(seconds, Some(measured.clone())));
        }
        let table = figures.table();
        for part in ["HTML", "0.200", "0.100 to 0.250", "20.0", "20.0 %", "40.0 %", "embed"] {
            assert!(table.contains(part), "{part}:\n{table}");
        }
        assert!(!table.contains("Markdown"), "{table}");
        assert_eq!(
            figures.to_json()["rounds"][2]["measured"]["stage_seconds"]["embed"],
            2.0
        );
    }

    #[test]
    fn what_the_server_does_not_measure_is_left_out() {
        let mut figures = Figures::new(3);
        figures.add(Format::Text, ingested(2, None));
        let table = figures.table();
        assert!(table.contains("3 files at once") && table.contains("0.500"), "{table}");
        assert!(table.contains(" - |") && !table.contains("embed"), "{table}");
    }
}

//! What is measured, in which unit, and how it is compared.

use std::collections::BTreeMap;

use super::SubjectName;
use crate::statistics::Summary;

/// A figure of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// From start to the first good answer, in milliseconds.
    Start,
    /// Memory one second after that, in MiB.
    IdleMemory,
    /// The program's size, in MB.
    BinarySize,
    /// Median time of a request on one connection, in microseconds.
    LatencyP50,
    /// The same, 99th percentile.
    LatencyP99,
    /// Requests per second over 32 connections.
    Throughput,
    /// Processor time of a request over 32 connections, in microseconds.
    ProcessorTime,
    /// How busy mock and load were meanwhile, in percent of their core.
    LoadBusy,
    /// Median time of a request with a prompt of 100 KB, in microseconds.
    Prompt100k,
    /// The same with 1 MB.
    Prompt1m,
    /// Median time to the first chunk of a stream, in microseconds.
    FirstChunk,
    /// By how much the time from chunk to chunk grows on its way, 99th percentile, in microseconds.
    Gap,
    /// Median time to the first chunk among 1,000 streams, in microseconds.
    CrowdFirstChunk,
    /// By how much the time from chunk to chunk grows among 1,000 streams, 99th percentile, in microseconds.
    CrowdGap,
    /// Chunks among 1,000 streams that came a whole interval late.
    CrowdStalls,
    /// Streams of 1,000 that failed or did not end.
    CrowdLost,
    /// By how much memory grows under load, in MiB per hour.
    Growth,
}

/// How a figure is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// What is added to the direct figure, as a multiple of what nginx adds.
    MultipleOfAdded,
    /// As a fraction of nginx's figure.
    Fraction,
    /// What it is over nginx's figure.
    Over,
    /// By itself.
    Alone,
}

/// The figure that is aimed at, after it was compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// Nothing is aimed at; the figure explains others.
    None,
}

impl Target {
    /// Whether `figure` meets it; `None` when nothing is aimed at.
    pub(crate) fn is_met(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(figure <= most),
            Self::AtLeast(least) => Some(figure >= least),
            Self::None => None,
        }
    }
}

impl Measure {
    /// Its name in the JSON, what it is, its unit, how it is compared, and what is aimed at.
    fn describe(self) -> (&'static str, &'static str, &'static str, Reading, Target) {
        use Reading::{Alone, Fraction, MultipleOfAdded, Over};
        use Target::{AtLeast, AtMost};
        match self {
            Self::Start => ("start", "start to first 200 on /v1/health", "ms", Alone, AtMost(50.0)),
            Self::IdleMemory => ("idle_memory", "idle memory (VmRSS)", "MiB", Alone, AtMost(20.0)),
            Self::BinarySize => ("binary_size", "binary", "MB", Alone, AtMost(40.0)),
            Self::LatencyP50 => (
                "latency_p50",
                "1 connection: latency, p50",
                "us",
                MultipleOfAdded,
                AtMost(1.10),
            ),
            Self::LatencyP99 => (
                "latency_p99",
                "1 connection: latency, p99",
                "us",
                MultipleOfAdded,
                AtMost(1.3),
            ),
            Self::Throughput => (
                "throughput",
                "32 connections: throughput",
                "/s",
                Fraction,
                AtLeast(0.70),
            ),
            Self::ProcessorTime => (
                "processor_time",
                "32 connections: CPU per request",
                "us",
                Alone,
                AtMost(18.0),
            ),
            Self::LoadBusy => (
                "load_busy",
                "32 connections: mock and load at work",
                "%",
                Alone,
                Target::None,
            ),
            Self::Prompt100k => ("prompt_100k", "100 KB prompt: p50", "us", Over, AtMost(60.0)),
            Self::Prompt1m => ("prompt_1m", "1 MB prompt: p50", "us", Over, AtMost(600.0)),
            Self::FirstChunk => (
                "first_chunk",
                "stream: time to first chunk, p50",
                "us",
                Over,
                AtMost(40.0),
            ),
            Self::Gap => ("gap_p99", "stream: gap grows by, p99", "us", Over, AtMost(5.0)),
            Self::CrowdFirstChunk => (
                "crowd_first_chunk",
                "1,000 streams: time to first chunk, p50",
                "us",
                Over,
                Target::None,
            ),
            Self::CrowdGap => (
                "crowd_gap_p99",
                "1,000 streams: gap grows by, p99",
                "us",
                Over,
                Target::None,
            ),
            Self::CrowdStalls => (
                "crowd_stalls",
                "1,000 streams: chunks 20 ms late",
                "",
                Alone,
                AtMost(0.0),
            ),
            Self::CrowdLost => ("crowd_lost", "1,000 streams: not ended well", "", Alone, AtMost(0.0)),
            Self::Growth => (
                "memory_growth",
                "32 connections: memory grows, in an hour, by",
                "MiB",
                Alone,
                Target::None,
            ),
        }
    }

    /// Its name in the JSON.
    pub(crate) fn key(self) -> &'static str {
        self.describe().0
    }

    /// What it is.
    pub(crate) fn title(self) -> &'static str {
        self.describe().1
    }

    /// Its unit; empty for a count.
    pub(crate) fn unit(self) -> &'static str {
        self.describe().2
    }

    /// How it is compared.
    pub(crate) fn reading(self) -> Reading {
        self.describe().3
    }

    /// What is aimed at.
    pub(crate) fn target(self) -> Target {
        self.describe().4
    }
}

/// The figures of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<Measure, BTreeMap<SubjectName, Vec<f64>>>);

impl Figures {
    /// Adds the figure of a round.
    pub(crate) fn add(&mut self, measure: Measure, subject: SubjectName, figure: f64) {
        self.0
            .entry(measure)
            .or_default()
            .entry(subject)
            .or_default()
            .push(figure);
    }

    /// What was measured.
    pub(crate) fn measures(&self) -> impl Iterator<Item = Measure> {
        self.0.keys().copied()
    }

    /// The figures of one subject, round by round; empty when there are none.
    pub(crate) fn rounds(&self, measure: Measure, subject: SubjectName) -> &[f64] {
        self.0
            .get(&measure)
            .and_then(|subjects| subjects.get(&subject))
            .map_or(&[], Vec::as_slice)
    }

    /// What to show of one subject: its figure, or what it adds to the direct one.
    pub(crate) fn shown(&self, measure: Measure, subject: SubjectName) -> Option<Summary> {
        let own = self.rounds(measure, subject);
        if measure.reading() == Reading::MultipleOfAdded && subject != SubjectName::Direct {
            return Summary::of(&subtract(own, self.rounds(measure, SubjectName::Direct)));
        }
        Summary::of(own)
    }

    /// How a subject compares, round by round; empty when what it is compared with is absent.
    pub(crate) fn compared(&self, measure: Measure, subject: SubjectName) -> Vec<f64> {
        let own = self.rounds(measure, subject);
        let nginx = self.rounds(measure, SubjectName::Nginx);
        match measure.reading() {
            Reading::Alone => own.to_vec(),
            Reading::Over => subtract(own, nginx),
            Reading::Fraction => divide(own, nginx),
            Reading::MultipleOfAdded => {
                let direct = self.rounds(measure, SubjectName::Direct);
                divide(&subtract(own, direct), &subtract(nginx, direct))
            }
        }
    }
}

fn subtract(figures: &[f64], others: &[f64]) -> Vec<f64> {
    figures
        .iter()
        .zip(others)
        .map(|(figure, other)| figure - other)
        .collect()
}

fn divide(figures: &[f64], others: &[f64]) -> Vec<f64> {
    figures
        .iter()
        .zip(others)
        .map(|(figure, other)| figure / other)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reading_compares_round_by_round() {
        let mut figures = Figures::default();
        for (measure, direct, nginx, puna) in [
            (Measure::LatencyP50, [10.0, 20.0], [60.0, 70.0], [70.0, 145.0]),
            (Measure::Throughput, [9.0, 9.0], [100.0, 200.0], [80.0, 50.0]),
            (Measure::Prompt1m, [1.0, 1.0], [500.0, 600.0], [600.0, 500.0]),
            (Measure::Start, [0.0, 0.0], [1.0, 1.0], [30.0, 40.0]),
        ] {
            for round in 0..2 {
                figures.add(measure, SubjectName::Direct, direct[round]);
                figures.add(measure, SubjectName::Nginx, nginx[round]);
                figures.add(measure, SubjectName::Puna, puna[round]);
            }
        }
        assert_eq!(figures.compared(Measure::LatencyP50, SubjectName::Puna), [1.2, 2.5]);
        assert_eq!(figures.compared(Measure::Throughput, SubjectName::Puna), [0.8, 0.25]);
        assert_eq!(figures.compared(Measure::Prompt1m, SubjectName::Puna), [100.0, -100.0]);
        assert_eq!(figures.compared(Measure::Start, SubjectName::Puna), [30.0, 40.0]);
        assert_eq!(
            figures.shown(Measure::LatencyP50, SubjectName::Puna).unwrap().median,
            92.5
        );
        assert_eq!(
            figures.shown(Measure::LatencyP50, SubjectName::Direct).unwrap().median,
            15.0
        );
        assert_eq!(
            figures.shown(Measure::Prompt1m, SubjectName::Puna).unwrap().median,
            550.0
        );
        assert_eq!(figures.compared(Measure::Throughput, SubjectName::Peer), [0.0; 0]);
    }

    #[test]
    fn nothing_is_compared_with_an_absent_nginx() {
        let mut figures = Figures::default();
        figures.add(Measure::Throughput, SubjectName::Puna, 5.0);
        figures.add(Measure::ProcessorTime, SubjectName::Puna, 5.0);
        assert_eq!(figures.compared(Measure::Throughput, SubjectName::Puna), [0.0; 0]);
        assert_eq!(figures.compared(Measure::ProcessorTime, SubjectName::Puna), [5.0]);
    }

    #[test]
    fn targets_have_two_directions() {
        assert_eq!(Target::AtMost(2.0).is_met(2.0), Some(true));
        assert_eq!(Target::AtMost(2.0).is_met(2.1), Some(false));
        assert_eq!(Target::AtLeast(0.7).is_met(0.7), Some(true));
        assert_eq!(Target::AtLeast(0.7).is_met(0.6), Some(false));
        assert_eq!(Target::None.is_met(1.0), None);
    }
}

//! The rounds of each row: every subject in turn, again and again, so that what changes on the machine meanwhile changes
//! for all of them.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::subject::{Bench, Subject, SubjectName, start_server};
use super::{Figures, Measure, Row};
use crate::error::{Context as _, Error, Result};
use crate::load::{Outcome, Workload};
use crate::process::{resident_bytes, time_at_work};
use crate::report;
use crate::statistics::slope;

/// The prompt where nothing else is said.
const PROMPT_BYTES: usize = 1024;
/// How long requests are sent before they count.
const WARM_UP: Duration = Duration::from_millis(200);
/// How many connections measure throughput.
const CONNECTIONS: u32 = 32;
/// How many streams run at once where each is to be alone on its way, each at its own time.
const QUIET_STREAMS: u32 = 10;
/// How many streams make a crowd.
const CROWD_STREAMS: u32 = 1000;
/// The time in which a crowd gathers, so that its chunks are spread over an interval.
const CROWD_GATHERS: Duration = Duration::from_millis(200);
/// How long a server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(1);
/// How long to wait from one look at a server's memory under load to the next.
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);

/// Runs all rounds of a row.
///
/// # Errors
/// When a server cannot be started or fails a request; of a crowd, lost streams are counted instead.
pub(crate) fn run(row: Row, bench: &Bench<'_>, subjects: &[Subject], figures: &mut Figures) -> Result<()> {
    for round in 0..bench.options.rounds {
        report::say(&format!("{row:?}: round {} of {}", round + 1, bench.options.rounds));
        if round == 0 {
            warm_up(row, bench, subjects)?;
        }
        // There and back again, so that none is always the first.
        let mut order: Vec<&Subject> = subjects.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for subject in order {
            let mut add = |measure, figure| figures.add(measure, subject.name(), figure);
            match row {
                Row::Start => start(bench, subject, round, &mut add)?,
                Row::Latency => latency(bench, subject, &mut add)?,
                Row::Throughput => throughput(bench, subject, &mut add)?,
                Row::Prompt100k => prompt(bench, subject, 100 * 1024, Measure::Prompt100k, &mut add)?,
                Row::Prompt1m => prompt(bench, subject, 1024 * 1024, Measure::Prompt1m, &mut add)?,
                Row::Stream => stream(bench, subject, &mut add)?,
                Row::Streams => crowd(bench, subject, &mut add)?,
                Row::Steady => steady(bench, subject, &mut add)?,
            }
        }
    }
    Ok(())
}

/// Streams have no warm-up of their own: the first of a server pays for its connections to the mock.
fn warm_up(row: Row, bench: &Bench<'_>, subjects: &[Subject]) -> Result<()> {
    for subject in subjects {
        match row {
            Row::Stream => drop(bench.rig.run(quiet_streams(bench, subject))?),
            Row::Streams => drop(bench.rig.run(crowd_of_streams(bench, subject))?),
            Row::Start | Row::Latency | Row::Throughput | Row::Prompt100k | Row::Prompt1m | Row::Steady => {}
        }
    }
    Ok(())
}

fn start(bench: &Bench<'_>, subject: &Subject, round: u32, add: &mut impl FnMut(Measure, f64)) -> Result<()> {
    let Some(server) = start_server(subject.name(), bench)? else {
        return Ok(());
    };
    add(Measure::Start, server.started_in().as_secs_f64() * 1e3);
    thread::sleep(IDLE);
    add(
        Measure::IdleMemory,
        resident_bytes(server.process())? as f64 / 1_048_576.0,
    );
    if subject.name() == SubjectName::Puna && round == 0 {
        let program = &bench.options.server;
        let size = std::fs::metadata(program)
            .while_trying(|| format!("read the size of {}", program.display()))?
            .len();
        add(Measure::BinarySize, size as f64 / 1e6);
    }
    Ok(())
}

fn latency(bench: &Bench<'_>, subject: &Subject, add: &mut impl FnMut(Measure, f64)) -> Result<()> {
    let mut outcome = closed_loop(bench, subject, 1, PROMPT_BYTES)?;
    add(
        Measure::LatencyP50,
        microseconds(subject, outcome.latencies.percentile(0.5))?,
    );
    add(
        Measure::LatencyP99,
        microseconds(subject, outcome.latencies.percentile(0.99))?,
    );
    Ok(())
}

fn throughput(bench: &Bench<'_>, subject: &Subject, add: &mut impl FnMut(Measure, f64)) -> Result<()> {
    let work = || subject.process().map(time_at_work).transpose();
    let before = work()?;
    let outcome = closed_loop(bench, subject, CONNECTIONS, PROMPT_BYTES)?;
    let after = work()?;
    add(Measure::Throughput, outcome.requests_per_second(bench.options.duration));
    add(Measure::LoadBusy, outcome.busy * 100.0);
    if let (Some(before), Some(after)) = (before, after) {
        add(
            Measure::ProcessorTime,
            (after - before).as_secs_f64() * 1e6 / outcome.answered as f64,
        );
    }
    Ok(())
}

fn prompt(
    bench: &Bench<'_>,
    subject: &Subject,
    bytes: usize,
    measure: Measure,
    add: &mut impl FnMut(Measure, f64),
) -> Result<()> {
    let mut outcome = closed_loop(bench, subject, 1, bytes)?;
    add(measure, microseconds(subject, outcome.latencies.percentile(0.5))?);
    Ok(())
}

fn stream(bench: &Bench<'_>, subject: &Subject, add: &mut impl FnMut(Measure, f64)) -> Result<()> {
    let mut outcome = sound(subject, bench.rig.run(quiet_streams(bench, subject))?)?;
    add(
        Measure::FirstChunk,
        microseconds(subject, outcome.first_chunks.percentile(0.5))?,
    );
    add(Measure::Gap, growth(&mut outcome));
    Ok(())
}

fn crowd(bench: &Bench<'_>, subject: &Subject, add: &mut impl FnMut(Measure, f64)) -> Result<()> {
    let mut outcome = bench.rig.run(crowd_of_streams(bench, subject))?;
    let lost = outcome.failed + outcome.unfinished;
    if let Some(failure) = outcome.first_failure.as_deref().filter(|_| lost > 0) {
        report::say(&format!(
            "{}: {lost} streams were lost, the first because {failure}",
            subject.name().as_str()
        ));
    }
    let interval = bench.stream.interval.as_nanos() as i64;
    let stalls = outcome
        .lengthenings
        .kept()
        .iter()
        .filter(|lengthening| **lengthening >= interval)
        .count();
    add(
        Measure::CrowdFirstChunk,
        microseconds(subject, outcome.first_chunks.percentile(0.5))?,
    );
    add(Measure::CrowdGap, growth(&mut outcome));
    add(Measure::CrowdStalls, stalls as f64);
    add(Measure::CrowdLost, lost as f64);
    Ok(())
}

/// Reads the memory of a server again and again while it is under load.
fn steady(bench: &Bench<'_>, subject: &Subject, add: &mut impl FnMut(Measure, f64)) -> Result<()> {
    let Some(process) = subject.process() else {
        return Ok(());
    };
    let (stop, stopped) = channel::<()>();
    let outcome = thread::scope(|scope| {
        let sampler = scope.spawn(move || {
            let began = Instant::now();
            let mut points = Vec::new();
            while stopped.recv_timeout(MEMORY_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let elapsed = began.elapsed();
                points.push((
                    elapsed.as_secs_f64() / 3600.0,
                    resident_bytes(process)? as f64 / 1_048_576.0,
                ));
            }
            // What grows at first is what a server keeps for its connections.
            Ok(slope(&points[points.len() / 10..]))
        });
        let outcome = closed_loop(bench, subject, CONNECTIONS, PROMPT_BYTES);
        drop(stop);
        let growth = sampler
            .join()
            .unwrap_or_else(|_| Err(Error::new("the thread that reads memory panicked")))?;
        outcome.map(|_| growth)
    });
    let growth =
        outcome?.ok_or_else(|| Error::new("the time was too short to see memory grow; give more with --duration"))?;
    add(Measure::Growth, growth);
    Ok(())
}

/// Streams that begin at even distances within one interval, so that no two chunks are under way at a time.
fn quiet_streams(bench: &Bench<'_>, subject: &Subject) -> Workload {
    streams(bench, subject, QUIET_STREAMS, bench.stream.interval / QUIET_STREAMS)
}

fn crowd_of_streams(bench: &Bench<'_>, subject: &Subject) -> Workload {
    streams(bench, subject, CROWD_STREAMS, CROWD_GATHERS / CROWD_STREAMS)
}

fn streams(bench: &Bench<'_>, subject: &Subject, connections: u32, spacing: Duration) -> Workload {
    Workload {
        target: subject.address(),
        request: subject.request(PROMPT_BYTES, true),
        streaming: true,
        connections,
        spacing,
        warm_up: Duration::ZERO,
        duration: bench.options.duration.max(bench.stream.length() / 2),
        requests_per_connection: None,
        keep_answer: false,
    }
}

fn closed_loop(bench: &Bench<'_>, subject: &Subject, connections: u32, prompt_bytes: usize) -> Result<Outcome> {
    let workload = Workload {
        target: subject.address(),
        request: subject.request(prompt_bytes, false),
        streaming: false,
        connections,
        spacing: Duration::ZERO,
        warm_up: WARM_UP,
        duration: bench.options.duration,
        requests_per_connection: None,
        keep_answer: false,
    };
    sound(subject, bench.rig.run(workload)?)
}

fn sound(subject: &Subject, outcome: Outcome) -> Result<Outcome> {
    match outcome.first_failure {
        Some(failure) => Err(subject.failure(&format!("{} requests: {failure}", outcome.failed))),
        None if outcome.unfinished > 0 => Err(subject.failure(&format!(
            "{} requests were not answered within 10 s",
            outcome.unfinished
        ))),
        None => Ok(outcome),
    }
}

/// The 99th percentile of how much longer gaps became, in microseconds.
fn growth(outcome: &mut Outcome) -> f64 {
    outcome.lengthenings.percentile(0.99).unwrap_or_default() as f64 / 1e3
}

fn microseconds(subject: &Subject, nanoseconds: Option<u64>) -> Result<f64> {
    let found = nanoseconds.ok_or_else(|| {
        Error::new(format!(
            "no request to {} was answered in the time; give more with --duration",
            subject.name().as_str()
        ))
    });
    found.map(|nanoseconds| nanoseconds as f64 / 1e3)
}

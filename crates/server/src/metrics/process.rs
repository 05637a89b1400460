//! The process itself, under the names that Prometheus' own clients use. Linux alone tells these.

use std::fs;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const CPU: &str = "process_cpu_seconds_total";
const RESIDENT: &str = "process_resident_memory_bytes";
const VIRTUAL: &str = "process_virtual_memory_bytes";
const START: &str = "process_start_time_seconds";
const OPEN_FILES: &str = "process_open_fds";
const MAX_FILES: &str = "process_max_fds";
const THREADS: &str = "process_threads";

/// What `/proc` says of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    /// After the machine's start.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Describes what [`measure`] sets, and sets what does not change.
pub(super) fn begin() {
    describe_counter!(CPU, Unit::Seconds, "Processor time of the process, whole seconds.");
    describe_gauge!(RESIDENT, Unit::Bytes, "Memory of the process that is in RAM.");
    describe_gauge!(VIRTUAL, Unit::Bytes, "Address space of the process.");
    describe_gauge!(START, Unit::Seconds, "When the process began, since 1970.");
    describe_gauge!(OPEN_FILES, Unit::Count, "Open file descriptors, sockets included.");
    describe_gauge!(MAX_FILES, Unit::Count, "How many file descriptors may be open.");
    describe_gauge!(THREADS, Unit::Count, "Threads of the process.");
    let booted = fs::read_to_string("/proc/stat").ok().and_then(|text| booted_at(&text));
    if let (Some(stat), Some(booted)) = (stat(), booted) {
        gauge!(START).set(booted as f64 + stat.start_ticks as f64 / ticks_per_second() as f64);
    }
}

/// Sets the metrics to what holds now. What cannot be read keeps its value.
pub(super) fn measure() {
    if let Some(stat) = stat() {
        counter!(CPU).absolute(stat.cpu_ticks / ticks_per_second());
        gauge!(THREADS).set(stat.threads as f64);
        gauge!(VIRTUAL).set(stat.virtual_bytes as f64);
        gauge!(RESIDENT).set((stat.resident_pages * rustix::param::page_size() as u64) as f64);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the listing's own.
        gauge!(OPEN_FILES).set(open.count().saturating_sub(1) as f64);
    }
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        gauge!(MAX_FILES).set(most as f64);
    }
}

fn stat() -> Option<Stat> {
    parse(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}

/// The fields of `/proc/<pid>/stat`, as proc(5) numbers them. The second one, the name, may hold anything but ends with the last parenthesis.
fn parse(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// When the machine started, in seconds since 1970.
fn booted_at(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text =
            "7 (a) b (c) S 1 7 7 0 -1 4194560 2 0 0 0 150 50 0 0 20 0 9 0 4321 1048576 33 18446744073709551615 1 1";
        let expected = Stat {
            cpu_ticks: 200,
            threads: 9,
            start_ticks: 4321,
            virtual_bytes: 1 << 20,
            resident_pages: 33,
        };
        assert_eq!(parse(text), Some(expected));
        assert_eq!(parse("7 (a) S 1"), None);
        assert_eq!(booted_at("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000));
    }
}

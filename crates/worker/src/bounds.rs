//! What a worker may use.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

/// The stack that a worker's function runs on.
pub(crate) const STACK_BYTES: usize = 64 << 20;

/// What a worker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How many bytes it may allocate, beside its stack and what the program takes to start.
    pub memory_bytes: u64,
    /// How long it may take, on the clock and of the processor.
    pub time: Duration,
    /// How many bytes its answer may have.
    pub answer_bytes: u64,
}

/// Bounds this process, before it touches any input.
pub(crate) fn apply(memory_bytes: u64, cpu_seconds: u64) -> std::io::Result<()> {
    let memory = started_with()
        .saturating_add(STACK_BYTES as u64)
        .saturating_add(memory_bytes);
    for (resource, most) in [
        (Resource::Data, memory),
        (Resource::Cpu, cpu_seconds),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        // Where a hard limit is lower already, that one holds.
        match setrlimit(resource, limit) {
            Err(error) if error != rustix::io::Errno::PERM => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// How much this process had allocated when it began: static data and the allocator's first pages. The limit counts them.
fn started_with() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| {
        line.strip_prefix("VmData:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    kibibytes.unwrap_or(0) * 1024
}

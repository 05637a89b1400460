//! What the kernel says of a process: its time at work, its memory, its children.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Context as _, Error, Result};

/// A process that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Takes charge of a process.
    pub(crate) fn new(child: Child) -> Self {
        Self(child)
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub(crate) fn end(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A terminate signal lets nginx end its worker; the process is waited for, so that its port is free after this.
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        for _ in 0..200 {
            if !asked || self.0.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long a process and those it started have been at work, in user and in kernel mode.
///
/// The kernel tells it in ticks, usually of 10 ms.
pub(crate) fn time_at_work(process: u32) -> Result<Duration> {
    let mut ticks = 0;
    for member in family(process)? {
        let stat = read(member, "stat")?;
        ticks += parse_stat(&stat)
            .ok_or_else(|| Error::new(format!("/proc/{member}/stat is not understood: {stat:?}")))?
            .ticks;
    }
    Ok(Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64))
}

/// How much memory a process and those it started hold, in bytes: the sum of `VmRSS`.
pub(crate) fn resident_bytes(process: u32) -> Result<u64> {
    let mut bytes = 0;
    for member in family(process)? {
        let status = read(member, "status")?;
        bytes += parse_resident_bytes(&status)
            .ok_or_else(|| Error::new(format!("/proc/{member}/status has no VmRSS that is understood")))?;
    }
    Ok(bytes)
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

/// A process and its children.
fn family(process: u32) -> Result<Vec<u32>> {
    let mut members = vec![process];
    for entry in fs::read_dir("/proc")
        .while_trying(|| "list processes".into())?
        .flatten()
    {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end between being listed and being read.
        let Ok(stat) = read(id, "stat") else { continue };
        if parse_stat(&stat).is_some_and(|stat| stat.parent == process) {
            members.push(id);
        }
    }
    Ok(members)
}

fn read(process: u32, file: &str) -> Result<String> {
    let path = Path::new("/proc").join(process.to_string()).join(file);
    fs::read_to_string(&path).while_trying(|| format!("read {}", path.display()))
}

/// proc(5): the second field is the name in parentheses, which may hold anything; the fourth is the parent, the
/// fourteenth and the fifteenth are the ticks in user and in kernel mode.
fn parse_stat(stat: &str) -> Option<Stat> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(field(4)?).ok()?,
        ticks: field(14)? + field(15)?,
    })
}

fn parse_resident_bytes(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    value
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_process_are_found_whatever_its_name_is() {
        let stat = "4242 (a) b) R (x) S 17 4242 4242 0 -1 4194560 100 0 0 0 250 75 3 4 20 0 2 0 1000 1 2";
        assert_eq!(parse_stat(stat), Some(Stat { parent: 17, ticks: 325 }));
        assert_eq!(parse_stat("4242 (a) S 17"), None);
        assert_eq!(parse_stat("nonsense"), None);
        assert_eq!(
            parse_resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"),
            Some(2 * 1024 * 1024)
        );
        assert_eq!(parse_resident_bytes("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_works_and_holds_memory() {
        let before = time_at_work(std::process::id()).unwrap();
        let mut sum = 0u64;
        while time_at_work(std::process::id()).unwrap() == before {
            sum = sum.wrapping_add((0..100_000u64).fold(sum, |a, b| a.rotate_left(3) ^ b));
        }
        assert!(resident_bytes(std::process::id()).unwrap() > 100 * 1024, "{sum}");
    }
}

//! Which core does what: a process inherits the core of the thread that starts it.

use std::process::{Child, Command};
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::{Context as _, Error, Result};

/// The two cores of a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    /// The core of the server under test.
    pub(crate) server: usize,
    /// The core of mock and load.
    pub(crate) load: usize,
}

impl Cores {
    /// Takes the given cores, and for those that are not given the first that is allowed for the load and the last for
    /// the server.
    ///
    /// # Errors
    /// When fewer than two cores are allowed, or a given one is not, or both are the same.
    pub(crate) fn choose(server: Option<usize>, load: Option<usize>) -> Result<Self> {
        let allowed = allowed_cores()?;
        Self::choose_among(&allowed, server, load)
    }

    fn choose_among(allowed: &[usize], server: Option<usize>, load: Option<usize>) -> Result<Self> {
        for core in [server, load].into_iter().flatten() {
            if !allowed.contains(&core) {
                return Err(Error::new(format!(
                    "core {core} is not one that this process may use: {allowed:?}"
                )));
            }
        }
        let load = load.or_else(|| allowed.iter().copied().find(|core| Some(*core) != server));
        let server = server.or_else(|| allowed.iter().copied().rev().find(|core| Some(*core) != load));
        match (server, load) {
            (Some(server), Some(load)) if server != load => Ok(Self { server, load }),
            (Some(core), Some(_)) => Err(Error::new(format!(
                "core {core} is given for the server and for the load; they need one each, so that neither waits for the other"
            ))),
            _ => Err(Error::new(format!(
                "two cores are needed, one for the server and one for mock and load; this process may use {allowed:?}"
            ))),
        }
    }
}

/// Keeps the calling thread, and what it starts from now on, on `core`.
pub(crate) fn pin_this_thread(core: usize) -> Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(Error::new(format!(
            "core {core} is beyond the last that can be named, {}",
            CpuSet::MAX_CPU - 1
        )));
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).while_trying(|| format!("stay on core {core}"))
}

/// Starts a process that stays on `core` from its first instruction.
pub(crate) fn spawn_on(core: usize, command: &mut Command) -> Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    let starter = thread::scope(|scope| {
        scope
            .spawn(|| {
                pin_this_thread(core)?;
                command.spawn().while_trying(|| format!("start {program}"))
            })
            .join()
    });
    starter.unwrap_or_else(|_| {
        Err(Error::new(format!(
            "failed to start {program}: the thread that starts it panicked"
        )))
    })
}

fn allowed_cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None).while_trying(|| "ask which cores this process may use".into())?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_different_cores_are_chosen() {
        for (allowed, server, load, expected) in [
            (&[0, 1][..], None, None, Some((1, 0))),
            (&[2, 5, 7], None, None, Some((7, 2))),
            (&[0, 1], Some(0), None, Some((0, 1))),
            (&[0, 1], None, Some(1), Some((0, 1))),
            (&[0, 1, 2], Some(2), Some(1), Some((2, 1))),
            (&[0, 1], Some(1), Some(1), None),
            (&[0, 1], Some(3), None, None),
            (&[4], None, None, None),
            (&[], None, None, None),
        ] {
            let chosen = Cores::choose_among(allowed, server, load)
                .ok()
                .map(|cores| (cores.server, cores.load));
            assert_eq!(chosen, expected, "{allowed:?} {server:?} {load:?}");
        }
    }

    #[test]
    fn a_started_process_is_on_its_core() {
        let core = allowed_cores().unwrap()[0];
        let child = spawn_on(
            core,
            Command::new("cat")
                .arg("/proc/self/status")
                .stdout(std::process::Stdio::piped()),
        );
        let output = child.unwrap().wait_with_output().unwrap();
        let status = String::from_utf8(output.stdout).unwrap();
        let list = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .unwrap()
            .trim()
            .to_owned();
        assert_eq!(list, core.to_string());
    }
}

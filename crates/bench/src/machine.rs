//! The machine that a benchmark ran on, for its report.

use std::fs;

use crate::affinity::Cores;

/// What one should know to compare figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// The name of the processor.
    pub(crate) processor: String,
    /// How many cores are online, as the system counts them.
    pub(crate) core_count: usize,
    /// The version of the kernel.
    pub(crate) kernel: String,
    /// Whether the two cores of the benchmark are threads of one physical core, which makes each slow the other.
    pub(crate) cores_share_hardware: bool,
    /// How many tasks wanted to run in the last minute, on average, before the benchmark began.
    pub(crate) load_average: String,
}

impl Machine {
    /// Asks the system; what it does not say is "unknown".
    pub(crate) fn look(cores: Cores) -> Self {
        let processors = read("/proc/cpuinfo");
        let siblings = read(&format!(
            "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list",
            cores.server
        ));
        Self {
            processor: processor_name(&processors).unwrap_or("unknown").to_owned(),
            core_count: processors.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: known(read("/proc/sys/kernel/osrelease").trim()),
            cores_share_hardware: list_holds(siblings.trim(), cores.load),
            load_average: known(read("/proc/loadavg").split(' ').next().unwrap_or_default()),
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn known(value: &str) -> String {
    if value.is_empty() {
        "unknown".into()
    } else {
        value.into()
    }
}

fn processor_name(processors: &str) -> Option<&str> {
    let line = processors.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim())
}

/// Whether a list such as `0-2,5` holds `core`.
fn list_holds(list: &str, core: usize) -> bool {
    list.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        matches!((first.parse::<usize>(), last.parse::<usize>()), (Ok(first), Ok(last)) if (first..=last).contains(&core))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_understood() {
        for (list, core, expected) in [
            ("0-1", 1, true),
            ("0-1", 2, false),
            ("0,4", 4, true),
            ("0,4", 1, false),
            ("3", 3, true),
            ("", 0, false),
        ] {
            assert_eq!(list_holds(list, core), expected, "{list} {core}");
        }
    }

    #[test]
    fn the_processor_is_named() {
        assert_eq!(
            processor_name("processor : 0\nmodel name\t: Fast CPU @ 3 GHz\n"),
            Some("Fast CPU @ 3 GHz")
        );
        assert_eq!(processor_name("processor : 0\n"), None);
    }
}

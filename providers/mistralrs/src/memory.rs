//! What tests measure of memory.
#![expect(clippy::unwrap_used, reason = "what helps tests fails as loudly as they do")]

/// The memory of this process, in bytes. Pages of files are not in it: the system lets them come and go.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs an ignored test in a process of its own. The allocator of the C library keeps memory for each of many threads, which hides what
/// is measured; so it gets one arena.
pub(crate) fn run_alone(test: &str) {
    let measured = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", test])
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&measured.stdout);
    assert!(measured.status.success() && said.contains("1 passed"), "{said}");
}

//! The memory allocator of Puna's binaries: mimalloc, which keeps freed memory for half a minute before the system gets it back.
//!
//! A local model takes much memory to read a prompt, and frees it at once. On its own mimalloc gives it back a second later, and the next prompt
//! waits for new pages: up to a tenth of a second with a model of 100 million weights.

use libmimalloc_sys::{mi_option_set_default, mi_option_t};
pub use mimalloc::MiMalloc as Allocator;

/// How long freed memory is kept, in milliseconds.
const KEPT: std::ffi::c_long = 30_000;

/// mimalloc's number for `mi_option_purge_delay`, which its bindings do not name.
const PURGE_DELAY: mi_option_t = 15;

/// Keeps freed memory for half a minute, unless the variable `MIMALLOC_PURGE_DELAY` of the environment has another number of milliseconds.
/// To be called first of all in `main`.
#[expect(unsafe_code, reason = "there is no safe call for it")]
pub fn keep_freed_memory() {
    // SAFETY: The option is one of mimalloc's, and any number is good for it. mimalloc writes it as a plain number, which its own threads, of
    // which there are none yet, would at worst read late.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT) };
}

#[cfg(test)]
#[expect(unsafe_code, reason = "there is no safe call for it")]
mod tests {
    use std::env;
    use std::process::Command;

    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator;

    fn purge_delay() -> std::ffi::c_long {
        // SAFETY: It is one of mimalloc's options, which are only read.
        unsafe { mi_option_get(PURGE_DELAY) }
    }

    /// Runs `shows_the_delay` in a process of its own.
    fn shown(variable: Option<&str>) -> String {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "tests::shows_the_delay", "--ignored", "--nocapture"])
            .env_remove("MIMALLOC_PURGE_DELAY");
        command.envs(variable.map(|value| ("MIMALLOC_PURGE_DELAY", value)));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    #[test]
    #[ignore = "other tests run it in processes of their own"]
    fn shows_the_delay() {
        let before = purge_delay();
        keep_freed_memory();
        println!("first {before}, then {}", purge_delay());
    }

    /// mimalloc's own delay tells that the number is still that of the option.
    #[test]
    fn freed_memory_is_kept_for_half_a_minute() {
        let shown = shown(None);
        assert!(shown.contains("first 1000, then 30000"), "{shown}");
    }

    #[test]
    fn what_the_environment_says_stands() {
        let shown = shown(Some("50"));
        assert!(shown.contains("first 50, then 50"), "{shown}");
    }
}

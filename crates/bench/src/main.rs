//! The `puna-bench` command.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    puna_bench::command::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    use std::io::Write as _;
    // Nothing is left to do when standard error is gone.
    let _ = writeln!(
        std::io::stderr(),
        "puna-bench: needs Linux, for epoll and for pinning processes to cores"
    );
    std::process::ExitCode::FAILURE
}

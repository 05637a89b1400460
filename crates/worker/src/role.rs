//! What this process is: the program that was called, or a worker of it.

use std::ffi::OsString;
use std::io::{Write, stdin, stdout};
use std::process::ExitCode;

use puna_api::{ProviderSpec, Worker};

use crate::bounds::{STACK_BYTES, apply};
use crate::{Program, answer};

/// The first argument of a worker. Nothing that a person would type.
pub(crate) const MARK: &str = "--worker-of-this-program";

/// What this process is.
#[derive(Debug)]
pub enum Role {
    /// The program that was called, and which can now start workers.
    Main(Program),
    /// A worker. Its work is done; it must end with this code.
    Worker(ExitCode),
}

/// Finds out what this process is, and does the work if it is a worker. Call it before anything else. `linked` are the providers in this
/// program, whose workers it may be.
pub fn role(linked: &[ProviderSpec]) -> Role {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == MARK) {
        return Role::Worker(work(linked, arguments));
    }
    Role::Main(Program::this())
}

fn work(linked: &[ProviderSpec], arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some((worker, task)) = prepare(linked, arguments) else {
        return ExitCode::from(2);
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    // The panic's own message goes to standard error.
    let outcome = thread
        .spawn(move || worker(&task, &mut stdin().lock()))
        .map(std::thread::JoinHandle::join);
    let Ok(Ok(outcome)) = outcome else {
        return ExitCode::FAILURE;
    };
    let mut out = stdout().lock();
    match out.write_all(&answer::write(outcome)).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The arguments are: provider type, bytes of memory, seconds of processor time, task. `None` unless all are right.
fn prepare(linked: &[ProviderSpec], arguments: impl Iterator<Item = OsString>) -> Option<(Worker, String)> {
    let arguments: Vec<String> = arguments.map_while(|argument| argument.into_string().ok()).collect();
    let [provider_type, memory_bytes, cpu_seconds, task] = arguments.try_into().ok()?;
    let worker = linked
        .iter()
        .find(|spec| spec.provider_type == provider_type)
        .and_then(|spec| spec.worker)?;
    apply(memory_bytes.parse().ok()?, cpu_seconds.parse().ok()?).ok()?;
    Some((worker, task))
}

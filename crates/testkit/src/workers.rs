//! Tests of a provider whose work is done in worker processes, which are the test program itself, started again.
//!
//! Such a test is one without a harness (`harness = false`), as the harness would not know that it was started as a worker:
//!
//! ```rust,ignore
//! puna_testkit::worker_tests!(puna_provider_mine::PROVIDER, [a_file_is_read, broken::a_bomb_is_refused]);
//! ```
//!
//! Each of the functions is async and takes the [`Program`], which the provider asks its host for.

use std::process::ExitCode;

use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use puna_api::ProviderSpec;
use puna_worker::{Program, Role};

/// A test with its name. [`worker_tests!`](crate::worker_tests) makes it.
#[derive(Debug, Clone, Copy)]
pub struct WorkerTest {
    name: &'static str,
    test: fn(Program) -> LocalBoxFuture<'static, ()>,
}

impl WorkerTest {
    /// A test of this name.
    pub fn new(name: &'static str, test: fn(Program) -> LocalBoxFuture<'static, ()>) -> Self {
        Self { name, test }
    }
}

/// Runs the tests, or does the work if this process is a worker.
pub fn main(provider: ProviderSpec, tests: Vec<WorkerTest>) -> ExitCode {
    let program = match puna_worker::role(&[provider]) {
        Role::Worker(code) => return code,
        Role::Main(program) => program,
    };
    let trials = tests.into_iter().map(|WorkerTest { name, test }| {
        let program = program.clone();
        Trial::test(name.replace(' ', ""), move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(test(program));
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Makes the `main` of a test without a harness: the provider, and a list of async functions that take a `puna_worker::Program`.
#[macro_export]
macro_rules! worker_tests {
    ($provider:expr, [$($test:path),* $(,)?]) => {
        fn main() -> std::process::ExitCode {
            $crate::workers::main($provider, vec![$($crate::workers::WorkerTest::new(stringify!($test), |program| Box::pin($test(program)))),*])
        }
    };
}

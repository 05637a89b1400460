//! One suite over every backend: SQLite and PostgreSQL for tables and keys, a folder and an object store for blobs.
//!
//! PostgreSQL is used where `PUNA_TEST_POSTGRES` holds a URL such as `postgres://user:password@host:port/database`; `cargo xtask test` starts
//! one. Tables that a trial makes there have names of their own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a trial fails as loudly as a test")]

mod blob;
mod crash;
mod kv;
mod local;
mod place;
mod sql;
mod sqlite;

use std::process::ExitCode;

use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Trial};
use place::{BlobPlace, Place};

/// A trial over a place.
type Act<P> = fn(P) -> BoxFuture<'static, ()>;

/// Lists async functions of a module as trials.
macro_rules! acts {
    ($($name:ident),* $(,)?) => {
        vec![$((concat!(module_path!(), "::", stringify!($name)), |place| Box::pin($name(place)))),*]
    };
}
pub(crate) use acts;

fn main() -> ExitCode {
    // The same program is the one that gets killed.
    if let Some(folder) = crash::folder_of_writer() {
        return crash::write(&folder);
    }
    let mut trials = Vec::new();
    for (name, act) in [kv::acts(), sql::acts()].concat() {
        trials.push(run(&format!("sqlite::{}", short(name)), move || (Place::sqlite(), act)));
        let name = format!("postgres::{}", short(name));
        trials.push(match puna_testkit::live_setting("PUNA_TEST_POSTGRES") {
            Some(url) => run(&name, move || (Place::postgres(&url), act)),
            None => ignored(&name, "`PUNA_TEST_POSTGRES` names no server"),
        });
    }
    for (name, act) in blob::acts() {
        trials.push(run(&format!("local::{}", short(name)), move || {
            (BlobPlace::local(), act)
        }));
        trials.push(run(&format!("s3::{}", short(name)), move || (BlobPlace::s3(), act)));
    }
    for (name, act) in [sqlite::acts(), local::acts(), crash::acts()].concat() {
        trials.push(run(short(name), move || ((), act)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The name without that of the crate.
fn short(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, name)| name)
}

fn run<P: 'static>(name: &str, prepare: impl FnOnce() -> (P, Act<P>) + Send + 'static) -> Trial {
    Trial::test(name, move || {
        let (place, act) = prepare();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(act(place));
        Ok(())
    })
}

fn ignored(name: &str, reason: &'static str) -> Trial {
    Trial::test(name, move || Err(reason.into()))
        .with_kind(format!("not run: {reason}"))
        .with_ignored_flag(true)
}

//! One suite over both databases: SQLite, and PostgreSQL where `PUNA_TEST_POSTGRES` holds its URL; `cargo xtask test` starts one.

#![expect(clippy::unwrap_used, reason = "a trial fails as loudly as a test")]

mod crash;
mod keeping;
mod lists;
mod place;
mod streams;

use std::process::ExitCode;

use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Trial};
use place::Place;

/// A trial over a place.
type Act = fn(Place) -> BoxFuture<'static, ()>;

/// Lists async functions of a module as trials.
macro_rules! acts {
    ($($name:ident),* $(,)?) => {
        vec![$((concat!(module_path!(), "::", stringify!($name)), |place| Box::pin($name(place)))),*]
    };
}
pub(crate) use acts;

fn main() -> ExitCode {
    // The same program is the one that gets killed.
    if let Some(place) = crash::place_of_server() {
        return crash::serve(&place);
    }
    let mut trials = Vec::new();
    let url = puna_testkit::live_setting("PUNA_TEST_POSTGRES");
    for (name, act) in [keeping::acts(), lists::acts(), streams::acts(), crash::acts()].concat() {
        trials.push(run(&format!("sqlite::{}", short(name)), Place::sqlite, act));
        let name = format!("postgres::{}", short(name));
        trials.push(match url.clone() {
            Some(url) => run(&name, move || Place::postgres(&url), act),
            None => ignored(&name, "`PUNA_TEST_POSTGRES` names no server"),
        });
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The name without that of the crate.
fn short(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, name)| name)
}

fn run(name: &str, prepare: impl FnOnce() -> Place + Send + 'static, act: Act) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(act(prepare()));
        Ok(())
    })
}

fn ignored(name: &str, reason: &'static str) -> Trial {
    Trial::test(name, move || Err(reason.into()))
        .with_kind(format!("not run: {reason}"))
        .with_ignored_flag(true)
}

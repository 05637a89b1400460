//! One suite over both databases: SQLite, and PostgreSQL where `PUNA_TEST_POSTGRES` holds its URL; `cargo xtask test` starts one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a trial fails as loudly as a test")]

mod attempts;
mod cancelling;
mod crash;
mod keeping;
mod place;
mod script;
mod servers;

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
    let everywhere = [
        keeping::acts(),
        attempts::acts(),
        cancelling::acts(),
        servers::acts(),
        crash::acts(),
    ]
    .concat();
    for (name, act) in everywhere {
        trials.push(run(&format!("sqlite::{}", short(name)), Place::sqlite, act));
        trials.push(on_postgres(name, url.clone(), act));
    }
    for (name, act) in keeping::acts_on_sqlite() {
        trials.push(run(&format!("sqlite::{}", short(name)), Place::sqlite, act));
    }
    for (name, act) in servers::acts_on_postgres() {
        trials.push(on_postgres(name, url.clone(), act));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The name without that of the crate.
fn short(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, name)| name)
}

fn on_postgres(name: &str, url: Option<String>, act: Act) -> Trial {
    let name = format!("postgres::{}", short(name));
    match url {
        Some(url) => run(&name, move || Place::postgres(&url), act),
        None => {
            let reason = "`PUNA_TEST_POSTGRES` names no server";
            Trial::test(name, move || Err(reason.into()))
                .with_kind(format!("not run: {reason}"))
                .with_ignored_flag(true)
        }
    }
}

fn run(name: &str, prepare: impl FnOnce() -> Place + Send + 'static, act: Act) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(act(prepare()));
        Ok(())
    })
}

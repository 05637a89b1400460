//! Suites over both databases: SQLite, and PostgreSQL where `PUNA_TEST_POSTGRES` holds its URL.
//!
//! The program of such a suite is a list of async functions, [`acts`](crate::acts), each of which becomes a trial on each database:
//!
//! ```
//! use puna_testkit::acts;
//! use puna_testkit::databases::{Act, Place, trials};
//!
//! fn keeping() -> Vec<(&'static str, Act)> {
//!     acts![a_table_is_made]
//! }
//!
//! async fn a_table_is_made(place: Place) {
//!     let storage = place.storage();
//!     assert!(storage.sql(&place.table("things"), "things").await.is_ok());
//! }
//!
//! fn main() {
//!     let arguments = libtest_mimic::Arguments::default();
//!     assert!(!libtest_mimic::run(&arguments, trials(keeping())).has_failed());
//! }
//! ```

mod place;
mod tasks;

pub use place::{Place, postgres_storage, table_of};
pub use tasks::TrialTasks;

use futures::future::LocalBoxFuture;
use libtest_mimic::Trial;

use crate::live_setting;

/// A trial over a place.
pub type Act = fn(Place) -> LocalBoxFuture<'static, ()>;

/// Lists async functions of a module as [`Act`](crate::databases::Act)s, each with its path.
#[macro_export]
macro_rules! acts {
    ($($name:ident),* $(,)?) => {
        vec![$((concat!(module_path!(), "::", stringify!($name)), |place| Box::pin($name(place)))),*]
    };
}

/// Each act as a trial on either database.
pub fn trials(acts: Vec<(&'static str, Act)>) -> Vec<Trial> {
    acts.into_iter()
        .flat_map(|(name, act)| [on_sqlite(name, act), on_postgres(name, act)])
        .collect()
}

/// An act as a trial on SQLite.
pub fn on_sqlite(name: &str, act: Act) -> Trial {
    run(&format!("sqlite::{}", short(name)), Place::sqlite, act)
}

/// An act as a trial on PostgreSQL, which is ignored where there is none.
pub fn on_postgres(name: &str, act: Act) -> Trial {
    let name = format!("postgres::{}", short(name));
    match live_setting("PUNA_TEST_POSTGRES") {
        Some(url) => run(&name, move || Place::postgres(&url), act),
        None => {
            let reason = "`PUNA_TEST_POSTGRES` names no server";
            Trial::test(name, move || Err(reason.into()))
                .with_kind(format!("not run: {reason}"))
                .with_ignored_flag(true)
        }
    }
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

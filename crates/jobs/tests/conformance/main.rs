//! One suite over both databases: SQLite, and PostgreSQL where `PUNA_TEST_POSTGRES` holds its URL; `cargo xtask test` starts one.

#![expect(clippy::unwrap_used, reason = "a trial fails as loudly as a test")]

mod attempts;
mod cancelling;
mod crash;
mod keeping;
mod script;
mod server;
mod servers;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use puna_testkit::databases::{on_postgres, on_sqlite, trials};

fn main() -> ExitCode {
    // The same program is the one that gets killed.
    if let Some(place) = crash::place_of_server() {
        return crash::serve(&place);
    }
    let everywhere = [
        keeping::acts(),
        attempts::acts(),
        cancelling::acts(),
        servers::acts(),
        crash::acts(),
    ];
    let mut trials = trials(everywhere.concat());
    trials.extend(
        keeping::acts_on_sqlite()
            .into_iter()
            .map(|(name, act)| on_sqlite(name, act)),
    );
    trials.extend(
        servers::acts_on_postgres()
            .into_iter()
            .map(|(name, act)| on_postgres(name, act)),
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

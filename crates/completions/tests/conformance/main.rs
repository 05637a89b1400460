//! One suite over both databases: SQLite, and PostgreSQL where `PUNA_TEST_POSTGRES` holds its URL; `cargo xtask test` starts one.

#![expect(clippy::unwrap_used, reason = "a trial fails as loudly as a test")]

mod crash;
mod keeping;
mod lists;
mod server;
mod streams;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use puna_testkit::databases::trials;

fn main() -> ExitCode {
    // The same program is the one that gets killed.
    if let Some(place) = crash::place_of_server() {
        return crash::serve(&place);
    }
    let acts = [keeping::acts(), lists::acts(), streams::acts(), crash::acts()];
    libtest_mimic::run(&Arguments::from_args(), trials(acts.concat())).exit_code()
}

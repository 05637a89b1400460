//! One suite over both databases: SQLite, and PostgreSQL where `PUNA_TEST_POSTGRES` holds its URL; `cargo xtask test` starts one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a trial fails as loudly as a test")]

mod attributes;
mod batches;
mod chunks;
mod crash;
mod documents;
mod faults;
mod files;
mod index;
mod kept_documents;
mod meters;
mod model;
mod reader;
mod search;
mod sending;
mod server;
mod stores;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use puna_testkit::databases::trials;

fn main() -> ExitCode {
    // The same program is the one that gets killed.
    if let Some(place) = crash::place_of_victim() {
        return crash::be_the_victim(&place);
    }
    let acts = [
        stores::acts(),
        files::acts(),
        batches::acts(),
        faults::acts(),
        attributes::acts(),
        search::acts(),
        chunks::acts(),
        documents::acts(),
        kept_documents::acts(),
        meters::acts(),
        crash::acts(),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials(acts.concat())).exit_code()
}

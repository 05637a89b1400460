//! Prints the OpenAPI document of all that this server answers.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let document = puna_server::openapi();
    writeln!(std::io::stdout(), "{document:#}")
}

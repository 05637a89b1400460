//! A server that speaks S3, for scripts: it writes its address to standard output, and ends when standard input does.

use std::io::{Read, Write};

use puna_api::{Error, Result};
use puna_testkit::S3Server;

fn main() -> Result<()> {
    let failed = |error| Error::internal("failed to talk to the script").with_source(error);
    let server = S3Server::start()?;
    let mut output = std::io::stdout();
    writeln!(output, "{}", server.url())
        .and_then(|()| output.flush())
        .map_err(failed)?;
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop).map_err(failed)
}

//! What was acknowledged is there, however often its server is killed.

use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;

use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::json;

use crate::server::{Asked, Server, read};

/// The argument that makes this program a server.
const SERVER: &str = "--be-the-server";
/// How often a server is killed, each time a little later.
const ROUNDS: usize = 8;

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![what_was_acknowledged_survives_a_kill]
}

/// The place to serve, if this process is a server.
pub(crate) fn place_of_server() -> Option<Place> {
    Place::of_process(SERVER)
}

/// Keeps one completion after the other, some at a time, and says the id of each that is kept, until somebody kills it.
pub(crate) fn serve(place: &Place) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::over(place);
        let worker = async || loop {
            let asked = Asked {
                metadata: json!({ "a": "1" }),
                ..Asked::default()
            };
            let id = server.keep(&asked).await.unwrap();
            let mut out = std::io::stdout().lock();
            writeln!(out, "{id}").unwrap();
            out.flush().unwrap();
        };
        futures::join!(worker(), worker(), worker());
    });
    ExitCode::SUCCESS
}

async fn what_was_acknowledged_survives_a_kill(place: Place) {
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut server = place.process(SERVER).spawn().unwrap();
        let mut told = BufReader::new(server.stdout.take().unwrap()).lines();
        for _ in 0..=round * 5 {
            acknowledged.push(told.next().unwrap().unwrap());
        }
        server.kill().unwrap();
        server.wait().unwrap();
        // What it said before it died.
        acknowledged.extend(told.map_while(Result::ok).filter(|id| id.len() == 41));
    }
    let server = Server::over(&place);
    for id in &acknowledged {
        assert_eq!(
            read(&server.store.get(id).await.unwrap())["metadata"],
            json!({ "a": "1" })
        );
    }
    assert!(acknowledged.len() > ROUNDS);
}

//! What is measured of ingestion.

use std::sync::atomic::Ordering;

use puna_testkit::databases::{Act, Place};
use puna_testkit::{Measurements, acts};

use crate::server::Server;

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![the_stages_of_an_ingestion_are_measured, a_failed_attempt_is_counted]
}

fn stage(name: &str) -> String {
    format!("puna_ingestion_stage_seconds{{stage=\"{name}\"}}")
}

async fn the_stages_of_an_ingestion_are_measured(place: Place) {
    let measurements = Measurements::new();
    let guard = measurements.begin();
    let server = Server::start(&place).await;
    drop(guard);
    assert_eq!(measurements.count("puna_ingestion_files_total"), Some(0));
    // More chunks than one request to the model takes.
    let long: Vec<String> = (0..70).map(|number| format!("chunk {number}")).collect();
    let (short, long) = ("the cat sleeps\n\nthe dog runs", long.join("\n\n"));
    let store = server.filled(&[("short.txt", short), ("long.txt", &long)]).await;
    server.settled(&store.id).await;
    assert_eq!(measurements.count("puna_ingestion_files_total"), Some(2));
    assert_eq!(
        measurements.count("puna_ingestion_bytes_total"),
        Some((short.len() + long.len()) as u64)
    );
    assert_eq!(measurements.count("puna_ingestion_chunks_total"), Some(72));
    for (name, times) in [("read", 2), ("embed", 3), ("store", 3)] {
        let series = stage(name);
        assert_eq!(measurements.count(&series), Some(times), "{name}");
        assert!(measurements.sum(&series).is_some_and(|sum| sum > 0.0), "{name}");
    }
    assert_eq!(measurements.gauge("puna_ingestion_files_running"), Some(0.0));
    assert_eq!(measurements.count("puna_ingestion_failures_total"), Some(0));
    server.stop().await;
}

async fn a_failed_attempt_is_counted(place: Place) {
    let measurements = Measurements::new();
    let guard = measurements.begin();
    let server = Server::start(&place).await;
    drop(guard);
    // The one waits for a model that is away, the other has nothing to be ingested.
    server.around.failing.store(2, Ordering::SeqCst);
    let store = server
        .filled(&[("a.txt", "the cat sleeps"), ("b.ps", "%! the dog runs")])
        .await;
    server.settled(&store.id).await;
    assert_eq!(measurements.count("puna_ingestion_files_total"), Some(1));
    assert_eq!(measurements.count("puna_ingestion_failures_total"), Some(3));
    server.stop().await;
}

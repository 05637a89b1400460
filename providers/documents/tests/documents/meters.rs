//! What is measured of reading files.

use puna_testkit::Measurements;
use puna_worker::Program;
use serde_json::json;

use crate::reader::Reader;

pub(crate) async fn the_stages_of_reading_are_measured(program: Program) {
    let measurements = Measurements::new();
    let guard = measurements.begin();
    let reader = Reader::new(program, json!({})).await;
    drop(guard);
    for text in ["Llamas live in the puna.", "Alpacas live there, too."] {
        reader.chunks(text.as_bytes().to_vec(), 100, 0).await.unwrap();
    }
    reader.read(Vec::new()).await.unwrap_err();
    for (stage, times) in [("wait", 3), ("parse", 2), ("chunk", 2), ("hand_over", 2)] {
        let series = format!("puna_file_processing_stage_seconds{{stage=\"{stage}\"}}");
        assert_eq!(measurements.count(&series), Some(times), "{stage}");
        assert!(measurements.sum(&series).is_some_and(|sum| sum > 0.0), "{stage}");
    }
}

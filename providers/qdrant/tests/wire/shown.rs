//! Messages as texts to compare: without what is not said, and in one order.

use std::collections::BTreeMap;
use std::fmt::Debug;

use prost::Message;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    CollectionExistsRequest, CountPoints, CreateCollection, CreateFieldIndexCollection, DeleteCollection, DeletePoints,
    GetCollectionInfoRequest, GetPoints, HealthCheckRequest, QueryPoints, ScrollPoints, UpsertPoints,
};

/// A request of this method as text.
pub(crate) fn shown(method: &str, message: &[u8]) -> String {
    match method {
        "Collections/Get" => text::<GetCollectionInfoRequest>(message),
        "Collections/CollectionExists" => text::<CollectionExistsRequest>(message),
        "Collections/Create" => text::<CreateCollection>(message),
        "Collections/Delete" => text::<DeleteCollection>(message),
        "Points/CreateFieldIndex" => text::<CreateFieldIndexCollection>(message),
        "Points/Upsert" => upsert(message),
        "Points/Delete" => text::<DeletePoints>(message),
        "Points/Get" => text::<GetPoints>(message),
        "Points/Scroll" => text::<ScrollPoints>(message),
        "Points/Count" => text::<CountPoints>(message),
        "Points/Query" => text::<QueryPoints>(message),
        "Qdrant/HealthCheck" => text::<HealthCheckRequest>(message),
        other => panic!("a request of the unknown method {other}"),
    }
}

fn text<M: Message + Default + Debug>(message: &[u8]) -> String {
    short(&M::decode(message).unwrap())
}

/// Points with their maps in one order.
fn upsert(message: &[u8]) -> String {
    let mut request = UpsertPoints::decode(message).unwrap();
    let mut text = String::new();
    for point in std::mem::take(&mut request.points) {
        let Some(VectorsOptions::Vectors(named)) = point.vectors.unwrap().vectors_options else {
            panic!("vectors without names");
        };
        let payload: BTreeMap<_, _> = point.payload.into_iter().collect();
        let vectors: BTreeMap<_, _> = named.vectors.into_iter().collect();
        text.push_str(&format!(
            "\nid: {}\npayload: {}\nvectors: {}",
            short(&point.id),
            short(&payload),
            short(&vectors)
        ));
    }
    short(&request) + &text
}

/// As Rust writes it, but for what is not said and for the word that something is.
fn short(message: &impl Debug) -> String {
    let text = format!("{message:#?}");
    let mut lines: Vec<String> = Vec::new();
    let (mut opened, mut is_open): (Vec<usize>, bool) = (Vec::new(), false);
    for line in text.lines() {
        if [": None,", ": [],", ": {},"].iter().any(|end| line.ends_with(end)) {
            continue;
        }
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if bare.starts_with(')') && opened.last() == Some(&indent) {
            opened.pop();
            continue;
        }
        let outer = indent - 4 * opened.len();
        let opens = bare.strip_suffix("Some(");
        if opens.is_some() {
            opened.push(indent);
        }
        let said = opens.unwrap_or(bare);
        match lines.last_mut() {
            Some(last) if is_open => last.push_str(said),
            _ => lines.push(" ".repeat(outer) + said),
        }
        is_open = opens.is_some();
    }
    lines.join("\n")
}

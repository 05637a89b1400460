//! How well searches find what answers a query.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::rag::collection::{Collection, Query, QueryKind};
use crate::rag::gain::{DEPTH, ndcg};
use crate::rag::service::{Mode, Service, Upload};
use crate::report::table;

/// How much of the better of the two searches that it is made of a hybrid one must reach.
const LEAST: f64 = 0.98;

/// The gains of all queries.
#[derive(Debug, Default)]
pub(crate) struct Quality(Vec<Judged>);

/// A query with its gain by each mode.
#[derive(Debug)]
struct Judged {
    kind: QueryKind,
    query: String,
    gains: BTreeMap<Mode, f64>,
}

/// Puts the collection into a store, a file a passage, and searches in each mode.
pub(crate) fn run(address: SocketAddr, collection: &Collection) -> Result<Quality> {
    let mut service = Service::connect(address)?;
    let store = service.create_store()?;
    let files: Vec<Upload> = collection
        .passages
        .iter()
        .map(|passage| Upload {
            name: format!("{}.txt", passage.id),
            bytes: passage.text.clone().into_bytes(),
        })
        .collect();
    let file_ids = service.upload(&files)?;
    service.ingest(&store, &file_ids)?;
    let mut quality = Quality::default();
    for query in &collection.queries {
        let gain = |mode| Ok((mode, ndcg(&found(&mut service, &store, query, mode)?, &query.grades)));
        let gains: Result<BTreeMap<Mode, f64>> = Mode::ALL.into_iter().map(gain).collect();
        quality.0.push(Judged {
            kind: query.kind,
            query: query.text.clone(),
            gains: gains?,
        });
    }
    Ok(quality)
}

fn found(service: &mut Service, store: &str, query: &Query, mode: Mode) -> Result<Vec<String>> {
    let names = service.search(store, &query.text, mode, DEPTH)?;
    let id = |name: String| {
        let id = name.strip_suffix(".txt").map(str::to_owned);
        id.ok_or_else(|| {
            Error::new(format!(
                "a search found the file {name:?}, which is none of the collection's"
            ))
        })
    };
    names.into_iter().map(id).collect()
}

impl Quality {
    /// Takes in the queries of another collection.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// A table of the means, by kind of query.
    pub(crate) fn table(&self) -> String {
        let header = [
            "nDCG@10",
            "queries",
            "vector",
            "keyword",
            "hybrid",
            "hybrid / better",
            "target",
            "met",
        ];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        let kinds = QueryKind::ALL.map(Some).into_iter().chain([None]);
        for kind in kinds.filter(|kind| self.of(*kind).next().is_some()) {
            let means = Mode::ALL.map(|mode| self.mean(kind, mode));
            let ratio = self.ratio(kind);
            let (target, met) = match kind {
                // Fusion may cost one kind what it wins with another.
                Some(_) => ("-", "-"),
                None => (">= 98 %", if ratio >= LEAST { "yes" } else { "no" }),
            };
            let mut row = vec![
                kind.map_or("all", QueryKind::as_str).to_owned(),
                self.of(kind).count().to_string(),
            ];
            row.extend(means.map(|mean| format!("{mean:.3}")));
            row.extend([format!("{:.1} %", 100.0 * ratio), target.to_owned(), met.to_owned()]);
            rows.push(row);
        }
        table(&rows)
    }

    /// Every gain of every query.
    pub(crate) fn to_json(&self) -> Value {
        let query = |judged: &Judged| {
            let gains = judged
                .gains
                .iter()
                .map(|(mode, gain)| (mode.as_str().to_owned(), json!(gain)));
            let gains: serde_json::Map<String, Value> = gains.collect();
            json!({ "kind": judged.kind.as_str(), "query": judged.query, "ndcg": gains })
        };
        json!({
            "hybrid_over_better": self.ratio(None),
            "met": self.ratio(None) >= LEAST,
            "queries": self.0.iter().map(query).collect::<Vec<_>>(),
        })
    }

    /// The hybrid search's mean as a part of the better of the other two.
    fn ratio(&self, kind: Option<QueryKind>) -> f64 {
        let better = self.mean(kind, Mode::Vector).max(self.mean(kind, Mode::Keyword));
        self.mean(kind, Mode::Hybrid) / better
    }

    fn mean(&self, kind: Option<QueryKind>, mode: Mode) -> f64 {
        let gains = self.of(kind).filter_map(|judged| judged.gains.get(&mode));
        gains.sum::<f64>() / self.of(kind).count() as f64
    }

    fn of(&self, kind: Option<QueryKind>) -> impl Iterator<Item = &Judged> {
        self.0
            .iter()
            .filter(move |judged| kind.is_none_or(|kind| judged.kind == kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kind: QueryKind, gains: [f64; 3]) -> Judged {
        Judged {
            kind,
            query: "q".into(),
            gains: Mode::ALL.into_iter().zip(gains).collect(),
        }
    }

    #[test]
    fn the_target_is_a_part_of_the_better_mean() {
        // Vectors are better at the one, words at the other: the better mean is that of vectors, 0.75.
        let mut quality = Quality(vec![
            judged(QueryKind::Paraphrase, [1.0, 0.25, 0.75]),
            judged(QueryKind::Identifier, [0.5, 1.0, 0.75]),
        ]);
        let table = quality.table();
        assert!(table.contains("|  0.750 |   0.625 |  0.750 |"), "{table}");
        assert!(table.contains("100.0 %") && table.contains(" yes |"), "{table}");
        quality.0[1].gains.insert(Mode::Hybrid, 0.7);
        let table = quality.table();
        assert!(table.contains("96.7 %") && table.contains(" no |"), "{table}");
        assert_eq!(quality.to_json()["met"], false);
        assert_eq!(quality.to_json()["queries"][1]["ndcg"]["hybrid"], 0.7);
    }
}

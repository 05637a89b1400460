//! The judged collections: passages, and what people ask for, with what answers it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::error::{Context as _, Error, Result};

const OPERATIONS: &str = include_str!("../../data/retrieval/operations/passages.jsonl");

/// The defaults of hybrid search were chosen on the first; the others were written afterwards, by authors who had seen neither its queries nor a figure.
const JUDGED: [Source; 4] = [
    Source {
        name: "operations",
        is_held_out: false,
        passages: OPERATIONS,
        queries: include_str!("../../data/retrieval/operations/queries.jsonl"),
    },
    Source {
        name: "operations, held out",
        is_held_out: true,
        passages: OPERATIONS,
        queries: include_str!("../../data/retrieval/operations/held-out.jsonl"),
    },
    Source {
        name: "handbook, held out",
        is_held_out: true,
        passages: include_str!("../../data/retrieval/handbook/passages.jsonl"),
        queries: include_str!("../../data/retrieval/handbook/queries.jsonl"),
    },
    Source {
        name: "town, held out",
        is_held_out: true,
        passages: include_str!("../../data/retrieval/town/passages.jsonl"),
        queries: include_str!("../../data/retrieval/town/queries.jsonl"),
    },
];

/// A collection as it is written.
struct Source {
    name: &'static str,
    is_held_out: bool,
    passages: &'static str,
    queries: &'static str,
}

/// Passages and queries.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) name: &'static str,
    /// Whether nothing was chosen by its figures.
    pub(crate) is_held_out: bool,
    pub(crate) passages: Vec<Passage>,
    pub(crate) queries: Vec<Query>,
}

/// A text that may be found.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) id: String,
    pub(crate) text: String,
}

/// What somebody asks for.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) kind: QueryKind,
    pub(crate) text: String,
    /// The passages that are relevant: 2 answers the query, 1 helps.
    pub(crate) grades: BTreeMap<String, u32>,
}

/// How a query is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueryKind {
    /// A code or a name that stands in the passage as it is.
    Identifier,
    /// In words of the passage.
    Words,
    /// In other words.
    Paraphrase,
}

impl QueryKind {
    pub(crate) const ALL: [Self; 3] = [Self::Identifier, Self::Words, Self::Paraphrase];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Identifier => "identifier",
            Self::Words => "words",
            Self::Paraphrase => "paraphrase",
        }
    }
}

impl fmt::Display for QueryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Collection {
    /// Those that come with the benchmark.
    pub(crate) fn judged() -> Result<Vec<Self>> {
        JUDGED.iter().map(Self::read).collect()
    }

    fn read(source: &Source) -> Result<Self> {
        let name = source.name;
        let passages = lines(source.passages, passage).while_trying(|| format!("read the passages of {name}"))?;
        let queries = lines(source.queries, query).while_trying(|| format!("read the queries of {name}"))?;
        let ids: BTreeSet<&str> = passages.iter().map(|passage| passage.id.as_str()).collect();
        for query in &queries {
            if let Some(unknown) = query.grades.keys().find(|id| !ids.contains(id.as_str())) {
                let message = format!(
                    "the query {:?} is judged by {unknown:?}, which is no passage",
                    query.text
                );
                return Err(Error::new(message));
            }
        }
        Ok(Self {
            name,
            is_held_out: source.is_held_out,
            passages,
            queries,
        })
    }
}

fn lines<T>(text: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
    let line = |(number, line): (usize, &str)| {
        let value = serde_json::from_str(line).while_trying(|| format!("read line {number}"))?;
        read(&value).ok_or_else(|| Error::new(format!("line {number} lacks a field, or has one of another type")))
    };
    (1..).zip(text.lines()).map(line).collect()
}

fn passage(value: &Value) -> Option<Passage> {
    Some(Passage {
        id: value["id"].as_str()?.to_owned(),
        text: value["text"].as_str()?.to_owned(),
    })
}

fn query(value: &Value) -> Option<Query> {
    let kind = value["kind"].as_str()?;
    let grades = value["relevant"].as_object()?.iter();
    Some(Query {
        kind: QueryKind::ALL.into_iter().find(|known| known.as_str() == kind)?,
        text: value["query"].as_str()?.to_owned(),
        grades: grades
            .map(|(id, grade)| Some((id.clone(), u32::try_from(grade.as_u64()?).ok()?)))
            .collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collections_are_sound() {
        for collection in Collection::judged().unwrap() {
            assert!(collection.passages.len() >= 100 && collection.queries.len() >= 50);
            let ids: BTreeSet<&str> = collection.passages.iter().map(|it| it.id.as_str()).collect();
            assert_eq!(ids.len(), collection.passages.len(), "an id is there twice");
            for query in &collection.queries {
                // Without an answer there is no best order to compare with.
                assert!(query.grades.values().any(|grade| *grade == 2), "{query:?}");
                assert!(query.grades.values().all(|grade| (1..=2).contains(grade)), "{query:?}");
            }
            for kind in QueryKind::ALL {
                assert!(collection.queries.iter().filter(|query| query.kind == kind).count() >= 10);
            }
        }
    }

    #[test]
    fn no_query_is_there_twice() {
        let collections = Collection::judged().unwrap();
        let texts: Vec<_> = collections
            .iter()
            .flat_map(|it| &it.queries)
            .map(|it| &it.text)
            .collect();
        let distinct: BTreeSet<_> = texts.iter().map(|text| text.to_lowercase()).collect();
        assert_eq!(distinct.len(), texts.len());
    }

    #[test]
    fn an_identifier_stands_in_the_passage_that_answers() {
        // Its rarest looking word: one with a digit, a capital behind the first letter or a low line.
        let is_name = |word: &&str| {
            word.chars()
                .skip(1)
                .any(|character| character.is_uppercase() || character == '_')
                || word.chars().any(|character| character.is_ascii_digit())
        };
        for collection in Collection::judged().unwrap() {
            let queries = collection.queries.iter();
            for query in queries.filter(|it| it.kind == QueryKind::Identifier) {
                let name = query.text.split_whitespace().find(is_name).unwrap();
                let passages = collection.passages.iter();
                for answer in passages.filter(|it| query.grades.get(&it.id) == Some(&2)) {
                    assert!(answer.text.contains(name), "{name} is not in {}", answer.id);
                }
            }
        }
    }

    #[test]
    fn a_line_that_lacks_something_is_named() {
        let error = lines("{\"id\": \"a\", \"text\": \"b\"}\n{\"id\": \"c\"}\n", passage).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}

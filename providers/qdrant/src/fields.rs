//! The payload of a point: its fields, and which of them Qdrant indexes.

use std::collections::BTreeSet;

use puna_api::{AttributeValue, Chunk};
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::{FieldType, KeywordIndexParams, PayloadIndexParams};

pub(crate) const CHUNK_ID: &str = "chunk_id";
pub(crate) const DOCUMENT_ID: &str = "document_id";
pub(crate) const POSITION: &str = "position";
pub(crate) const TEXT: &str = "text";
/// The attributes as JSON, from which they are read.
pub(crate) const ATTRIBUTES: &str = "attributes";
pub(crate) const METADATA: &str = "metadata";
/// Each attribute with its value as one text: what equality looks at.
pub(crate) const EQUALS: &str = "equals";
/// The attributes that are numbers: what comparisons look at.
pub(crate) const NUMBERS: &str = "numbers";
/// How long the vector was before it was made to have length 1.
pub(crate) const NORM: &str = "norm";
/// The index, where several share a collection.
pub(crate) const INDEX_ID: &str = "index_id";

/// The most fields with an index in a collection; filters by others are answered without, slower.
const MAX_FIELDS: usize = 100;

/// A field that Qdrant has an index for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field {
    pub(crate) name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tenant,
    Keyword,
    Integer,
    Float,
}

impl Field {
    /// Those that every collection has.
    pub(crate) fn of_all(is_shared: bool) -> Vec<Self> {
        let field = |name: &str, kind| Self {
            name: name.to_owned(),
            kind,
        };
        let mut fields = vec![
            field(DOCUMENT_ID, Kind::Keyword),
            field(POSITION, Kind::Integer),
            field(EQUALS, Kind::Keyword),
        ];
        if is_shared {
            fields.insert(0, field(INDEX_ID, Kind::Tenant));
        }
        fields
    }

    /// Those of the numbers among the chunks' attributes, as many as there may be beside `there`.
    pub(crate) fn of_numbers<'a>(chunks: impl Iterator<Item = &'a Chunk>, there: &BTreeSet<String>) -> Vec<Self> {
        let numbers = chunks
            .flat_map(|chunk| &chunk.attributes)
            .filter_map(|(name, value)| match value {
                AttributeValue::Number(_) => Some(number(name)),
                AttributeValue::Boolean(_) | AttributeValue::Text(_) => None,
            });
        let new: BTreeSet<String> = numbers.filter(|name| !there.contains(name)).collect();
        let room = MAX_FIELDS.saturating_sub(there.len());
        let field = |name| Self {
            name,
            kind: Kind::Float,
        };
        new.into_iter().take(room).map(field).collect()
    }

    /// The type, in Qdrant's words.
    pub(crate) fn field_type(&self) -> FieldType {
        match self.kind {
            Kind::Tenant | Kind::Keyword => FieldType::Keyword,
            Kind::Integer => FieldType::Integer,
            Kind::Float => FieldType::Float,
        }
    }

    /// What else Qdrant should know of it.
    pub(crate) fn params(&self) -> Option<PayloadIndexParams> {
        let tenant = KeywordIndexParams {
            is_tenant: Some(true),
            ..KeywordIndexParams::default()
        };
        (self.kind == Kind::Tenant).then_some(PayloadIndexParams {
            index_params: Some(IndexParams::KeywordIndexParams(tenant)),
        })
    }
}

/// The path of a number.
pub(crate) fn number(name: &str) -> String {
    format!("{NUMBERS}.{}", written(name))
}

/// A name as Qdrant's paths take it without quotes, which cannot hold every character: others than letters, digits and `_` are written as `-` and two
/// hexadecimal digits for each byte, no two names the same.
pub(crate) fn written(name: &str) -> String {
    let mut written = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => written.push(char::from(byte)),
            _ => written.push_str(&format!("-{byte:02x}")),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use puna_api::Attributes;
    use serde_json::Map;

    use super::*;

    #[test]
    fn names_are_paths_of_their_own() {
        let names = [
            "a", "A", "a.b", "a-b", "a-2db", "a[0]", "a[]", "\"a\"", "a\\", "a\0", "ä", "a\u{308}", "_", "-",
        ];
        let paths: BTreeSet<String> = names.iter().map(|name| number(name)).collect();
        assert_eq!(paths.len(), names.len());
        for path in paths {
            let rest = path.strip_prefix("numbers.").unwrap();
            assert!(
                !rest.is_empty()
                    && rest
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            );
        }
        assert_eq!(number("published_in"), "numbers.published_in");
    }

    #[test]
    fn numbers_have_indexes_until_there_are_many() {
        let attributes = (0..150).map(|number| (format!("n{number:03}"), f64::from(number).into()));
        let chunk = Chunk {
            chunk_id: "a".to_owned(),
            document_id: "d".to_owned(),
            position: 0,
            text: String::new(),
            vector: vec![1.0],
            attributes: attributes
                .chain([("text".to_owned(), true.into())])
                .collect::<Attributes>(),
            metadata: Map::new(),
        };
        let there = BTreeSet::from(["document_id".to_owned(), "numbers.n000".to_owned()]);
        let fields = Field::of_numbers([&chunk, &chunk].into_iter(), &there);
        assert_eq!(fields.len(), 98);
        assert_eq!(fields[0].name, "numbers.n001");
        assert_eq!(fields[0].field_type(), FieldType::Float);
    }
}

//! Embeddings: a model turns texts into vectors.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::open_enum::open_enum;
use super::string_or::{StringOr, string_or_array};
use super::text_input::TextInput;

/// Asks a model to turn texts into vectors.
///
/// An absent field and `null` mean the same. Wire shape: OpenAI `POST /embeddings`. Fields it does not have are kept and handed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an embeddings request: an object with `model` and `input`")]
pub struct EmbeddingsRequest {
    /// The id of the model.
    pub model: String,
    /// The text or texts: none empty, none longer than the model's context; at most 2048 at OpenAI.
    pub input: TextInput,
    /// How the vectors are written; `float` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding_format: Option<EncodingFormat>,
    /// How many numbers the vectors should have, at least 1, with models that can shorten them; what the model has when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// Who the end user is, without telling (such as a hash), for the vendor's abuse detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Fields not named here, such as `input_type` of some vendors.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl EmbeddingsRequest {
    /// A request that leaves everything but the texts to its default.
    pub fn new(model: impl Into<String>, input: impl Into<TextInput>) -> Self {
        Self {
            model: model.into(),
            input: input.into(),
            encoding_format: None,
            dimensions: None,
            user: None,
            extra: Map::new(),
        }
    }
}

open_enum! {
    /// How vectors are written.
    EncodingFormat {
        /// As an array of numbers.
        Float = "float",
        /// As base64 of 32-bit floats, least significant byte first.
        Base64 = "base64",
    }
}

/// The vectors of texts.
///
/// Wire shape: OpenAI `POST /embeddings`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an embeddings response: an object with `data`, `model` and `usage`")]
pub struct EmbeddingsResponse {
    /// Always `list`.
    #[serde(default = "list_object")]
    #[schemars(extend("enum" = ["list"]))]
    pub object: String,
    /// The vectors, in the order of the input.
    pub data: Vec<Embedding>,
    /// The id of the model.
    pub model: String,
    /// The tokens it took.
    pub usage: EmbeddingsUsage,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl EmbeddingsResponse {
    /// The vectors of a model, numbered in their order; `tokens` is how many tokens the texts had.
    pub fn new(model: impl Into<String>, vectors: Vec<EmbeddingVector>, tokens: u64) -> Self {
        let data = (0..)
            .zip(vectors)
            .map(|(index, embedding)| Embedding::new(index, embedding))
            .collect();
        Self {
            object: list_object(),
            data,
            model: model.into(),
            usage: EmbeddingsUsage {
                prompt_tokens: tokens,
                total_tokens: tokens,
                extra: Map::new(),
            },
            extra: Map::new(),
        }
    }
}

fn list_object() -> String {
    "list".to_owned()
}

/// The vector of one text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `index` and `embedding`")]
pub struct Embedding {
    /// Always `embedding`.
    #[serde(default = "embedding_object")]
    #[schemars(extend("enum" = ["embedding"]))]
    pub object: String,
    /// Which of the texts it is of, from 0.
    pub index: u32,
    /// The vector.
    pub embedding: EmbeddingVector,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl Embedding {
    /// The vector of one text.
    pub fn new(index: u32, embedding: EmbeddingVector) -> Self {
        Self {
            object: embedding_object(),
            index,
            embedding,
            extra: Map::new(),
        }
    }
}

fn embedding_object() -> String {
    "embedding".to_owned()
}

/// A vector, as the request's `encoding_format` wants it written.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EmbeddingVector {
    /// The numbers.
    Float(Vec<f32>),
    /// The numbers as 32-bit floats, least significant byte first, base64.
    Base64(String),
}

impl<'de> Deserialize<'de> for EmbeddingVector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(
            match string_or_array(deserializer, "an array of numbers or a base64 string")? {
                StringOr::String(text) => Self::Base64(text),
                StringOr::Value(numbers) => Self::Float(numbers),
            },
        )
    }
}

/// The tokens that embeddings took.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with token counts")]
pub struct EmbeddingsUsage {
    /// Tokens of the texts.
    pub prompt_tokens: u64,
    /// The same: there is no answer that takes tokens.
    pub total_tokens: u64,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::round_trip::{assert_round_trip, fault, read};
    use super::*;

    #[test]
    fn requests_survive_a_round_trip() {
        for input in [json!("a"), json!(["a", "b"]), json!([1, 2]), json!([[1], [2, 3]])] {
            assert_round_trip::<EmbeddingsRequest>(&json!({
                "model": "e", "input": input, "encoding_format": "base64", "dimensions": 256, "user": "u",
                "input_type": "query", "truncate_prompt_tokens": -1,
            }));
        }
    }

    #[test]
    fn answers_survive_a_round_trip() {
        for vector in [json!([0.5, -0.25, 1.0]), json!("AAAAPwAAgL4=")] {
            assert_round_trip::<EmbeddingsResponse>(&json!({
                "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": vector, "dtype": "f32"}],
                "model": "e", "usage": {"prompt_tokens": 3, "total_tokens": 3, "completion_tokens": 0}, "id": "embd-1",
            }));
        }
    }

    #[test]
    fn whole_numbers_are_numbers_too() {
        assert_eq!(
            read::<EmbeddingVector>(&json!([1, 0, -1])),
            EmbeddingVector::Float(vec![1.0, 0.0, -1.0])
        );
    }

    #[test]
    fn an_answer_numbers_its_vectors() {
        let vectors = vec![EmbeddingVector::Float(vec![0.5]), EmbeddingVector::Float(vec![0.25])];
        assert_eq!(
            serde_json::to_value(EmbeddingsResponse::new("e", vectors, 4)).unwrap(),
            json!({
                "object": "list",
                "data": [
                    {"object": "embedding", "index": 0, "embedding": [0.5]},
                    {"object": "embedding", "index": 1, "embedding": [0.25]},
                ],
                "model": "e", "usage": {"prompt_tokens": 4, "total_tokens": 4},
            }),
        );
    }

    #[test]
    fn faults_name_the_field() {
        let cases = [
            (
                json!({"model": "e", "input": 5}),
                "input",
                "expected a string, an array of strings",
            ),
            (
                json!({"model": "e", "input": null}),
                "input",
                "expected a string, an array of strings",
            ),
            (json!({"model": "e", "input": [1, "a"]}), "input[1]", "expected u32"),
            (json!({"model": "e"}), "", "missing field `input`"),
            (
                json!({"model": "e", "input": "a", "encoding_format": 1}),
                "encoding_format",
                "`float`, `base64`",
            ),
        ];
        for (value, path, message) in cases {
            let fault = fault::<EmbeddingsRequest>(&value);
            assert_eq!(fault.path, path, "{value}: {fault}");
            assert!(fault.message.contains(message), "{value}: {fault}");
        }
        let fault = fault::<EmbeddingsResponse>(
            &json!({"data": [{"index": 0, "embedding": true}], "model": "e", "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
        );
        assert_eq!(fault.path, "data[0].embedding");
        assert!(
            fault
                .message
                .contains("expected an array of numbers or a base64 string"),
            "{fault}"
        );
    }
}

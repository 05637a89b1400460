//! `/v1/embeddings`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::StubSettings;
use super::answer::Answer;
use super::check::{Fields, Refusal};
use super::completion::texts;
use super::words::count;

const DIMENSIONS: usize = 8;

pub(super) fn answer(body: &[u8], settings: &StubSettings) -> Result<Answer, Refusal> {
    let fields = Fields::parse(body)?;
    let model = fields.model(&settings.embedding_models)?;
    let dimensions = fields.count("dimensions", 1)?.unwrap_or(DIMENSIONS);
    fields.text("user")?;
    let base64 = match fields.text("encoding_format")? {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => {
            return Err(Refusal::invalid(
                "encoding_format",
                "Invalid value: 'encoding_format' is `float` or `base64`.",
            ));
        }
    };
    let texts = texts(&fields, "input")?;
    if texts.iter().any(String::is_empty) {
        return Err(Refusal::invalid(
            "input",
            "Invalid 'input': input cannot be an empty string.",
        ));
    }
    let data: Value = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text, dimensions);
            let embedding = if base64 {
                json!(
                    STANDARD.encode(
                        vector
                            .iter()
                            .flat_map(|number| number.to_le_bytes())
                            .collect::<Vec<_>>()
                    )
                )
            } else {
                json!(vector)
            };
            json!({ "index": index, "object": "embedding", "embedding": embedding })
        })
        .collect();
    let tokens: usize = texts.iter().map(|text| count(text)).sum();
    Ok(Answer::Whole(json!({
        "id": "embd-5b0d4ee1",
        "object": "list",
        "created": 1_760_000_000_u64,
        "model": model,
        "data": data,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0, "prompt_tokens_details": null },
    })))
}

/// The sum of a direction per word, of length 1.
pub(super) fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0_f32; dimensions];
    for word in text.split_whitespace() {
        // FNV-1a, then a step of xorshift per dimension.
        let mut state = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        for slot in &mut sum {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *slot += (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0;
        }
    }
    let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|number| *number /= length);
    }
    sum
}

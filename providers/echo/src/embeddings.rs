//! Embeddings: words as directions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use puna_api::{EmbeddingVector, EmbeddingsRequest, EmbeddingsResponse, EncodingFormat, Result, TextInput};

use crate::check::{invalid, nothing_unknown, unsupported};
use crate::words::count;

/// Answers a request to a model of this many dimensions.
pub(crate) fn answer(model: &str, dimension: u32, request: &EmbeddingsRequest) -> Result<EmbeddingsResponse> {
    nothing_unknown(&request.extra)?;
    let dimension = match request.dimensions {
        None => dimension,
        Some(wanted) if (1..=dimension).contains(&wanted) => wanted,
        Some(wanted) => {
            return Err(invalid(
                "dimensions",
                format!("{wanted} is not between 1 and the model's {dimension}"),
            ));
        }
    };
    let as_base64 = match &request.encoding_format {
        None | Some(EncodingFormat::Float) => false,
        Some(EncodingFormat::Base64) => true,
        Some(EncodingFormat::Other(other)) => {
            return Err(invalid(
                "encoding_format",
                format!("`{other}` is not one; `float` and `base64` are"),
            ));
        }
    };
    let texts = texts(&request.input)?;
    let vectors = texts
        .iter()
        .map(|text| {
            let vector = vector(text, dimension);
            if as_base64 {
                EmbeddingVector::Base64(
                    STANDARD.encode(
                        vector
                            .iter()
                            .flat_map(|number| number.to_le_bytes())
                            .collect::<Vec<_>>(),
                    ),
                )
            } else {
                EmbeddingVector::Float(vector)
            }
        })
        .collect();
    Ok(EmbeddingsResponse::new(
        model,
        vectors,
        texts.iter().map(|text| count(text)).sum(),
    ))
}

fn texts(input: &TextInput) -> Result<&[String]> {
    let texts = match input {
        TextInput::Text(text) => std::slice::from_ref(text),
        TextInput::Texts(texts) => texts,
        // The words are the tokens, and there are more of them than numbers.
        TextInput::Tokens(_) | TextInput::TokenLists(_) => return Err(unsupported("input")),
    };
    if texts.is_empty() {
        return Err(invalid("input", "no texts; one or more is right"));
    }
    match texts.iter().position(String::is_empty) {
        Some(index) => Err(invalid("input", format!("text {index} is empty"))),
        None => Ok(texts),
    }
}

/// The direction of a text, of length 1: the sum of the directions of its words, so that texts that share words point the same way. Neither
/// case nor punctuation counts, unless there is nothing else.
pub(crate) fn vector(text: &str, dimension: u32) -> Vec<f32> {
    let mut sum = vec![0_f32; usize::try_from(dimension).unwrap_or(usize::MAX)];
    let words = text
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty());
    for word in words {
        add_direction(&word.to_lowercase(), &mut sum);
    }
    if sum.iter().all(|number| *number == 0.0) {
        add_direction(text, &mut sum);
    }
    let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
    // Directions are hardly ever opposite, but a text without one would have no vector.
    if length > 0.0 {
        sum.iter_mut().for_each(|number| *number /= length);
    } else if let Some(first) = sum.first_mut() {
        *first = 1.0;
    }
    sum
}

/// Adds a pseudo-random direction that only the word decides.
fn add_direction(word: &str, sum: &mut [f32]) {
    // FNV-1a for the word, then splitmix64 for each dimension.
    let mut state = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    for slot in sum {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper 24 bits, which a float holds exactly, as a number from -1 up to 1.
        *slot += (mixed >> 40) as f32 / (1_u32 << 23) as f32 - 1.0;
    }
}

/// How far two directions are the same: 1 for equal, 0 for unrelated.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_1() {
        for text in ["llama", "the puna", "!!!", " ", "日本語"] {
            for dimension in [1, 2, 8, 384] {
                let vector = vector(text, dimension);
                assert_eq!(vector.len(), dimension as usize);
                assert!(
                    (cosine(&vector, &vector) - 1.0).abs() < 1e-5,
                    "{text:?} in {dimension}: {vector:?}"
                );
            }
        }
    }

    #[test]
    fn shared_words_bring_texts_together() {
        let query = vector("where do llamas live", 256);
        let near = cosine(&query, &vector("Llamas live in the puna.", 256));
        let far = cosine(&query, &vector("rust is a language", 256));
        assert!(near > 0.3 && far < 0.2, "near {near}, far {far}");
        assert!((cosine(&query, &vector("Where do LLAMAS live?", 256)) - 1.0).abs() < 1e-5);
    }
}

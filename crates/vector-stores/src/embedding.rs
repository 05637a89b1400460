//! Vectors of texts.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use puna_api::{EmbeddingVector, EmbeddingsRequest, Error, ErrorKind, RequestContext, Result, TextInput};

use crate::Surroundings;

/// The most texts of one request to a model.
const MOST_TEXTS: usize = 64;
/// About the most bytes of text of one request to a model, unless one text alone has more.
const MOST_BYTES: usize = 256 * 1024;

/// The vectors of texts, in their order, made by a store's model in as few requests as is reasonable. Fails as a conflict when they have
/// another dimension, and as unavailable when the model is not there.
pub(crate) async fn embed(
    surroundings: &dyn Surroundings,
    context: &RequestContext,
    model: &str,
    dimension: u32,
    texts: &[&str],
) -> Result<Vec<Vec<f32>>> {
    let mut vectors = Vec::with_capacity(texts.len());
    for range in batches(texts) {
        let made = request(surroundings, context, model, &texts[range]).await;
        for vector in made.map_err(|error| of_store(model, error))? {
            if vector.len() != dimension as usize {
                let message = format!(
                    "the model `{model}` makes vectors of dimension {}, and the vector store has dimension {dimension}",
                    vector.len()
                );
                return Err(Error::conflict(message).with_code("embedding_dimension_mismatch"));
            }
            vectors.push(vector);
        }
    }
    Ok(vectors)
}

/// How many numbers a model's vectors have, told by one of them.
pub(crate) async fn probe(surroundings: &dyn Surroundings, context: &RequestContext, model: &str) -> Result<u32> {
    let vectors = request(surroundings, context, model, &["dimension"]).await?;
    Ok(vectors
        .first()
        .map_or(0, |vector| u32::try_from(vector.len()).unwrap_or(u32::MAX)))
}

/// Which texts go into one request each.
pub(crate) fn batches<T: AsRef<str>>(texts: &[T]) -> Vec<std::ops::Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, text) in texts.iter().enumerate() {
        let length = text.as_ref().len();
        if index > start && (index - start == MOST_TEXTS || bytes + length > MOST_BYTES) {
            batches.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes += length;
    }
    if start < texts.len() {
        batches.push(start..texts.len());
    }
    batches
}

/// An error of the model that a store was made with. No request names it, and one that is not there may be listed by its provider later.
fn of_store(model: &str, error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let message = format!("the embedding model `{model}` of the vector store is not available");
    Error::unavailable(message).with_source(error)
}

async fn request(
    surroundings: &dyn Surroundings,
    context: &RequestContext,
    model: &str,
    texts: &[&str],
) -> Result<Vec<Vec<f32>>> {
    let input = TextInput::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
    let mut answer = surroundings
        .embeddings(context, EmbeddingsRequest::new(model, input))
        .await?;
    answer.data.sort_by_key(|embedding| embedding.index);
    if answer.data.len() != texts.len() {
        let message = format!(
            "the model `{model}` answered {} vectors for {} texts",
            answer.data.len(),
            texts.len()
        );
        return Err(Error::unavailable(message));
    }
    let vectors = answer
        .data
        .into_iter()
        .map(|embedding| numbers(model, embedding.embedding));
    vectors.collect()
}

fn numbers(model: &str, vector: EmbeddingVector) -> Result<Vec<f32>> {
    let numbers = match vector {
        EmbeddingVector::Float(numbers) => Some(numbers),
        EmbeddingVector::Base64(text) => BASE64_STANDARD.decode(text).ok().map(|bytes| {
            let floats = bytes.as_chunks::<4>().0.iter();
            floats.map(|bytes| f32::from_le_bytes(*bytes)).collect()
        }),
    };
    let is_vector = |numbers: &Vec<f32>| numbers.iter().all(|number| number.is_finite());
    numbers
        .filter(is_vector)
        .ok_or_else(|| Error::unavailable(format!("the model `{model}` answered something that is no vector")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_to_models_are_bounded() {
        let few: Vec<String> = vec!["a".to_owned(); 130];
        assert_eq!(batches(&few), [0..64, 64..128, 128..130]);
        let large = vec!["x".repeat(200 * 1024); 3];
        assert_eq!(batches(&large), [0..1, 1..2, 2..3]);
        let mixed = ["a".to_owned(), "x".repeat(300 * 1024), "b".to_owned()];
        assert_eq!(batches(&mixed), [0..1, 1..2, 2..3]);
        assert!(batches::<&str>(&[]).is_empty());
    }

    #[test]
    fn vectors_are_read_in_both_forms() {
        assert_eq!(
            numbers("m", EmbeddingVector::Float(vec![0.5, -0.25])).unwrap(),
            [0.5, -0.25]
        );
        let text = EmbeddingVector::Base64("AAAAPwAAgL4=".to_owned());
        assert_eq!(numbers("m", text).unwrap(), [0.5, -0.25]);
        assert!(numbers("m", EmbeddingVector::Base64("?".to_owned())).is_err());
        assert!(numbers("m", EmbeddingVector::Float(vec![f32::NAN])).is_err());
    }
}

//! Reranking in the form of the Jina API, which vLLM and llama.cpp's server speak.

use puna_api::{Error, ErrorKind, RerankContentPart, RerankInput, RerankRequest, RerankResponse, RerankResult, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Members of the upstream's form that cannot be handed on, and what to do instead: two have another name in ours, and for the documents
/// there is no place in our answer.
const NOT_HANDED_ON: [(&str, &str); 3] = [
    ("documents", "send `items`"),
    ("top_n", "send `max_num_results`"),
    ("return_documents", "the answer tells each document's `index`"),
];

#[derive(Serialize)]
struct Wire<'a> {
    model: &'a str,
    query: &'a str,
    documents: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_n: Option<u32>,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<RerankResult>,
}

/// The upstream's request.
pub(crate) fn encode(model: &str, request: &RerankRequest) -> Result<Vec<u8>> {
    if request.items.is_empty() {
        return Err(Error::invalid_request("`items` is empty; at least one item is needed").with_param("items"));
    }
    if request.max_num_results == Some(0) {
        return Err(
            Error::invalid_request("`max_num_results` is 0; 1 or more is possible").with_param("max_num_results")
        );
    }
    let asks = |name: &str| !matches!(request.extra.get(name), None | Some(Value::Null | Value::Bool(false)));
    if let Some((name, instead)) = NOT_HANDED_ON.into_iter().find(|(name, _)| asks(name)) {
        return Err(Error::unsupported(format!("`{name}` is not supported; {instead}")).with_param(name));
    }
    let mut extra = request.extra.clone();
    extra.retain(|name, _| NOT_HANDED_ON.iter().all(|(other, _)| name != other));
    let wire = Wire {
        model,
        query: text(&request.query, || "query".to_owned())?,
        documents: request
            .items
            .iter()
            .enumerate()
            .map(|(i, item)| text(item, || format!("items[{i}]")))
            .collect::<Result<_>>()?,
        top_n: request.max_num_results,
        extra: &extra,
    };
    serde_json::to_vec(&wire).map_err(|error| Error::internal("failed to encode a rerank request").with_source(error))
}

/// The upstream's answer: every item at most once, the most relevant first.
pub(crate) fn decode(provider: &str, request: &RerankRequest, body: &[u8]) -> Result<RerankResponse> {
    let unexpected = |why: String| {
        Error::unavailable(format!(
            "provider `{provider}` answered with something that is not a ranking: {why}"
        ))
    };
    let Answer { results: mut data } = serde_json::from_slice(body).map_err(|error| unexpected(error.to_string()))?;
    let mut seen = vec![false; request.items.len()];
    for result in &data {
        match seen.get_mut(result.index as usize) {
            None => return Err(unexpected(format!("there is no item {}", result.index))),
            Some(true) => return Err(unexpected(format!("item {} comes twice", result.index))),
            Some(seen) => *seen = true,
        }
    }
    data.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score));
    // Not every version heeds the limit.
    data.truncate(request.max_num_results.map_or(usize::MAX, |limit| limit as usize));
    Ok(RerankResponse { data })
}

fn text(input: &RerankInput, param: impl Fn() -> String) -> Result<&str> {
    match input {
        RerankInput::Text(text) | RerankInput::Part(RerankContentPart::Text { text }) => Ok(text),
        RerankInput::Part(RerankContentPart::ImageUrl { .. }) => {
            let param = param();
            Err(Error::new(
                ErrorKind::Unsupported,
                format!("`{param}` is an image; this provider ranks texts"),
            )
            .with_param(param))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(fields: &Value) -> RerankRequest {
        let mut request = json!({ "model": "m", "query": "q", "items": ["a", { "type": "text", "text": "b" }] });
        request
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        serde_json::from_value(request).unwrap()
    }

    #[test]
    fn a_request_is_put_in_the_upstreams_terms() {
        let body = encode("up/m", &request(&json!({ "max_num_results": 1 }))).unwrap();
        assert_eq!(body, br#"{"model":"up/m","query":"q","documents":["a","b"],"top_n":1}"#);
        let known_to_the_upstream = json!({ "truncate_prompt_tokens": 9, "return_documents": false, "top_n": null });
        assert_eq!(
            encode("m", &request(&known_to_the_upstream)).unwrap(),
            br#"{"model":"m","query":"q","documents":["a","b"],"truncate_prompt_tokens":9}"#
        );
        let image = json!({ "type": "image_url", "image_url": { "url": "u" } });
        for (fields, param) in [
            (json!({ "items": [] }), "items"),
            (json!({ "max_num_results": 0 }), "max_num_results"),
            (json!({ "items": ["a", image] }), "items[1]"),
            (json!({ "query": image }), "query"),
            (json!({ "documents": ["c"] }), "documents"),
            (json!({ "top_n": 1 }), "top_n"),
            (json!({ "return_documents": true }), "return_documents"),
        ] {
            assert_eq!(encode("m", &request(&fields)).unwrap_err().param(), Some(param));
        }
    }

    #[test]
    fn an_answer_is_put_in_order() {
        let body =
            br#"{"results":[{"index":0,"relevance_score":0.1,"document":{}},{"index":1,"relevance_score":0.9}]}"#;
        let response = decode("up", &request(&json!({})), body).unwrap();
        assert_eq!(
            response.data.iter().map(|result| result.index).collect::<Vec<_>>(),
            [1, 0]
        );
        assert_eq!(
            decode("up", &request(&json!({ "max_num_results": 1 })), body)
                .unwrap()
                .data
                .len(),
            1
        );
        for body in [
            "{}",
            "<html>",
            r#"{"results":[{"index":2,"relevance_score":1}]}"#,
            r#"{"results":[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}]}"#,
        ] {
            assert_eq!(
                decode("up", &request(&json!({})), body.as_bytes()).unwrap_err().kind(),
                ErrorKind::Unavailable
            );
        }
    }
}

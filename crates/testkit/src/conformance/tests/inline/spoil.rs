//! What the provider makes of the stub's answer.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Defect, Provider};

impl Provider {
    /// The answer with what the defect spoils.
    pub(super) fn spoil(&self, mut answer: Value, requested_model: &str) -> Value {
        if !self.has(Defect::ShowsItsOwnModelId) {
            answer["model"] = json!(requested_model);
        }
        match self.defect {
            Some(Defect::HasNoObject) => answer["object"] = json!("thing"),
            Some(Defect::CountsNoTokens) => {
                answer["usage"] = json!({ "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0 });
            }
            Some(Defect::CountsFilling) if answer["data"].as_array().is_some_and(|data| data.len() > 1) => {
                answer["usage"]["prompt_tokens"] = json!(100);
            }
            Some(Defect::TotalIsWrong) => answer["usage"]["total_tokens"] = json!(1),
            Some(Defect::IgnoresTheSeed) => {
                let calls = self.calls.load(Ordering::Relaxed);
                answer["choices"][0]["message"]["content"] = json!(format!("random {calls}"));
            }
            Some(Defect::CallsHaveNoId) if answer["choices"][0]["message"]["tool_calls"].is_array() => {
                answer["choices"][0]["message"]["tool_calls"][0]["id"] = json!("");
            }
            Some(Defect::ReversesEmbeddings) => {
                let data = answer["data"].as_array_mut().unwrap();
                data.reverse();
                (0..).zip(data).for_each(|(index, entry)| entry["index"] = json!(index));
            }
            Some(Defect::EmbedsEverythingAlike) => {
                for entry in answer["data"].as_array_mut().unwrap() {
                    entry["embedding"] = json!([1.0, 0.0]);
                }
            }
            Some(Defect::SpoilsBase64) if answer["data"][0]["embedding"].is_string() => {
                answer["data"][0]["embedding"] = json!("AACAPwAAgL8AAIA/AACAvwAAgD8AAIC/AACAPwAAgL8=");
            }
            Some(Defect::MixesUpPrompts) if answer["object"] == "text_completion" => {
                let choices = answer["choices"].as_array_mut().unwrap();
                let texts: Vec<Value> = choices.iter().rev().map(|choice| choice["text"].clone()).collect();
                choices
                    .iter_mut()
                    .zip(texts)
                    .for_each(|(choice, text)| choice["text"] = text);
            }
            _ => {}
        }
        answer
    }

    /// The chunks with what the defect spoils.
    pub(super) fn spoil_chunks(&self, chunks: Vec<Value>, requested_model: &str) -> Vec<Value> {
        let mut chunks: Vec<Value> = chunks
            .into_iter()
            .map(|chunk| self.spoil_chunk(chunk, requested_model))
            .collect();
        match self.defect {
            Some(Defect::StreamLosesAPiece) => drop(chunks.remove(chunks.len() / 2)),
            Some(Defect::StreamHasNoRole) => drop(chunks.remove(0)),
            Some(Defect::StreamEndsTwice) => {
                let last = chunks
                    .iter()
                    .rfind(|chunk| chunk["choices"][0]["finish_reason"].is_string())
                    .unwrap()
                    .clone();
                chunks.push(last);
            }
            Some(Defect::StreamNeverEnds) => chunks.retain(|chunk| !chunk["choices"][0]["finish_reason"].is_string()),
            Some(Defect::StreamComesInOnePiece) => {
                let text: String = chunks
                    .iter()
                    .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
                    .collect();
                let (mut first, last) = (chunks[1].clone(), chunks[chunks.len() - 1].clone());
                first["choices"][0]["delta"]["content"] = json!(text);
                chunks = vec![chunks[0].clone(), first, last];
            }
            Some(Defect::IgnoresLogprobs) => {}
            _ => {}
        }
        chunks
    }

    fn spoil_chunk(&self, mut chunk: Value, requested_model: &str) -> Value {
        if !self.has(Defect::ShowsItsOwnModelId) {
            chunk["model"] = json!(requested_model);
        }
        match self.defect {
            Some(Defect::HasNoObject) => chunk["object"] = json!("thing"),
            Some(Defect::UsageInEveryChunk) => {
                chunk["usage"] = json!({ "prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18 });
            }
            Some(Defect::CallsHaveNoId) if chunk["choices"][0]["delta"]["tool_calls"][0]["id"].is_string() => {
                chunk["choices"][0]["delta"]["tool_calls"][0]["id"] = Value::Null;
            }
            Some(Defect::StreamedCallsHaveOneIndex) if chunk["choices"][0]["delta"]["tool_calls"].is_array() => {
                chunk["choices"][0]["delta"]["tool_calls"][0]["index"] = json!(0);
            }
            _ => {}
        }
        chunk
    }
}

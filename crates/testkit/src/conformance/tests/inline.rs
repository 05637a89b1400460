//! A provider that answers in this process as the stub does, and the ways in which it can be broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use puna_api::{
    BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, ErrorKind, Health, Host, Inference,
    InferenceRequest, Json, ModelType, Models, ProviderModel, RequestContext, Rerank, RerankResponse, RerankResult,
    RerankTask, Result, Services,
};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::stub::{Answer, StubSettings, StubUpstream, answer};

/// A way in which the provider is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    ShowsItsOwnModelId,
    HasNoObject,
    CountsNoTokens,
    CountsFilling,
    TotalIsWrong,
    StreamLosesAPiece,
    StreamComesInOnePiece,
    StreamHasNoRole,
    StreamEndsTwice,
    StreamNeverEnds,
    UsageAlways,
    UsageNever,
    UsageInEveryChunk,
    IgnoresStop,
    IgnoresN,
    IgnoresTokenLimits,
    IgnoresTheSeed,
    IgnoresTools,
    IgnoresToolChoice,
    IgnoresResponseFormat,
    IgnoresLogprobs,
    IgnoresDimensions,
    IgnoresBase64,
    IgnoresUnknownModels,
    SpoilsBase64,
    ReversesEmbeddings,
    EmbedsEverythingAlike,
    MixesUpPrompts,
    CallsHaveNoId,
    StreamedCallsHaveOneIndex,
    TakesEmptyMessages,
    TakesEmptyTexts,
    TakesWrongTypes,
    TakesWrongValues,
    TakesBrokenJson,
    TakesUnknownFields,
    NamesNoField,
    BlamesItself,
    DiesOfAMistake,
    Hides(Capability),
    DeclaresLess,
    ServesOneAtATime,
    MixesUpRequests,
    RemembersDroppedStreams,
    LeavesATask,
    ListsTwice,
    ListsNothing,
    TellsTheWrongType,
    IsIll,
    ServesNoHealth,
    RanksBackwards,
    RanksTooMany,
    RanksNothing,
    RanksWithAnyModel,
    Hangs,
}

impl Defect {
    /// Each with the trials that are about it.
    pub(super) const ALL: &'static [(Self, &'static [&'static str])] = &[
        (
            Self::ShowsItsOwnModelId,
            &[
                "chat::shows_the_requested_model",
                "stream::shows_the_requested_model_in_every_chunk",
                "completion::shows_the_requested_model",
                "completion::stream_shows_the_requested_model_in_every_chunk",
                "embeddings::shows_the_requested_model",
            ],
        ),
        (
            Self::HasNoObject,
            &[
                "chat::answers_in_the_shape_of_a_chat_completion",
                "stream::has_the_shape_of_chunks",
            ],
        ),
        (
            Self::CountsNoTokens,
            &["chat::counts_tokens", "embeddings::answers_in_the_shape_of_a_list"],
        ),
        (Self::CountsFilling, &["embeddings::usage_adds_up"]),
        (Self::TakesEmptyTexts, &["embeddings::an_empty_text_is_named"]),
        (
            Self::RanksWithAnyModel,
            &[
                "rerank::a_model_that_cannot_is_refused",
                "rerank::an_embedding_model_is_refused",
            ],
        ),
        (
            Self::TotalIsWrong,
            &[
                "chat::counts_tokens",
                "completion::answers_in_the_shape_of_a_completion",
            ],
        ),
        (
            Self::StreamLosesAPiece,
            &[
                "stream::joined_is_the_whole_answer",
                "stream::joined_is_what_was_said",
                "completion::stream_joined_is_the_whole_answer",
                "isolation::streams_at_once_keep_apart",
            ],
        ),
        (Self::StreamComesInOnePiece, &["stream::comes_in_more_than_one_piece"]),
        (Self::StreamHasNoRole, &["stream::has_the_shape_of_chunks"]),
        (
            Self::StreamEndsTwice,
            &[
                "stream::one_chunk_has_the_finish_reason",
                "stream::n_choices_each_end_once",
            ],
        ),
        (
            Self::StreamNeverEnds,
            &[
                "stream::one_chunk_has_the_finish_reason",
                "stream::max_tokens_ends_it_with_length",
                "completion::stream_of_several_prompts_is_told_apart",
            ],
        ),
        (
            Self::UsageAlways,
            &[
                "stream::usage_is_absent_unless_asked_for",
                "completion::stream_usage_is_absent_unless_asked_for",
            ],
        ),
        (
            Self::UsageNever,
            &[
                "stream::usage_comes_last_when_asked_for",
                "completion::stream_usage_comes_last_when_asked_for",
            ],
        ),
        (Self::UsageInEveryChunk, &["stream::usage_comes_last_when_asked_for"]),
        (
            Self::IgnoresStop,
            &[
                "chat::stop_ends_the_text",
                "chat::the_first_of_several_stops_ends_the_text",
                "stream::never_shows_a_stop_sequence",
                "completion::stop_ends_the_text",
            ],
        ),
        (
            Self::IgnoresN,
            &[
                "chat::n_gives_that_many_choices",
                "stream::n_choices_each_end_once",
                "completion::n_gives_that_many_choices",
            ],
        ),
        (
            Self::IgnoresTokenLimits,
            &[
                "chat::max_tokens_ends_the_text",
                "chat::max_completion_tokens_ends_the_text",
                "stream::max_tokens_ends_it_with_length",
                "completion::max_tokens_ends_the_text",
            ],
        ),
        (
            Self::IgnoresTheSeed,
            &[
                "chat::the_same_seed_gives_the_same_text",
                "chat::repeats_itself_at_temperature_0",
            ],
        ),
        (
            Self::IgnoresTools,
            &[
                "tools::a_call_has_its_shape",
                "tools::a_streamed_call_joins_to_the_whole",
                "tools::a_malformed_tool_is_named",
            ],
        ),
        (
            Self::IgnoresToolChoice,
            &[
                "tools::none_means_no_call",
                "tools::required_forces_a_call",
                "tools::a_named_tool_is_called",
                "tools::a_streamed_forced_call_joins_to_the_whole",
                "tools::an_unknown_tool_cannot_be_forced",
            ],
        ),
        (
            Self::IgnoresResponseFormat,
            &[
                "chat::a_json_object_is_one",
                "chat::a_json_schema_is_kept",
                "chat::an_unknown_response_format_is_named",
            ],
        ),
        (
            Self::IgnoresLogprobs,
            &[
                "chat::logprobs_tell_each_token",
                "stream::logprobs_tell_each_token",
                "completion::logprobs_tell_each_token",
            ],
        ),
        (
            Self::IgnoresDimensions,
            &[
                "embeddings::dimensions_sets_the_length",
                "embeddings::dimensions_of_0_is_named",
            ],
        ),
        (
            Self::IgnoresBase64,
            &[
                "embeddings::base64_holds_the_same_numbers",
                "embeddings::an_unknown_encoding_is_named",
            ],
        ),
        (
            Self::IgnoresUnknownModels,
            &[
                "models::an_unknown_model_is_not_found",
                "models::an_unknown_model_is_not_found_before_a_stream",
                "models::an_unknown_embedding_model_is_not_found",
            ],
        ),
        (Self::SpoilsBase64, &["embeddings::base64_holds_the_same_numbers"]),
        (Self::ReversesEmbeddings, &["embeddings::keeps_the_order_of_the_input"]),
        (
            Self::EmbedsEverythingAlike,
            &[
                "embeddings::different_texts_have_different_vectors",
                "embeddings::shared_words_point_the_same_way",
            ],
        ),
        (
            Self::MixesUpPrompts,
            &[
                "completion::each_prompt_has_its_choices",
                "completion::n_gives_that_many_choices",
            ],
        ),
        (
            Self::CallsHaveNoId,
            &[
                "tools::a_call_has_its_shape",
                "tools::a_streamed_call_joins_to_the_whole",
            ],
        ),
        (
            Self::StreamedCallsHaveOneIndex,
            &["tools::several_calls_are_told_apart"],
        ),
        (Self::TakesEmptyMessages, &["rejections::empty_messages_are_named"]),
        (
            Self::TakesWrongTypes,
            &[
                "rejections::a_wrong_type_is_named",
                "rejections::a_wrong_type_is_named_before_a_stream",
                "completion::a_wrong_type_is_named",
                "rejections::it_serves_after_them_all",
            ],
        ),
        (
            Self::TakesWrongValues,
            &[
                "rejections::a_value_out_of_range_is_named",
                "completion::a_wrong_value_is_named",
                "chat::n_of_0_is_invalid",
            ],
        ),
        (
            Self::TakesBrokenJson,
            &[
                "rejections::a_body_that_is_no_json_is_invalid",
                "rejections::a_body_that_is_no_object_is_invalid",
            ],
        ),
        (
            Self::TakesUnknownFields,
            &[
                "rejections::an_unknown_field_is_refused_by_name",
                "rejections::an_unknown_field_of_a_completion_is_refused_by_name",
                "rejections::an_unknown_field_of_embeddings_is_refused_by_name",
                "rejections::an_unknown_content_part_is_refused_by_name",
                "rejections::audio_is_given_or_refused_by_name",
                "rejections::legacy_functions_are_called_or_refused_by_name",
            ],
        ),
        (
            Self::NamesNoField,
            &[
                "rejections::a_wrong_type_is_named",
                "rejections::a_wrong_message_is_named",
                "rejections::absent_messages_are_named",
                "embeddings::a_wrong_type_is_named",
                "embeddings::an_empty_list_is_named",
                "completion::an_empty_list_of_prompts_is_named",
            ],
        ),
        (
            Self::BlamesItself,
            &[
                "rejections::a_wrong_type_is_named",
                "models::an_unknown_model_is_not_found",
            ],
        ),
        (Self::DiesOfAMistake, &["rejections::it_serves_after_them_all"]),
        // What is there but not stated is done, not refused.
        (
            Self::Hides(Capability::Stop),
            &[
                "provider::declares_what_the_target_states",
                "lacking::stop_is_refused_by_name",
            ],
        ),
        (Self::Hides(Capability::Tools), &["lacking::tools_is_refused_by_name"]),
        (
            Self::Hides(Capability::ForcedToolChoice),
            &["lacking::tool_choice_is_refused_by_name"],
        ),
        (
            Self::Hides(Capability::StructuredOutput),
            &["lacking::response_format_is_refused_by_name"],
        ),
        (
            Self::Hides(Capability::Logprobs),
            &["lacking::logprobs_is_refused_by_name"],
        ),
        (Self::Hides(Capability::Seed), &["lacking::seed_is_refused_by_name"]),
        (
            Self::Hides(Capability::MultipleChoices),
            &["lacking::n_is_refused_by_name"],
        ),
        (
            Self::Hides(Capability::ImageInput),
            &["lacking::image_url_is_refused_by_name"],
        ),
        (
            Self::Hides(Capability::EmbeddingDimensions),
            &["lacking::dimensions_is_refused_by_name"],
        ),
        (Self::Hides(Capability::Chat), &["lacking::chat_is_unsupported"]),
        (
            Self::Hides(Capability::Completion),
            &["lacking::completion_is_unsupported"],
        ),
        (
            Self::Hides(Capability::Embeddings),
            &["lacking::embeddings_are_unsupported"],
        ),
        (Self::DeclaresLess, &["provider::declares_what_the_target_states"]),
        (Self::ServesOneAtATime, &["isolation::unread_streams_hold_nobody_back"]),
        (Self::MixesUpRequests, &["isolation::requests_at_once_keep_apart"]),
        (
            Self::RemembersDroppedStreams,
            &["isolation::a_dropped_stream_disturbs_nobody"],
        ),
        (Self::LeavesATask, &["provider::ends_its_tasks_at_shutdown"]),
        (Self::ListsTwice, &["models::lists_each_model_once"]),
        (Self::ListsNothing, &["models::lists_each_model_once"]),
        (Self::TellsTheWrongType, &["models::tells_what_each_model_is_for"]),
        (Self::IsIll, &["health::is_well"]),
        (Self::ServesNoHealth, &["provider::serves_what_the_target_states"]),
        (
            Self::RanksBackwards,
            &["rerank::answers_every_item_once_the_best_first"],
        ),
        (
            Self::RanksTooMany,
            &[
                "rerank::max_num_results_keeps_the_best",
                "rerank::max_num_results_of_0_is_named",
            ],
        ),
        (
            Self::RanksNothing,
            &[
                "rerank::finds_the_item_that_says_the_same",
                "rerank::typed_text_is_as_plain_text",
            ],
        ),
        (
            Self::Hangs,
            &[
                "isolation::a_stream_outlives_what_opened_it",
                "chat::echoes_the_last_message",
            ],
        ),
    ];

    /// Whether trials end by running out of time.
    pub(super) fn hangs(self) -> bool {
        matches!(self, Self::Hangs | Self::ServesOneAtATime | Self::LeavesATask)
    }

    /// What the target must not state for the defect to show.
    pub(super) fn hidden_capability(self) -> Option<Capability> {
        if let Self::Hides(capability) = self {
            Some(capability)
        } else {
            None
        }
    }
}

/// The services of a provider with this defect.
pub(super) fn services(defect: Option<Defect>, host: &Host) -> Services {
    if defect == Some(Defect::LeavesATask) {
        host.spawn(std::future::pending());
    }
    let provider = Arc::new(Provider {
        defect,
        settings: StubSettings::default(),
        calls: AtomicU64::new(0),
        dead: AtomicU64::new(0),
        turn: Arc::new(Mutex::new(())),
        previous: Mutex::new(None),
    });
    let mut services = Services::default()
        .with_inference(Arc::clone(&provider) as Arc<dyn Inference>)
        .with_rerank(Arc::clone(&provider) as Arc<dyn Rerank>)
        .with_models(Arc::clone(&provider) as Arc<dyn Models>)
        .with_health(provider);
    if defect == Some(Defect::ServesNoHealth) {
        services.health = None;
    }
    services
}

struct Provider {
    defect: Option<Defect>,
    settings: StubSettings,
    calls: AtomicU64,
    dead: AtomicU64,
    turn: Arc<Mutex<()>>,
    previous: Mutex<Option<Value>>,
}

impl Provider {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// The request's body with what the defect takes out of it.
    fn body<T>(&self, request: &InferenceRequest<T>) -> Vec<u8> {
        let raw = request.body.raw().cloned().unwrap_or_default();
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&raw) else {
            return if self.has(Defect::TakesBrokenJson) {
                sound_body().into()
            } else {
                raw.to_vec()
            };
        };
        let unknown = !self.knows(&request.model.provider_model_id);
        let model = if unknown && self.has(Defect::IgnoresUnknownModels) {
            match request.model.model_type {
                ModelType::Embedding => StubUpstream::EMBEDDING_MODEL,
                _ => StubUpstream::CHAT_MODEL,
            }
        } else {
            &request.model.provider_model_id
        };
        body.insert("model".to_owned(), json!(model));
        for field in self.ignored() {
            body.remove(*field);
        }
        self.repair(&mut body);
        self.calls.fetch_add(1, Ordering::Relaxed);
        serde_json::to_vec(&body).unwrap()
    }

    fn knows(&self, id: &str) -> bool {
        let StubSettings {
            chat_models,
            embedding_models,
            rerank_models,
            ..
        } = &self.settings;
        chat_models
            .iter()
            .chain(embedding_models)
            .chain(rerank_models)
            .any(|known| known == id)
    }

    fn ignored(&self) -> &[&str] {
        match self.defect {
            Some(Defect::IgnoresStop) => &["stop"],
            Some(Defect::IgnoresN) => &["n"],
            Some(Defect::IgnoresTokenLimits) => &["max_tokens", "max_completion_tokens"],
            Some(Defect::IgnoresTools) => &["tools"],
            Some(Defect::IgnoresToolChoice) => &["tool_choice"],
            Some(Defect::IgnoresResponseFormat) => &["response_format"],
            Some(Defect::IgnoresLogprobs) => &["logprobs", "top_logprobs"],
            Some(Defect::IgnoresDimensions) => &["dimensions"],
            Some(Defect::IgnoresBase64) => &["encoding_format"],
            Some(Defect::UsageNever) => &["stream_options"],
            _ => &[],
        }
    }

    /// Makes right what a lax provider would take.
    fn repair(&self, body: &mut Map<String, Value>) {
        match self.defect {
            Some(Defect::UsageAlways) if body.get("stream") == Some(&json!(true)) => {
                body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
            }
            Some(Defect::TakesEmptyMessages) if body.get("messages") == Some(&json!([])) => {
                body.insert("messages".to_owned(), json!([{ "role": "user", "content": "hi" }]));
            }
            Some(Defect::TakesEmptyTexts) if body.contains_key("input") => {
                body.insert("input".to_owned(), json!("hi"));
            }
            Some(Defect::TakesWrongTypes) => {
                body.retain(|name, value| match name.as_str() {
                    "temperature" | "top_p" | "n" | "seed" => value.is_number(),
                    "max_tokens" => value.is_i64(),
                    "stop" => value.is_string(),
                    _ => true,
                });
                for field in ["messages", "prompt"] {
                    if body
                        .get(field)
                        .is_some_and(|value| !value.is_array() && field == "messages" || value.is_object())
                    {
                        let sound: Value = serde_json::from_str(sound_body()).unwrap();
                        body.insert(field.to_owned(), sound[field].clone());
                    }
                }
            }
            Some(Defect::TakesWrongValues) => body.retain(|name, value| match name.as_str() {
                "temperature" | "top_p" => value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)),
                "n" | "max_tokens" | "max_completion_tokens" => value.as_i64() > Some(0),
                _ => true,
            }),
            _ => {}
        }
    }

    /// What the stub answers, or why it does not.
    async fn ask<T>(&self, path: &str, request: &InferenceRequest<T>) -> Result<Answer> {
        if self.has(Defect::Hangs) {
            std::future::pending::<()>().await;
        }
        if !self.has(Defect::TakesUnknownFields) {
            known(request.body.raw())?;
        }
        if self.dead.load(Ordering::Relaxed) > 0 {
            return Err(Error::internal("the provider is dead"));
        }
        match answer("POST", path, &self.body(request), &self.settings) {
            Answer::Refused(status, body) => {
                if self.has(Defect::DiesOfAMistake) {
                    self.dead.store(1, Ordering::Relaxed);
                }
                Err(self.error(status, &body["error"]))
            }
            answer => Ok(answer),
        }
    }

    fn error(&self, status: u16, error: &Value) -> Error {
        let kind = match status {
            _ if self.has(Defect::BlamesItself) => ErrorKind::Internal,
            404 => ErrorKind::NotFound,
            _ => ErrorKind::InvalidRequest,
        };
        if self.has(Defect::NamesNoField) {
            return Error::new(kind, "something is wrong");
        }
        let made = Error::new(kind, error["message"].as_str().unwrap_or_default());
        match error["param"].as_str() {
            Some(param) => made.with_param(param),
            None => made,
        }
    }

    /// The answer with what the defect spoils.
    fn spoil(&self, mut answer: Value, requested_model: &str) -> Value {
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
    fn spoil_chunks(&self, chunks: Vec<Value>, requested_model: &str) -> Vec<Value> {
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

    async fn whole<T, R>(&self, path: &str, request: InferenceRequest<T>) -> Result<Json<R>> {
        let Answer::Whole(answer) = self.ask(path, &request).await? else {
            return Err(Error::internal("not a whole answer"));
        };
        let _turn = if self.has(Defect::ServesOneAtATime) {
            Some(self.turn.lock().await)
        } else {
            None
        };
        let mut answer = self.spoil(answer, &request.requested_model);
        if self.has(Defect::MixesUpRequests) {
            // Whoever comes while another is at work gets what that one was to have.
            let mut previous = self.previous.lock().await;
            let mine = previous.replace(answer.clone());
            drop(previous);
            tokio::task::yield_now().await;
            if self.calls.load(Ordering::Relaxed) > 1 {
                answer = mine.unwrap_or(answer);
            }
        }
        Ok(Json::from_bytes(answer.to_string()))
    }

    async fn stream<T, R: Send + 'static>(
        &self,
        path: &str,
        request: InferenceRequest<T>,
    ) -> Result<BoxStream<Result<Json<R>>>> {
        let Answer::Stream(chunks) = self.ask(path, &request).await? else {
            return Err(Error::internal("not a stream"));
        };
        let turn = if self.has(Defect::ServesOneAtATime) {
            Some(Arc::clone(&self.turn).lock_owned().await)
        } else {
            None
        };
        if self.has(Defect::RemembersDroppedStreams) && self.calls.load(Ordering::Relaxed) > 8 {
            self.dead.store(1, Ordering::Relaxed);
        }
        let chunks: Box<dyn Iterator<Item = Value> + Send> = match self.defect {
            None => {
                let model = request.requested_model;
                Box::new(chunks.map(move |mut chunk| {
                    chunk["model"] = json!(&*model);
                    chunk
                }))
            }
            Some(_) => Box::new(
                self.spoil_chunks(chunks.collect(), &request.requested_model)
                    .into_iter(),
            ),
        };
        let chunks = stream::iter(chunks).map(move |chunk| {
            let _turn = &turn;
            Ok(Json::from_bytes(chunk.to_string()))
        });
        Ok(chunks.boxed())
    }
}

/// The stub looks past what it does not know, as most servers do; a provider in this process must not.
fn known(raw: Option<&bytes::Bytes>) -> Result<()> {
    let Some(Ok(Value::Object(body))) = raw.map(|raw| serde_json::from_slice(raw)) else {
        return Ok(());
    };
    let unknown = body
        .keys()
        .find(|name| name.starts_with("x_") || ["audio", "functions"].contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(Error::unsupported("not supported").with_param(name));
    }
    if body
        .get("messages")
        .is_some_and(|messages| messages[0]["content"][1]["type"] == "x_smell")
    {
        return Err(Error::unsupported("not supported").with_param("messages[0].content[1]"));
    }
    Ok(())
}

fn sound_body() -> &'static str {
    r#"{"model": "stub/llm", "messages": [{"role": "user", "content": "hi"}], "prompt": "hi"}"#
}

#[async_trait]
impl Inference for Provider {
    fn capabilities(&self) -> Capabilities {
        if self.has(Defect::DeclaresLess) {
            Capabilities::of(&[Capability::Chat])
        } else {
            Capabilities::all()
        }
    }

    async fn chat_completion(
        &self,
        _: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        self.whole("/v1/chat/completions", request).await
    }

    async fn chat_completion_stream(
        &self,
        _: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        self.stream("/v1/chat/completions", request).await
    }

    async fn completion(
        &self,
        _: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        self.whole("/v1/completions", request).await
    }

    async fn completion_stream(
        &self,
        _: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        self.stream("/v1/completions", request).await
    }

    async fn embeddings(
        &self,
        _: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        self.whole("/v1/embeddings", request).await
    }
}

#[async_trait]
impl Rerank for Provider {
    async fn rerank(&self, _: &RequestContext, request: RerankTask) -> Result<RerankResponse> {
        let body: Value = serde_json::from_slice(request.body.raw().unwrap()).unwrap();
        let text = |input: &Value| input["text"].as_str().or(input.as_str()).map(str::to_owned);
        let items = body["items"].as_array().unwrap();
        if let Some(at) = items.iter().position(|item| text(item).is_none()) {
            return Err(Error::unsupported("no images").with_param(format!("items[{at}]")));
        }
        let most = &body["max_num_results"];
        if *most == 0 && !self.has(Defect::RanksTooMany) {
            return Err(Error::invalid_request("0 is below 1").with_param("max_num_results"));
        }
        if items.is_empty() {
            return Err(Error::invalid_request("nothing to rank").with_param("items"));
        }
        let documents: Vec<_> = items.iter().map(text).collect();
        let query = if self.has(Defect::RanksNothing) && body["query"].is_string() {
            Some("sea".to_owned())
        } else {
            text(&body["query"])
        };
        let model = if self.has(Defect::RanksWithAnyModel) {
            StubUpstream::RERANK_MODEL
        } else {
            &request.model.provider_model_id
        };
        let sent = json!({ "model": model, "query": query, "documents": documents, "top_n": most });
        match answer("POST", "/rerank", sent.to_string().as_bytes(), &self.settings) {
            Answer::Whole(answer) => {
                let mut data: Vec<RerankResult> = serde_json::from_value(answer["results"].clone()).unwrap();
                if self.has(Defect::RanksBackwards) {
                    data.reverse();
                }
                if self.has(Defect::RanksTooMany) {
                    data.push(data[0].clone());
                }
                Ok(RerankResponse { data })
            }
            Answer::Refused(status, body) => Err(self.error(status, &body["error"])),
            _ => Err(Error::internal("not a ranking")),
        }
    }
}

#[async_trait]
impl Models for Provider {
    async fn list_models(&self, _: &RequestContext) -> Result<Vec<ProviderModel>> {
        let model = |id: &str, model_type| ProviderModel {
            provider_model_id: id.to_owned(),
            model_type,
            metadata: Map::new(),
        };
        let embedding = if self.has(Defect::TellsTheWrongType) {
            ModelType::Llm
        } else {
            ModelType::Embedding
        };
        let mut listed = vec![
            model(StubUpstream::CHAT_MODEL, ModelType::Llm),
            model(StubUpstream::EMBEDDING_MODEL, embedding),
            model(StubUpstream::RERANK_MODEL, ModelType::Rerank),
        ];
        if self.has(Defect::ListsTwice) {
            listed.push(listed[0].clone());
        }
        if self.has(Defect::ListsNothing) {
            listed.clear();
        }
        Ok(listed)
    }

    fn changes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Health for Provider {
    async fn check(&self) -> Result<()> {
        tokio::time::timeout(Duration::from_secs(1), async {})
            .await
            .map_err(|_| Error::timeout("no time"))?;
        if self.has(Defect::IsIll) {
            Err(Error::unavailable("a cold"))
        } else {
            Ok(())
        }
    }
}

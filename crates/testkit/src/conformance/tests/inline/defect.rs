//! The ways in which the provider can be broken, and the trials that find them.

use puna_api::Capability;

/// A way in which the provider is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Defect {
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
    ServesNoModels,
    ServesNoHealth,
    RanksBackwards,
    RanksTooMany,
    RanksNothing,
    RanksWithAnyModel,
    Hangs,
}

impl Defect {
    /// Each with the trials that are about it.
    pub(in super::super) const ALL: &'static [(Self, &'static [&'static str])] = &[
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
                "rejections::an_unknown_field_of_a_ranking_is_refused_by_name",
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
        (Self::ServesNoModels, &["provider::serves_what_the_target_states"]),
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
    pub(in super::super) fn hangs(self) -> bool {
        matches!(self, Self::Hangs | Self::ServesOneAtATime | Self::LeavesATask)
    }

    /// What the target must not state for the defect to show.
    pub(in super::super) fn hidden_capability(self) -> Option<Capability> {
        if let Self::Hides(capability) = self {
            Some(capability)
        } else {
            None
        }
    }
}

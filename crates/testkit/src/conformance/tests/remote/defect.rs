//! The ways in which the client can be broken, and the trials that find them.

/// A way in which the client is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Defect {
    KeepsTheClientsModel,
    DropsUnknownFields,
    WritesNumbersAnew,
    DropsVendorsAnswers,
    SendsNoKey,
    SendsText,
    ReadsWholeEventsOnly,
    TakesBrokenStreams,
    TakesEarlyEnds,
    SkipsMalformedChunks,
    SkipsErrorChunks,
    CallsEverythingInternal,
    HidesMessages,
    ForgetsRetryAfter,
    ForgetsCodes,
    ShowsPages,
    ShowsTheKey,
    TakesHtml,
    IgnoresTheDeadline,
    NeverHangsUp,
    ListsNothingWhenRefused,
    IsAlwaysWell,
}

impl Defect {
    /// Each with the trials that are about it.
    pub(in super::super) const ALL: &'static [(Self, &'static [&'static str])] = &[
        (
            Self::KeepsTheClientsModel,
            &[
                "wire::names_the_upstream_model",
                "wire::completions_of_real_clients_reach_the_upstream",
                "wire::embeddings_of_real_clients_reach_the_upstream",
                "chat::shows_the_requested_model",
            ],
        ),
        (
            Self::DropsUnknownFields,
            &[
                "wire::unknown_fields_reach_the_upstream",
                "wire::bodies_of_real_clients_reach_the_upstream",
            ],
        ),
        (Self::WritesNumbersAnew, &["wire::numbers_stay_as_they_were_written"]),
        (Self::DropsVendorsAnswers, &["wire::unknown_fields_come_back"]),
        (Self::SendsNoKey, &["wire::sends_the_configured_key"]),
        (Self::SendsText, &["wire::sends_json"]),
        (Self::ReadsWholeEventsOnly, &["wire::reads_a_stream_however_it_is_cut"]),
        (
            Self::TakesBrokenStreams,
            &[
                "faults::a_stream_that_breaks_off_fails",
                "faults::it_serves_after_them_all",
            ],
        ),
        (Self::TakesEarlyEnds, &["faults::a_stream_that_ends_early_fails"]),
        (
            Self::SkipsMalformedChunks,
            &["faults::a_malformed_chunk_fails_the_stream"],
        ),
        (
            Self::SkipsErrorChunks,
            &["faults::an_error_in_a_stream_keeps_its_message"],
        ),
        (
            Self::CallsEverythingInternal,
            &[
                "faults::a_refused_connection_is_unavailable",
                "faults::a_closed_connection_is_unavailable",
                "faults::a_truncated_answer_is_unavailable",
                "faults::html_is_unavailable",
                "faults::json_of_another_kind_is_unavailable",
                "faults::a_rejected_key_is_unauthenticated",
                "faults::a_forbidden_request_is_denied",
                "faults::an_overloaded_upstream_is_unavailable",
                "faults::embeddings_tell_the_same_faults",
                "models::an_unknown_model_is_not_found",
            ],
        ),
        (
            Self::HidesMessages,
            &[
                "faults::a_server_error_keeps_its_message",
                "faults::a_rejected_request_keeps_its_message",
                "faults::error_bodies_of_other_servers_keep_their_message",
            ],
        ),
        (Self::ForgetsRetryAfter, &["faults::rate_limits_tell_when_to_try_again"]),
        (
            Self::ForgetsCodes,
            &[
                "faults::a_server_error_keeps_its_message",
                "faults::a_rejected_key_is_unauthenticated",
            ],
        ),
        (Self::ShowsPages, &["faults::html_is_unavailable"]),
        (Self::ShowsTheKey, &["faults::no_error_shows_the_key"]),
        (
            Self::TakesHtml,
            &[
                "faults::html_is_unavailable",
                "faults::json_of_another_kind_is_unavailable",
            ],
        ),
        (Self::IgnoresTheDeadline, &["faults::a_passed_deadline_is_a_timeout"]),
        (
            Self::NeverHangsUp,
            &[
                "isolation::a_dropped_stream_is_cancelled_upstream",
                "isolation::a_dropped_future_is_cancelled_upstream",
                "isolation::a_dropped_stream_that_never_began_is_cancelled_upstream",
            ],
        ),
        (
            Self::ListsNothingWhenRefused,
            &[
                "faults::a_refused_connection_is_no_empty_list",
                "faults::an_empty_list_of_models_is_no_fault",
            ],
        ),
        (Self::IsAlwaysWell, &["faults::a_refused_connection_is_ill_health"]),
    ];

    /// Whether trials end by running out of time.
    pub(in super::super) fn hangs(self) -> bool {
        matches!(self, Self::IgnoresTheDeadline | Self::NeverHangsUp)
    }
}

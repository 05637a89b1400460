//! What the engines measure of their work. `docs/guides/metrics.md` lists the names.

use std::sync::Arc;

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

const WAITING: &str = "puna_engine_requests_waiting";
const RUNNING: &str = "puna_engine_requests_running";
const PROMPT_TOKENS: &str = "puna_engine_prompt_tokens_total";
const GENERATED_TOKENS: &str = "puna_engine_generated_tokens_total";
const CANCELLED: &str = "puna_engine_requests_cancelled_total";
const FAILED: &str = "puna_engine_requests_failed_total";
const KV_CACHE_BYTES: &str = "puna_engine_kv_cache_bytes";
const KV_CACHE_USAGE: &str = "puna_engine_kv_cache_usage_ratio";
const LOADED: &str = "puna_engine_model_loaded";

/// What is measured of one model. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Meters {
    /// Answers that wait to begin.
    pub(crate) waiting: Gauge,
    /// Answers that the engine works on.
    pub(crate) running: Gauge,
    /// Tokens of prompts that were read.
    pub(crate) prompt_tokens: Counter,
    /// Tokens that were generated.
    pub(crate) generated_tokens: Counter,
    /// Answers that nobody waited for any more.
    pub(crate) cancelled: Counter,
    /// Answers that ended with a fault of the engine.
    pub(crate) failed: Counter,
    /// Bytes of keys and values of the answers that the engine works on.
    pub(crate) kv_cache_bytes: Gauge,
    /// Whether the model is loaded.
    pub(crate) loaded: Gauge,
    labels: Arc<[(&'static str, String); 2]>,
}

impl Meters {
    /// The meters of a model, to be made once and kept.
    pub(crate) fn new(provider_id: &str, model: &str) -> Self {
        describe();
        let labels = [
            ("gen_ai_provider_name", provider_id.to_owned()),
            ("gen_ai_request_model", model.to_owned()),
        ];
        Self {
            waiting: gauge!(WAITING, &labels),
            running: gauge!(RUNNING, &labels),
            prompt_tokens: counter!(PROMPT_TOKENS, &labels),
            generated_tokens: counter!(GENERATED_TOKENS, &labels),
            cancelled: counter!(CANCELLED, &labels),
            failed: counter!(FAILED, &labels),
            kv_cache_bytes: gauge!(KV_CACHE_BYTES, &labels),
            loaded: gauge!(LOADED, &labels),
            labels: Arc::new(labels),
        }
    }

    /// The part of the room for keys and values that is in use, for a model whose room has a bound: no other has this gauge.
    pub(crate) fn kv_cache_usage(&self) -> Gauge {
        gauge!(KV_CACHE_USAGE, &*self.labels)
    }

    /// Meters that measure nothing.
    #[cfg(test)]
    pub(crate) fn unread() -> Self {
        Self {
            waiting: Gauge::noop(),
            running: Gauge::noop(),
            prompt_tokens: Counter::noop(),
            generated_tokens: Counter::noop(),
            cancelled: Counter::noop(),
            failed: Counter::noop(),
            kv_cache_bytes: Gauge::noop(),
            loaded: Gauge::noop(),
            labels: Arc::default(),
        }
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Meters")
    }
}

fn describe() {
    describe_gauge!(WAITING, Unit::Count, "Answers that wait for their first step.");
    describe_gauge!(
        RUNNING,
        Unit::Count,
        "Answers that take part in the engine's next step."
    );
    describe_counter!(PROMPT_TOKENS, Unit::Count, "Tokens of prompts that were processed.");
    describe_counter!(
        GENERATED_TOKENS,
        Unit::Count,
        "Tokens that were generated, those of cancelled requests included."
    );
    describe_counter!(
        CANCELLED,
        Unit::Count,
        "Requests whose client went away before the end."
    );
    describe_counter!(FAILED, Unit::Count, "Requests that ended with a fault of the engine.");
    describe_gauge!(
        KV_CACHE_BYTES,
        Unit::Bytes,
        "Bytes of keys and values of the answers that the engine works on."
    );
    describe_gauge!(
        KV_CACHE_USAGE,
        Unit::Count,
        "The part of the room for keys and values that is in use."
    );
    describe_gauge!(LOADED, Unit::Count, "Whether the model's weights are in memory.");
}

/// Counts something in a gauge for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

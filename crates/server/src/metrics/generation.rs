//! What is measured of requests that a model answers.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::Histogram;
use puna_api::{Error, ErrorKind};

use super::registry::MAX_SERIES;
use super::usage::{self, Usage};
use super::{Metrics, names};

/// The label of a model that the registry does not list: a provider may know any name, and names that clients make up must not become
/// series. The conventions use the word for methods.
const UNLISTED: &str = "_OTHER";

/// At most this many models have series of their own for an operation; models can be registered and unregistered without end. Each has a few
/// series of a metric, and those of all must find room.
const MAX_MODELS: usize = MAX_SERIES / 10;

/// What a model is asked to do, under the name that the conventions have for it; `rerank` is Puna's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Chat,
    TextCompletion,
    Embeddings,
    Rerank,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome<'a> {
    Complete,
    /// The client went away.
    Cancelled,
    Failed(&'a Error),
}

/// The series by operation and model. Reading takes no lock; a new model replaces the table.
#[derive(Default)]
pub(super) struct Models(ArcSwap<HashMap<Key, HashMap<String, Arc<ModelSeries>>>>);

/// The operation, and whether the names that lead further are of listed models, or of providers.
type Key = (Operation, bool);

/// The series of one operation of one model. Each is made when it is first needed.
pub(crate) struct ModelSeries {
    metrics: Metrics,
    provider_id: String,
    labels: Vec<(&'static str, String)>,
    complete: OnceLock<Histogram>,
    cancelled: OnceLock<Histogram>,
    time_to_first_token: OnceLock<Histogram>,
    time_per_output_token: OnceLock<Histogram>,
    input: OnceLock<Histogram>,
    output: OnceLock<Histogram>,
}

/// The measurement of one request.
pub(crate) struct Generation {
    series: Arc<ModelSeries>,
    /// When the first chunk of a stream came, and when the last one had come; counted from the request's arrival.
    first_chunk: Option<Duration>,
    last_chunk: Option<Duration>,
    usage: Option<Usage>,
}

impl Metrics {
    /// The series of a model that is listed, or of all others of its provider: those that are not, and those that are too many.
    pub(crate) fn model(&self, operation: Operation, provider_id: &str, model: Option<&str>) -> Arc<ModelSeries> {
        let models = &self.0.models.0;
        let key = (operation, model.is_some());
        let name = model.unwrap_or(provider_id);
        let known = models.load();
        let known = known.get(&key);
        // A model may have moved to another provider.
        if let Some(series) = known.and_then(|models| models.get(name))
            && series.provider_id == provider_id
        {
            return Arc::clone(series);
        }
        if model.is_some() && known.is_some_and(|models| models.len() >= MAX_MODELS) {
            return self.model(operation, provider_id, None);
        }
        let series = Arc::new(ModelSeries::new(self.clone(), operation, provider_id, model));
        models.rcu(|models| {
            let mut models = HashMap::clone(models);
            models
                .entry(key)
                .or_default()
                .insert(name.to_owned(), Arc::clone(&series));
            models
        });
        series
    }
}

impl ModelSeries {
    fn new(metrics: Metrics, operation: Operation, provider_id: &str, model: Option<&str>) -> Self {
        let operation = match operation {
            Operation::Chat => "chat",
            Operation::TextCompletion => "text_completion",
            Operation::Embeddings => "embeddings",
            Operation::Rerank => "rerank",
        };
        Self {
            metrics,
            provider_id: provider_id.to_owned(),
            labels: vec![
                ("gen_ai_operation_name", operation.to_owned()),
                ("gen_ai_provider_name", provider_id.to_owned()),
                ("gen_ai_request_model", model.unwrap_or(UNLISTED).to_owned()),
            ],
            complete: OnceLock::new(),
            cancelled: OnceLock::new(),
            time_to_first_token: OnceLock::new(),
            time_per_output_token: OnceLock::new(),
            input: OnceLock::new(),
            output: OnceLock::new(),
        }
    }

    fn histogram(&self, name: &'static str, more: &[(&'static str, &'static str)]) -> Histogram {
        let mut labels = self.labels.clone();
        labels.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self.metrics.record(|| metrics::histogram!(name, &labels))
    }
}

impl Generation {
    pub(crate) fn new(series: Arc<ModelSeries>) -> Self {
        Self {
            series,
            first_chunk: None,
            last_chunk: None,
            usage: None,
        }
    }

    /// The first chunk of a stream has come.
    pub(crate) fn first_chunk(&mut self, elapsed: Duration) {
        self.first_chunk = Some(elapsed);
    }

    /// The last chunk of a stream has come.
    pub(crate) fn last_chunk(&mut self, elapsed: Duration) {
        self.last_chunk = Some(elapsed);
    }

    /// Looks for token counts in an answer, or in a chunk of one.
    pub(crate) fn look_at(&mut self, document: &[u8]) {
        if let Some(usage) = usage::find(document) {
            self.usage = Some(usage);
        }
    }

    /// The request has ended.
    pub(crate) fn end(&self, outcome: Outcome<'_>, elapsed: Duration) {
        let series = &*self.series;
        let seconds = elapsed.as_secs_f64();
        let duration = |labels: &[_]| series.histogram(names::DURATION, labels);
        match outcome {
            Outcome::Complete => series
                .complete
                .get_or_init(|| duration(&[("outcome", "complete")]))
                .record(seconds),
            Outcome::Cancelled => series
                .cancelled
                .get_or_init(|| duration(&[("outcome", "cancelled"), ("error_type", "cancelled")]))
                .record(seconds),
            // Rare enough to be looked up each time.
            Outcome::Failed(error) => {
                duration(&[("outcome", "failed"), ("error_type", error_type(error.kind()))]).record(seconds);
            }
        }
        if let Some(first) = self.first_chunk {
            series
                .time_to_first_token
                .get_or_init(|| series.histogram(names::TIME_TO_FIRST_TOKEN, &[]))
                .record(first.as_secs_f64());
        }
        let Some(usage) = self.usage else { return };
        series
            .input
            .get_or_init(|| series.histogram(names::TOKEN_USAGE, &[("gen_ai_token_type", "input")]))
            .record(usage.input as f64);
        let Some(output) = usage.output else { return };
        series
            .output
            .get_or_init(|| series.histogram(names::TOKEN_USAGE, &[("gen_ai_token_type", "output")]))
            .record(output as f64);
        if let (Some(first), Some(last), 2..) = (self.first_chunk, self.last_chunk, output) {
            series
                .time_per_output_token
                .get_or_init(|| series.histogram(names::TIME_PER_OUTPUT_TOKEN, &[]))
                .record(last.saturating_sub(first).as_secs_f64() / (output - 1) as f64);
        }
    }
}

fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest => "invalid_request",
        ErrorKind::TooLarge => "too_large",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::RateLimited => "rate_limited",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Configuration => "configuration",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::StorageFull => "storage_full",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Internal => "internal",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_come_and_go_stop_having_series_of_their_own() {
        let metrics = Metrics::new();
        for number in 0..MAX_MODELS + 5 {
            let series = metrics.model(Operation::Chat, "local", Some(&number.to_string()));
            Generation::new(series).end(Outcome::Complete, Duration::ZERO);
        }
        let text = metrics.render();
        let count = format!("{}_count", names::DURATION);
        let counts: Vec<_> = text.lines().filter(|line| line.starts_with(&count)).collect();
        assert_eq!(counts.len(), MAX_MODELS + 1);
        let other = counts.iter().find(|line| line.contains("\"_OTHER\"")).unwrap();
        assert!(other.ends_with(" 5"), "{other}");
    }
}

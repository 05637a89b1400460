//! What a test sees of the facade `metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata, Recorder, SharedString, Unit,
};

/// Keeps what is measured with handles that are made on this thread, for a test to look at.
///
/// A series is written as Prometheus writes it, labels in the order of their names: `files_total{stage="read"}`.
#[derive(Debug, Default)]
pub struct Measurements(Mutex<BTreeMap<String, Arc<Series>>>);

/// Of a gauge the bits of its value, of a counter its value, of a histogram the number of observations and the bits of their sum.
#[derive(Debug, Default)]
struct Series {
    value: Arc<AtomicU64>,
    sum: AtomicU64,
}

impl Measurements {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps what handles measure that are made on this thread as long as the guard is there.
    pub fn begin(&self) -> LocalRecorderGuard<'_> {
        metrics::set_default_local_recorder(self)
    }

    /// A counter's value, or a histogram's number of observations; `None` where nobody made such a handle.
    pub fn count(&self, series: &str) -> Option<u64> {
        Some(self.there(series)?.value.load(Ordering::SeqCst))
    }

    /// A gauge's value; `None` where nobody made such a handle.
    pub fn gauge(&self, series: &str) -> Option<f64> {
        self.count(series).map(f64::from_bits)
    }

    /// The sum of a histogram's observations; `None` where nobody made such a handle.
    pub fn sum(&self, series: &str) -> Option<f64> {
        Some(f64::from_bits(self.there(series)?.sum.load(Ordering::SeqCst)))
    }

    fn there(&self, series: &str) -> Option<Arc<Series>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(series).cloned()
    }

    fn series(&self, key: &Key) -> Arc<Series> {
        let mut labels: Vec<String> = key
            .labels()
            .map(|label| format!("{}=\"{}\"", label.key(), label.value()))
            .collect();
        labels.sort();
        let name = match labels.is_empty() {
            true => key.name().to_owned(),
            false => format!("{}{{{}}}", key.name(), labels.join(",")),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name).or_default())
    }
}

impl Recorder for Measurements {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(&self.series(key).value))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(&self.series(key).value))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.value.fetch_add(1, Ordering::SeqCst);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // Never fails: `add` always has a next value.
        let _ = self.sum.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_kept() {
        let measurements = Measurements::new();
        let guard = measurements.begin();
        let times = metrics::histogram!("times", "b" => "2", "a" => "1");
        metrics::counter!("done_total").increment(3);
        metrics::gauge!("running").set(1.5);
        drop(guard);
        times.record(0.5);
        times.record(0.25);
        metrics::counter!("done_total").increment(3);
        assert_eq!(measurements.count("done_total"), Some(3));
        assert_eq!(measurements.gauge("running"), Some(1.5));
        let times = r#"times{a="1",b="2"}"#;
        assert_eq!(
            (measurements.count(times), measurements.sum(times)),
            (Some(2), Some(0.75))
        );
        assert_eq!(measurements.count("times"), None);
    }
}

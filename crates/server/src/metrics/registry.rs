//! The series by metric and labels: the recorder behind the facade `metrics`.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::histogram::Buckets;
use super::{names, text};

/// At most this many series of one metric are kept. Who puts something unbounded into a label must not take the server's memory.
pub(super) const MAX_SERIES: usize = 10_000;

/// Every metric that was described or registered.
#[derive(Debug, Default)]
pub(super) struct Registry {
    families: RwLock<BTreeMap<String, Family>>,
}

/// One metric.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) help: String,
    unit: Option<Unit>,
    pub(super) series: BTreeMap<Labels, Series>,
    is_full: bool,
}

/// Names and values, sorted by name.
pub(super) type Labels = Vec<(String, String)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric's values under one set of labels.
#[derive(Debug, Clone)]
pub(super) enum Series {
    Counter(Arc<AtomicU64>),
    /// The bits of an `f64`.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

impl Registry {
    /// Everything, in the text format of Prometheus.
    pub(super) fn render(&self) -> String {
        text::render(&self.families.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn describe(&self, name: &KeyName, kind: Kind, unit: Option<Unit>, help: &SharedString) {
        let mut families = self.families.write().unwrap_or_else(PoisonError::into_inner);
        let family = families
            .entry(text::metric_name(name.as_str()))
            .or_insert_with(|| Family::new(kind));
        family.help = help.to_string();
        family.unit = unit;
    }

    /// The series of a key; `None` where its name is taken by another kind of metric, or where there are too many.
    fn series(&self, kind: Kind, key: &Key) -> Option<Series> {
        let name = text::metric_name(key.name());
        let mut labels: Labels = key
            .labels()
            .map(|label| (text::label_name(label.key()), label.value().to_owned()))
            .collect();
        labels.sort();
        labels.dedup_by(|a, b| a.0 == b.0);
        {
            let families = self.families.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(family) = families.get(&name)
                && family.kind == kind
                && let Some(series) = family.series.get(&labels)
            {
                return Some(series.clone());
            }
        }
        let mut families = self.families.write().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name.clone()).or_insert_with(|| Family::new(kind));
        if family.kind != kind {
            tracing::warn!(
                metric = name,
                "a metric is registered as two kinds; the second is dropped"
            );
            return None;
        }
        if family.series.len() >= MAX_SERIES && !family.series.contains_key(&labels) {
            if !family.is_full {
                tracing::warn!(
                    metric = name,
                    "a metric has {MAX_SERIES} series; further ones are dropped"
                );
            }
            family.is_full = true;
            return None;
        }
        let bounds = names::bounds(&name, family.unit);
        Some(
            family
                .series
                .entry(labels)
                .or_insert_with(|| Series::new(kind, bounds))
                .clone(),
        )
    }
}

impl Family {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            help: String::new(),
            unit: None,
            series: BTreeMap::new(),
            is_full: false,
        }
    }
}

impl Series {
    fn new(kind: Kind, bounds: &'static [f64]) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Arc::default()),
            Kind::Gauge => Self::Gauge(Arc::default()),
            Kind::Histogram => Self::Histogram(Arc::new(Buckets::new(bounds))),
        }
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, Kind::Counter, unit, &description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, Kind::Gauge, unit, &description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&key, Kind::Histogram, unit, &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.series(Kind::Counter, key) {
            Some(Series::Counter(counter)) => Counter::from_arc(counter),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.series(Kind::Gauge, key) {
            Some(Series::Gauge(gauge)) => Gauge::from_arc(gauge),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.series(Kind::Histogram, key) {
            Some(Series::Histogram(buckets)) => Histogram::from_arc(buckets),
            _ => Histogram::noop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram, with_local_recorder};

    use super::*;

    #[test]
    fn the_same_key_is_the_same_series_in_whatever_order_its_labels_come() {
        let registry = Registry::default();
        with_local_recorder(&registry, || {
            counter!("done_total", "a" => "1", "b" => "2").increment(1);
            counter!("done_total", "b" => "2", "a" => "1").increment(2);
        });
        assert_eq!(
            registry.render(),
            "# TYPE done_total counter\ndone_total{a=\"1\",b=\"2\"} 3\n"
        );
    }

    #[test]
    fn a_name_has_one_kind() {
        let registry = Registry::default();
        with_local_recorder(&registry, || {
            gauge!("x").set(1.5);
            counter!("x").increment(7);
            histogram!("x").record(7.0);
        });
        assert_eq!(registry.render(), "# TYPE x gauge\nx 1.5\n");
    }

    #[test]
    fn a_label_without_bounds_stops_at_the_bound() {
        let registry = Registry::default();
        with_local_recorder(&registry, || {
            for i in 0..MAX_SERIES + 5 {
                counter!("names_total", "name" => i.to_string()).increment(1);
            }
            counter!("names_total", "name" => "0").increment(1);
        });
        let rendered = registry.render();
        assert_eq!(rendered.lines().count(), MAX_SERIES + 1);
        assert!(rendered.contains("names_total{name=\"0\"} 2\n"));
    }
}

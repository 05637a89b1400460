//! A histogram that is as large after a year as on the first day.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::HistogramFn;

/// Counts of observations by bucket, and their sum. Recording is two atomic additions.
#[derive(Debug)]
pub(super) struct Buckets {
    /// The upper bounds, inclusive and ascending; one bucket more than these takes what is greater than all.
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

/// What a histogram holds at a moment.
#[derive(Debug, PartialEq)]
pub(super) struct Snapshot {
    /// Each upper bound with the number of observations up to it.
    pub(super) cumulative: Vec<(f64, u64)>,
    /// The number of all observations.
    pub(super) count: u64,
    pub(super) sum: f64,
}

impl Buckets {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0.0_f64.to_bits()),
        }
    }

    fn add(&self, value: f64, count: u64) {
        if value.is_nan() {
            return;
        }
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(count, Ordering::Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value * count as f64).to_bits());
        // Never fails: `add` always has a next value.
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(self.bounds.len());
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        for (at, in_bucket) in counts.enumerate() {
            count += in_bucket;
            if let Some(bound) = self.bounds.get(at) {
                cumulative.push((*bound, count));
            }
        }
        Snapshot {
            cumulative,
            count,
            sum: f64::from_bits(self.sum.load(Ordering::Relaxed)),
        }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.add(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.add(value, count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_nothing_is_lost() {
        let buckets = Buckets::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 2.5, f64::NAN] {
            buckets.record(value);
        }
        buckets.record_many(0.25, 2);
        let expected = Snapshot {
            cumulative: vec![(1.0, 4), (2.0, 6)],
            count: 7,
            sum: 8.0,
        };
        assert_eq!(buckets.snapshot(), expected);
    }

    #[test]
    fn threads_do_not_lose_each_others_observations() {
        let buckets = Buckets::new(&[1.0]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| buckets.record(0.5)));
            }
        });
        let snapshot = buckets.snapshot();
        assert_eq!((snapshot.count, snapshot.sum), (40_000, 20_000.0));
    }
}

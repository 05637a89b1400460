//! Percentiles of samples, and the middle and range of the figures of several rounds.

/// How many samples are kept at most.
const MOST_SAMPLES: usize = 4_000_000;

/// Samples of something that happens often. Of very many only every second, fourth, eighth … is kept, so that an hour
/// of them fits into memory; their percentiles stay what they are.
#[derive(Debug, Clone)]
pub struct Samples<T> {
    kept: Vec<T>,
    /// One of so many is kept.
    stride: u64,
    seen: u64,
}

impl<T: Copy + Ord> Samples<T> {
    /// Adds one.
    pub fn push(&mut self, sample: T) {
        if self.seen.is_multiple_of(self.stride) {
            if self.kept.len() == MOST_SAMPLES {
                self.halve();
            }
            self.kept.push(sample);
        }
        self.seen += 1;
    }

    /// How many there were, those included that are not kept.
    pub fn count(&self) -> u64 {
        self.seen
    }

    /// Those that are kept, in the order in which they came until a percentile is asked for.
    pub fn kept(&self) -> &[T] {
        &self.kept
    }

    /// The value below which `fraction` (0 to 1) of the samples lie, by the nearest rank; `None` without samples.
    ///
    /// The samples are put in order.
    pub fn percentile(&mut self, fraction: f64) -> Option<T> {
        self.kept.sort_unstable();
        let count = self.kept.len();
        let rank = (fraction * count as f64).ceil() as usize;
        self.kept.get(rank.clamp(1, count.max(1)) - 1).copied()
    }

    fn halve(&mut self) {
        let mut index = 0;
        self.kept.retain(|_| {
            index += 1;
            index % 2 == 1
        });
        self.stride *= 2;
    }
}

impl<T> Default for Samples<T> {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            stride: 1,
            seen: 0,
        }
    }
}

impl<T: Copy + Ord> FromIterator<T> for Samples<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut samples = Self::default();
        values.into_iter().for_each(|value| samples.push(value));
        samples
    }
}

/// The figures of several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The greatest.
    pub(crate) greatest: f64,
}

impl Summary {
    /// Of the figures of each round; `None` without rounds.
    pub(crate) fn of(rounds: &[f64]) -> Option<Self> {
        let mut sorted = rounds.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (least, greatest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Some(Self {
            median,
            least,
            greatest,
        })
    }
}

/// How much `y` grows for each unit of `x`, by least squares; `None` when no line can be laid through the points.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let shared: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (spread > 0.0).then(|| shared / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample_by_the_nearest_rank() {
        let mut hundred: Samples<u64> = (1..=100).rev().collect();
        for (fraction, expected) in [
            (0.0, 1),
            (0.01, 1),
            (0.5, 50),
            (0.501, 51),
            (0.99, 99),
            (0.991, 100),
            (1.0, 100),
        ] {
            assert_eq!(hundred.percentile(fraction), Some(expected), "at {fraction}");
        }
        assert_eq!(Samples::from_iter([-3i64]).percentile(0.5), Some(-3));
        assert_eq!(Samples::from_iter([2u64, 1]).percentile(0.5), Some(1));
        assert_eq!(Samples::<u64>::default().percentile(0.5), None);
    }

    #[test]
    fn very_many_samples_are_thinned_evenly() {
        let many = 3 * MOST_SAMPLES as u64;
        let mut samples: Samples<u64> = (0..many).collect();
        assert_eq!(samples.count(), many);
        assert!(samples.kept().len() <= MOST_SAMPLES, "{}", samples.kept().len());
        assert!(
            samples
                .kept()
                .iter()
                .enumerate()
                .all(|(index, sample)| *sample == 4 * index as u64)
        );
        let median = samples.percentile(0.5).unwrap();
        assert!(median.abs_diff(many / 2) <= 4, "{median}");
    }

    #[test]
    fn a_summary_holds_the_middle_and_the_range() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(
            Summary::of(&[3.0, 1.0, 2.0]),
            Some(Summary {
                median: 2.0,
                least: 1.0,
                greatest: 3.0
            })
        );
        assert_eq!(
            Summary::of(&[4.0, 1.0, 2.0, 9.0]),
            Some(Summary {
                median: 3.0,
                least: 1.0,
                greatest: 9.0
            })
        );
    }

    #[test]
    fn a_slope_is_that_of_the_nearest_line() {
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[(1.0, 5.0)]), None);
        assert_eq!(slope(&[(1.0, 5.0), (1.0, 6.0)]), None);
        assert_eq!(slope(&[(0.0, 1.0), (2.0, 5.0)]), Some(2.0));
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 1.0), (3.0, 3.0)]), Some(0.4));
    }
}

//! How a list by vectors and a list by words become one.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// How a list by vectors and a list by words become one. Both hold the best [`depth`](Self::depth) chunks of their kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fusion {
    /// Reciprocal rank fusion: the sum of `1 / (impact_factor + rank)` over the lists that hold the chunk, ranks counted from 1.
    Rrf {
        /// How little the first ranks count over later ones, above 0; usually 60.
        impact_factor: f32,
    },
    /// The weighted mean of both scores, each list's scaled to 0 to 1 between its lowest and its highest (to 1 if they are equal);
    /// a chunk that a list does not hold counts 0 there.
    Weighted {
        /// The weight of the list by vectors, from 0 to 1; the other list has the rest.
        alpha: f32,
    },
}

impl Fusion {
    /// How many chunks each of the two lists holds, if there are as many, for a search that answers `limit`.
    pub fn depth(limit: usize) -> usize {
        limit.saturating_mul(4).max(100)
    }

    /// Makes one list of two, which are best first; the one that comes out is too, ids of equal score in their order.
    pub fn fuse<Id: Clone + Ord>(self, by_vector: &[(Id, f32)], by_words: &[(Id, f32)]) -> Vec<(Id, f32)> {
        let mut scores: BTreeMap<&Id, f32> = BTreeMap::new();
        match self {
            Self::Rrf { impact_factor } => {
                for list in [by_vector, by_words] {
                    for (rank, (id, _)) in (1_u32..).zip(list) {
                        *scores.entry(id).or_default() += 1.0 / (impact_factor + rank as f32);
                    }
                }
            }
            Self::Weighted { alpha } => {
                for (list, weight) in [(by_vector, alpha), (by_words, 1.0 - alpha)] {
                    let scaled = scaling(list);
                    for (id, score) in list {
                        *scores.entry(id).or_default() += weight * scaled(*score);
                    }
                }
            }
        }
        let mut fused: Vec<(Id, f32)> = scores.into_iter().map(|(id, score)| (id.clone(), score)).collect();
        // Ids are in their order already, and the sort is stable.
        fused.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        fused
    }

    /// Checks what its type cannot say; an error names the place below `parameter`.
    pub fn check(self, parameter: &str) -> Result<()> {
        let (is_right, name, value, right) = match self {
            Self::Rrf { impact_factor } => (
                impact_factor.is_finite() && impact_factor > 0.0,
                "impact_factor",
                impact_factor,
                "above 0",
            ),
            Self::Weighted { alpha } => ((0.0..=1.0).contains(&alpha), "alpha", alpha, "from 0 to 1"),
        };
        if is_right {
            return Ok(());
        }
        let message = format!("`{name}` of {value}: it must be {right}");
        Err(Error::invalid_request(message).with_param(format!("{parameter}.{name}")))
    }
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Rrf { impact_factor: 60.0 }
    }
}

/// Scales scores of a list to 0 to 1.
fn scaling<Id>(list: &[(Id, f32)]) -> impl Fn(f32) -> f32 {
    let scores = || list.iter().map(|(_, score)| *score);
    let lowest = scores().fold(f32::INFINITY, f32::min);
    let width = scores().fold(f32::NEG_INFINITY, f32::max) - lowest;
    move |score| if width > 0.0 { (score - lowest) / width } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY_VECTOR: [(&str, f32); 3] = [("a", 1.0), ("b", 0.5), ("c", 0.0)];
    const BY_WORDS: [(&str, f32); 2] = [("c", 12.0), ("d", 4.0)];

    #[test]
    fn ranks_are_fused() {
        let fused = Fusion::Rrf { impact_factor: 1.0 }.fuse(&BY_VECTOR, &BY_WORDS);
        assert_eq!(
            fused,
            [("c", 0.25 + 0.5), ("a", 0.5), ("b", 1.0 / 3.0), ("d", 1.0 / 3.0)]
        );
    }

    #[test]
    fn scores_are_fused() {
        let fused = Fusion::Weighted { alpha: 0.75 }.fuse(&BY_VECTOR, &BY_WORDS);
        assert_eq!(fused, [("a", 0.75), ("b", 0.375), ("c", 0.25), ("d", 0.0)]);
    }

    #[test]
    fn equal_scores_count_in_full() {
        let fused = Fusion::Weighted { alpha: 0.5 }.fuse(&[("b", 3.0), ("a", 3.0)], &[]);
        assert_eq!(fused, [("a", 0.5), ("b", 0.5)]);
        assert_eq!(Fusion::default().fuse::<&str>(&[], &[]), []);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (fusion, says) in [
            (
                Fusion::Rrf { impact_factor: 0.0 },
                "`impact_factor` of 0: it must be above 0",
            ),
            (
                Fusion::Rrf {
                    impact_factor: f32::NAN,
                },
                "`impact_factor` of NaN",
            ),
            (
                Fusion::Weighted { alpha: 1.5 },
                "`alpha` of 1.5: it must be from 0 to 1",
            ),
            (Fusion::Weighted { alpha: f32::NAN }, "`alpha` of NaN"),
        ] {
            let error = fusion.check("fusion").unwrap_err();
            assert!(error.message().starts_with(says), "{}", error.message());
        }
        assert_eq!(
            Fusion::Weighted { alpha: -1.0 }
                .check("query.fusion")
                .unwrap_err()
                .param(),
            Some("query.fusion.alpha")
        );
        for fusion in [
            Fusion::default(),
            Fusion::Weighted { alpha: 0.0 },
            Fusion::Weighted { alpha: 1.0 },
        ] {
            fusion.check("fusion").unwrap();
        }
    }
}

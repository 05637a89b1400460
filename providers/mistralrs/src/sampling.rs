//! Chooses a token from logits.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// How tokens are chosen. The neutral value of each field is its default.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sampling {
    /// What logits are divided by; 0 always chooses the likeliest token.
    pub(crate) temperature: f64,
    /// Keeps the likeliest tokens that have this probability together; 1 keeps all.
    pub(crate) top_p: f64,
    /// Keeps this many of the likeliest tokens.
    pub(crate) top_k: Option<usize>,
    /// Keeps tokens that are at least this share as likely as the likeliest one; 0 keeps all.
    pub(crate) min_p: f64,
    /// Taken from a token's logit for each time that the answer has it.
    pub(crate) frequency_penalty: f64,
    /// Taken from a token's logit when the answer has it.
    pub(crate) presence_penalty: f64,
    /// Divides the logit of a token that prompt or answer have (multiplies a negative one); 1 changes nothing.
    pub(crate) repetition_penalty: f64,
    /// Added to the logits of tokens.
    pub(crate) logit_bias: Vec<(u32, f32)>,
    /// Makes the choices repeatable.
    pub(crate) seed: Option<u64>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: None,
            min_p: 0.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            repetition_penalty: 1.0,
            logit_bias: Vec::new(),
            seed: None,
        }
    }
}

/// Makes the choices of one answer.
pub(crate) struct Sampler {
    sampling: Sampling,
    random: Random,
    in_prompt: Vec<u32>,
    in_answer: HashMap<u32, u32>,
}

/// The model gave no number to compare: its logits are not finite.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotFinite;

impl Sampler {
    /// A sampler for an answer to this prompt. `choice` tells answers to the same prompt apart, so that one seed gives each
    /// of them a text of its own.
    pub(crate) fn new(sampling: Sampling, prompt: &[u32], choice: u32) -> Self {
        let in_prompt = if sampling.repetition_penalty == 1.0 {
            Vec::new()
        } else {
            distinct(prompt)
        };
        let seed = sampling.seed.unwrap_or_else(entropy);
        Self {
            random: Random::new(seed, choice),
            in_prompt,
            in_answer: HashMap::new(),
            sampling,
        }
    }

    /// Changes logits by the bias and the penalties.
    pub(crate) fn adjust(&self, logits: &mut [f32]) {
        for &(token, bias) in &self.sampling.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
        let repetition = self.sampling.repetition_penalty as f32;
        if repetition != 1.0 {
            let answer_only = self
                .in_answer
                .keys()
                .filter(|token| self.in_prompt.binary_search(token).is_err());
            for &token in self.in_prompt.iter().chain(answer_only) {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit = if *logit > 0.0 {
                        *logit / repetition
                    } else {
                        *logit * repetition
                    };
                }
            }
        }
        let (frequency, presence) = (
            self.sampling.frequency_penalty as f32,
            self.sampling.presence_penalty as f32,
        );
        if frequency != 0.0 || presence != 0.0 {
            for (&token, &count) in &self.in_answer {
                if let Some(logit) = logits.get_mut(token as usize) {
                    *logit -= frequency * count as f32 + presence;
                }
            }
        }
    }

    /// Chooses a token and remembers it. Tokens with a logit of minus infinity are never chosen.
    pub(crate) fn choose(&mut self, logits: &[f32]) -> Result<u32, NotFinite> {
        let likeliest = likeliest(logits)?;
        let token = if self.sampling.temperature == 0.0 || self.sampling.top_k == Some(1) || self.sampling.top_p == 0.0
        {
            likeliest
        } else {
            self.draw(logits, logits[likeliest as usize])
        };
        *self.in_answer.entry(token).or_default() += 1;
        Ok(token)
    }

    fn draw(&mut self, logits: &[f32], highest: f32) -> u32 {
        let temperature = self.sampling.temperature;
        let weight = |logit: f32| (f64::from(logit - highest) / temperature).exp();
        // Weights are relative to the likeliest token's, so `min_p` is a bound on them as it stands.
        let mut candidates: Vec<(u32, f64)> = (0..)
            .zip(logits)
            .map(|(token, logit)| (token, weight(*logit)))
            .filter(|(_, weight)| *weight > 0.0 && *weight >= self.sampling.min_p)
            .collect();
        if let Some(top_k) = self.sampling.top_k.filter(|top_k| *top_k < candidates.len()) {
            candidates.select_nth_unstable_by(top_k, likelier);
            candidates.truncate(top_k);
        }
        if self.sampling.top_p < 1.0 {
            keep_share(&mut candidates, self.sampling.top_p);
        }
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        let mut rest = self.random.uniform() * total;
        for (token, weight) in &candidates {
            rest -= weight;
            if rest < 0.0 {
                return *token;
            }
        }
        // Rounding can leave a sliver behind the last candidate.
        candidates.last().map_or(0, |(token, _)| *token)
    }
}

/// Keeps the likeliest candidates that have at least `share` of the weight together. Sorts only as many as it needs to look at:
/// a vocabulary has a hundred thousand tokens and more, and a few of them have nearly all of the weight.
fn keep_share(candidates: &mut Vec<(u32, f64)>, share: f64) {
    let wanted = share * candidates.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut sorted = 0;
    let mut kept = 0;
    let mut weight_kept = 0.0;
    while kept < candidates.len() && weight_kept < wanted {
        if kept == sorted {
            let block = (sorted * 4).max(64).min(candidates.len() - sorted);
            let rest = &mut candidates[sorted..];
            if block < rest.len() {
                rest.select_nth_unstable_by(block, likelier);
            }
            rest[..block].sort_unstable_by(likelier);
            sorted += block;
        }
        weight_kept += candidates[kept].1;
        kept += 1;
    }
    candidates.truncate(kept.max(1));
}

/// Likelier tokens first; of equally likely ones the one with the smaller number, so that the order is the same each time.
fn likelier(left: &(u32, f64), right: &(u32, f64)) -> std::cmp::Ordering {
    right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
}

/// The token with the highest logit; the first of several.
fn likeliest(logits: &[f32]) -> Result<u32, NotFinite> {
    let mut best: Option<(u32, f32)> = None;
    for (token, &logit) in (0..).zip(logits) {
        if logit.is_nan() || logit == f32::INFINITY {
            return Err(NotFinite);
        }
        if logit > f32::NEG_INFINITY && best.is_none_or(|(_, highest)| logit > highest) {
            best = Some((token, logit));
        }
    }
    best.map(|(token, _)| token).ok_or(NotFinite)
}

fn distinct(tokens: &[u32]) -> Vec<u32> {
    let mut distinct = tokens.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// A seed that is another one each time.
fn entropy() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

/// SplitMix64: small, quick, and the same on every machine.
struct Random {
    state: u64,
}

impl Random {
    fn new(seed: u64, stream: u32) -> Self {
        let mut random = Self { state: seed };
        random.state = random.next() ^ u64::from(stream).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        random
    }

    /// A number from 0 to 1, 1 excluded.
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(sampling: Sampling) -> Sampler {
        Sampler::new(
            Sampling {
                seed: sampling.seed.or(Some(7)),
                ..sampling
            },
            &[],
            0,
        )
    }

    /// How often each of the tokens is chosen in 10,000 draws.
    fn counts(sampling: Sampling, logits: &[f32]) -> Vec<u32> {
        let mut sampler = sampler(sampling);
        let mut counts = vec![0; logits.len()];
        for _ in 0..10_000 {
            counts[sampler.choose(logits).unwrap() as usize] += 1;
        }
        counts
    }

    fn logits(probabilities: &[f32]) -> Vec<f32> {
        probabilities.iter().map(|probability| probability.ln() + 3.0).collect()
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let counts = counts(Sampling::default(), &logits(&[0.5, 0.3, 0.2, 0.0]));
        assert!((4_800..5_200).contains(&counts[0]), "{counts:?}");
        assert!((2_800..3_200).contains(&counts[1]), "{counts:?}");
        assert!((1_800..2_200).contains(&counts[2]), "{counts:?}");
        assert_eq!(counts[3], 0);
    }

    #[test]
    fn temperature_flattens_and_sharpens() {
        let cold = counts(
            Sampling {
                temperature: 0.5,
                ..Sampling::default()
            },
            &logits(&[0.6, 0.4]),
        );
        // 0.36 against 0.16
        assert!((6_700..7_150).contains(&cold[0]), "{cold:?}");
        let greedy = counts(
            Sampling {
                temperature: 0.0,
                ..Sampling::default()
            },
            &logits(&[0.4, 0.3, 0.3]),
        );
        assert_eq!(greedy, [10_000, 0, 0]);
    }

    #[test]
    fn filters_keep_what_they_should() {
        let logits = logits(&[0.1, 0.4, 0.2, 0.3]);
        let kept = |sampling: Sampling| {
            let counts = counts(sampling, &logits);
            counts.into_iter().map(|count| count > 0).collect::<Vec<_>>()
        };
        assert_eq!(
            kept(Sampling {
                top_k: Some(2),
                ..Sampling::default()
            }),
            [false, true, false, true]
        );
        assert_eq!(
            kept(Sampling {
                top_k: Some(9),
                ..Sampling::default()
            }),
            [true; 4]
        );
        assert_eq!(
            kept(Sampling {
                top_p: 0.65,
                ..Sampling::default()
            }),
            [false, true, false, true]
        );
        assert_eq!(
            kept(Sampling {
                top_p: 0.75,
                ..Sampling::default()
            }),
            [false, true, true, true]
        );
        assert_eq!(
            kept(Sampling {
                top_p: 0.0,
                ..Sampling::default()
            }),
            [false, true, false, false]
        );
        assert_eq!(
            kept(Sampling {
                min_p: 0.6,
                ..Sampling::default()
            }),
            [false, true, false, true]
        );
        assert_eq!(
            kept(Sampling {
                min_p: 1.0,
                ..Sampling::default()
            }),
            [false, true, false, false]
        );
    }

    #[test]
    fn top_p_looks_beyond_the_first_block() {
        let mut candidates: Vec<(u32, f64)> = (0..1_000).map(|token| (token, 1.0 + f64::from(token))).collect();
        let total: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        keep_share(&mut candidates, 0.75);
        let kept: f64 = candidates.iter().map(|(_, weight)| weight).sum();
        assert!(
            kept >= 0.75 * total && kept - 501.0 < 0.75 * total,
            "{} kept",
            candidates.len()
        );
        assert!(candidates.iter().all(|(token, _)| *token >= 499));
    }

    #[test]
    fn penalties_count_the_answer() {
        let mut sampler = sampler(Sampling {
            temperature: 0.0,
            frequency_penalty: 1.0,
            presence_penalty: 0.5,
            ..Sampling::default()
        });
        let mut chosen = Vec::new();
        for _ in 0..4 {
            let mut logits = vec![3.0, 2.0, 1.0];
            sampler.adjust(&mut logits);
            chosen.push(sampler.choose(&logits).unwrap());
        }
        // 3, 2, 1 -> 1.5, 2, 1 -> 1.5, 0.5, 1 -> 0.5, 0.5, 1
        assert_eq!(chosen, [0, 1, 0, 2]);
    }

    #[test]
    fn repetition_penalty_counts_the_prompt_too() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            temperature: 0.0,
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(sampling, &[0, 2, 0], 0);
        sampler.choose(&[0.0, 9.0, 0.0, 0.0]).unwrap();
        let mut logits = vec![4.0, 4.0, -4.0, 4.0];
        sampler.adjust(&mut logits);
        assert_eq!(logits, [2.0, 2.0, -8.0, 4.0]);
    }

    #[test]
    fn bias_is_added_and_unknown_tokens_are_ignored() {
        let sampler = sampler(Sampling {
            logit_bias: vec![(1, 5.0), (2, -100.0), (99, 1.0)],
            ..Sampling::default()
        });
        let mut logits = vec![1.0, 1.0, 1.0];
        sampler.adjust(&mut logits);
        assert_eq!(logits, [1.0, 6.0, -99.0]);
    }

    #[test]
    fn a_seed_repeats_and_choices_differ() {
        let logits = vec![0.0; 500];
        let text = |seed, choice| {
            let mut sampler = Sampler::new(
                Sampling {
                    seed,
                    ..Sampling::default()
                },
                &[],
                choice,
            );
            (0..20).map(|_| sampler.choose(&logits).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(text(Some(1), 0), text(Some(1), 0));
        assert_ne!(text(Some(1), 0), text(Some(1), 1));
        assert_ne!(text(Some(1), 0), text(Some(2), 0));
        assert_ne!(text(None, 0), text(None, 0));
    }

    #[test]
    fn logits_that_are_no_numbers_are_an_error() {
        for logits in [
            vec![f32::NAN, 1.0],
            vec![1.0, f32::INFINITY],
            vec![f32::NEG_INFINITY; 2],
            vec![],
        ] {
            assert_eq!(
                sampler(Sampling::default()).choose(&logits),
                Err(NotFinite),
                "{logits:?}"
            );
        }
        assert_eq!(sampler(Sampling::default()).choose(&[f32::NEG_INFINITY, 0.0]), Ok(1));
    }
}

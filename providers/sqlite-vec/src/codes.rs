//! One bit for each direction: enough to tell which vectors are worth a closer look.
//!
//! A vector's code holds the signs of its rotated difference from the center of all vectors. The share of signs in which two codes
//! differ is about the angle between the differences, and with it goes an estimate of the score by any metric.

use pulp::{Arch, Simd, WithSimd};
use puna_api::Metric;

use crate::best::Best;
use crate::bits::Bits;
use crate::kernel::{differing, dot};
use crate::rotation::{rotate, rotated_length};

/// The codes of an index's vectors, by slot.
pub(crate) struct Codes {
    metric: Metric,
    center: Vec<f32>,
    /// How many words a code has.
    words: usize,
    signs: Vec<u64>,
    /// What the estimate of a vector's score is made of, beside the angle.
    terms: Vec<Term>,
    /// How many vectors the center was taken of.
    centered_on: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Term {
    /// What is added whatever the query is.
    constant: f32,
    /// What the cosine of the angle is multiplied with.
    factor: f32,
}

impl Codes {
    /// Codes for these vectors, each of `dimension` numbers, of which `live` count.
    pub(crate) fn of(metric: Metric, dimension: usize, vectors: &[f32], live: &Bits) -> Self {
        let mut sums = vec![0.0_f64; dimension];
        for slot in live.iter() {
            let vector = &vectors[slot * dimension..][..dimension];
            sums.iter_mut()
                .zip(vector)
                .for_each(|(sum, value)| *sum += f64::from(*value));
        }
        let count = live.len();
        let mut codes = Self {
            metric,
            center: sums.iter().map(|sum| (sum / count.max(1) as f64) as f32).collect(),
            words: rotated_length(dimension) / 64,
            signs: Vec::new(),
            terms: Vec::new(),
            centered_on: count,
        };
        for slot in live.iter() {
            codes.set(slot, &vectors[slot * dimension..][..dimension]);
        }
        codes
    }

    /// Whether the center is likely to be off by now.
    pub(crate) fn is_outgrown_by(&self, count: usize) -> bool {
        count > 4 * self.centered_on
    }

    /// Sets a slot's code.
    pub(crate) fn set(&mut self, slot: usize, vector: &[f32]) {
        if self.terms.len() <= slot {
            self.terms.resize(slot + 1, Term::default());
            self.signs.resize((slot + 1) * self.words, 0);
        }
        let difference = self.difference(vector);
        let length = dot(&difference, &difference).sqrt();
        let constant = match self.metric {
            Metric::Cosine | Metric::Dot => dot(&difference, &self.center),
            Metric::L2 => -length * length,
        };
        self.terms[slot] = Term {
            constant,
            factor: length,
        };
        let code = &mut self.signs[slot * self.words..][..self.words];
        write_signs(difference, code);
    }

    /// The slots of the set that are likely the `count` nearest to a query.
    pub(crate) fn likely(&self, query: &[f32], set: &Bits, count: usize) -> impl Iterator<Item = usize> {
        let difference = self.difference(query);
        let length = dot(&difference, &difference).sqrt();
        let mut code = vec![0; self.words];
        write_signs(difference, &mut code);
        // For the distance, the product counts twice: |a - b|² = |a|² + |b|² - 2ab.
        let weight = match self.metric {
            Metric::Cosine | Metric::Dot => length,
            Metric::L2 => 2.0 * length,
        };
        let bits = self.words * 64;
        let cosines: Vec<f32> = (0..=bits)
            .map(|differing| weight * (std::f32::consts::PI * differing as f32 / bits as f32).cos())
            .collect();
        let scan = Scan {
            codes: self,
            code: &code,
            cosines: &cosines,
            set,
            count,
        };
        Arch::new().dispatch(scan).into_slots()
    }

    fn difference(&self, vector: &[f32]) -> Vec<f32> {
        vector
            .iter()
            .zip(&self.center)
            .map(|(value, center)| value - center)
            .collect()
    }
}

fn write_signs(mut difference: Vec<f32>, code: &mut [u64]) {
    difference.resize(code.len() * 64, 0.0);
    rotate(&mut difference);
    for (word, values) in code.iter_mut().zip(difference.chunks_exact(64)) {
        *word = (0..64)
            .zip(values)
            .fold(0, |word, (at, value)| word | (u64::from(*value > 0.0) << at));
    }
}

/// The pass over all codes.
struct Scan<'a> {
    codes: &'a Codes,
    code: &'a [u64],
    cosines: &'a [f32],
    set: &'a Bits,
    count: usize,
}

impl WithSimd for Scan<'_> {
    type Output = Best;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Best {
        // Lengths that are known when this is compiled make tight loops.
        match self.codes.words {
            4 => self.run::<4>(),
            8 => self.run::<8>(),
            16 => self.run::<16>(),
            32 => self.run::<32>(),
            64 => self.run::<64>(),
            words => self.run_with(words),
        }
    }
}

impl Scan<'_> {
    #[inline(always)]
    fn run<const WORDS: usize>(self) -> Best {
        self.run_with(WORDS)
    }

    #[inline(always)]
    fn run_with(self, words: usize) -> Best {
        let mut best = Best::of(self.count);
        let code = &self.code[..words];
        self.set.for_each(|slot| {
            let bits = differing(&self.codes.signs[slot * words..][..words], code);
            let Term { constant, factor } = self.codes.terms[slot];
            best.offer(constant + factor * self.cosines[bits], slot);
        });
        best
    }
}

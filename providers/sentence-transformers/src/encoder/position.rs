//! Positions that come in with attention.

use candle_core::{DType, Device, Result as Computed, Tensor};
use candle_nn::rotary_emb;

/// Turns pairs of numbers by an angle that grows with the position, as RoFormer does.
pub(super) struct Rotary {
    cosines: Tensor,
    sines: Tensor,
}

impl Rotary {
    /// The angles of `positions` positions, for heads of this width.
    pub(super) fn new(positions: usize, head_width: usize, base: f64, device: &Device, dtype: DType) -> Computed<Self> {
        let half = head_width / 2;
        let mut angles = Vec::with_capacity(positions * half);
        for position in 0..positions {
            for pair in 0..half {
                // As the reference rounds: the frequencies and the product have 32 bits.
                let frequency = 1.0 / (base as f32).powf(2.0 * pair as f32 / head_width as f32);
                angles.push(position as f32 * frequency);
            }
        }
        let angles = Tensor::from_vec(angles, (positions, half), device)?;
        Ok(Self {
            cosines: angles.cos()?.to_dtype(dtype)?,
            sines: angles.sin()?.to_dtype(dtype)?,
        })
    }

    /// Turns queries or keys, `(texts, heads, length, head width)`.
    pub(super) fn turn(&self, heads: &Tensor) -> Computed<Tensor> {
        rotary_emb::rope(heads, &self.cosines, &self.sines)
    }
}

/// What is added to an attention score for the distance between its two tokens, as MPNet (and T5) do.
pub(super) struct RelativeBias {
    /// A row per bucket of distances, a column per head.
    table: Tensor,
    buckets: usize,
}

/// Distances from here on share one bucket.
const FAR: f32 = 128.0;

impl RelativeBias {
    pub(super) fn new(table: Tensor, buckets: usize) -> Self {
        Self { table, buckets }
    }

    /// The bias of all pairs of so many tokens, `(1, heads, length, length)`.
    pub(super) fn of(&self, length: usize) -> Computed<Tensor> {
        // The bucket goes by the distance alone: those of the last token, moved along, are those of every other.
        let last = length.saturating_sub(1);
        let by_distance: Vec<u32> = (0..last + length)
            .map(|key| bucket(last, key, self.buckets) as u32)
            .collect();
        let numbers: Vec<u32> = (0..length)
            .flat_map(|query| &by_distance[last - query..][..length])
            .copied()
            .collect();
        let numbers = Tensor::from_vec(numbers, length * length, self.table.device())?;
        self.table
            .index_select(&numbers, 0)?
            .reshape((length, length, ()))?
            .permute((2, 0, 1))?
            .unsqueeze(0)?
            .contiguous()
    }
}

/// Half of the buckets are for tokens after the query. Of each half, one half holds a distance each, and the other distances that
/// grow by a factor.
fn bucket(query: usize, key: usize, buckets: usize) -> usize {
    let half = buckets / 2;
    let side = if key > query { half } else { 0 };
    let distance = key.abs_diff(query);
    let exact = half / 2;
    if distance < exact {
        return side + distance;
    }
    let share = (distance as f32 / exact as f32).ln() / (FAR / exact as f32).ln();
    let beyond = (share * (half - exact) as f32) as usize;
    side + (exact + beyond).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_fall_into_buckets() {
        for (query, key, expected) in [
            (5, 5, 0),
            (5, 4, 1),
            (5, 6, 17),
            (20, 12, 8),
            (0, 7, 23),
            (0, 127, 31),
            (500, 0, 15),
        ] {
            assert_eq!(bucket(query, key, 32), expected, "{query} {key}");
        }
    }
}

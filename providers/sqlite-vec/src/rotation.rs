//! A rotation that spreads what is in a few numbers of a vector over all of them.

/// The least length of a rotated vector, so that the signs of a short one still tell directions apart.
const MIN_LENGTH: usize = 256;

/// Signs are turned and sums are taken this often.
const ROUNDS: u64 = 2;

/// The length of rotated vectors of a dimension, a power of two.
pub(crate) fn rotated_length(dimension: usize) -> usize {
    dimension.next_power_of_two().max(MIN_LENGTH)
}

/// Rotates a vector, padded with zeros to [`rotated_length`]. Always the same rotation. Its length grows by a constant factor, which
/// the signs do not see.
pub(crate) fn rotate(vector: &mut [f32]) {
    for round in 0..ROUNDS {
        for (place, values) in (round << 32..).zip(vector.chunks_mut(64)) {
            let signs = scrambled(place);
            for (at, value) in values.iter_mut().enumerate() {
                if signs & (1 << at) != 0 {
                    *value = -*value;
                }
            }
        }
        take_sums(vector);
    }
}

/// The fast Walsh-Hadamard transform.
fn take_sums(vector: &mut [f32]) {
    let mut width = 1;
    while width < vector.len() {
        for pair in vector.chunks_exact_mut(2 * width) {
            let (left, right) = pair.split_at_mut(width);
            for (left, right) in left.iter_mut().zip(right) {
                (*left, *right) = (*left + *right, *left - *right);
            }
        }
        width *= 2;
    }
}

/// The `place`th number of a sequence without a pattern (splitmix64).
fn scrambled(place: u64) -> u64 {
    let mut bits = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::dot;

    #[test]
    fn angles_stay() {
        let length = rotated_length(300);
        assert_eq!(length, 512);
        let padded = |value: fn(usize) -> f32| -> Vec<f32> {
            (0..length).map(|at| if at < 300 { value(at) } else { 0.0 }).collect()
        };
        let (mut one, mut other) = (padded(|at| (at as f32).sin()), padded(|at| (at as f32 * 0.7).cos()));
        let cosine = |one: &[f32], other: &[f32]| dot(one, other) / (dot(one, one) * dot(other, other)).sqrt();
        let before = cosine(&one, &other);
        rotate(&mut one);
        rotate(&mut other);
        assert!((cosine(&one, &other) - before).abs() < 1e-5);
    }

    #[test]
    fn what_is_in_one_place_is_spread() {
        let mut vector = vec![0.0; 256];
        vector[7] = 1.0;
        rotate(&mut vector);
        let positive = vector.iter().filter(|value| **value > 0.0).count();
        let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert!((90..166).contains(&positive), "{positive}");
        assert!(largest < 16.0 * 5.0, "{largest}");
    }
}

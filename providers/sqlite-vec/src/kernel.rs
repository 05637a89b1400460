//! The loops over numbers, in the form that compilers turn into vector instructions.

/// How many sums run beside each other.
const LANES: usize = 16;

/// The inner product.
#[inline(always)]
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    summed(one, other, |a, b| a * b)
}

/// The square of the Euclidean distance.
#[inline(always)]
pub(crate) fn squared_distance(one: &[f32], other: &[f32]) -> f32 {
    summed(one, other, |a, b| (a - b) * (a - b))
}

/// How many bits differ.
#[inline(always)]
pub(crate) fn differing(one: &[u64], other: &[u64]) -> usize {
    let bits: u32 = one.iter().zip(other).map(|(a, b)| (a ^ b).count_ones()).sum();
    bits as usize
}

/// The vector of length 1 in the same direction; zeros stay zeros.
pub(crate) fn normalized(vector: &[f32]) -> Vec<f32> {
    // In double precision, so that neither very large nor very small numbers are lost.
    let squares: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    if squares == 0.0 {
        return vector.to_vec();
    }
    let norm = squares.sqrt();
    vector.iter().map(|value| (f64::from(*value) / norm) as f32).collect()
}

#[inline(always)]
fn summed(one: &[f32], other: &[f32], of: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest: f32 = ones
        .remainder()
        .iter()
        .zip(others.remainder())
        .map(|(a, b)| of(*a, *b))
        .sum();
    for (one, other) in ones.zip(others) {
        for lane in 0..LANES {
            sums[lane] += of(one[lane], other[lane]);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_plain_loops() {
        for length in [0, 1, 15, 16, 17, 100] {
            let one: Vec<f32> = (0..length).map(|at| at as f32).collect();
            let other: Vec<f32> = (0..length).map(|at| (at % 7) as f32).collect();
            let plain = |of: fn(f32, f32) -> f32| one.iter().zip(&other).map(|(a, b)| of(*a, *b)).sum::<f32>();
            assert_eq!(dot(&one, &other), plain(|a, b| a * b));
            assert_eq!(squared_distance(&one, &other), plain(|a, b| (a - b) * (a - b)));
        }
        assert_eq!(differing(&[0b1010, u64::MAX], &[0b0110, 0]), 66);
    }

    #[test]
    fn lengths_become_1() {
        for scale in [1.0, 1e30, 1e-30] {
            let vector = normalized(&[3.0 * scale, 4.0 * scale]);
            assert!(
                (vector[0] - 0.6).abs() < 1e-6 && (vector[1] - 0.8).abs() < 1e-6,
                "{vector:?}"
            );
        }
        assert_eq!(normalized(&[0.0, 0.0]), [0.0, 0.0]);
    }
}

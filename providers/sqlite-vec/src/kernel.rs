//! The loops over numbers: with vector instructions, or in the form that compilers turn into them.

use pulp::Simd;

/// How many sums run beside each other.
const LANES: usize = 16;

/// The inner product.
#[inline(always)]
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (ones, one) = one.as_chunks::<LANES>();
    let (others, other) = other.as_chunks::<LANES>();
    for (one, other) in ones.iter().zip(others) {
        for lane in 0..LANES {
            sums[lane] += one[lane] * other[lane];
        }
    }
    let rest: f32 = one.iter().zip(other).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The inner products of several vectors with one. They are read beside each other, so that memory is waited for once and not for each.
#[inline(always)]
pub(crate) fn dots<S: Simd, const SEVERAL: usize>(simd: S, several: [&[f32]; SEVERAL], one: &[f32]) -> [f32; SEVERAL] {
    let (lanes, rest) = S::as_simd_f32s(one);
    let several = several.map(|vector| S::as_simd_f32s(&vector[..one.len()]));
    let mut sums = [simd.splat_f32s(0.0); SEVERAL];
    for (at, lanes) in lanes.iter().enumerate() {
        for which in 0..SEVERAL {
            sums[which] = simd.mul_add_f32s(several[which].0[at], *lanes, sums[which]);
        }
    }
    std::array::from_fn(|which| {
        let rest: f32 = several[which].1.iter().zip(rest).map(|(a, b)| a * b).sum();
        simd.reduce_sum_f32s(sums[which]) + rest
    })
}

/// The squares of the Euclidean distances of several vectors from one, as [`dots`].
#[inline(always)]
pub(crate) fn squared_distances<S: Simd, const SEVERAL: usize>(
    simd: S,
    several: [&[f32]; SEVERAL],
    one: &[f32],
) -> [f32; SEVERAL] {
    let (lanes, rest) = S::as_simd_f32s(one);
    let several = several.map(|vector| S::as_simd_f32s(&vector[..one.len()]));
    let mut sums = [simd.splat_f32s(0.0); SEVERAL];
    for (at, lanes) in lanes.iter().enumerate() {
        for which in 0..SEVERAL {
            let difference = simd.sub_f32s(several[which].0[at], *lanes);
            sums[which] = simd.mul_add_f32s(difference, difference, sums[which]);
        }
    }
    std::array::from_fn(|which| {
        let rest: f32 = several[which].1.iter().zip(rest).map(|(a, b)| (a - b) * (a - b)).sum();
        simd.reduce_sum_f32s(sums[which]) + rest
    })
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

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    /// Inner products and squared distances of three vectors.
    struct Three<'a>([&'a [f32]; 3], &'a [f32]);

    impl WithSimd for Three<'_> {
        type Output = ([f32; 3], [f32; 3]);

        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            (dots(simd, self.0, self.1), squared_distances(simd, self.0, self.1))
        }
    }

    #[test]
    fn sums_are_those_of_plain_loops() {
        for length in [0, 1, 15, 16, 17, 100] {
            let one: Vec<f32> = (0..length).map(|at| at as f32).collect();
            let other: Vec<f32> = (0..length).map(|at| (at % 7) as f32).collect();
            let plain = |with: &[f32], of: fn(f32, f32) -> f32| -> f32 {
                with.iter().zip(&other).map(|(a, b)| of(*a, *b)).sum()
            };
            let three = [&one[..], &other, &one];
            let products = three.map(|with| plain(with, |a, b| a * b));
            let distances = three.map(|with| plain(with, |a, b| (a - b) * (a - b)));
            assert_eq!(dot(&one, &other), products[0]);
            let three = Three(three, &other);
            assert_eq!(Arch::new().dispatch(three), (products, distances));
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

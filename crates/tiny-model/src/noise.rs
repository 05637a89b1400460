//! Weights of which nothing was learned.

use crate::random::Random;
use crate::weights::Tensor;

/// Makes weights.
pub(crate) struct Network {
    random: Random,
    pub(crate) tensors: Vec<Tensor>,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            tensors: Vec::new(),
        }
    }

    /// A matrix with one row per output.
    pub(crate) fn matrix(&mut self, name: &str, rows: usize, columns: usize) {
        self.random(name, &[rows, columns], columns);
    }

    /// Values that keep the length of what they are applied to, which has `inputs` numbers.
    pub(crate) fn random(&mut self, name: &str, shape: &[usize], inputs: usize) {
        let scale = (inputs as f32).sqrt();
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.random.normal() / scale).collect();
        self.push(name, shape, values);
    }

    /// A vector of one number.
    pub(crate) fn same(&mut self, name: &str, length: usize, value: f32) {
        self.push(name, &[length], vec![value; length]);
    }

    fn push(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values,
        });
    }
}

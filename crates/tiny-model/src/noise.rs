//! Weights of which nothing was learned.

use crate::random::Random;
use crate::weights::Tensor;

/// How wide the parts of a layer of a text model are.
pub(crate) struct Widths {
    pub(crate) hidden: usize,
    /// The queries of all heads.
    pub(crate) queries: usize,
    /// The keys, and the values, of all heads that have some.
    pub(crate) keys: usize,
    pub(crate) feed_forward: usize,
}

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

    /// A layer with a bias.
    pub(crate) fn linear(&mut self, name: &str, rows: usize, columns: usize) {
        self.matrix(&format!("{name}.weight"), rows, columns);
        self.same(&format!("{name}.bias"), rows, 0.0);
    }

    /// A norm with a bias.
    pub(crate) fn norm(&mut self, name: &str, width: usize) {
        self.same(&format!("{name}.weight"), width, 1.0);
        self.same(&format!("{name}.bias"), width, 0.0);
    }

    /// The matrices of a layer of a text model.
    pub(crate) fn projections(&mut self, layer: &str, widths: &Widths) {
        let &Widths {
            hidden,
            queries,
            keys,
            feed_forward,
        } = widths;
        for (projection, rows, columns) in [
            ("self_attn.q_proj", queries, hidden),
            ("self_attn.k_proj", keys, hidden),
            ("self_attn.v_proj", keys, hidden),
            ("self_attn.o_proj", hidden, queries),
            ("mlp.gate_proj", feed_forward, hidden),
            ("mlp.up_proj", feed_forward, hidden),
            ("mlp.down_proj", hidden, feed_forward),
        ] {
            self.matrix(&format!("{layer}.{projection}.weight"), rows, columns);
        }
    }

    fn push(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values,
        });
    }
}

//! How much of the memory for keys and values the answers in work take.

use metrics::Gauge;

/// What a model keeps of each token, and where.
#[derive(Debug, Clone)]
pub(super) struct KvShape {
    /// The keys and values of a token in all layers, in bytes.
    pub(super) bytes_per_token: usize,
    /// The blocks that they are kept in, where they are.
    pub(super) blocks: Option<Blocks>,
}

/// Blocks of keys and values.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    /// Tokens in a block.
    pub(super) size: usize,
    /// All blocks that there are.
    pub(super) count: usize,
    /// The part of them that is in use.
    pub(super) usage: Gauge,
}

impl KvShape {
    /// The most tokens that there is room for, where there is a bound.
    pub(super) fn capacity(&self) -> Option<usize> {
        // The engine keeps one block for itself.
        let blocks = self.blocks.as_ref()?;
        Some(blocks.count.saturating_sub(1).saturating_mul(blocks.size))
    }
}

/// The keys and values of one answer, which are given back when this is dropped.
#[derive(Debug)]
pub(super) struct KvUse {
    shape: KvShape,
    bytes: Gauge,
    tokens: usize,
}

impl KvUse {
    pub(super) fn new(shape: &KvShape, bytes: &Gauge) -> Self {
        Self {
            shape: shape.clone(),
            bytes: bytes.clone(),
            tokens: 0,
        }
    }

    /// Takes notice of how many tokens the engine has keys and values of.
    pub(super) fn set(&mut self, tokens: usize) {
        let bytes = |tokens: usize| tokens.saturating_mul(self.shape.bytes_per_token) as f64;
        self.bytes.increment(bytes(tokens) - bytes(self.tokens));
        if let Some(blocks) = &self.shape.blocks {
            let share = |tokens: usize| tokens.div_ceil(blocks.size) as f64 / blocks.count as f64;
            blocks.usage.increment(share(tokens) - share(self.tokens));
        }
        self.tokens = tokens;
    }
}

impl Drop for KvUse {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let gauge = || {
            let kept = Arc::new(AtomicU64::new(0));
            (Gauge::from_arc(Arc::clone(&kept)), kept)
        };
        let read = |kept: &AtomicU64| f64::from_bits(kept.load(Ordering::Relaxed));
        let ((bytes, bytes_kept), (usage, usage_kept)) = (gauge(), gauge());
        let shape = KvShape {
            bytes_per_token: 100,
            blocks: Some(Blocks {
                size: 8,
                count: 10,
                usage,
            }),
        };
        assert_eq!(shape.capacity(), Some(72));
        let mut one = KvUse::new(&shape, &bytes);
        let mut other = KvUse::new(&shape, &bytes);
        one.set(8);
        one.set(9);
        other.set(1);
        assert_eq!(read(&bytes_kept), 1_000.0);
        assert!((read(&usage_kept) - 0.3).abs() < 1e-9);
        drop(one);
        assert_eq!(read(&bytes_kept), 100.0);
        drop(other);
        assert_eq!(read(&bytes_kept), 0.0);
        assert!(read(&usage_kept).abs() < 1e-9);
    }
}

//! The best of many, without sorting all of them.

/// Collects the slots of the highest scores.
pub(crate) struct Best {
    count: usize,
    /// At most twice as many as wanted.
    held: Vec<(f32, u32)>,
    /// What a score must be above to be among them.
    floor: f32,
}

impl Best {
    pub(crate) fn of(count: usize) -> Self {
        Self {
            count,
            held: Vec::with_capacity(2 * count),
            floor: f32::NEG_INFINITY,
        }
    }

    #[inline(always)]
    pub(crate) fn offer(&mut self, score: f32, slot: usize) {
        if score > self.floor || self.held.len() < self.count {
            self.hold(score, slot);
        }
    }

    #[inline(never)]
    fn hold(&mut self, score: f32, slot: usize) {
        self.held.push((score, slot as u32));
        if self.held.len() >= 2 * self.count {
            self.drop_others();
        }
    }

    fn drop_others(&mut self) {
        if self.held.len() > self.count {
            self.held
                .select_nth_unstable_by(self.count - 1, |(one, _), (other, _)| other.total_cmp(one));
            self.held.truncate(self.count);
            self.floor = self.held.last().map_or(self.floor, |(score, _)| *score);
        }
    }

    /// The slots, in no order.
    pub(crate) fn into_slots(mut self) -> impl Iterator<Item = usize> {
        self.drop_others();
        self.held.into_iter().map(|(_, slot)| slot as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_best() {
        for count in [1, 2, 10, 99, 1000] {
            let mut best = Best::of(count);
            for slot in 0..500 {
                best.offer(((slot * 37) % 500) as f32, slot);
            }
            let mut scores: Vec<usize> = best.into_slots().map(|slot| (slot * 37) % 500).collect();
            scores.sort_unstable();
            let expected: Vec<usize> = (500_usize.saturating_sub(count)..500).collect();
            assert_eq!(scores, expected);
        }
    }
}

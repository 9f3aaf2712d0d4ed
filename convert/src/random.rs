//! Repeatable randomness: the same numbers from the same seed, on every machine, for ever.

/// The generator `splitmix64`.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The generator of one part of something: equal parts give equal numbers, and different ones
    /// numbers that have nothing to do with each other.
    pub(crate) fn of(parts: &[u64]) -> Self {
        let mut state = 0;
        for &part in parts {
            state = Self(state ^ part).next();
        }
        Self(state)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Self::mix(self.0)
    }

    /// The generator's last step alone: every bit of the result depends on every bit of `value`.
    pub(crate) const fn mix(value: u64) -> u64 {
        let mixed = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end`, without `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// From 0 to 1, without 1: 24 bits.
    pub(crate) fn unit(&mut self) -> f32 {
        const STEPS: f32 = (1 << 24) as f32;
        #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
        let step = (self.next() >> 40) as f32;
        step / STEPS
    }

    /// Evenly from `low` to `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // Not larger than `last`, so it fits.
            let chosen = usize::try_from(self.below(last as u64 + 1)).unwrap_or(last);
            items.swap(last, chosen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        let mut random = SplitMix::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn parts_in_another_order_give_other_numbers() {
        assert_eq!(SplitMix::of(&[1, 2]).next(), SplitMix::of(&[1, 2]).next());
        assert_ne!(SplitMix::of(&[1, 2]).next(), SplitMix::of(&[2, 1]).next());
        let mut random = SplitMix::of(&[3]);
        let values: Vec<f32> = (0..1000).map(|_| random.unit()).collect();
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        assert!((values.iter().sum::<f32>() / 1000.0 - 0.5).abs() < 0.05);
    }
}

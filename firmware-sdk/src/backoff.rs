//! Waiting longer after each failure, by chance: a thousand sensors must not come back in the same second.

/// Full jitter: any time up to a ceiling that doubles (M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    least_ms: u32,
    most_ms: u32,
    failures: u32,
    state: u64,
}

impl Backoff {
    /// `seed` has to differ from device to device.
    pub(crate) fn new(least_ms: u32, most_ms: u32, seed: u64) -> Backoff {
        Backoff { least_ms: least_ms.max(1), most_ms: most_ms.max(least_ms).max(1), failures: 0, state: seed }
    }

    /// Something worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Something failed: how long to wait, in milliseconds.
    pub(crate) fn next(&mut self) -> u32 {
        let ceiling = u64::from(self.least_ms) << self.failures.min(31);
        let ceiling = u32::try_from(ceiling).unwrap_or(u32::MAX).min(self.most_ms);
        self.failures = self.failures.saturating_add(1);
        // The upper half of a product of two 32-bit numbers: below the ceiling, with no division.
        let product = u64::from(self.random()) * (u64::from(ceiling) + 1);
        u32::try_from(product >> 32).unwrap_or(ceiling)
    }

    /// SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
    fn random(&mut self) -> u32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_up_to_its_end_and_begins_anew() {
        let mut backoff = Backoff::new(100, 5_000, 1);
        for ceiling in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000] {
            let delay = backoff.next();
            assert!(delay <= ceiling, "{delay} ms is more than {ceiling}");
        }
        (0..100).for_each(|_| assert!(backoff.next() <= 5_000));
        backoff.reset();
        assert!(backoff.next() <= 100);
    }

    /// A mean of half the ceiling, and no two devices alike.
    #[test]
    fn spreads() {
        let of = |seed| {
            let mut backoff = Backoff::new(1_000, 1_000, seed);
            core::array::from_fn::<u32, 1_000, _>(|_| backoff.next())
        };
        let mean = of(7).iter().sum::<u32>() / 1_000;
        assert!((450..550).contains(&mean), "{mean}");
        assert_ne!(of(1), of(2));
    }
}

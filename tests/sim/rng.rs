//! Reproducible choices.

/// `SplitMix64`: short, and every seed is valid.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A small number; smaller ones are likelier. Position 0 of a list is its newest entry.
    pub(crate) fn small(&mut self) -> u8 {
        let bits = self.next();
        u8::try_from(bits.trailing_zeros().min(7)).unwrap_or_default() + u8::from(bits >> 63 == 1)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = usize::try_from(self.next()).unwrap_or_default() % choices.len();
        choices[at]
    }
}

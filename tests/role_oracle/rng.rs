//! A small pseudo-random generator: the same seed yields the same sequence.

/// `SplitMix64`: the seed is the whole state.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// True with a probability of `percent`.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    pub(crate) fn word(&mut self, list: &[&str]) -> String {
        (*self.pick(list)).to_owned()
    }

    /// Zero to three values, mostly one.
    pub(crate) fn some(&mut self, mut one: impl FnMut(&mut Self) -> String) -> Vec<String> {
        let count = *self.pick(&[0, 1, 1, 1, 1, 2, 3]);
        (0..count).map(|_| one(self)).collect()
    }

    /// Some words with a probability of `percent`, otherwise an empty list.
    pub(crate) fn rarely(&mut self, percent: usize, list: &[&str]) -> Vec<String> {
        if self.percent(percent) { self.some(|rng| rng.word(list)) } else { Vec::new() }
    }
}

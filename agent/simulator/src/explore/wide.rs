//! A hash of 128 bits, wide enough to stand for what it was made of.
//!
//! With ten million states the chance that any two of them share a hash is below 10⁻²⁴.

use std::hash::{Hash, Hasher};

/// Two lanes, each folded by a multiplication into 128 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide {
    one: u64,
    other: u64,
}

const ONE: u64 = 0x9e37_79b9_7f4a_7c15;
const OTHER: u64 = 0xd1b5_4a32_d192_ed03;

impl Wide {
    /// Returns the hash of a value.
    pub(super) fn of(value: &impl Hash) -> u128 {
        let mut hasher = Self { one: ONE, other: OTHER };
        value.hash(&mut hasher);
        hasher.take(0);
        u128::from(hasher.one) << 64 | u128::from(hasher.other)
    }

    fn take(&mut self, word: u64) {
        self.one = fold(self.one ^ word, OTHER).wrapping_add(ONE);
        self.other = fold(self.other.rotate_left(29).wrapping_add(word), ONE) ^ word;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
const fn fold(word: u64, by: u64) -> u64 {
    let product = word as u128 * by as u128;
    product as u64 ^ (product >> 64) as u64
}

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(1, |word, byte| word << 8 | u64::from(*byte));
            self.take(word);
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.take(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.take(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.take(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.take(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.take(word.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        self.one ^ self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_million_near_neighbours_all_differ_in_either_half() {
        let hashes: Vec<u128> =
            (0..1_000_000_u64).map(|it| Wide::of(&(it / 1000, it % 1000, "nfs"))).collect();
        let high: BTreeSet<u128> = hashes.iter().map(|hash| hash >> 64).collect();
        let low: BTreeSet<u128> = hashes.iter().map(|hash| hash << 64).collect();
        assert_eq!((high.len(), low.len()), (1_000_000, 1_000_000));
    }

    #[test]
    fn what_is_written_together_is_not_what_is_written_apart() {
        assert_ne!(Wide::of(&("ab", "c")), Wide::of(&("a", "bc")));
        assert_ne!(Wide::of(&(1_u64, 0_u64)), Wide::of(&(0_u64, 1_u64)));
        assert_ne!(Wide::of(&[0_u8; 7].as_slice()), Wide::of(&[0_u8; 8].as_slice()));
    }
}

//! Which numbers are there, as ranges: whatever order they come in, and however many come again.

use core::ops::RangeInclusive;
use std::collections::BTreeMap;

/// Numbers that are there, by the first of each range; the ranges neither touch nor overlap.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<i64, i64>);

impl Known {
    /// Adds a range.
    pub(super) fn add(&mut self, first: i64, last: i64) {
        let (mut first, mut last) = (first, last.max(first));
        // All that touch it become one with it.
        while let Some((&start, &end)) = self.0.range(..=last.saturating_add(1)).next_back() {
            if end < first.saturating_sub(1) {
                break;
            }
            self.0.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.0.insert(first, last);
    }

    /// How many ranges.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is missing between 1 and the newest that is there: before the first that is there, and after it.
    pub(super) fn missing(&self) -> (Option<RangeInclusive<i64>>, Vec<RangeInclusive<i64>>) {
        let first = self.0.keys().next().copied().unwrap_or(1);
        let before = (first > 1).then(|| 1..=first - 1);
        let ends = self.0.values().zip(self.0.keys().skip(1));
        (before, ends.map(|(end, next)| end + 1..=next - 1).collect())
    }

    /// The newest; 0 where there is none.
    pub(super) fn newest(&self) -> i64 {
        self.0.values().next_back().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom as _;
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn what_is_missing_does_not_depend_on_the_order() {
        for seed in 0..200 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut there: Vec<i64> = (1..200).filter(|_| random.random_range(0..4) > 0).collect();
            let mut known = Known::default();
            there.extend_from_within(..20);
            there.shuffle(&mut random);
            for number in &there {
                known.add(*number, *number);
            }
            let (before, between) = known.missing();
            let told: Vec<i64> = before.into_iter().chain(between).flatten().collect();
            let newest = there.iter().max().copied().unwrap();
            let missing: Vec<i64> = (1..newest).filter(|number| !there.contains(number)).collect();
            assert_eq!((told, known.newest()), (missing, newest), "seed {seed}");
        }
    }

    #[test]
    fn ranges_swallow_what_they_touch_and_ends_of_numbers_are_no_trouble() {
        let mut known = Known::default();
        for (first, last) in [(5, 6), (9, 12), (20, 20), (7, 8), (4, 21)] {
            known.add(first, last);
        }
        assert_eq!((known.len(), known.missing()), (1, (Some(1..=3), vec![])));
        known.add(i64::MAX, i64::MAX);
        known.add(i64::MIN, i64::MIN);
        assert_eq!(known.missing(), (None, vec![i64::MIN + 1..=3, 22..=i64::MAX - 1]));
    }
}

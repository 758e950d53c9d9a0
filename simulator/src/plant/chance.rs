//! Seeded chance: one stream of random numbers for each thing of a home, so that a change to one leaves
//! the others as they were.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A stream of random numbers that belongs to one thing.
#[derive(Debug, Clone)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of thing number `entity` in the home of this seed.
    pub(crate) fn new(seed: u64, entity: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(entity);
        Self(generator)
    }

    /// Uniform in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }

    /// Uniform in `low..high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Normal with mean 0 and deviation 1.
    pub(crate) fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// One of several, each equally likely; `choices` is never empty where this is called.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[((self.unit() * choices.len() as f64) as usize).min(choices.len() - 1)]
    }
}

/// Numbers of the streams, apart for things that are not appliances.
pub(crate) mod stream {
    pub(crate) const HOME: u64 = 1;
    pub(crate) const SKY: u64 = 2;
    pub(crate) const AIR: u64 = 3;
    /// Appliance number n has the stream `APPLIANCE + n`.
    pub(crate) const APPLIANCE: u64 = 100;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entity_has_a_stream_of_its_own() {
        let draws = |seed, entity| {
            let mut chance = Chance::new(seed, entity);
            core::array::from_fn::<f64, 8, _>(|_| chance.unit())
        };
        assert_eq!(draws(1, stream::SKY), draws(1, stream::SKY));
        assert_ne!(draws(1, stream::SKY), draws(1, stream::AIR));
        assert_ne!(draws(1, stream::SKY), draws(2, stream::SKY));
    }
}

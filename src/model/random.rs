//! Random numbers that are the same for a seed on every machine and with every number of threads.

use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// A stream of random numbers. Each piece of work that may run on a thread of its own has its own stream.
#[derive(Debug, Clone)]
pub struct Random(Xoshiro256Plus);

impl Random {
    /// The stream of this number under the seed.
    pub fn new(seed: u64, stream: u64) -> Self {
        // An odd constant keeps neighbouring seeds and streams apart; seeding then mixes all bits (SplitMix64).
        Self(Xoshiro256Plus::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(stream)))
    }

    /// The generator itself, for libraries that ask for one.
    pub fn generator(self) -> Xoshiro256Plus {
        self.0
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..bound; the bias of at most bound / 2⁶⁴ does not matter here.
    ///
    /// # Panics
    /// The bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "nothing to draw from");
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// `count` different numbers of 0..bound in ascending order, or all of them where there are no more.
    pub fn sample(&mut self, bound: usize, count: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..bound).collect();
        if count < bound {
            for place in 0..count {
                let other = place + self.below(bound - place);
                numbers.swap(place, other);
            }
            numbers.truncate(count);
            numbers.sort_unstable();
        }
        numbers
    }

    /// Standard normal (Box and Muller).
    #[cfg(test)]
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_different_numbers_and_every_number_has_its_chance() {
        let mut counts = [0; 10];
        for stream in 0..3000 {
            let sample = Random::new(1, stream).sample(10, 3);
            assert!(sample.windows(2).all(|pair| pair[0] < pair[1]) && sample.len() == 3);
            sample.iter().for_each(|number| counts[*number] += 1);
        }
        assert!(counts.iter().all(|count| (800..1000).contains(count)), "{counts:?}");
        assert_eq!(Random::new(1, 0).sample(2, 5), [0, 1]);
    }
}

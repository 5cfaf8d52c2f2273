//! [`Stream`]: random numbers that are the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random numbers, named by its key alone: no draw of one stream moves another.
pub(super) struct Stream {
    generator: ChaCha8Rng,
    spare: Option<f64>,
}

impl Stream {
    /// The key becomes the key of `ChaCha8`, little-endian.
    pub(super) fn new(key: [u64; 4]) -> Self {
        let mut seed = [0; 32];
        for (bytes, word) in seed.chunks_exact_mut(8).zip(key) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self { generator: ChaCha8Rng::from_seed(seed), spare: None }
    }

    /// Uniform in `[0, 1)`, a multiple of 2^-53.
    pub(super) fn unit(&mut self) -> f64 {
        (self.generator.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`.
    pub(super) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `low .. high` (`low` where that is empty), by Lemire's multiplication; its bias is below 2^-32 here.
    pub(super) fn below(&mut self, low: usize, high: usize) -> usize {
        let width = high.saturating_sub(low) as u64;
        low + ((u128::from(self.generator.next_u64()) * u128::from(width)) >> 64) as usize
    }

    /// Standard normal, by Box and Muller (1958).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 - u is in (0, 1]: its logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        let (sin, cos) = libm::sincos(std::f64::consts::TAU * self.unit());
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_are_normal() {
        let mut stream = Stream::new([1, 2, 3, 4]);
        let n = 200_000;
        let (mut sum, mut square, mut fourth) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let x = stream.normal();
            sum += x;
            square += x * x;
            fourth += x * x * x * x;
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.01, "{}", sum / n);
        assert!((square / n - 1.0).abs() < 0.015, "{}", square / n);
        assert!((fourth / n - 3.0).abs() < 0.1, "{}", fourth / n);
    }

    #[test]
    fn integers_stay_in_range_and_reach_its_ends() {
        let mut stream = Stream::new([0; 4]);
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            seen[stream.below(3, 8) - 3] += 1;
        }
        assert!(seen.iter().all(|n| *n > 150), "{seen:?}");
        assert_eq!(stream.below(4, 4), 4);
    }
}

//! [`Lanes`]: vectors of f32 for the warp's inner loop, by AVX2 where there is and by plain arrays elsewhere.
//!
//! Every implementation gives the same bits: each operation is rounded as IEEE 754 says, and sums across lanes are taken
//! by halves.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

/// Arithmetic on vectors of `L` values.
pub(super) trait Lanes<const L: usize>: Copy {
    type Vector: Copy;

    fn load(self, values: &[f32; L]) -> Self::Vector;
    fn store(self, vector: Self::Vector) -> [f32; L];
    fn splat(self, value: f32) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a b + c`, rounded once.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// Sum of all lanes: the upper half is added to the lower, until one is left.
    fn across(self, vector: Self::Vector) -> f32;
}

/// Arrays, which the compiler may turn into whatever vectors the target has.
#[derive(Clone, Copy)]
pub(super) struct Arrays;

impl<const L: usize> Lanes<L> for Arrays {
    type Vector = [f32; L];

    #[inline(always)]
    fn load(self, values: &[f32; L]) -> [f32; L] {
        *values
    }

    #[inline(always)]
    fn store(self, vector: [f32; L]) -> [f32; L] {
        vector
    }

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; L] {
        [value; L]
    }

    #[inline(always)]
    fn mul(self, mut a: [f32; L], b: [f32; L]) -> [f32; L] {
        for k in 0..L {
            a[k] *= b[k];
        }
        a
    }

    #[inline(always)]
    fn mul_add(self, a: [f32; L], b: [f32; L], mut c: [f32; L]) -> [f32; L] {
        for k in 0..L {
            c[k] = a[k].mul_add(b[k], c[k]);
        }
        c
    }

    #[inline(always)]
    fn across(self, mut lanes: [f32; L]) -> f32 {
        let mut half = L / 2;
        while half > 0 {
            for k in 0..half {
                lanes[k] += lanes[k + half];
            }
            half /= 2;
        }
        lanes[0]
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes<8> for pulp::x86::V3 {
    type Vector = std::arch::x86_64::__m256;

    #[inline(always)]
    fn load(self, values: &[f32; 8]) -> Self::Vector {
        pulp::cast(*values)
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector) -> [f32; 8] {
        pulp::cast(vector)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Vector {
        self.avx._mm256_set1_ps(value)
    }

    #[inline(always)]
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        self.avx._mm256_mul_ps(a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.fma._mm256_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    fn across(self, vector: Self::Vector) -> f32 {
        let (low, high) = (self.avx._mm256_castps256_ps128(vector), self.avx._mm256_extractf128_ps::<1>(vector));
        let four = self.sse._mm_add_ps(low, high);
        let two = self.sse._mm_add_ps(four, self.sse._mm_movehl_ps(four, four));
        self.sse._mm_cvtss_f32(self.sse._mm_add_ss(two, self.sse3._mm_movehdup_ps(two)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn vectors_and_arrays_agree_to_the_bit() {
        let Some(v3) = pulp::x86::V3::try_new() else {
            eprintln!("skipped: this machine has no AVX2");
            return;
        };
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 1e5 - 80.0
        };
        for _ in 0..1000 {
            let [a, b, c]: [[f32; 8]; 3] = std::array::from_fn(|_| std::array::from_fn(|_| next()));
            let fast = v3.mul_add(v3.load(&a), v3.load(&b), v3.mul(v3.load(&c), v3.splat(c[0])));
            let slow = Arrays.mul_add(a, b, Arrays.mul(c, Arrays.splat(c[0])));
            assert_eq!(v3.store(fast).map(f32::to_bits), slow.map(f32::to_bits));
            assert_eq!(v3.across(fast).to_bits(), Arrays.across(slow).to_bits());
        }
    }
}

//! On which side of a great circle does a point lie? Answered exactly.
//!
//! Coordinates are taken as the exact numbers they are. A determinant in plain floating point decides nearly always; when it is
//! smaller than its own rounding error the six products are added without rounding (J. R. Shewchuk, "Adaptive
//! Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates", 1997, sections 2.3 to 2.5).

use super::UnitVector;

/// Rounding error of the 3 x 3 determinant of unit vectors. Five roundings on the way of each of the six products give
/// `5 u perm`, and the permanent of a matrix with unit rows is at most `6 / 3^1.5`: 6.5e-16 in all.
pub(super) const FILTER: f64 = 1e-15;

/// With coordinates smaller than this (2^-200, or 10^-55 arcsec) the parts of a product could underflow: integers decide.
const TINY: f64 = 1.0 / ((1_u128 << 100) as f64) / ((1_u128 << 100) as f64);

/// The sign of the determinant `(a x b) . c`, exactly: `1` when `c` lies to the left of the great circle from `a` to
/// `b` (so `a`, `b`, `c` run counter-clockwise seen from outside), `-1` to the right, `0` when the three lie on one great
/// circle.
///
/// The coordinates need not be of a unit vector to the last bit; they are taken as the exact numbers they are. With a coordinate that is not
/// finite the answer is `0`.
///
/// ```
/// use bunter::{LonLat, orientation};
///
/// let [a, b, c] = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)].map(|(lon, lat)| LonLat::from_degrees(lon, lat).to_unit());
/// assert_eq!(orientation(a, b, c), 1);
/// assert_eq!(orientation(b, a, c), -1);
/// assert_eq!(orientation(a, b, a), 0);
/// ```
pub fn orientation(a: UnitVector, b: UnitVector, c: UnitVector) -> i32 {
    let p = [b.y * c.z, b.z * c.y, b.z * c.x, b.x * c.z, b.x * c.y, b.y * c.x];
    let det = a.x * (p[0] - p[1]) + a.y * (p[2] - p[3]) + a.z * (p[4] - p[5]);
    let permanent = a.x.abs() * (p[0].abs() + p[1].abs())
        + a.y.abs() * (p[2].abs() + p[3].abs())
        + a.z.abs() * (p[4].abs() + p[5].abs());
    // 8 u: five roundings of the determinant, and those of the permanent itself.
    let bound = permanent * (4.0 * f64::EPSILON);
    // Products far above where doubles end: their errors are relative ones.
    let sound = permanent > 1e-270;
    if sound && det > bound {
        1
    } else if sound && det < -bound {
        -1
    } else {
        orientation_exact(a, b, c)
    }
}

/// The sign by exact arithmetic alone.
#[cold]
pub(super) fn orientation_exact(a: UnitVector, b: UnitVector, c: UnitVector) -> i32 {
    if a == b || b == c || c == a {
        return 0;
    }
    let [a, b, c] = [a, b, c].map(|v| [v.x, v.y, v.z]);
    let all = [a, b, c];
    if !all.as_flattened().iter().all(|t| t.is_finite()) {
        return 0;
    }
    if all.as_flattened().iter().any(|t| *t != 0.0 && !(TINY..=2.0).contains(&t.abs())) {
        return wide_sign(a, b, c);
    }
    let mut sum = Expansion::default();
    for (i, j, k) in [(0, 1, 2), (1, 2, 0), (2, 0, 1)] {
        sum.add_product(a[i], b[j], c[k]);
        sum.add_product(-a[i], b[k], c[j]);
    }
    sum.sign()
}

/// A number as the exact sum of doubles that do not overlap, smallest first.
#[derive(Default)]
struct Expansion {
    parts: [f64; 24],
    len: usize,
}

impl Expansion {
    fn add_product(&mut self, a: f64, b: f64, c: f64) {
        let (high, low) = two_product(b, c);
        for factor in [high, low] {
            let (high, low) = two_product(a, factor);
            self.add(low);
            self.add(high);
        }
    }

    /// Shewchuk's GROW-EXPANSION, leaving zeros out.
    fn add(&mut self, term: f64) {
        let mut q = term;
        let mut kept = 0;
        for i in 0..self.len {
            let (high, low) = two_sum(q, self.parts[i]);
            q = high;
            if low != 0.0 {
                self.parts[kept] = low;
                kept += 1;
            }
        }
        if q != 0.0 {
            self.parts[kept] = q;
            kept += 1;
        }
        self.len = kept;
    }

    fn sign(&self) -> i32 {
        match self.len.checked_sub(1).map(|last| self.parts[last]) {
            Some(top) if top > 0.0 => 1,
            Some(top) if top < 0.0 => -1,
            _ => 0,
        }
    }
}

/// The sign by integers: every double is a multiple of 2^-1074.
fn wide_sign(a: [f64; 3], b: [f64; 3], c: [f64; 3]) -> i32 {
    let mut sum = Wide([0; Wide::LIMBS]);
    for (i, j, k) in [(0, 1, 2), (1, 2, 0), (2, 0, 1)] {
        sum.add_product(a[i], b[j], c[k]);
        sum.add_product(-a[i], b[k], c[j]);
    }
    sum.sign()
}

/// A multiple of 2^-3222 in two's complement, lowest limb first.
struct Wide([u64; Wide::LIMBS]);

impl Wide {
    /// Three exponents from -1074 to 971, three 53 bits, and room for six products and a sign.
    const LIMBS: usize = (3 * (1074 + 971) + 3 * 53 + 4) / 64 + 1;

    /// A finite double as an integer and a power of two.
    fn parts(v: f64) -> (u64, u32) {
        let (exponent, mantissa) = ((v.to_bits() >> 52 & 0x7ff) as u32, v.to_bits() & ((1 << 52) - 1));
        if exponent == 0 { (mantissa, 0) } else { (mantissa | 1 << 52, exponent - 1) }
    }

    fn add_product(&mut self, a: f64, b: f64, c: f64) {
        let ((p, p_shift), (q, q_shift), (r, r_shift)) = (Self::parts(a), Self::parts(b), Self::parts(c));
        let pq = u128::from(p) * u128::from(q);
        let low = u128::from(pq as u64) * u128::from(r);
        let high = (pq >> 64) * u128::from(r) + (low >> 64);
        let shift = p_shift + q_shift + r_shift;
        let (at, bits) = ((shift / 64) as usize, shift % 64);
        let limbs = [low as u64, high as u64, (high >> 64) as u64];
        let negative = a.is_sign_negative() ^ b.is_sign_negative() ^ c.is_sign_negative();
        let mut carry = false;
        for (i, own) in self.0[at..].iter_mut().enumerate() {
            let limb = |i: usize| limbs.get(i).copied().unwrap_or(0);
            // A shift by 64 is none.
            let below = if bits == 0 || i == 0 { 0 } else { limb(i - 1) >> (64 - bits) };
            let word = limb(i) << bits | below;
            let (sum, first) = if negative { own.overflowing_sub(word) } else { own.overflowing_add(word) };
            let (sum, second) =
                if negative { sum.overflowing_sub(u64::from(carry)) } else { sum.overflowing_add(u64::from(carry)) };
            *own = sum;
            carry = first || second;
            if i > limbs.len() && !carry {
                break;
            }
        }
    }

    fn sign(&self) -> i32 {
        if self.0[Self::LIMBS - 1] >> 63 == 1 { -1 } else { i32::from(self.0.iter().any(|limb| *limb != 0)) }
    }
}

fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_virtual = sum - a;
    (sum, (a - (sum - b_virtual)) + (b - b_virtual))
}

fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sign by integers: coordinates that are multiples of 2^-40 need 120 bits.
    fn by_integers(m: [[i64; 3]; 3]) -> i32 {
        let m = m.map(|r| r.map(i128::from));
        let det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            + m[0][1] * (m[1][2] * m[2][0] - m[1][0] * m[2][2])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
        det.signum() as i32
    }

    fn vector(r: [i64; 3]) -> UnitVector {
        let scale = 1.0 / (1_i64 << 40) as f64;
        UnitVector { x: r[0] as f64 * scale, y: r[1] as f64 * scale, z: r[2] as f64 * scale }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(3), failure_persistence: None, ..proptest::prelude::ProptestConfig::default() })]

        #[test]
        fn agrees_with_integers(
            a in proptest::array::uniform3(-(1_i64 << 40)..(1_i64 << 40)),
            b in proptest::array::uniform3(-(1_i64 << 40)..(1_i64 << 40)),
            s in -3_i64..4, t in -3_i64..4,
            nudge in proptest::array::uniform3(-1_i64..2),
        ) {
            // A combination of the first two, at most one unit away: the hard case.
            let (a, b) = (a.map(|v| v / 8), b.map(|v| v / 8));
            let c: [i64; 3] = std::array::from_fn(|i| s * a[i] + t * b[i] + nudge[i]);
            let expected = by_integers([a, b, c]);
            proptest::prop_assert_eq!(orientation(vector(a), vector(b), vector(c)), expected);
            proptest::prop_assert_eq!(orientation(vector(b), vector(a), vector(c)), -expected);
            if ![a, b, c].contains(&[0; 3]) {
                proptest::prop_assert_eq!(orientation_exact(vector(c), vector(a), vector(b)), expected);
            }
            // The same number a thousand binary places below: integers decide.
            let far = |r: [i64; 3]| r.map(|v| v as f64 * f64::from_bits(1));
            proptest::prop_assert_eq!(wide_sign(far(b), far(c), far(a)), expected);
            let [x, y, z] = [a, b, c].map(|r| { let v = vector(r); [v.x, v.y, v.z] });
            proptest::prop_assert_eq!(wide_sign(y, far(c), x.map(|t| 2_f64.powi(900) * t)), by_integers([b, c, a]));
            proptest::prop_assert_eq!(wide_sign(z, x, y), expected);
        }
    }

    #[test]
    fn one_last_bit_decides() {
        let up = |v: f64| f64::from_bits(v.to_bits() + 1);
        let a = UnitVector { x: 1.0, y: 0.0, z: 0.0 };
        let b = UnitVector { x: 0.6, y: 0.8, z: 0.0 };
        let on = UnitVector { x: 0.8, y: 0.6, z: 0.0 };
        assert_eq!(orientation(a, b, on), 0);
        for little in [1e-59, 1e-100, 1e-300, f64::from_bits(1)] {
            assert_eq!(orientation(a, b, UnitVector { z: little, ..on }), 1);
            assert_eq!(orientation(a, b, UnitVector { z: -little, ..on }), -1);
        }
        let tilted = UnitVector { x: 0.6, y: 0.8, z: 0.25 };
        let doubled = UnitVector { x: 0.3, y: 0.4, z: 0.125 };
        assert_eq!(orientation(a, tilted, doubled), 0);
        assert_eq!(orientation(a, tilted, UnitVector { z: up(0.125), ..doubled }), 1);
        assert_eq!(orientation(a, tilted, UnitVector { x: f64::NAN, ..doubled }), 0);
    }
}

//! Inner loops over a few thousand rows at most. They are plain Rust that the compiler turns into vectors of the
//! instruction set chosen by the caller; none of them branches on a value.
//!
//! Range checks do not stop a loop: they gather bits, and only when the gathered bits say that some row does not fit are
//! the rows looked at one by one.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use super::column::Int;

/// Rows of a block: a few columns of it stay in the first-level cache.
pub(super) const STEP: usize = 1024;

/// Gathers whether any of the numbers it sees is above `span`.
#[derive(Clone, Copy)]
struct Above {
    span: u64,
    seen: u64,
}

impl Above {
    #[inline(always)]
    fn new(span: u64) -> Self {
        Self { span, seen: 0 }
    }

    /// For a span below 2^63: the top bit of `t`, or of `span - t`, is set just when `t` is above it.
    #[inline(always)]
    fn look(&mut self, t: u64) {
        self.seen |= t | self.span.wrapping_sub(t);
    }

    /// For any span.
    #[inline(always)]
    fn look_wide(&mut self, t: u64) {
        self.seen |= u64::from(t > self.span) << 63;
    }

    #[inline(always)]
    fn found(self) -> bool {
        self.seen >> 63 != 0
    }
}

const LOW: u64 = 0xffff_ffff;

/// `out = base + (value - low) weight`, or `out += …` when there is no base; whether any value is not `low` to `low + span`.
#[inline(always)]
pub(super) fn add<T: Int>(values: &[T], low: u64, span: u64, weight: u64, base: Option<u64>, out: &mut [u64]) -> bool {
    match base {
        Some(base) => {
            // The first column writes, so that the output is passed over once less.
            weighted(values, low, span, weight, out, move |_, term| base.wrapping_add(term))
        }
        None => weighted(values, low, span, weight, out, u64::wrapping_add),
    }
}

#[inline(always)]
fn weighted<T: Int>(
    values: &[T],
    low: u64,
    span: u64,
    weight: u64,
    out: &mut [u64],
    put: impl Fn(u64, u64) -> u64,
) -> bool {
    let mut above = Above::new(span);
    if span >> 63 != 0 {
        for (sum, value) in out.iter_mut().zip(values) {
            let t = value.widen().wrapping_sub(low);
            above.look_wide(t);
            *sum = put(*sum, t.wrapping_mul(weight));
        }
    } else if weight.is_power_of_two() {
        let shift = weight.trailing_zeros();
        for (sum, value) in out.iter_mut().zip(values) {
            let t = value.widen().wrapping_sub(low);
            above.look(t);
            *sum = put(*sum, t << shift);
        }
    } else if span <= LOW && weight <= LOW {
        // A product of two halves is one instruction, of two wholes it is many.
        for (sum, value) in out.iter_mut().zip(values) {
            let t = value.widen().wrapping_sub(low);
            above.look(t);
            *sum = put(*sum, (t & LOW) * (weight & LOW));
        }
    } else {
        for (sum, value) in out.iter_mut().zip(values) {
            let t = value.widen().wrapping_sub(low);
            above.look(t);
            *sum = put(*sum, t.wrapping_mul(weight));
        }
    }
    above.found()
}

/// `out = value - low`.
#[inline(always)]
pub(super) fn codes_of<T: Int>(values: impl Iterator<Item = T>, low: u64, out: &mut [u64]) {
    for (code, value) in out.iter_mut().zip(values) {
        *code = value.widen().wrapping_sub(low);
    }
}

/// Whether any code is above `top`.
#[inline(always)]
pub(super) fn any_above(codes: &[u64], top: u64) -> bool {
    let mut above = Above::new(top);
    if top >> 63 == 0 {
        for c in codes {
            above.look(*c);
        }
    } else {
        for c in codes {
            above.look_wide(*c);
        }
    }
    above.found()
}

/// Whether what `shift` and `mask` take out of any number is above `top`.
#[inline(always)]
pub(super) fn any_digits_above(numbers: &[u64], shift: u32, mask: u64, top: u64) -> bool {
    let mut above = Above::new(top);
    if mask >> 63 == 0 {
        for n in numbers {
            above.look((n >> shift) & mask);
        }
    } else {
        for n in numbers {
            above.look_wide((n >> shift) & mask);
        }
    }
    above.found()
}

/// Whether any number has one of the bits `forbidden`.
#[inline(always)]
pub(super) fn any_bits(numbers: &[u64], forbidden: u64) -> bool {
    numbers.iter().fold(0, |seen, n| seen | n) & forbidden != 0
}

/// The bits of one field: `out = first + (number >> shift & mask)`.
#[inline(always)]
pub(super) fn bits<T: Int>(numbers: &[u64], shift: u32, mask: u64, first: u64, out: &mut [T]) {
    for (out, number) in out.iter_mut().zip(numbers) {
        *out = T::narrow(((number >> shift) & mask).wrapping_add(first));
    }
}

/// 2^52: from here to 2^53, floating-point numbers are the integers.
pub(super) const INTEGERS: f64 = 4_503_599_627_370_496.0;
/// Numbers below this are exact in every step of [`Divisor`].
pub(super) const EXACT: u64 = 1 << 52;

/// An integer below 2^52 as floating point.
#[inline(always)]
fn float(integer: u64) -> f64 {
    f64::from_bits(integer | INTEGERS.to_bits()) - INTEGERS
}

/// The bits of a mixed radix as floating point.
#[inline(always)]
pub(super) fn floats(numbers: &[u64], shift: u32, mask: u64, out: &mut [f64]) {
    for (out, number) in out.iter_mut().zip(numbers) {
        *out = float((number >> shift) & mask);
    }
}

/// A divisor of integers below 2^52, at least 2.
///
/// A quotient comes from a multiplication by the rounded reciprocal. With x < 2^52 and d ≥ 3 the product is off by at
/// most x/d 2^-52 < 1/3, the nearest integer to it by less than 5/6: the remainder x - q d, which is exact, is above -d and
/// below d, and one correction makes it right. For d = 2 the product is exact. It works on four numbers
/// at a time where the machine has vectors of 256 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Divisor {
    pub(super) by: f64,
    pub(super) reciprocal: f64,
}

impl Divisor {
    pub(super) fn new(by: u64) -> Self {
        let by = by as f64;
        Self { by, reciprocal: 1.0 / by }
    }

    /// Quotient and remainder.
    #[inline(always)]
    fn divide(self, x: f64) -> (f64, f64) {
        let q = (x * self.reciprocal + INTEGERS) - INTEGERS;
        let r = x - q * self.by;
        let low = r < 0.0;
        (if low { q - 1.0 } else { q }, if low { r + self.by } else { r })
    }
}

/// Takes a digit out: `out = first + x mod d`, `x = x / d`.
#[inline(always)]
pub(super) fn digit<T: Int>(x: &mut [f64], divisor: Divisor, first: u64, out: &mut [T]) {
    let first = first.wrapping_sub(INTEGERS.to_bits());
    for (x, out) in x.iter_mut().zip(out) {
        let (q, r) = divisor.divide(*x);
        *x = q;
        *out = T::narrow((r + INTEGERS).to_bits().wrapping_add(first));
    }
}

/// Takes a digit out that nobody asked for.
#[inline(always)]
pub(super) fn skip_digit(x: &mut [f64], divisor: Divisor) {
    for x in x {
        *x = divisor.divide(*x).0;
    }
}

/// The last digit: what is left.
#[inline(always)]
pub(super) fn last_digit<T: Int>(x: &[f64], first: u64, out: &mut [T]) {
    let first = first.wrapping_sub(INTEGERS.to_bits());
    for (x, out) in x.iter().zip(out) {
        *out = T::narrow((x + INTEGERS).to_bits().wrapping_add(first));
    }
}

/// A divisor of any 64-bit integers, at least 2.
#[derive(Clone, Copy, Debug)]
pub(super) enum WideDivisor {
    Shift(u32),
    /// The divisor and 2^64 / d, rounded down: the high half of the product is the quotient or one less.
    Reciprocal(u64, u64),
}

impl WideDivisor {
    pub(super) fn new(by: u64) -> Self {
        if by.is_power_of_two() { Self::Shift(by.trailing_zeros()) } else { Self::Reciprocal(by, u64::MAX / by) }
    }
}

/// Takes a digit out of numbers of 2^52 and above: `out = x mod d`, `x = x / d`.
#[inline(always)]
pub(super) fn wide_digit(x: &mut [u64], divisor: WideDivisor, out: &mut [u64]) {
    match divisor {
        WideDivisor::Shift(shift) => {
            let mask = (1 << shift) - 1;
            for (x, out) in x.iter_mut().zip(out) {
                *out = *x & mask;
                *x >>= shift;
            }
        }
        WideDivisor::Reciprocal(by, reciprocal) => {
            for (x, out) in x.iter_mut().zip(out) {
                let q = ((u128::from(*x) * u128::from(reciprocal)) >> 64) as u64;
                let r = *x - q * by;
                let low = r >= by;
                *x = q + u64::from(low);
                *out = r - if low { by } else { 0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Divisors and numbers where a rounded reciprocal is most likely to be off.
    #[test]
    fn quotients_are_exact_up_to_the_last_number() {
        let mut divisors: Vec<u64> = (2..200).collect();
        for k in 1..52 {
            divisors.extend([(1_u64 << k) - 1, 1 << k, (1 << k) + 1, (1_u64 << k) / 3 + 1, 3_u64.pow(k.min(32))]);
        }
        divisors.retain(|d| (2..EXACT).contains(d));
        let mut checked = 0;
        for by in divisors {
            let divisor = Divisor::new(by);
            let wide = WideDivisor::new(by);
            let last = (EXACT - 1) / by;
            let quotients = [0, 1, 2, 3, last / 3, last / 2, last.saturating_sub(1), last];
            let near = quotients.iter().flat_map(|q| [q * by, (q * by).wrapping_sub(1), q * by + 1, q * by + by / 2]);
            for x in near.chain([EXACT - 1, EXACT - 2, EXACT / 2]).filter(|x| *x < EXACT) {
                let (q, r) = divisor.divide(float(x));
                assert_eq!((q as u64, r as u64), (x / by, x % by), "{x} / {by}");
                // The same with all the bits that there are.
                for x in [x, x << 12, x << 12 | 4095, u64::MAX - x] {
                    let (mut quotient, mut remainder) = ([x], [0]);
                    wide_digit(&mut quotient, wide, &mut remainder);
                    assert_eq!((quotient[0], remainder[0]), (x / by, x % by), "{x} / {by}");
                }
                checked += 1;
            }
        }
        assert!(checked > 5000, "{checked}");
    }

    #[test]
    fn range_checks_see_every_value() {
        for span in [0, 1, 80, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX] {
            for value in [0, span / 2, span, span.wrapping_add(1), u64::MAX, 1 << 63, (1 << 63) - 1] {
                for weight in [1, 8, 81, 1 << 33, 12345 << 30] {
                    let (mut out, values) = ([7, 7, 7], [0, value, 0]);
                    assert_eq!(add(&values, 0, span, weight, None, &mut out), value > span, "{value} of {span}");
                    if value <= span {
                        assert_eq!(out[1], value.wrapping_mul(weight).wrapping_add(7));
                    }
                }
                assert_eq!(any_above(&[0, value], span), value > span);
            }
        }
    }
}

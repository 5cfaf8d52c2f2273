//! The passes in AVX2. Loads and stores of vectors take pointers, which is what is unsafe here.

#![expect(unsafe_code, reason = "stores past the caches exist only as instructions on pointers")]

use std::arch::x86_64::{
    __m256d, __m256i, _CMP_LT_OQ, _mm_cvtsi32_si128, _mm_sfence, _mm256_add_epi64, _mm256_add_pd, _mm256_and_pd,
    _mm256_and_si256, _mm256_castpd_si256, _mm256_castsi256_pd, _mm256_cmp_pd, _mm256_cmpgt_epi64, _mm256_loadu_si256,
    _mm256_movemask_pd, _mm256_mul_epu32, _mm256_mul_pd, _mm256_or_si256, _mm256_set1_epi64x, _mm256_set1_pd,
    _mm256_setzero_pd, _mm256_sll_epi64, _mm256_slli_epi64, _mm256_srl_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_stream_si256, _mm256_sub_epi64, _mm256_sub_pd, _mm256_testz_si256, _mm256_xor_si256,
};
use std::array;

use super::{Apart, MOST, Term};
use crate::dimension::pack::kernels::INTEGERS;

/// Rows of a line: what is worked on at once, and a cache line of output.
const LINE: usize = 8;
type Line = [u64; LINE];
/// A line in registers.
type Vectors = [__m256i; 2];

/// Rows before the first whole line of an output, and after them those in whole lines.
fn parts(out: &[u64]) -> (usize, usize) {
    let before = (out.as_ptr().align_offset(64)).min(out.len());
    (before, (out.len() - before) / LINE)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(line: &Line) -> Vectors {
    let at = line.as_ptr();
    // SAFETY: both halves of the line, 32 bytes each, may be read; the instruction asks for no alignment.
    unsafe { [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(4).cast())] }
}

/// Writes a line, past the caches with `STREAM`, for which it must lie at a multiple of 64 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn store<const STREAM: bool>(line: &mut Line, [low, high]: Vectors) {
    debug_assert!(!STREAM || line.as_ptr().addr().is_multiple_of(64));
    let at = line.as_mut_ptr();
    // SAFETY: both halves of the line, 32 bytes each, may be written. Stores past the caches ask for multiples of 32: `pack` and
    // `unpack` choose `STREAM` only for outputs whose lines lie at multiples of 64.
    unsafe {
        if STREAM {
            _mm256_stream_si256(at.cast(), low);
            _mm256_stream_si256(at.add(4).cast(), high);
        } else {
            _mm256_storeu_si256(at.cast(), low);
            _mm256_storeu_si256(at.add(4).cast(), high);
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(value: u64) -> __m256i {
    _mm256_set1_epi64x(value as i64)
}

/// Whether a top bit is set.
#[inline]
#[target_feature(enable = "avx2")]
fn any_top_bit([low, high]: Vectors) -> bool {
    _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_or_si256(low, high))) != 0
}

/// See [`super::pack`].
pub(super) fn pack(
    columns: [&[u64]; MOST],
    terms: &[Term],
    base: u64,
    out: &mut [u64],
    past_caches: bool,
) -> Option<bool> {
    if !is_x86_feature_detected!("avx2") {
        return None;
    }
    let multiply = terms.iter().any(|t| t.factor != 0);
    macro_rules! of {
        ($($n:literal),*) => {
            match (terms.len(), multiply, past_caches) {
                // SAFETY: the machine has AVX2.
                $(($n, false, false) => unsafe { pack_all::<$n, false, false>(first(columns), first_terms(terms), base, out) },
                ($n, true, false) => unsafe { pack_all::<$n, true, false>(first(columns), first_terms(terms), base, out) },
                ($n, false, true) => unsafe { pack_all::<$n, false, true>(first(columns), first_terms(terms), base, out) },
                ($n, true, true) => unsafe { pack_all::<$n, true, true>(first(columns), first_terms(terms), base, out) },)*
                _ => return None,
            }
        };
    }
    Some(of!(1, 2, 3, 4))
}

fn first<const N: usize>(columns: [&[u64]; MOST]) -> [&[u64]; N] {
    array::from_fn(|k| columns[k])
}

fn first_terms<const N: usize>(terms: &[Term]) -> [Term; N] {
    array::from_fn(|k| terms[k])
}

#[target_feature(enable = "avx2")]
fn pack_all<const N: usize, const MULTIPLY: bool, const STREAM: bool>(
    columns: [&[u64]; N],
    terms: [Term; N],
    base: u64,
    out: &mut [u64],
) -> bool {
    let columns = columns.map(|c| &c[..out.len()]);
    let (before, lines) = parts(out);
    let after = before + lines * LINE;
    let ins = columns.map(|c| &c[before..after].as_chunks::<LINE>().0[..lines]);
    let outs = &mut out[before..after].as_chunks_mut::<LINE>().0[..lines];
    let mut above = [splat(0); 2];
    for (i, out) in outs.iter_mut().enumerate() {
        let mut sum = [splat(base); 2];
        for k in 0..N {
            let Term { low, span, factor, shift } = terms[k];
            let values = load(&ins[k][i]);
            for h in 0..2 {
                let mut t = _mm256_sub_epi64(values[h], splat(low));
                // The top bit of `t`, or of `span - t`, is set just when `t` is above the span.
                above[h] = _mm256_or_si256(above[h], _mm256_or_si256(t, _mm256_sub_epi64(splat(span), t)));
                if MULTIPLY && factor != 0 {
                    let high = _mm256_mul_epu32(t, splat(factor >> 32));
                    t = _mm256_add_epi64(_mm256_mul_epu32(t, splat(factor)), _mm256_slli_epi64::<32>(high));
                }
                sum[h] = _mm256_add_epi64(sum[h], _mm256_sll_epi64(t, _mm_cvtsi32_si128(shift as i32)));
            }
        }
        store::<STREAM>(out, sum);
    }
    if STREAM {
        _mm_sfence();
    }
    let mut bad = any_top_bit(above);
    for i in (0..before).chain(after..out.len()) {
        out[i] = base;
        for (column, Term { low, span, factor, shift }) in columns.iter().zip(terms) {
            let t = column[i].wrapping_sub(low);
            bad |= t > span;
            out[i] = out[i].wrapping_add(t.wrapping_mul(factor.max(1)) << shift);
        }
    }
    bad
}

/// See [`super::unpack`].
pub(super) fn unpack(apart: &Apart, ids: &[u64], outs: [&mut [u64]; MOST], past_caches: bool) -> Option<bool> {
    if !is_x86_feature_detected!("avx2") {
        return None;
    }
    // Lines of all outputs must begin at the same row.
    let mut places = outs[..apart.len].iter().map(|o| o.as_ptr().addr() % 64);
    let first = places.next()?;
    let stream = past_caches && places.all(|place| place == first);
    macro_rules! of {
        ($(($n:literal, $r:literal)),*) => {
            match (apart.len, apart.digits, stream) {
                // SAFETY: the machine has AVX2.
                $(($n, $r, false) => unsafe { unpack_all::<$n, $r, false>(apart, ids, outs) },
                ($n, $r, true) => unsafe { unpack_all::<$n, $r, true>(apart, ids, outs) },)*
                _ => return None,
            }
        };
    }
    Some(of!((1, 0), (2, 0), (3, 0), (4, 0), (2, 2), (3, 2), (4, 2), (3, 3), (4, 3), (4, 4)))
}

#[target_feature(enable = "avx2")]
fn unpack_all<const N: usize, const DIGITS: usize, const STREAM: bool>(
    apart: &Apart,
    ids: &[u64],
    outs: [&mut [u64]; MOST],
) -> bool {
    let mut outs = outs.into_iter();
    let mut outs: [&mut [u64]; N] = array::from_fn(|_| outs.next().map_or(&mut [][..], |o| &mut o[..ids.len()]));
    let (before, lines) = parts(outs[0]);
    let after = before + lines * LINE;
    let mut bad = false;
    // Rows of no whole line, in a line of their own.
    for rows in [0..before, after..ids.len()] {
        for at in rows.clone().step_by(LINE) {
            let rows = at..rows.end.min(at + LINE);
            let mut some = [[0; LINE]; N];
            let mut line = [0; LINE];
            line[..rows.len()].copy_from_slice(&ids[rows.clone()]);
            // What stands in for the rest must be of the layout.
            line[rows.len()..].fill(ids[at]);
            bad |= unpack_lines::<N, DIGITS, false>(
                apart,
                &[line],
                some.each_mut().map(array::from_mut).map(|o| &mut o[..]),
            );
            for (out, some) in outs.iter_mut().zip(&some) {
                out[rows.clone()].copy_from_slice(&some[..rows.len()]);
            }
        }
    }
    let ids = ids[before..after].as_chunks::<LINE>().0;
    bad |= unpack_lines::<N, DIGITS, STREAM>(apart, ids, outs.map(|o| o[before..after].as_chunks_mut::<LINE>().0));
    if STREAM {
        _mm_sfence();
    }
    bad
}

#[inline]
#[target_feature(enable = "avx2")]
fn unpack_lines<const N: usize, const DIGITS: usize, const STREAM: bool>(
    apart: &Apart,
    ids: &[Line],
    outs: [&mut [Line]; N],
) -> bool {
    let Apart { forbidden, radix, fields, .. } = *apart;
    let outs = outs.map(|o| &mut o[..ids.len()]);
    let mut above = [splat(0); 2];
    let mut bits = [splat(0); 2];
    for (i, ids) in ids.iter().enumerate() {
        let ids = load(ids);
        for h in 0..2 {
            bits[h] = _mm256_or_si256(bits[h], ids[h]);
        }
        if DIGITS > 0 {
            let mut all = field(ids, radix.shift, radix.mask);
            for h in 0..2 {
                above[h] = _mm256_or_si256(above[h], _mm256_sub_epi64(splat(radix.top), all[h]));
            }
            let mut k = 0;
            if let Some(by) = radix.wide {
                let digit;
                (all, digit) = divide_wide(all, by);
                above = checked(above, digit, &fields[0]);
                store::<STREAM>(&mut outs[0][i], plus(digit, fields[0].first));
                k = 1;
            }
            let mut left = [float(all[0]), float(all[1])];
            while k < DIGITS {
                let mut digit = left;
                if k + 1 < DIGITS
                    && let Some(divisor) = fields[k].divisor
                {
                    for h in 0..2 {
                        (left[h], digit[h]) = divide(left[h], divisor.by, divisor.reciprocal);
                    }
                }
                let digit = [integer(digit[0]), integer(digit[1])];
                above = checked(above, digit, &fields[k]);
                store::<STREAM>(&mut outs[k][i], plus(digit, fields[k].first));
                k += 1;
            }
        }
        for k in DIGITS..N {
            let field = &fields[k];
            let codes = self::field(ids, field.shift, field.mask);
            for h in 0..2 {
                above[h] = _mm256_or_si256(above[h], _mm256_sub_epi64(splat(field.top), codes[h]));
            }
            store::<STREAM>(&mut outs[k][i], plus(codes, field.first));
        }
    }
    let wrong = _mm256_and_si256(_mm256_or_si256(bits[0], bits[1]), splat(forbidden));
    any_top_bit(above) || _mm256_testz_si256(wrong, wrong) == 0
}

/// Some bits.
#[inline]
#[target_feature(enable = "avx2")]
fn field([low, high]: Vectors, shift: u32, mask: u64) -> Vectors {
    let (shift, mask) = (_mm_cvtsi32_si128(shift as i32), splat(mask));
    [_mm256_and_si256(_mm256_srl_epi64(low, shift), mask), _mm256_and_si256(_mm256_srl_epi64(high, shift), mask)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn plus([low, high]: Vectors, first: u64) -> Vectors {
    [_mm256_add_epi64(low, splat(first)), _mm256_add_epi64(high, splat(first))]
}

/// Looks whether digits are above their top, where they can be.
#[inline]
#[target_feature(enable = "avx2")]
fn checked(mut above: Vectors, digit: Vectors, field: &super::Field) -> Vectors {
    if field.check {
        for h in 0..2 {
            above[h] = _mm256_or_si256(above[h], _mm256_sub_epi64(splat(field.top), digit[h]));
        }
    }
    above
}

/// Integers below 2^52 as floating point.
#[inline]
#[target_feature(enable = "avx2")]
fn float(v: __m256i) -> __m256d {
    let integers = _mm256_set1_pd(INTEGERS);
    _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(v, _mm256_castpd_si256(integers))), integers)
}

/// And back; what is between two integers becomes the nearer.
#[inline]
#[target_feature(enable = "avx2")]
fn integer(v: __m256d) -> __m256i {
    let integers = _mm256_set1_pd(INTEGERS);
    _mm256_xor_si256(_mm256_castpd_si256(_mm256_add_pd(v, integers)), _mm256_castpd_si256(integers))
}

/// Quotient and remainder: the steps of [`Divisor`](crate::dimension::pack::kernels::Divisor), where it is shown why they are exact.
#[inline]
#[target_feature(enable = "avx2")]
fn divide(x: __m256d, by: f64, reciprocal: f64) -> (__m256d, __m256d) {
    let (integers, by) = (_mm256_set1_pd(INTEGERS), _mm256_set1_pd(by));
    let q = _mm256_sub_pd(_mm256_add_pd(_mm256_mul_pd(x, _mm256_set1_pd(reciprocal)), integers), integers);
    let r = _mm256_sub_pd(x, _mm256_mul_pd(q, by));
    let low = _mm256_cmp_pd::<_CMP_LT_OQ>(r, _mm256_setzero_pd());
    (_mm256_sub_pd(q, _mm256_and_pd(low, _mm256_set1_pd(1.0))), _mm256_add_pd(r, _mm256_and_pd(low, by)))
}

/// Quotients and remainders of integers below 2^63, when the quotients are below 2^49.
///
/// An integer as floating point, the divisor, its reciprocal and the product are off by 2^-53 of themselves at most: the product is
/// within 0.25 of the ratio, the nearest integer within 0.75. It is the quotient or one more, as the sign of the remainder says.
#[inline]
#[target_feature(enable = "avx2")]
fn divide_wide([low, high]: Vectors, by: u64) -> (Vectors, Vectors) {
    let (low, high) = (divide_wide_half(low, by), divide_wide_half(high, by));
    ([low.0, high.0], [low.1, high.1])
}

#[inline]
#[target_feature(enable = "avx2")]
fn divide_wide_half(x: __m256i, by: u64) -> (__m256i, __m256i) {
    // The upper half of an integer as floating point, 2^32 times itself: 2^84 and above, the numbers are 2^32 apart.
    const UPPER: f64 = 19_342_813_113_834_066_795_298_816.0;
    let (integers, upper) = (_mm256_set1_pd(INTEGERS), _mm256_set1_pd(UPPER));
    let lower = _mm256_or_si256(_mm256_and_si256(x, splat(u64::from(u32::MAX))), _mm256_castpd_si256(integers));
    let higher = _mm256_or_si256(_mm256_srli_epi64::<32>(x), _mm256_castpd_si256(upper));
    let float = _mm256_add_pd(
        _mm256_sub_pd(_mm256_castsi256_pd(higher), upper),
        _mm256_sub_pd(_mm256_castsi256_pd(lower), integers),
    );
    let q = integer(_mm256_mul_pd(float, _mm256_set1_pd(1.0 / by as f64)));
    let r = _mm256_sub_epi64(x, product(q, by));
    let low = _mm256_cmpgt_epi64(splat(0), r);
    // True is all ones, which is -1.
    (_mm256_add_epi64(q, low), _mm256_add_epi64(r, _mm256_and_si256(low, splat(by))))
}

/// The low 64 bits of products.
#[inline]
#[target_feature(enable = "avx2")]
fn product(q: __m256i, by: u64) -> __m256i {
    let crossed =
        _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64::<32>(q), splat(by)), _mm256_mul_epu32(q, splat(by >> 32)));
    _mm256_add_epi64(_mm256_mul_epu32(q, splat(by)), _mm256_slli_epi64::<32>(crossed))
}

#[cfg(test)]
mod tests {
    use super::super::WIDE_QUOTIENTS;
    use super::*;

    /// Multiples of divisors, and what is beside them, up to the last bit.
    #[test]
    fn wide_quotients_are_exact() {
        if !is_x86_feature_detected!("avx2") {
            return;
        }
        let divisors = (14..62).flat_map(|k| [(1_u64 << k) - 1, (1 << k) + 1, (1 << k) / 3 + 1, (1 << k) / 5 * 4 + 3]);
        let mut checked = 0;
        for by in divisors {
            let last = (WIDE_QUOTIENTS - 1).min(((1 << 63) - 1) / by);
            for q in [0, 1, 2, last / 7, last / 3, last / 2, last.saturating_sub(1), last] {
                let x = q * by;
                let near = [x, x + 1, x + by / 2, x + by - 1].map(|x| x.min((1 << 63) - 1));
                let line: Line = array::from_fn(|k| near[k % 4]);
                // SAFETY: the machine has AVX2.
                let (quotients, remainders) = unsafe { divide_wide(load(&line), by) };
                let (quotients, remainders): (Line, Line) = (bytemuck::cast(quotients), bytemuck::cast(remainders));
                for k in 0..LINE {
                    assert_eq!((quotients[k], remainders[k]), (line[k] / by, line[k] % by), "{} / {by}", line[k]);
                    checked += 1;
                }
            }
        }
        assert!(checked > 10_000, "{checked}");
    }
}

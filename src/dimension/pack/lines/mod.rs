//! Whole rows at a time, past the caches: what columns of 64-bit integers go through when they are long.
//!
//! Packing and unpacking take so little arithmetic that memory decides how long they take. A store to memory that is not in the
//! caches first reads what it overwrites: three columns written then cost as much as six. Here all columns of eight rows are
//! worked on in registers and written by stores that go past the caches, a cache line at a time; in measurements that made
//! unpacking 2.4 times as fast as ordinary stores do (`benches/pack.rs`). Short columns are written as usual, for whoever
//! reads them next finds them in the caches.
//!
//! It is for the plain cases: up to four columns of `i64` or `u64` side by side in memory, without nulls. [`pack`] and
//! [`unpack`] say only whether some row does not fit; which ones the general way then finds.

#[cfg(target_arch = "x86_64")]
mod x86;

use super::kernels::Divisor;

/// Columns that one pass takes.
pub(super) const MOST: usize = 4;

/// Outputs of this many bytes in all and more do not stay in the caches anyway.
const PAST_CACHES: usize = 8 << 20;

/// Quotients of numbers of 2^52 and above must be below this.
pub(super) const WIDE_QUOTIENTS: u64 = 1 << 49;

/// Whether outputs of so many bytes are written past the caches.
pub(super) fn past_caches(bytes: usize) -> bool {
    bytes >= PAST_CACHES
}

/// What a column adds: `(value - low) factor 2^shift`, where `value - low` is at most `span`, below 2^63. A factor of 0
/// stands for 1; with any other, the span is below 2^32.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Term {
    pub(super) low: u64,
    pub(super) span: u64,
    factor: u64,
    shift: u32,
}

impl Term {
    /// The term of a column whose values are multiplied by `weight`, when the kernel can.
    pub(super) fn new(low: u64, span: u64, weight: u64) -> Option<Self> {
        // A field with one value has no weight.
        let shift = weight.checked_ilog2().map(|_| weight.trailing_zeros())?;
        let odd = weight >> shift;
        let factor = match odd {
            1 if span >> 63 == 0 => 0,
            1 => return None,
            _ if u32::try_from(span).is_ok() => odd,
            _ => return None,
        };
        Some(Self { low, span, factor, shift })
    }
}

/// `out = base +` the terms of the columns, all of the same length; whether any value is out of its range. `None` where the
/// machine has no such instructions.
pub(super) fn pack(
    columns: [&[u64]; MOST],
    terms: &[Term],
    base: u64,
    out: &mut [u64],
    past_caches: bool,
) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    return x86::pack(columns, terms, base, out, past_caches);
    #[cfg(not(target_arch = "x86_64"))]
    return None;
}

/// A field of bits, or a digit: `first +` the code, which is at most `top`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Field {
    /// Where a field of bits begins.
    pub(super) shift: u32,
    pub(super) mask: u64,
    pub(super) top: u64,
    pub(super) first: u64,
    /// The divisor that takes a digit out of those above it; not looked at for the last one.
    pub(super) divisor: Option<Divisor>,
    /// Whether a digit may be above its top.
    pub(super) check: bool,
}

/// The bits that the digits share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Radix {
    pub(super) shift: u32,
    pub(super) mask: u64,
    /// Below 2^63.
    pub(super) top: u64,
    /// The divisor of the first digit where numbers are 2^52 and above, but quotients below [`WIDE_QUOTIENTS`].
    pub(super) wide: Option<u64>,
}

/// How integers are taken apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Apart {
    /// Bits that no integer may have.
    pub(super) forbidden: u64,
    pub(super) radix: Radix,
    /// Number of digits, none or at least two.
    pub(super) digits: usize,
    /// Digits first, the least significant first, then fields of bits.
    pub(super) fields: [Field; MOST],
    /// Number of fields.
    pub(super) len: usize,
}

/// Takes integers apart into columns of the same length, as many as there are fields; whether any integer is not of the
/// layout. `None` where the machine has no such instructions.
pub(super) fn unpack(apart: &Apart, ids: &[u64], outs: [&mut [u64]; MOST], past_caches: bool) -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    return x86::unpack(apart, ids, outs, past_caches);
    #[cfg(not(target_arch = "x86_64"))]
    return None;
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((u128::from(self.0) * u128::from(n)) >> 64) as u64
        }
    }

    /// Columns that begin anywhere in a cache line, of any number of rows, by both kinds of stores.
    fn everywhere(mut test: impl FnMut(usize, usize, bool)) {
        for begin in 0..9 {
            for rows in (0..35).chain([64, 129]) {
                for past_caches in [false, true] {
                    test(begin, rows, past_caches);
                }
            }
        }
    }

    #[test]
    fn packing_is_the_sum_of_the_terms_and_sees_every_value_out_of_range() {
        // Factors, shifts, spans up to the last bit, a range that begins elsewhere.
        let all = [
            (0_u64, 80_u64, 1_u64),
            (5, 18937, 81 * 18_938_000_003),
            (0, (1 << 36) - 1, 1 << 27),
            (u64::MAX - 3, 3, 3 << 60),
        ];
        let mut numbers = Numbers(1);
        for n in 1..=MOST {
            let terms: Vec<Term> = all[..n].iter().map(|(l, s, w)| Term::new(*l, *s, *w).unwrap()).collect();
            everywhere(|begin, rows, past_caches| {
                let mut columns: Vec<Vec<u64>> = all[..n]
                    .iter()
                    .map(|(low, span, _)| {
                        (0..begin + rows).map(|_| low.wrapping_add(numbers.below(span + 1))).collect()
                    })
                    .collect();
                let mut out = vec![7; begin + rows];
                let run = |columns: &[Vec<u64>], out: &mut [u64]| {
                    let mut slices = [&[][..]; MOST];
                    for (slice, column) in slices.iter_mut().zip(columns) {
                        *slice = &column[begin..];
                    }
                    pack(slices, &terms, 11, &mut out[begin..], past_caches)
                };
                let Some(bad) = run(&columns, &mut out) else { return };
                assert!(!bad, "{n} columns of {rows} rows");
                for row in begin..begin + rows {
                    let term = |k: usize| columns[k][row].wrapping_sub(all[k].0).wrapping_mul(all[k].2);
                    assert_eq!(out[row], (0..n).fold(11_u64, |sum, k| sum.wrapping_add(term(k))), "row {row}");
                }
                assert!(out[..begin].iter().all(|v| *v == 7), "nothing beside the rows is written");
                if rows > 0 {
                    let (k, row) = (numbers.below(n as u64) as usize, begin + numbers.below(rows as u64) as usize);
                    let (low, span, _) = all[k];
                    columns[k][row] = low.wrapping_add(span).wrapping_add(1);
                    assert_eq!(run(&columns, &mut out), Some(true), "column {k}, row {row} of {rows}");
                }
            });
        }
        // What the kernel cannot multiply is left to the general way.
        assert!(Term::new(0, 1 << 32, 3).is_none());
        assert!(Term::new(0, 1 << 63, 1).is_none() && Term::new(0, 0, 0).is_none());
    }

    /// Radices of the digits and bits of the fields, as a layout would have them side by side.
    fn apart(radices: &[u64], bits: &[u32]) -> Apart {
        let mut apart = Apart { digits: radices.len(), len: radices.len() + bits.len(), ..Apart::default() };
        let product = radices.iter().product::<u64>();
        let width = 64 - (product - 1).leading_zeros();
        apart.radix = Radix { shift: 1, mask: u64::MAX >> (64 - width.max(1)), top: product - 1, wide: None };
        if apart.radix.mask >= super::super::kernels::EXACT {
            apart.radix.wide = Some(radices[0]);
        }
        for (field, radix) in apart.fields.iter_mut().zip(radices) {
            // One value fewer than there is room for.
            *field = Field {
                top: radix - 2,
                first: 3,
                divisor: Some(Divisor::new(*radix)),
                check: true,
                ..Field::default()
            };
        }
        let mut shift = if radices.is_empty() { 1 } else { 1 + width };
        for (field, bits) in apart.fields[radices.len()..].iter_mut().zip(bits) {
            let mask = u64::MAX >> (64 - bits);
            *field = Field { shift, mask, top: mask - 1, first: u64::MAX, ..Field::default() };
            shift += bits;
        }
        apart.forbidden = !(u64::MAX >> (64 - shift)) | 1;
        apart
    }

    #[test]
    fn unpacking_gives_what_was_put_together_and_sees_every_integer_that_nobody_made() {
        let mut numbers = Numbers(2);
        let cases: [(&[u64], &[u32]); 12] = [
            (&[], &[9]),
            (&[], &[9, 20]),
            (&[], &[9, 20, 30]),
            (&[], &[2, 2, 40, 7]),
            (&[81, 18938], &[]),
            (&[81, 18938], &[36]),
            (&[81, 18938], &[2, 36]),
            (&[81, 18938, 28], &[]),
            (&[81, 18938, 28], &[36]),
            (&[81, 3, 18938, 28], &[]),
            (&[10_000_019, 1_000_003, 99_991], &[]),
            (&[10_000_019, 1_000_003, 99_991], &[3]),
        ];
        for (radices, bits) in cases {
            let apart = apart(radices, bits);
            let fields = apart.fields[..apart.len].to_vec();
            everywhere(|begin, rows, past_caches| {
                let codes: Vec<Vec<u64>> =
                    fields.iter().map(|f| (0..begin + rows).map(|_| numbers.below(f.top + 1)).collect()).collect();
                let id = |row: usize| {
                    let mut sum = 0;
                    let mut weight = 2;
                    for (k, radix) in radices.iter().enumerate() {
                        sum += codes[k][row] * weight;
                        weight *= radix;
                    }
                    (radices.len()..fields.len()).fold(sum, |sum, k| sum | codes[k][row] << fields[k].shift)
                };
                let mut ids: Vec<u64> = (0..begin + rows).map(id).collect();
                let mut outs = vec![vec![7; begin + rows]; fields.len()];
                let run = |ids: &[u64], outs: &mut [Vec<u64>]| {
                    let mut slices = [(); MOST].map(|()| &mut [][..]);
                    for (slice, out) in slices.iter_mut().zip(outs) {
                        *slice = &mut out[begin..];
                    }
                    unpack(&apart, &ids[begin..], slices, past_caches)
                };
                let Some(bad) = run(&ids, &mut outs) else { return };
                assert!(!bad, "{radices:?} {bits:?}, {rows} rows");
                for (k, field) in fields.iter().enumerate() {
                    for row in begin..begin + rows {
                        assert_eq!(outs[k][row], codes[k][row].wrapping_add(field.first), "{radices:?} {bits:?}: {k}");
                    }
                    assert!(outs[k][..begin].iter().all(|v| *v == 7), "nothing beside the rows is written");
                }
                if rows > 0 {
                    let row = begin + numbers.below(rows as u64) as usize;
                    let good = ids[row];
                    for k in 0..fields.len() {
                        let weight = match radices.get(..k).filter(|_| k < radices.len()) {
                            Some(below) => 2 * below.iter().product::<u64>(),
                            None => 1 << fields[k].shift,
                        };
                        ids[row] = good + (fields[k].top + 1 - codes[k][row]) * weight;
                        assert_eq!(run(&ids, &mut outs), Some(true), "{radices:?} {bits:?}: {k} is above its top");
                    }
                    ids[row] = good | (apart.forbidden & apart.forbidden.wrapping_neg());
                    assert_eq!(run(&ids, &mut outs), Some(true), "a forbidden bit");
                }
            });
        }
    }
}

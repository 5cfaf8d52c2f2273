//! Blocks of rows, packed column by column, whatever the columns are.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use std::ops::Range;

use super::super::column::{IntView, IntViewMut, with_view};
use super::super::digits::Kind;
use super::super::kernels::{self, STEP};
use super::super::lines;
use super::super::split::{contiguous, store};
use super::source::Input;
use super::{IdentifierSource, PackJob};

/// A block of rows, packed with the widest vectors that the machine has. (A closure would not be compiled for them.)
pub(super) struct Block<'j, 'a, 'c, 'o> {
    pub(super) job: &'j PackJob<'a, 'c>,
    pub(super) start: usize,
    pub(super) out: IntViewMut<'o>,
    /// Where integers are put together that do not go to a contiguous 64-bit column.
    pub(super) ids: &'o mut [u64; STEP],
    pub(super) slots: Option<&'o mut Slots>,
}

impl pulp::NullaryFnOnce for Block<'_, '_, '_, '_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let Self { job, start, mut out, ids, slots } = self;
        let rows = out.len();
        if let Some(ids) = contiguous(&mut out, 0..rows) {
            return job.block(start, ids, slots);
        }
        let ids = &mut ids[..rows];
        let bad = job.block(start, ids, slots);
        store(ids, &mut out);
        bad
    }
}

/// Codes of a block of rows of fields that are looked at together.
pub(super) type Slots = [[u64; STEP]];

impl PackJob<'_, '_> {
    /// Packs plain columns; whether any row does not fit, or `None` where that is not for [`lines`].
    pub(super) fn lines(&self, start: usize, out: &mut IntViewMut<'_>) -> Option<bool> {
        let terms = self.terms.as_ref()?;
        let rows = start..start + out.len();
        let out = contiguous(out, 0..rows.len())?;
        let mut columns: [&[u64]; lines::MOST] = [&[]; lines::MOST];
        for (column, source) in columns.iter_mut().zip(&self.sources) {
            let Input::Integers { view, .. } = &source.input else { return None };
            *column = view.words()?.get(rows.clone())?;
        }
        lines::pack(columns, terms, self.base, out, lines::past_caches(8 * self.rows))
    }

    /// Packs a block of rows; whether any row does not fit.
    #[inline(always)]
    fn block(&self, start: usize, out: &mut [u64], mut slots: Option<&mut Slots>) -> bool {
        let rows = start..start + out.len();
        let mut base = Some(self.base);
        let mut bad = false;
        let mut codes = [0; STEP];
        for source in &self.sources {
            let digit = &self.plan.digits[source.digit];
            let slot = digit.slot.and_then(|slot| slots.as_deref_mut().map(|s| &mut s[slot]));
            if let (Input::Integers { view, low, span }, None, None, Kind::Integer) =
                (&source.input, source.nulls, &slot, &digit.kind)
            {
                let first = base.take();
                bad |= with_view!(IntView, view, v => if let Some(values) = v.as_slice() {
                    kernels::add(&values[rows.clone()], *low, *span, digit.weight, first, out)
                } else {
                    kernels::codes_of(v.slice(ndarray::s![rows.clone()]).iter().copied(), *low, &mut codes[..rows.len()]);
                    kernels::add(&codes[..rows.len()], 0, *span, digit.weight, first, out)
                });
                continue;
            }
            let codes = &mut slot.unwrap_or(&mut codes)[..rows.len()];
            bad |= source.codes(digit, rows.clone(), codes);
            bad |= kernels::add(codes, 0, digit.top, digit.weight, base.take(), out);
        }
        if let Some(base) = base {
            out.fill(base);
        }
        if let Some(slots) = slots {
            for identifier in &self.identifiers {
                bad |= self.split(identifier, rows.clone(), slots, out);
            }
            for digit in &self.plan.digits {
                if let (Some(limit), Some(slot)) = (&digit.limit, digit.slot) {
                    let Some(other) = self.plan.digits[limit.other].slot else { continue };
                    for (code, other) in slots[slot].iter().zip(&slots[other]).take(rows.len()) {
                        bad |= limit.counts.get(*other as usize).is_none_or(|count| code >= count);
                    }
                }
            }
        }
        bad
    }

    /// The parts of an identifier's column that have no columns of their own.
    #[inline(always)]
    fn split(&self, source: &IdentifierSource<'_, '_>, rows: Range<usize>, slots: &mut Slots, out: &mut [u64]) -> bool {
        let identifier = &self.plan.identifiers[source.which];
        let digits = &self.plan.digits;
        let mut bad = false;
        let mut ids = [0; STEP];
        let ids = &mut ids[..out.len()];
        match &source.view {
            Ok(view) => {
                with_view!(IntView, view, v => {
                    kernels::codes_of(v.slice(ndarray::s![rows.clone()]).iter().copied(), 0, ids);
                });
            }
            Err(value) => ids.fill(*value as u64),
        }
        for (i, (row, id)) in rows.zip(ids).enumerate() {
            // A negative number is none of 14 digits either.
            let id = *id;
            let parts = identifier.split(id, digits);
            let mut joined = parts;
            for (k, digit) in identifier.digits().into_iter().enumerate() {
                let Some(digit) = digit else { continue };
                let Some(slot) = digits[digit].slot else { continue };
                if source.gives[k] {
                    slots[slot][i] = parts[k];
                    bad |= parts[k] > digits[digit].top;
                    out[i] = out[i].wrapping_add(parts[k].wrapping_mul(digits[digit].weight));
                } else {
                    joined[k] = slots[slot][i];
                }
            }
            // Also finds the numbers that nobody could have made.
            bad |= identifier.join(joined, digits) != id || source.nulls.is_some_and(|n| n.is_null(row));
        }
        bad
    }
}

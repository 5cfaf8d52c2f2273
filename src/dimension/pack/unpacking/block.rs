//! Blocks of rows, taken apart field by field, whatever the columns are.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use std::ops::Range;

use ndarray::s;

use super::super::column::{Int, IntView, IntViewMut, with_view};
use super::super::digits::{Kind, Segment};
use super::super::kernels::{self, Divisor, EXACT, STEP};
use super::super::names::NO_NAME;
use super::super::plan::Target;
use super::super::split::store;
use super::{Outputs, Slots, UnpackJob, Use};

/// A block of rows, unpacked with the widest vectors that the machine has. (A closure would not be compiled for them.)
pub(super) struct Block<'j, 'a, 'c, 'o> {
    pub(super) job: &'j UnpackJob<'a, 'c>,
    pub(super) start: usize,
    pub(super) rows: Range<usize>,
    pub(super) outputs: &'j mut Outputs<'o>,
    pub(super) buffers: &'j mut Buffers,
    pub(super) slots: Option<&'j mut Slots>,
}

impl pulp::NullaryFnOnce for Block<'_, '_, '_, '_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        self.job.block(self.start, self.rows, self.outputs, self.buffers, self.slots)
    }
}

/// Where the numbers of a block are between two steps.
pub(super) struct Buffers {
    pub(super) ids: [u64; STEP],
    pub(super) codes: [u64; STEP],
    pub(super) floats: [f64; STEP],
    pub(super) wide: [u64; STEP],
}

impl UnpackJob<'_, '_> {
    /// Unpacks a block of rows; whether any row does not fit.
    #[inline(always)]
    fn block(
        &self,
        start: usize,
        block: Range<usize>,
        outputs: &mut Outputs<'_>,
        buffers: &mut Buffers,
        mut slots: Option<&mut Slots>,
    ) -> bool {
        let len = block.len();
        let rows = start..start + len;
        let Buffers { ids: copied, codes, floats, wide } = buffers;
        let ids: &[u64] = match &self.ids {
            Ok(IntView::U64(v)) if v.is_standard_layout() => v.as_slice().map_or(&[], |v| &v[rows.clone()]),
            Ok(IntView::I64(v)) if v.is_standard_layout() => {
                v.as_slice().map_or(&[], |v| bytemuck::cast_slice(&v[rows.clone()]))
            }
            Ok(view) => {
                let copied = &mut copied[..len];
                with_view!(IntView, view, v => kernels::codes_of(v.slice(s![rows.clone()]).iter().copied(), 0, copied));
                copied
            }
            Err(value) => {
                copied[..len].fill(*value as u64);
                &copied[..len]
            }
        };
        let mut bad = kernels::any_bits(ids, self.forbidden);
        bad |= self.nulls.is_some_and(|n| rows.clone().any(|row| n.is_null(row)));
        for segment in &self.plan.segments {
            let Segment { shift, mask, top, first, end } = *segment;
            if top < mask {
                bad |= kernels::any_digits_above(ids, shift, mask, top);
            }
            if end - first == 1 {
                let taken = Taken::Bits { ids, shift, mask };
                bad |= self.digit(first, taken, block.clone(), &mut codes[..len], outputs, slots.as_deref_mut());
                continue;
            }
            if !self.uses[first].reached {
                continue;
            }
            // Numbers of 2^52 and above are divided as they are, until they are below.
            let mut left = top;
            let mut in_floats = false;
            let mut in_wide = false;
            for i in first..end {
                if !self.uses[i].reached {
                    break;
                }
                if !in_floats && left < EXACT {
                    in_floats = true;
                    if in_wide {
                        kernels::floats(&wide[..len], 0, u64::MAX, &mut floats[..len]);
                    } else {
                        kernels::floats(ids, shift, mask, &mut floats[..len]);
                    }
                }
                if !in_floats && !in_wide {
                    in_wide = true;
                    kernels::bits(ids, shift, mask, 0, &mut wide[..len]);
                }
                let room = self.plan.digits[i].room;
                // What is left for the highest digit needs no division.
                let taken = match self.divisors[i] {
                    None => {
                        codes[..len].fill(0);
                        Taken::Codes
                    }
                    Some(_) if left <= room && in_floats => Taken::Last { floats: &floats[..len] },
                    Some(_) if left <= room => {
                        codes[..len].copy_from_slice(&wide[..len]);
                        Taken::Codes
                    }
                    Some((divisor, _)) if in_floats => Taken::Divide { floats: &mut floats[..len], divisor },
                    Some((_, divisor)) => {
                        kernels::wide_digit(&mut wide[..len], divisor, &mut codes[..len]);
                        Taken::Codes
                    }
                };
                bad |= self.digit(i, taken, block.clone(), &mut codes[..len], outputs, slots.as_deref_mut());
                left /= room + 1;
            }
        }
        if let Some(slots) = slots {
            bad |= self.limits(slots, len);
            for (output, target) in self.targets.iter().enumerate() {
                if let Target::Identifier(which) = target {
                    self.join(*which, slots, &mut codes[..len]);
                    bad |= self.out_of_range(output, codes[..len].iter().map(|c| i128::from(*c)));
                    store(&codes[..len], &mut outputs[output].slice(block.clone()));
                }
            }
        }
        bad
    }

    /// Sends the codes of one field to where they are wanted; whether any is not allowed.
    #[inline(always)]
    fn digit(
        &self,
        i: usize,
        mut taken: Taken<'_>,
        block: Range<usize>,
        codes: &mut [u64],
        outputs: &mut Outputs<'_>,
        slots: Option<&mut Slots>,
    ) -> bool {
        let digit = &self.plan.digits[i];
        let Use { output, codes: needed, .. } = self.uses[i];
        let plain = match &digit.kind {
            Kind::Integer => true,
            Kind::Names(names) => names.dense,
            Kind::Date(_) => false,
        };
        let fits = output.is_none_or(|o| {
            let (least, most) = self.ranges[o];
            !plain || digit.value(0) >= least && digit.value(digit.top) <= most
        });
        if !needed && plain && fits {
            let Some(output) = output else {
                if let Taken::Divide { floats, divisor } = taken {
                    kernels::skip_digit(floats, divisor);
                }
                return false;
            };
            let first = digit.first as u64;
            if with_view!(IntViewMut, &mut outputs[output], v => match v.as_slice_mut() {
                Some(out) => { taken.put(codes, first, &mut out[block.clone()]); true }
                None => false,
            }) {
                return false;
            }
        }
        taken.codes(codes);
        let mut bad = false;
        if needed {
            bad |= kernels::any_above(codes, digit.top);
            bad |= digit.constant.is_some_and(|c| codes.iter().any(|code| *code != c));
            if let (Some(slot), Some(slots)) = (digit.slot, slots) {
                slots[slot][..codes.len()].copy_from_slice(codes);
            }
            if let Kind::Names(names) = &digit.kind
                && !names.dense
            {
                bad |= codes.iter().any(|c| names.positions.get(*c as usize).is_none_or(|p| *p == NO_NAME));
            }
        }
        let Some(output) = output else { return bad };
        match &digit.kind {
            Kind::Integer => {
                for code in codes.iter_mut() {
                    *code = code.wrapping_add(digit.first as u64);
                }
            }
            Kind::Date(calendar) => {
                for code in codes.iter_mut() {
                    *code = calendar.date(*code);
                }
            }
            Kind::Names(names) => {
                for code in codes.iter_mut() {
                    *code = names.positions.get(*code as usize).map_or(0, |p| u64::from(*p));
                }
            }
        }
        if !fits || !plain {
            bad |= if digit.first < 0 {
                self.out_of_range(output, codes.iter().map(|c| i128::from(*c as i64)))
            } else {
                kernels::any_above(codes, self.ranges[output].1 as u64)
            };
        }
        store(codes, &mut outputs[output].slice(block));
        bad
    }

    #[inline(always)]
    fn out_of_range(&self, output: usize, mut values: impl Iterator<Item = i128>) -> bool {
        let (least, most) = self.ranges[output];
        values.any(|v| v < least || v > most)
    }

    /// Whether any code is beyond the limit that another field sets.
    #[inline(always)]
    fn limits(&self, slots: &Slots, len: usize) -> bool {
        let mut bad = false;
        for digit in &self.plan.digits {
            let Some((limit, slot)) = digit.limit.as_ref().zip(digit.slot) else { continue };
            let Some(other) = self.plan.digits[limit.other].slot else { continue };
            for (code, other) in slots[slot].iter().zip(&slots[other]).take(len) {
                bad |= limit.counts.get(*other as usize).is_none_or(|count| code >= count);
            }
        }
        bad
    }

    /// The identifiers of a block of rows.
    #[inline(always)]
    fn join(&self, which: usize, slots: &Slots, out: &mut [u64]) {
        let identifier = &self.plan.identifiers[which];
        let digits = identifier.digits().map(|d| d.and_then(|d| self.plan.digits[d].slot));
        for (i, out) in out.iter_mut().enumerate() {
            *out = identifier.join(digits.map(|slot| slot.map_or(0, |slot| slots[slot][i])), &self.plan.digits);
        }
    }
}

/// One field's codes, on the way out.
enum Taken<'a> {
    /// Bits of the integers.
    Bits { ids: &'a [u64], shift: u32, mask: u64 },
    /// What a division leaves.
    Divide { floats: &'a mut [f64], divisor: Divisor },
    /// All that is left.
    Last { floats: &'a [f64] },
    /// The codes are there.
    Codes,
}

impl Taken<'_> {
    /// The codes, plus `first`, straight into an output.
    #[inline(always)]
    fn put<T: Int>(&mut self, codes: &[u64], first: u64, out: &mut [T]) {
        match self {
            Self::Bits { ids, shift, mask } => kernels::bits(ids, *shift, *mask, first, out),
            Self::Divide { floats, divisor } => kernels::digit(floats, *divisor, first, out),
            Self::Last { floats } => kernels::last_digit(floats, first, out),
            Self::Codes => kernels::bits(codes, 0, u64::MAX, first, out),
        }
    }

    #[inline(always)]
    fn codes(&mut self, codes: &mut [u64]) {
        match self {
            Self::Bits { ids, shift, mask } => kernels::bits(ids, *shift, *mask, 0, codes),
            Self::Divide { floats, divisor } => kernels::digit(floats, *divisor, 0, codes),
            Self::Last { floats } => kernels::last_digit(floats, 0, codes),
            Self::Codes => {}
        }
    }
}

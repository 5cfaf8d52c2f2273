//! Which integers can be taken apart by whole lines.

use std::ops::Range;

use super::super::digits::{Kind, Segment};
use super::super::kernels::EXACT;
use super::super::lines::{self, Apart, Field, Radix};
use super::super::split::contiguous;
use super::{Outputs, UnpackJob};

impl UnpackJob<'_, '_> {
    /// How integers are taken apart by [`lines`], when they are plain and the outputs too.
    pub(super) fn apart(&self) -> Option<(Apart, [usize; lines::MOST])> {
        self.ids.as_ref().ok()?.words()?;
        if self.together || self.nulls.is_some() || self.targets.len() > lines::MOST {
            return None;
        }
        let mut apart = Apart { forbidden: self.forbidden, ..Apart::default() };
        let mut outputs = [0; lines::MOST];
        // Digits come first.
        let mut segments: Vec<&Segment> = self.plan.segments.iter().collect();
        segments.sort_by_key(|s| s.end - s.first == 1);
        for (i, Segment { shift, mask, top, first, end }) in segments.into_iter().enumerate() {
            let many = end - first > 1;
            if mask >> 63 != 0 || many && i > 0 {
                return None;
            }
            if many {
                apart.digits = end - first;
                apart.radix = Radix { shift: *shift, mask: *mask, top: *top, wide: None };
                if *mask >= EXACT {
                    let by = self.plan.digits[*first].room + 1;
                    if top / by >= lines::WIDE_QUOTIENTS {
                        return None;
                    }
                    apart.radix.wide = Some(by);
                }
            }
            for digit in *first..*end {
                let (field, digit) = (&self.plan.digits[digit], digit);
                let plain = matches!(field.kind, Kind::Integer) && field.constant.is_none();
                let divisor = self.divisors[digit].map(|(d, _)| d);
                let Some(output) = self.uses[digit].output.filter(|_| plain) else {
                    // What nobody asked for needs no column where all of its codes are fine.
                    if !many && !field.has_holes() && top == mask {
                        continue;
                    }
                    return None;
                };
                let (least, most) = self.ranges[output];
                if many && divisor.is_none() || field.value(0) < least || field.value(field.top) > most {
                    return None;
                }
                let place = apart.fields.get_mut(apart.len)?;
                let check = field.top < field.room;
                *place =
                    Field { shift: *shift, mask: *mask, top: field.top, first: field.first as u64, divisor, check };
                outputs[apart.len] = output;
                apart.len += 1;
            }
        }
        // Every output is filled.
        (apart.len == self.targets.len() && apart.len > 0).then_some((apart, outputs))
    }

    /// Fills plain columns; whether any row does not fit, or `None` where that is not for [`lines`].
    pub(super) fn lines(&self, rows: &Range<usize>, outputs: &mut Outputs<'_>) -> Option<bool> {
        let (apart, places) = self.apart.as_ref()?;
        let ids = self.ids.as_ref().ok()?.words()?.get(rows.clone())?;
        let mut outs = [(); lines::MOST].map(|()| &mut [][..]);
        let mut left: Vec<_> = outputs.iter_mut().map(Some).collect();
        for (out, place) in outs.iter_mut().zip(places).take(apart.len) {
            *out = contiguous(left.get_mut(*place)?.take()?, 0..rows.len())?;
        }
        lines::unpack(apart, ids, outs, lines::past_caches(8 * self.rows * apart.len))
    }
}

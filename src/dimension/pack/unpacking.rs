//! [`UnpackJob`]: integers to columns.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use std::array;
use std::ops::Range;

use arrow::buffer::NullBuffer;
use ndarray::{ArrayViewMut1, s};

use super::column::{Int, IntView, IntViewMut, PackColumn, Values, with_view};
use super::digits::{Digit, Kind, Segment};
use super::error::{BadRows, PackError};
use super::kernels::{self, Divisor, EXACT, STEP, WideDivisor};
use super::lines::{self, Apart, Field, Radix};
use super::names::NO_NAME;
use super::packing::{limit_words, put};
use super::plan::{MOST_FIELDS, MOST_SLOTS, Plan, Target};
use super::rows::Faults;
use super::split::{contiguous, joined, middle};
use crate::dimension::DimensionValue;

/// More columns than fields and identifiers are not asked for.
pub(super) const MOST_OUTPUTS: usize = 40;

/// What is wrong with a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Problem {
    Null,
    Number(i128),
    /// Digits beyond their radix all together.
    Segment {
        segment: usize,
        id: u64,
    },
    Code {
        digit: usize,
        code: u64,
        id: u64,
    },
    Limit {
        digit: usize,
        code: u64,
        other: u64,
    },
    Narrow {
        output: usize,
        value: i128,
    },
}

/// One field, when unpacked.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// The output column that takes its values, if any.
    output: Option<usize>,
    /// Its codes are needed one by one.
    codes: bool,
    /// It, or one above it in the same bits, is needed.
    reached: bool,
}

/// The columns of a part of the rows.
type Outputs<'a> = [IntViewMut<'a>; MOST_OUTPUTS];
type Slots = [[u64; STEP]];

/// Integers to columns: everything that can be known before the first row is.
pub(super) struct UnpackJob<'a, 'c> {
    plan: &'a Plan,
    rows: usize,
    ids: Result<IntView<'c>, i64>,
    nulls: Option<&'a NullBuffer>,
    /// Bits that no integer of this column may have.
    forbidden: u64,
    targets: Vec<Target>,
    /// Smallest and largest value of the outputs' types.
    ranges: Vec<(i128, i128)>,
    uses: [Use; MOST_FIELDS],
    divisors: [Option<(Divisor, WideDivisor)>; MOST_FIELDS],
    together: bool,
    /// How plain columns of 64-bit integers are filled, and which: the output of every field.
    apart: Option<(Apart, [usize; lines::MOST])>,
}

/// A block of rows, unpacked with the widest vectors that the machine has. (A closure would not be compiled for them.)
struct Block<'j, 'a, 'c, 'o> {
    job: &'j UnpackJob<'a, 'c>,
    start: usize,
    rows: Range<usize>,
    outputs: &'j mut Outputs<'o>,
    buffers: &'j mut Buffers,
    slots: Option<&'j mut Slots>,
}

impl pulp::NullaryFnOnce for Block<'_, '_, '_, '_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        self.job.block(self.start, self.rows, self.outputs, self.buffers, self.slots)
    }
}

struct Buffers {
    ids: [u64; STEP],
    codes: [u64; STEP],
    floats: [f64; STEP],
    wide: [u64; STEP],
}

impl<'a, 'c> UnpackJob<'a, 'c> {
    pub(super) fn new(
        plan: &'a Plan,
        ids: &'a PackColumn<'c>,
        rows: usize,
        targets: Vec<Target>,
        outputs: &[&IntViewMut<'_>],
    ) -> Result<Self, PackError> {
        let view = match &ids.values {
            Values::Integers(view) => Ok(*view),
            Values::Value(DimensionValue::Int(v)) => Err(*v),
            Values::Null => Err(0),
            _ => {
                let name = "the packed integers".to_owned();
                return Err(PackError::WrongType { name, expected: "integers", found: ids.type_name() });
            }
        };
        let signed = match &view {
            Ok(view) => view.range().0 < 0,
            Err(_) => true,
        };
        let mut job = Self {
            plan,
            rows,
            ids: view,
            nulls: ids.nulls.as_ref(),
            forbidden: !plan.used | (u64::from(signed) << 63),
            ranges: outputs.iter().map(|o| o.range()).collect(),
            uses: [Use::default(); MOST_FIELDS],
            divisors: [None; MOST_FIELDS],
            together: plan.digits.iter().any(|d| d.limit.is_some())
                || targets.iter().any(|t| matches!(t, Target::Identifier(_))),
            targets,
            apart: None,
        };
        for (output, target) in job.targets.iter().enumerate() {
            match *target {
                Target::Digit(digit) => job.uses[digit].output = Some(output),
                Target::Identifier(which) => {
                    for digit in plan.identifiers[which].parts() {
                        job.uses[digit].codes = true;
                    }
                }
            }
        }
        for (i, digit) in plan.digits.iter().enumerate() {
            job.uses[i].codes |= digit.has_holes();
            if let Some(limit) = &digit.limit {
                job.uses[i].codes = true;
                job.uses[limit.other].codes = true;
            }
            if digit.room > 0 && digit.room < u64::MAX {
                job.divisors[i] = Some((Divisor::new(digit.room + 1), WideDivisor::new(digit.room + 1)));
            }
        }
        for segment in &plan.segments {
            let mut reached = false;
            for i in (segment.first..segment.end).rev() {
                reached |= job.uses[i].codes || job.uses[i].output.is_some();
                job.uses[i].reached = reached;
            }
        }
        job.apart = job.apart();
        Ok(job)
    }

    /// How integers are taken apart by [`lines`], when they are plain and the outputs too.
    fn apart(&self) -> Option<(Apart, [usize; lines::MOST])> {
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
                    if top / by >= EXACT {
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
    fn lines(&self, rows: &Range<usize>, outputs: &mut Outputs<'_>) -> Option<bool> {
        let (apart, places) = self.apart.as_ref()?;
        let ids = self.ids.as_ref().ok()?.words()?.get(rows.clone())?;
        let mut outs = [(); lines::MOST].map(|()| &mut [][..]);
        let mut left: Vec<_> = outputs.iter_mut().map(Some).collect();
        for (out, place) in outs.iter_mut().zip(places).take(apart.len) {
            *out = contiguous(left.get_mut(*place)?.take()?, 0..rows.len())?;
        }
        lines::unpack(apart, ids, outs, lines::past_caches(8 * self.rows * apart.len))
    }

    /// Unpacks all rows. Rows that do not fit are 0 in every output and true in `mask`.
    pub(super) fn run(&self, outputs: Vec<IntViewMut<'_>>, mask: Option<&mut [bool]>) -> Option<BadRows> {
        let mut outputs = outputs.into_iter();
        let outputs = array::from_fn(|_| outputs.next().unwrap_or_else(IntViewMut::empty));
        let faults = self.range(0..self.rows, outputs, mask);
        faults.report(&self.plan.name, "unpacked", self.rows, |_, problem| self.words(problem))
    }

    fn range(&self, rows: Range<usize>, outputs: Outputs<'_>, mask: Option<&mut [bool]>) -> Faults<Problem> {
        let Some(middle) = middle(rows.len()) else { return self.chunk(rows, outputs, mask) };
        let mut rights: Outputs<'_> = array::from_fn(|_| IntViewMut::empty());
        let mut rest = rights.iter_mut();
        let lefts = outputs.map(|output| {
            if output.is_empty() {
                return output;
            }
            let (left, right) = output.split_at(middle);
            if let Some(place) = rest.next() {
                *place = right;
            }
            left
        });
        let (left_mask, right_mask) = mask.map(|m| m.split_at_mut(middle)).unzip();
        let cut = rows.start + middle;
        joined(|| self.range(rows.start..cut, lefts, left_mask), || self.range(cut..rows.end, rights, right_mask))
    }

    fn chunk(&self, rows: Range<usize>, mut outputs: Outputs<'_>, mut mask: Option<&mut [bool]>) -> Faults<Problem> {
        let mut faults = Faults::none();
        if rows.len() <= 8 {
            self.rows_exactly(rows.start, 0..rows.len(), &mut outputs, mask, &mut faults);
            return faults;
        }
        if self.lines(&rows, &mut outputs) == Some(false) {
            if let Some(mask) = mask {
                mask.fill(false);
            }
            return faults;
        }
        let mut buffers = Buffers { ids: [0; STEP], codes: [0; STEP], floats: [0.0; STEP], wide: [0; STEP] };
        let mut slots = self.together.then(|| vec![[0; STEP]; MOST_SLOTS]);
        let mut from = 0;
        while from < rows.len() {
            let block = from..rows.len().min(from + STEP);
            let bad = pulp::Arch::new().dispatch(Block {
                job: self,
                start: rows.start + from,
                rows: block.clone(),
                outputs: &mut outputs,
                buffers: &mut buffers,
                slots: slots.as_deref_mut(),
            });
            if bad {
                self.rows_exactly(rows.start, block.clone(), &mut outputs, mask.as_deref_mut(), &mut faults);
            } else if let Some(mask) = mask.as_deref_mut() {
                mask[block.clone()].fill(false);
            }
            from = block.end;
        }
        faults
    }

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
            if let Some(found) = self.all_digits(segment, ids, &block, outputs) {
                bad |= found;
                continue;
            }
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

    /// All digits of a mixed radix at once, where they are two to four and all go to 64-bit columns as they are: the usual case.
    /// Whether any number does not fit, or `None` in other cases.
    #[inline(always)]
    fn all_digits(
        &self,
        segment: &Segment,
        ids: &[u64],
        block: &Range<usize>,
        outputs: &mut Outputs<'_>,
    ) -> Option<bool> {
        let Segment { shift, mask, top, first, end } = *segment;
        if !(2..=4).contains(&(end - first)) || mask >= EXACT {
            return None;
        }
        let mut places = [0; 4];
        let mut divisors = [Divisor::new(1); 4];
        let mut firsts = [0; 4];
        for (k, i) in (first..end).enumerate() {
            let digit = &self.plan.digits[i];
            let plain = matches!(digit.kind, Kind::Integer) && !self.uses[i].codes;
            places[k] = self.uses[i].output.filter(|_| plain)?;
            let (least, most) = self.ranges[places[k]];
            if digit.value(0) < least || digit.value(digit.top) > most {
                return None;
            }
            divisors[k] = self.divisors[i]?.0;
            firsts[k] = digit.first as u64;
        }
        let [d, e, f, _] = divisors;
        let [a, b, c, z] = firsts;
        Some(match end - first {
            2 => {
                let outs = slices(outputs, [places[0], places[1]], block)?;
                kernels::two_digits(ids, shift, mask, top, [d], [a, b], outs)
            }
            3 => {
                let outs = slices(outputs, [places[0], places[1], places[2]], block)?;
                kernels::three_digits(ids, shift, mask, top, [d, e], [a, b, c], outs)
            }
            _ => {
                let outs = slices(outputs, places, block)?;
                kernels::four_digits(ids, shift, mask, top, [d, e, f], [a, b, c, z], outs)
            }
        })
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

    #[cold]
    #[inline(never)]
    fn rows_exactly(
        &self,
        start: usize,
        block: Range<usize>,
        outputs: &mut Outputs<'_>,
        mut mask: Option<&mut [bool]>,
        faults: &mut Faults<Problem>,
    ) {
        for i in block {
            let mut values = [0; MOST_OUTPUTS];
            let done = self.row(start + i, &mut values);
            if let Some(mask) = mask.as_deref_mut() {
                mask[i] = done.is_err();
            }
            for (output, value) in outputs.iter_mut().zip(values).take(self.targets.len()) {
                let value = if done.is_ok() { value } else { 0 };
                with_view!(IntViewMut, output, v => put(v, i, value));
            }
            if let Err(problem) = done {
                faults.push(start + i, problem);
            }
        }
    }

    /// Unpacks one row, step by step.
    fn row(&self, row: usize, values: &mut [u64; MOST_OUTPUTS]) -> Result<(), Problem> {
        if self.nulls.is_some_and(|n| n.is_null(row)) {
            return Err(Problem::Null);
        }
        let exact = match &self.ids {
            Ok(view) => view.exact(row),
            Err(value) => i128::from(*value),
        };
        let id = u64::try_from(exact).map_err(|_| Problem::Number(exact))?;
        if id & !self.plan.used != 0 {
            return Err(Problem::Number(exact));
        }
        let mut codes = [0; MOST_FIELDS];
        for (segment, Segment { shift, mask, top, first, end }) in self.plan.segments.iter().enumerate() {
            let mut left = (id >> shift) & mask;
            if left > *top {
                return Err(Problem::Segment { segment, id });
            }
            let digits = self.plan.digits[*first..*end].iter().zip(&mut codes[*first..*end]);
            for (i, (digit, code)) in digits.enumerate() {
                (left, *code) = match digit.room.checked_add(1) {
                    Some(radix) => (left / radix, left % radix),
                    None => (0, left),
                };
                if !digit.allows(*code) {
                    return Err(Problem::Code { digit: first + i, code: *code, id });
                }
            }
        }
        for (i, digit) in self.plan.digits.iter().enumerate() {
            if let Some(limit) = &digit.limit {
                let (code, other) = (codes[i], codes[limit.other]);
                if limit.counts.get(other as usize).is_none_or(|count| code >= *count) {
                    return Err(Problem::Limit { digit: i, code, other });
                }
            }
        }
        for (output, target) in self.targets.iter().enumerate() {
            let value = match *target {
                Target::Digit(digit) => shown(&self.plan.digits[digit], codes[digit]),
                Target::Identifier(which) => {
                    let identifier = &self.plan.identifiers[which];
                    let parts = identifier.digits().map(|d| d.map_or(0, |d| codes[d]));
                    i128::from(identifier.join(parts, &self.plan.digits))
                }
            };
            let (least, most) = self.ranges[output];
            if value < least || value > most {
                return Err(Problem::Narrow { output, value });
            }
            values[output] = value as u64;
        }
        Ok(())
    }

    fn words(&self, problem: Problem) -> String {
        let plan = self.plan;
        match problem {
            Problem::Null => "the packed integer is null".to_owned(),
            Problem::Number(value) if value < 0 => format!("{value} is negative"),
            Problem::Number(value) => format!("{value} is not one of this packer's: the largest is {}", plan.most),
            Problem::Segment { segment, id } => {
                let Segment { first, end, top, shift, mask } = &plan.segments[segment];
                let names: Vec<_> = plan.digits[*first..*end].iter().map(|d| &*d.name).collect();
                format!("{id} has {} for {} together, expected at most {top}", (id >> shift) & mask, names.join(", "))
            }
            Problem::Code { digit, code, id } => {
                let digit = &plan.digits[digit];
                match &digit.kind {
                    Kind::Names(_) => format!(
                        "{id} has code {code} for `{}`, which stands for nothing: expected {}",
                        digit.name,
                        digit.expected()
                    ),
                    _ => format!(
                        "{id} has {} for `{}`, expected {}",
                        i128::from(code) + i128::from(digit.first),
                        digit.name,
                        digit.expected()
                    ),
                }
            }
            Problem::Limit { digit, code, other } => limit_words(plan, digit, code, other),
            Problem::Narrow { output, value } => {
                let (least, most) = self.ranges[output];
                format!(
                    "`{}` is {value}, which does not fit its output of {least} to {most}",
                    plan.target_name(self.targets[output])
                )
            }
        }
    }
}

/// Rows of several columns as 64-bit numbers in place, when all of them are of such and lie side by side.
#[inline(always)]
fn slices<'o, const N: usize>(
    outputs: &'o mut Outputs<'_>,
    places: [usize; N],
    block: &Range<usize>,
) -> Option<[&'o mut [u64]; N]> {
    let mut slices = outputs.get_disjoint_mut(places).ok()?.map(|output| contiguous(output, block.clone()));
    if slices.iter().any(Option::is_none) {
        return None;
    }
    Some(array::from_fn(|k| slices[k].take().unwrap_or_default()))
}

/// What an output shows of a code: of names the position in the table.
fn shown(digit: &Digit, code: u64) -> i128 {
    match &digit.kind {
        Kind::Names(names) => names.positions.get(code as usize).map_or(0, |p| i128::from(*p)),
        _ => digit.value(code),
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

/// Values into a column of another type or with gaps.
#[inline(always)]
fn store(values: &[u64], out: &mut IntViewMut<'_>) {
    #[inline(always)]
    fn put<T: Int>(values: &[u64], out: &mut ArrayViewMut1<'_, T>) {
        for (out, value) in out.iter_mut().zip(values) {
            *out = T::narrow(*value);
        }
    }
    with_view!(IntViewMut, out, v => put(values, v));
}

//! [`PackJob`]: columns to integers.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use arrow::buffer::NullBuffer;

use super::column::{Int, IntView, IntViewMut, PackColumn, TextCodes, Texts, Values, with_view};
use super::digits::{Digit, Kind};
use super::error::{BadRows, PackError};
use super::identifier::NONE;
use super::kernels::{self, STEP};
use super::lines::{self, Term};
use super::plan::{MOST_FIELDS, MOST_SLOTS, Plan, Target};
use super::rows::Faults;
use super::split::{contiguous, joined, middle};
use crate::dimension::{DimensionValue, near_miss};

/// Where the codes of a field come from.
enum Input<'c> {
    /// Integers or dates.
    Integers {
        view: IntView<'c>,
        low: u64,
        span: u64,
    },
    /// Positions in a dictionary, and the code of each of its texts ([`NONE`] for those without).
    Keys {
        keys: IntView<'c>,
        codes: Vec<u64>,
        names: std::sync::Arc<[Option<std::sync::Arc<str>>]>,
    },
    Texts(Texts<'c>),
    /// One value for all rows, which does not fit.
    Wrong(DimensionValue),
    /// Nulls only.
    Nulls,
}

struct Source<'a, 'c> {
    digit: usize,
    input: Input<'c>,
    nulls: Option<&'a NullBuffer>,
    /// The code of a null.
    null: Option<u64>,
}

/// An identifier's column, and which of its parts come from there.
struct IdentifierSource<'a, 'c> {
    which: usize,
    view: Result<IntView<'c>, i64>,
    nulls: Option<&'a NullBuffer>,
    gives: [bool; 4],
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Problem {
    Null(Target),
    Value {
        digit: usize,
        value: i128,
    },
    /// The source has the text.
    Text {
        source: usize,
    },
    Identifier {
        which: usize,
        value: i128,
    },
    Disagrees {
        which: usize,
        value: i128,
        made: u64,
    },
    Limit {
        digit: usize,
        code: u64,
        other: u64,
    },
}

/// Columns to integers: everything that can be known before the first row is.
pub(super) struct PackJob<'a, 'c> {
    plan: &'a Plan,
    rows: usize,
    /// What constants, defaults and single values add up to.
    base: u64,
    /// Their codes by field, where other fields depend on them.
    given: [Option<u64>; MOST_FIELDS],
    sources: Vec<Source<'a, 'c>>,
    identifiers: Vec<IdentifierSource<'a, 'c>>,
    /// No row fits.
    hopeless: bool,
    /// Fields are looked at together.
    together: bool,
    /// What each source adds, where all are plain columns of 64-bit integers.
    terms: Option<Vec<Term>>,
}

/// A block of rows, packed with the widest vectors that the machine has. (A closure would not be compiled for them.)
struct Block<'j, 'a, 'c, 'o> {
    job: &'j PackJob<'a, 'c>,
    start: usize,
    out: IntViewMut<'o>,
    /// Where integers are put together that do not go to a contiguous 64-bit column.
    ids: &'o mut [u64; STEP],
    slots: Option<&'o mut Slots>,
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
type Slots = [[u64; STEP]];

impl<'a, 'c> PackJob<'a, 'c> {
    /// Finds a source for every field.
    pub(super) fn new(plan: &'a Plan, columns: &'a [(&str, PackColumn<'c>)], rows: usize) -> Result<Self, PackError> {
        let mut own: [Option<&'a PackColumn<'c>>; MOST_FIELDS] = [None; MOST_FIELDS];
        let mut identifiers: Vec<(usize, &'a PackColumn<'c>)> = Vec::new();
        for (i, (name, column)) in columns.iter().enumerate() {
            if columns[..i].iter().any(|(other, _)| other == name) {
                return Err(PackError::Twice { name: (*name).to_owned() });
            }
            if let Some(found) = column.len().filter(|n| *n != rows) {
                return Err(PackError::Length { name: (*name).to_owned(), found, expected: rows });
            }
            match plan.target(name) {
                Some(Target::Digit(digit)) => own[digit] = Some(column),
                Some(Target::Identifier(which)) => identifiers.push((which, column)),
                None => {
                    return Err(PackError::UnknownColumn {
                        packer: plan.name.to_string(),
                        name: (*name).to_owned(),
                        near: near_miss(name, plan.names()),
                        known: plan.names().collect::<Vec<_>>().join(", "),
                    });
                }
            }
        }
        let mut job = Self {
            plan,
            rows,
            base: 0,
            given: [None; MOST_FIELDS],
            sources: Vec::with_capacity(columns.len()),
            identifiers: Vec::with_capacity(identifiers.len()),
            hopeless: false,
            together: !identifiers.is_empty() || plan.digits.iter().any(|d| d.limit.is_some()),
            terms: None,
        };
        let mut from_identifier = [false; MOST_FIELDS];
        for (which, column) in identifiers {
            let identifier = &plan.identifiers[which];
            let gives = identifier.digits().map(|digit| {
                digit.is_some_and(|d| {
                    let gives = own[d].is_none() && plan.digits[d].is_column() && !from_identifier[d];
                    from_identifier[d] |= gives;
                    gives
                })
            });
            let view = match &column.values {
                Values::Integers(view) => Ok(*view),
                Values::Value(DimensionValue::Int(v)) => Err(*v),
                _ => return Err(wrong_type(&identifier.name, "integers", column)),
            };
            job.identifiers.push(IdentifierSource { which, view, nulls: column.nulls.as_ref(), gives });
        }
        for (i, digit) in plan.digits.iter().enumerate() {
            match own[i] {
                Some(column) => job.add_source(i, digit, column)?,
                None if from_identifier[i] => {}
                None => {
                    let Some(code) = digit.constant.or(digit.missing) else {
                        let mut given: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
                        given.sort_unstable();
                        return Err(PackError::MissingColumn {
                            packer: plan.name.to_string(),
                            name: digit.name.to_string(),
                            given: if given.is_empty() { "none".to_owned() } else { given.join(", ") },
                        });
                    };
                    job.give(i, code);
                }
            }
        }
        if !job.together && !job.hopeless && (1..=lines::MOST).contains(&job.sources.len()) {
            job.terms = job.sources.iter().map(|source| source.term(&plan.digits[source.digit])).collect();
        }
        Ok(job)
    }

    fn give(&mut self, digit: usize, code: u64) {
        self.given[digit] = Some(code);
        self.base = self.base.wrapping_add(code.wrapping_mul(self.plan.digits[digit].weight));
    }

    fn add_source(&mut self, i: usize, digit: &Digit, column: &'a PackColumn<'c>) -> Result<(), PackError> {
        let input = match (&column.values, &digit.kind) {
            (Values::Value(value), _) => match digit.code_of(value) {
                // A constant's column may only repeat the constant.
                Ok(code) if digit.constant.is_none_or(|c| c == code) => {
                    self.give(i, code);
                    return Ok(());
                }
                _ => {
                    self.hopeless = true;
                    Input::Wrong(value.clone())
                }
            },
            (Values::Null, _) => {
                if let Some(code) = digit.missing.filter(|_| digit.constant.is_none()) {
                    self.give(i, code);
                    return Ok(());
                }
                self.hopeless = true;
                Input::Nulls
            }
            (Values::Integers(view), Kind::Integer) => {
                // Both ends of what the type and the field have in common.
                let (least, most) = view.range();
                let (from, to) = digit.constant.map_or((0, digit.top), |c| (c, c));
                let low = least.max(digit.value(from));
                let high = most.min(digit.value(to));
                self.hopeless |= low > high;
                if column.nulls.is_none() && !(self.together && digit.slot.is_some()) {
                    // What the type's lower end leaves out of the field's values.
                    let skipped = (low as u64).wrapping_sub(digit.first as u64);
                    self.base = self.base.wrapping_add(skipped.wrapping_mul(digit.weight));
                }
                Input::Integers { view: *view, low: low as u64, span: (high - low).max(0) as u64 }
            }
            (Values::Integers(view), Kind::Date(_)) => Input::Integers { view: *view, low: 0, span: u64::MAX },
            (Values::Keys(keys, names), Kind::Names(table)) => {
                let null = table.null.or(digit.missing).unwrap_or(NONE);
                let code = |n: &Option<std::sync::Arc<str>>| match n {
                    Some(n) => table.by_text.get(n).copied().unwrap_or(NONE),
                    None => null,
                };
                Input::Keys { keys: *keys, codes: names.iter().map(code).collect(), names: names.clone() }
            }
            (Values::Texts(texts), Kind::Names(_)) => Input::Texts(*texts),
            (_, Kind::Names(_)) => return Err(wrong_type(&digit.name, "texts", column)),
            _ => return Err(wrong_type(&digit.name, "integers", column)),
        };
        let null = digit.names().and_then(|n| n.null).or(digit.missing);
        self.sources.push(Source { digit: i, input, nulls: column.nulls.as_ref(), null });
        Ok(())
    }

    /// Packs all rows. Rows that do not fit are 0 in `out` and true in `mask`.
    pub(super) fn run(&self, out: IntViewMut<'_>, mask: Option<&mut [bool]>) -> Option<BadRows> {
        let rows = self.rows;
        let faults = self.range(0, out, mask);
        faults.report(&self.plan.name, "packed", rows, |row, problem| self.words(row, problem))
    }

    fn range(&self, start: usize, out: IntViewMut<'_>, mask: Option<&mut [bool]>) -> Faults<Problem> {
        let rows = out.len();
        let Some(middle) = middle(rows) else { return self.chunk(start, out, mask) };
        let (left, right) = out.split_at(middle);
        let (left_mask, right_mask) = mask.map(|m| m.split_at_mut(middle)).unzip();
        joined(|| self.range(start, left, left_mask), || self.range(start + middle, right, right_mask))
    }

    fn chunk(&self, start: usize, mut out: IntViewMut<'_>, mut mask: Option<&mut [bool]>) -> Faults<Problem> {
        let rows = out.len();
        let mut faults = Faults::none();
        if rows <= 8 {
            self.rows_exactly(start, &mut out, mask, &mut faults);
            return faults;
        }
        if self.lines(start, &mut out) == Some(false) {
            if let Some(mask) = mask {
                mask.fill(false);
            }
            return faults;
        }
        let mut slots = self.together.then(|| vec![[0; STEP]; MOST_SLOTS]);
        if let Some(slots) = &mut slots {
            for (digit, given) in self.plan.digits.iter().zip(self.given) {
                if let (Some(slot), Some(code)) = (digit.slot, given) {
                    slots[slot].fill(code);
                }
            }
        }
        let mut ids = [0; STEP];
        let mut from = 0;
        while from < rows {
            let to = rows.min(from + STEP);
            let (out_rows, slots) = (out.slice(from..to), slots.as_deref_mut());
            let bad = pulp::Arch::new().dispatch(Block {
                job: self,
                start: start + from,
                out: out_rows,
                ids: &mut ids,
                slots,
            });
            let mask = mask.as_deref_mut().map(|m| &mut m[from..to]);
            if bad || self.hopeless {
                self.rows_exactly(start + from, &mut out.slice(from..to), mask, &mut faults);
            } else if let Some(mask) = mask {
                mask.fill(false);
            }
            from = to;
        }
        faults
    }

    /// Packs plain columns; whether any row does not fit, or `None` where that is not for [`lines`].
    fn lines(&self, start: usize, out: &mut IntViewMut<'_>) -> Option<bool> {
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
    fn split(
        &self,
        source: &IdentifierSource<'_, '_>,
        rows: std::ops::Range<usize>,
        slots: &mut Slots,
        out: &mut [u64],
    ) -> bool {
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

    #[cold]
    #[inline(never)]
    fn rows_exactly(
        &self,
        start: usize,
        out: &mut IntViewMut<'_>,
        mut mask: Option<&mut [bool]>,
        faults: &mut Faults<Problem>,
    ) {
        for i in 0..out.len() {
            let packed = self.row(start + i);
            if let Some(mask) = mask.as_deref_mut() {
                mask[i] = packed.is_err();
            }
            let value = packed.unwrap_or_else(|problem| {
                faults.push(start + i, problem);
                0
            });
            with_view!(IntViewMut, out, v => put(v, i, value));
        }
    }

    /// Packs one row, step by step.
    fn row(&self, row: usize) -> Result<u64, Problem> {
        let digits = &self.plan.digits;
        let mut codes = self.given;
        for (i, source) in self.sources.iter().enumerate() {
            codes[source.digit] = Some(source.code(i, &digits[source.digit], row)?);
        }
        for source in &self.identifiers {
            let which = source.which;
            if source.nulls.is_some_and(|n| n.is_null(row)) {
                return Err(Problem::Null(Target::Identifier(which)));
            }
            let value = match &source.view {
                Ok(view) => view.exact(row),
                Err(value) => i128::from(*value),
            };
            let wrong = Problem::Identifier { which, value };
            let id = u64::try_from(value).map_err(|_| wrong)?;
            let identifier = &self.plan.identifiers[which];
            let parts = identifier.split(id, digits);
            let mut all = parts;
            for (k, digit) in identifier.digits().into_iter().enumerate() {
                let Some(digit) = digit else { continue };
                if source.gives[k] {
                    if !digits[digit].allows(parts[k]) {
                        return Err(wrong);
                    }
                    codes[digit] = Some(parts[k]);
                }
                all[k] = codes[digit].unwrap_or(NONE);
            }
            if parts.contains(&NONE) {
                return Err(wrong);
            }
            let made = identifier.join(all, digits);
            if made != id {
                let own = all == parts;
                return Err(if own { wrong } else { Problem::Disagrees { which, value, made } });
            }
        }
        let mut sum = 0_u64;
        for (i, digit) in digits.iter().enumerate() {
            let code = codes[i].unwrap_or(NONE);
            if let Some(limit) = &digit.limit {
                let other = codes[limit.other].unwrap_or(NONE);
                if limit.counts.get(other as usize).is_none_or(|count| code >= *count) {
                    return Err(Problem::Limit { digit: i, code, other });
                }
            }
            sum = sum.wrapping_add(code.wrapping_mul(digit.weight));
        }
        Ok(sum)
    }

    fn words(&self, row: usize, problem: Problem) -> String {
        let plan = self.plan;
        match problem {
            Problem::Null(target) => format!("`{}` is null", plan.target_name(target)),
            Problem::Value { digit, value } => plan.digits[digit].complaint(value),
            Problem::Text { source } => {
                let source = &self.sources[source];
                let digit = &plan.digits[source.digit];
                match &source.input {
                    Input::Wrong(DimensionValue::Str(text)) => digit.complaint_text(text),
                    Input::Wrong(DimensionValue::Int(value)) => digit.complaint(i128::from(*value)),
                    Input::Texts(texts) => digit.complaint_text(texts.text(row)),
                    Input::Keys { keys, names, .. } => {
                        let key = keys.exact(row);
                        let name = usize::try_from(key).ok().and_then(|k| names.get(k));
                        match name {
                            Some(Some(name)) => digit.complaint_text(name),
                            Some(None) => format!("`{}` is null", digit.name),
                            None => format!("`{}` has key {key}, but there are {} names", digit.name, names.len()),
                        }
                    }
                    _ => format!("`{}` is null", digit.name),
                }
            }
            Problem::Identifier { which, value } => {
                format!(
                    "`{}` is {value}, expected {}",
                    plan.identifiers[which].name,
                    plan.identifiers[which].expected(&plan.digits)
                )
            }
            Problem::Disagrees { which, value, made } => {
                format!("`{}` is {value}, but the other columns make it {made}", plan.identifiers[which].name)
            }
            Problem::Limit { digit, code, other } => limit_words(plan, digit, code, other),
        }
    }
}

/// Words on a code beyond the limit that another field sets.
pub(super) fn limit_words(plan: &Plan, digit: usize, code: u64, other: u64) -> String {
    let digit = &plan.digits[digit];
    let Some(limit) = &digit.limit else { return String::new() };
    let by = &plan.digits[limit.other];
    let count = limit.counts.get(other as usize).copied().unwrap_or(0);
    let of = format!("where `{}` is {}", by.name, by.value(other));
    match count {
        0 => format!("`{}` is {}, but there is none {of}", digit.name, digit.value(code)),
        count => format!(
            "`{}` is {}, expected {} to {} {of}",
            digit.name,
            digit.value(code),
            digit.first,
            digit.value(count - 1)
        ),
    }
}

impl Source<'_, '_> {
    /// What a plain column of 64-bit integers adds.
    fn term(&self, digit: &Digit) -> Option<Term> {
        match &self.input {
            Input::Integers { view, low, span }
                if self.nulls.is_none() && matches!(digit.kind, Kind::Integer) && view.words().is_some() =>
            {
                Term::new(*low, *span, digit.weight)
            }
            _ => None,
        }
    }

    /// The codes of a block of rows; whether any row does not fit.
    #[inline(always)]
    fn codes(&self, digit: &Digit, rows: std::ops::Range<usize>, out: &mut [u64]) -> bool {
        let mut bad = match &self.input {
            Input::Integers { view, low, span } => with_view!(IntView, view, v => {
                kernels::codes_of(v.slice(ndarray::s![rows.clone()]).iter().copied(), *low, out);
                kernels::any_above(out, *span)
            }),
            Input::Keys { keys, codes, .. } => {
                with_view!(IntView, keys, v => {
                    for (out, key) in out.iter_mut().zip(v.slice(ndarray::s![rows.clone()])) {
                        *out = codes.get(key.widen() as usize).copied().unwrap_or(NONE);
                    }
                });
                false
            }
            Input::Texts(texts) => {
                if let Kind::Names(table) = &digit.kind {
                    let mut codes = TextCodes::new(&table.by_text);
                    for (out, row) in out.iter_mut().zip(rows.clone()) {
                        *out = codes.code(texts.text(row));
                    }
                }
                false
            }
            Input::Wrong(_) | Input::Nulls => true,
        };
        match (&digit.kind, &self.input) {
            (Kind::Date(calendar), _) => {
                for code in out.iter_mut() {
                    *code = calendar.day(*code);
                }
            }
            (Kind::Integer, Input::Integers { low, .. }) => {
                let skipped = low.wrapping_sub(digit.first as u64);
                for code in out.iter_mut() {
                    *code = code.wrapping_add(skipped);
                }
            }
            _ => {}
        }
        if let Some(nulls) = self.nulls {
            for (code, row) in out.iter_mut().zip(rows) {
                if nulls.is_null(row) {
                    *code = self.null.unwrap_or(NONE);
                    bad |= self.null.is_none();
                }
            }
        }
        // What lies above the top is found when the codes are added up.
        bad | digit.constant.is_some_and(|c| out.iter().any(|code| *code != c))
    }

    /// The code of one row.
    fn code(&self, source: usize, digit: &Digit, row: usize) -> Result<u64, Problem> {
        if self.nulls.is_some_and(|n| n.is_null(row)) {
            return self.null.ok_or(Problem::Null(Target::Digit(self.digit)));
        }
        let code = match &self.input {
            Input::Integers { view, .. } => {
                let value = view.exact(row);
                digit.code(value).ok_or(Problem::Value { digit: self.digit, value })?
            }
            Input::Keys { keys, codes, .. } => {
                let key = usize::try_from(keys.exact(row)).ok();
                key.and_then(|k| codes.get(k)).copied().filter(|c| *c != NONE).ok_or(Problem::Text { source })?
            }
            Input::Texts(texts) => {
                let Kind::Names(table) = &digit.kind else { return Err(Problem::Text { source }) };
                table.by_text.get(texts.text(row)).copied().ok_or(Problem::Text { source })?
            }
            Input::Wrong(_) | Input::Nulls => return Err(Problem::Text { source }),
        };
        match (digit.constant, &self.input) {
            (Some(constant), Input::Integers { view, .. }) if constant != code => {
                Err(Problem::Value { digit: self.digit, value: view.exact(row) })
            }
            (Some(constant), _) if constant != code => Err(Problem::Text { source }),
            _ => Ok(code),
        }
    }
}

fn wrong_type(name: &str, expected: &'static str, column: &PackColumn<'_>) -> PackError {
    PackError::WrongType { name: name.to_owned(), expected, found: column.type_name() }
}

/// Integers into a column of another type or with gaps.
#[inline(always)]
fn store(ids: &[u64], out: &mut IntViewMut<'_>) {
    #[inline(always)]
    fn put<T: Int>(ids: &[u64], out: &mut ndarray::ArrayViewMut1<'_, T>) {
        for (out, id) in out.iter_mut().zip(ids) {
            *out = T::narrow(*id);
        }
    }
    with_view!(IntViewMut, out, v => put(ids, v));
}

/// One integer into a column.
pub(super) fn put<T: Int>(view: &mut ndarray::ArrayViewMut1<'_, T>, row: usize, value: u64) {
    if let Some(place) = view.get_mut(row) {
        *place = T::narrow(value);
    }
}

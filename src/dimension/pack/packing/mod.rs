//! [`PackJob`]: columns to integers.

mod block;
mod exact;
mod source;

use std::sync::Arc;

use arrow::buffer::NullBuffer;

use super::column::{IntView, IntViewMut, PackColumn, Values};
use super::digits::{Digit, Kind};
use super::error::{BadRows, PackError};
use super::identifier::NONE;
use super::kernels::STEP;
use super::lines::{self, Term};
use super::plan::{MOST_FIELDS, MOST_SLOTS, Plan, Target};
use super::rows::Faults;
use super::split::{joined, middle};
use crate::dimension::{DimensionValue, near_miss};

use block::Block;
use exact::Problem;
pub(super) use exact::limit_words;
use source::{Input, Source};

/// An identifier's column, and which of its parts come from there.
struct IdentifierSource<'a, 'c> {
    which: usize,
    view: Result<IntView<'c>, i64>,
    nulls: Option<&'a NullBuffer>,
    gives: [bool; 4],
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
                let code = |n: &Option<Arc<str>>| match n {
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
}

fn wrong_type(name: &str, expected: &'static str, column: &PackColumn<'_>) -> PackError {
    PackError::WrongType { name: name.to_owned(), expected, found: column.type_name() }
}

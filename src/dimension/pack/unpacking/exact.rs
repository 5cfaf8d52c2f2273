//! Integers one by one: which of them is not of the layout, and what is wrong with it.

use std::ops::Range;

use super::super::column::{IntViewMut, with_view};
use super::super::digits::{Digit, Kind, Segment};
use super::super::packing::limit_words;
use super::super::plan::{MOST_FIELDS, Target};
use super::super::rows::Faults;
use super::super::split::put;
use super::{MOST_OUTPUTS, Outputs, UnpackJob};

/// What is wrong with a row.
#[derive(Clone, Copy, Debug)]
pub(in crate::dimension::pack) enum Problem {
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

impl UnpackJob<'_, '_> {
    #[cold]
    #[inline(never)]
    pub(super) fn rows_exactly(
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

    pub(super) fn words(&self, problem: Problem) -> String {
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

/// What an output shows of a code: of names the position in the table.
fn shown(digit: &Digit, code: u64) -> i128 {
    match &digit.kind {
        Kind::Names(names) => names.positions.get(code as usize).map_or(0, |p| i128::from(*p)),
        _ => digit.value(code),
    }
}

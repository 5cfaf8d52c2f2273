//! Rows one by one: which of them does not fit, and what is wrong with it.

use super::super::column::{IntViewMut, with_view};
use super::super::identifier::NONE;
use super::super::plan::{Plan, Target};
use super::super::rows::Faults;
use super::super::split::put;
use super::PackJob;
use super::source::Input;
use crate::dimension::DimensionValue;

/// What is wrong with a row.
#[derive(Clone, Copy, Debug)]
pub(in crate::dimension::pack) enum Problem {
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

impl PackJob<'_, '_> {
    #[cold]
    #[inline(never)]
    pub(super) fn rows_exactly(
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

    pub(super) fn words(&self, row: usize, problem: Problem) -> String {
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
pub(in crate::dimension::pack) fn limit_words(plan: &Plan, digit: usize, code: u64, other: u64) -> String {
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

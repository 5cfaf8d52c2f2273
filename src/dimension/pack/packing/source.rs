//! [`Source`]: where the codes of a field come from.

#![expect(clippy::inline_always, reason = "what runs in SIMD must be compiled with the caller's instruction set")]

use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::NullBuffer;

use super::super::column::{Int, IntView, TextCodes, Texts, with_view};
use super::super::digits::{Digit, Kind};
use super::super::identifier::NONE;
use super::super::kernels;
use super::super::lines::Term;
use super::super::plan::Target;
use super::exact::Problem;
use crate::dimension::DimensionValue;

/// Where the codes of a field come from.
pub(super) enum Input<'c> {
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
        names: Arc<[Option<Arc<str>>]>,
    },
    Texts(Texts<'c>),
    /// One value for all rows, which does not fit.
    Wrong(DimensionValue),
    /// Nulls only.
    Nulls,
}

/// A column, and the field that it gives.
pub(super) struct Source<'a, 'c> {
    pub(super) digit: usize,
    pub(super) input: Input<'c>,
    pub(super) nulls: Option<&'a NullBuffer>,
    /// The code of a null.
    pub(super) null: Option<u64>,
}

impl Source<'_, '_> {
    /// What a plain column of 64-bit integers adds.
    pub(super) fn term(&self, digit: &Digit) -> Option<Term> {
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
    pub(super) fn codes(&self, digit: &Digit, rows: Range<usize>, out: &mut [u64]) -> bool {
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
    pub(super) fn code(&self, source: usize, digit: &Digit, row: usize) -> Result<u64, Problem> {
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

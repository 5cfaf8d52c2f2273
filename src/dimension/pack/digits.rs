//! [`Digit`] and [`Segment`]: one field of an integer, and the bits that some of them share.

use std::sync::Arc;

use super::calendar::Calendar;
use super::names::NameTable;
use crate::dimension::DimensionValue;

/// What the codes of a field stand for.
#[derive(Debug)]
pub(super) enum Kind {
    /// Integers from `first` on.
    Integer,
    /// Dates.
    Date(Calendar),
    /// Texts.
    Names(NameTable),
}

/// How many codes a field has depends on another field's code.
#[derive(Debug)]
pub(super) struct Limit {
    /// The other digit.
    pub(super) other: usize,
    /// Number of codes by the other's code.
    pub(super) counts: Arc<[u64]>,
}

/// One field.
#[derive(Debug)]
pub(super) struct Digit {
    pub(super) name: Arc<str>,
    /// Number of codes that there is room for, less one.
    pub(super) room: u64,
    /// The largest code that is allowed.
    pub(super) top: u64,
    /// What one step of the code adds to the integer.
    pub(super) weight: u64,
    /// The value of code 0.
    pub(super) first: i64,
    pub(super) kind: Kind,
    /// The code where no value is given.
    pub(super) missing: Option<u64>,
    /// The only code.
    pub(super) constant: Option<u64>,
    pub(super) limit: Option<Limit>,
    /// Where its codes are kept while rows are looked at together with other fields.
    pub(super) slot: Option<usize>,
}

impl Digit {
    /// The code of a value, or `None` when it has none.
    pub(super) fn code(&self, value: i128) -> Option<u64> {
        let code = match &self.kind {
            Kind::Integer => u64::try_from(value - i128::from(self.first)).ok()?,
            Kind::Date(calendar) => calendar.day(u64::try_from(value).ok()?),
            Kind::Names(_) => return None,
        };
        (code <= self.top).then_some(code)
    }

    /// The value of a code that is allowed, when it is an integer or a date.
    pub(super) fn value(&self, code: u64) -> i128 {
        match &self.kind {
            Kind::Integer | Kind::Names(_) => i128::from(code) + i128::from(self.first),
            Kind::Date(calendar) => i128::from(calendar.date(code)),
        }
    }

    /// Whether a code stands for something.
    pub(super) fn allows(&self, code: u64) -> bool {
        code <= self.top
            && self.constant.is_none_or(|c| c == code)
            && match &self.kind {
                Kind::Names(names) => names.name(code).is_some(),
                _ => true,
            }
    }

    /// Whether codes must be looked at one by one, for there is room for some that stand for nothing.
    pub(super) fn has_holes(&self) -> bool {
        self.constant.is_some()
            || match &self.kind {
                Kind::Names(names) => !names.is_full(self.room),
                _ => self.top < self.room,
            }
    }

    /// The code of a value as it stands in data IDs and layouts, or what is wrong.
    pub(super) fn code_of(&self, value: &DimensionValue) -> Result<u64, String> {
        match (value, &self.kind) {
            (DimensionValue::Str(text), Kind::Names(names)) => {
                names.by_text.get(text).copied().ok_or_else(|| self.complaint_text(text))
            }
            (DimensionValue::Int(v), Kind::Integer | Kind::Date(_)) => {
                self.code(i128::from(*v)).ok_or_else(|| self.complaint(i128::from(*v)))
            }
            (value, _) => Err(format!("`{}` is {value}, expected {}", self.name, self.expected())),
        }
    }

    /// Words on a value out of range.
    pub(super) fn complaint(&self, value: i128) -> String {
        format!("`{}` is {value}, expected {}", self.name, self.expected())
    }

    /// Words on a text without a code.
    pub(super) fn complaint_text(&self, text: &str) -> String {
        let near = match &self.kind {
            Kind::Names(names) => crate::dimension::near_miss(text, names.names.iter().flatten().map(|n| &**n)),
            _ => None,
        };
        let near = crate::dimension::did_you_mean(near.as_deref());
        let short: String = text.chars().take(60).collect();
        format!("`{}` is {short:?}{near}, expected {}", self.name, self.expected())
    }

    /// The values there are.
    pub(super) fn expected(&self) -> String {
        if let Some(code) = self.constant {
            return match &self.kind {
                Kind::Names(names) => names.name(code).cloned().flatten().map_or("null".to_owned(), |n| n.to_string()),
                _ => self.value(code).to_string(),
            };
        }
        match &self.kind {
            Kind::Integer => format!("{} to {}", self.value(0), self.value(self.top)),
            Kind::Date(_) => format!("a date from {} to {}", self.value(0), self.value(self.top)),
            Kind::Names(names) => format!("one of {}", names.list()),
        }
    }

    /// Whether it is given by a column: constants are not.
    pub(super) fn is_column(&self) -> bool {
        self.constant.is_none()
    }

    /// Whether its values are texts.
    pub(super) fn names(&self) -> Option<&NameTable> {
        match &self.kind {
            Kind::Names(names) => Some(names),
            _ => None,
        }
    }
}

/// Bits that one field has for itself, or several share as digits of a mixed radix.
#[derive(Debug)]
pub(super) struct Segment {
    /// The lowest bit.
    pub(super) shift: u32,
    /// All of its bits, shifted down.
    pub(super) mask: u64,
    /// The largest number that its digits can make.
    pub(super) top: u64,
    /// Its digits, the least significant first.
    pub(super) first: usize,
    pub(super) end: usize,
}

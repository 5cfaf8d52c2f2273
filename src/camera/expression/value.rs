//! [`Value`]: what an expression is worth.

use std::fmt;

use crate::wcs::HeaderValue;

/// The value of an expression over headers.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer.
    Int(i64),
    /// A real number.
    Real(f64),
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
}

impl Value {
    /// The value as a number. A text that reads as a number is one: archives quote numbers, and tables are text.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(v) => Some(*v as f64),
            Self::Real(v) => Some(*v),
            Self::Text(s) => HeaderValue::Text(s.clone()).as_f64(),
            Self::Bool(_) => None,
        }
    }

    /// The value as an integer: an integer, a real without fraction, or a text that reads as one of them.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(*v),
            Self::Real(v) => HeaderValue::Real(*v).as_i64(),
            Self::Text(s) => s.trim().parse().ok().or_else(|| HeaderValue::Real(self.as_f64()?).as_i64()),
            Self::Bool(_) => None,
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "integer",
            Self::Real(_) => "real",
            Self::Text(_) => "text",
            Self::Bool(_) => "logical",
        }
    }

    /// Whether two values are the same: as numbers where both read as numbers, otherwise as texts or logicals.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a.trim_end() == b.trim_end(),
            _ => self
                .as_f64()
                .zip(other.as_f64())
                .is_some_and(|(a, b)| a.total_cmp(&b).is_eq() || (a == 0.0 && b == 0.0)),
        }
    }
}

/// The value as it is written into a text: numbers without quotes, logicals as `T` and `F`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(v) => write!(f, "{v}"),
            Self::Real(v) => write!(f, "{v}"),
            Self::Text(s) => f.write_str(s),
            Self::Bool(b) => f.write_str(if *b { "T" } else { "F" }),
        }
    }
}

/// `None` for an undefined value.
pub(in crate::camera) fn from_header(value: &HeaderValue) -> Option<Value> {
    Some(match value {
        HeaderValue::Logical(b) => Value::Bool(*b),
        HeaderValue::Integer(v) => Value::Int(*v),
        HeaderValue::Real(v) => Value::Real(*v),
        HeaderValue::Text(s) => Value::Text(s.trim_end().to_owned()),
        HeaderValue::Undefined => return None,
    })
}

impl From<Value> for HeaderValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Int(v) => Self::Integer(v),
            Value::Real(v) => Self::Real(v),
            Value::Text(s) => Self::Text(s),
            Value::Bool(b) => Self::Logical(b),
        }
    }
}

//! `--where` expressions: one parsed tree, executed by the registry (SQL) and over columns (snapshot).

mod display;
mod error;
mod ids;
mod moment;
mod parse;
mod scope;
mod terms;
mod token;
mod values;

pub use error::ExpressionError;
pub use scope::{ResolvedColumn, Scope};

use std::fmt;

use serde::{Deserialize, Serialize};

/// A parsed `--where` expression.
///
/// Identifiers are dimension names (`visit`) or metadata of a dimension's records (`visit.exposure_time`; the metadata's
/// name alone will do where only one element has it).
///
/// Truth is SQL's, with three values: a comparison with an absent value is unknown, and only rows for which the whole is
/// true are chosen. Integers and reals compare by value; texts compare by bytes; a text never compares with a number.
/// [`Display`](fmt::Display) writes what [`Expression::parse`] reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expression {
    /// Both.
    And(Box<Expression>, Box<Expression>),
    /// Either.
    Or(Box<Expression>, Box<Expression>),
    /// The contrary.
    Not(Box<Expression>),
    /// A comparison of two operands.
    Compare(Comparison, Operand, Operand),
    /// `identifier IN (1, 3..7, 10..20:2)` or `NOT IN`; ranges are inclusive as in Rubin's expressions.
    In {
        /// What is looked for.
        operand: Operand,
        /// Where.
        items: Vec<InItem>,
        /// `NOT IN`.
        negated: bool,
    },
    /// `identifier GLOB 'pattern'`, `*` and `?`.
    Glob(Operand, String),
    /// `identifier IS NULL` or, negated, `IS NOT NULL`.
    IsNull {
        /// What is tested.
        operand: Operand,
        /// `IS NOT NULL`.
        negated: bool,
    },
    /// A constant truth value.
    Constant(bool),
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    /// A dimension, or with a field a metadata column of the dimension's records.
    Identifier {
        /// Dimension (element) name.
        element: String,
        /// Metadata column; `None` for the dimension's own value.
        field: Option<String>,
    },
    /// A constant.
    Literal(Literal),
}

/// A constant in an expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Literal {
    /// An integer.
    Int(i64),
    /// A real number.
    Float(f64),
    /// A text.
    Str(String),
}

/// One item of an `IN` list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum InItem {
    /// One value.
    Value(Literal),
    /// `start..stop:step`, both ends included.
    Range {
        /// First value.
        start: i64,
        /// Last value, included.
        stop: i64,
        /// Distance of values, positive.
        step: i64,
    },
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

//! [`PackError`]: a layout that cannot be, or rows that do not fit it.

use std::fmt;
use std::sync::Arc;

use crate::dimension::did_you_mean;

/// Rows that an error names; the others are only counted.
pub(super) const ROWS_NAMED: usize = 5;

/// Why integers cannot be made of data IDs, or data IDs of integers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The layout contradicts itself.
    #[error("packer {packer}: {problem}")]
    Layout {
        /// The packer's name.
        packer: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The text of a layout is not TOML, or has other keys.
    #[error("packer layout: {0}")]
    Toml(String),
    /// A specification such as `skymap:hsc_rings_v1` is not understood.
    #[error("packer `{spec}`: {problem}")]
    Specification {
        /// The specification.
        spec: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// No field has this name.
    #[error("packer {packer} has no field `{name}`{} (it has {known})", did_you_mean(near.as_deref()))]
    UnknownColumn {
        /// The packer's name.
        packer: String,
        /// The name asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
        /// All of its fields and identifiers.
        known: String,
    },
    /// A column is given twice.
    #[error("column `{name}` is given twice")]
    Twice {
        /// The column.
        name: String,
    },
    /// A field without a default has no column.
    #[error("packer {packer} needs a column or value `{name}`; given are {given}")]
    MissingColumn {
        /// The packer's name.
        packer: String,
        /// The missing field.
        name: String,
        /// The columns that were given.
        given: String,
    },
    /// A column is of a type that cannot hold such values.
    #[error("column `{name}` should be {expected}, but is {found}")]
    WrongType {
        /// The column.
        name: String,
        /// The wanted type.
        expected: &'static str,
        /// The type it has.
        found: String,
    },
    /// Columns, buffers or masks of different lengths.
    #[error("`{name}` has {found} rows, expected {expected}")]
    Length {
        /// The column, `the mask` or `the output`.
        name: String,
        /// Its length.
        found: usize,
        /// The length of the others.
        expected: usize,
    },
    /// The output's integer type is too small for the packer.
    #[error("packer {packer} needs {bits} bits, which does not fit an output of {found}")]
    OutputTooNarrow {
        /// The packer's name.
        packer: String,
        /// The bits it needs.
        bits: u32,
        /// The output's type.
        found: &'static str,
    },
    /// A value that the packer fixes was given otherwise.
    #[error("packer {packer} is for `{name}` {expected}, but the data ID says {found}")]
    Fixed {
        /// The packer's name.
        packer: String,
        /// The dimension.
        name: String,
        /// The value that the packer fixes.
        expected: String,
        /// The value that was given.
        found: String,
    },
    /// Rows whose values do not fit.
    #[error("{0}")]
    Rows(BadRows),
}

/// A row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The row, counted from 0.
    pub row: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// How many rows do not fit, and the first of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRows {
    /// The packer's name.
    pub packer: Arc<str>,
    /// `packed` or `unpacked`.
    pub doing: &'static str,
    /// Number of rows that do not fit.
    pub count: usize,
    /// Number of all rows.
    pub rows: usize,
    /// The first rows at fault, at most five, ascending.
    pub first: Vec<BadRow>,
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ([only], 1) = (self.first.as_slice(), self.rows) {
            return write!(f, "{} cannot be {} by {}", only.problem, self.doing, self.packer);
        }
        write!(f, "{} of {} rows cannot be {} by {}", self.count, self.rows, self.doing, self.packer)?;
        for (i, bad) in self.first.iter().enumerate() {
            write!(f, "{} row {}: {}", if i == 0 { ":" } else { ";" }, bad.row, bad.problem)?;
        }
        if self.count > self.first.len() {
            write!(f, "; and {} more", self.count - self.first.len())?;
        }
        Ok(())
    }
}

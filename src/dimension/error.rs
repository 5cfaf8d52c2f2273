//! [`DimensionError`]: a data ID or a name that does not fit the universe.

use super::near_miss::did_you_mean;

/// What is wrong with a dimension's name, a data ID, or an identifier of an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DimensionError {
    /// No element has this name.
    #[error("unknown dimension `{name}`{}", or_known(near.as_deref(), known))]
    UnknownDimension {
        /// The name asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
        /// All known names.
        known: String,
    },
    /// An element has no such column.
    #[error("`{element}` has no column `{name}`{}", or_known(near.as_deref(), known))]
    UnknownColumn {
        /// The element.
        element: String,
        /// The column asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
        /// All columns of the element.
        known: String,
    },
    /// A name without an element is a column of several.
    #[error("column `{name}` is ambiguous: write {choices}")]
    AmbiguousColumn {
        /// The column asked for.
        name: String,
        /// The full names it may mean.
        choices: String,
    },
    /// The element exists, but has nothing to do with what is filtered.
    #[error("`{name}` does not concern {what}: it can be filtered by {known}")]
    OutOfScope {
        /// The identifier.
        name: String,
        /// What is filtered.
        what: String,
        /// The elements that concern it.
        known: String,
    },
    /// A data ID lacks a value.
    #[error("data ID {data_id} has no `{dimension}`: {group} needs one")]
    MissingValue {
        /// The data ID.
        data_id: String,
        /// The dimension without a value.
        dimension: String,
        /// The group of dimensions asked for.
        group: String,
    },
    /// A data ID has a value too many.
    #[error("data ID {data_id} has `{dimension}`, which is not a dimension of {group}{}", did_you_mean(near.as_deref()))]
    UnexpectedValue {
        /// The data ID.
        data_id: String,
        /// The dimension that does not belong.
        dimension: String,
        /// The group of dimensions asked for.
        group: String,
        /// A dimension of the group with a similar name.
        near: Option<String>,
    },
    /// A value is of the wrong type.
    #[error("`{dimension}` is {expected}, but the value is `{value}`")]
    WrongType {
        /// The dimension.
        dimension: String,
        /// The type it should have.
        expected: &'static str,
        /// The value.
        value: String,
    },
    /// A text that cannot name anything.
    #[error("`{dimension}` cannot be {value:?}: {reason}")]
    BadText {
        /// The dimension.
        dimension: String,
        /// The value.
        value: String,
        /// Why not.
        reason: &'static str,
    },
    /// A declaration of dimensions that does not hold.
    #[error("declared dimensions: {place}: {reason}")]
    Declaration {
        /// The table or field of the declaration.
        place: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Two sides of a comparison that have no order.
    #[error("cannot compare {left} with {right} in `{expression}`")]
    Incomparable {
        /// Type of the left side.
        left: &'static str,
        /// Type of the right side.
        right: &'static str,
        /// The part of the expression.
        expression: String,
    },
}

fn or_known(near: Option<&str>, known: &str) -> String {
    if near.is_some() { did_you_mean(near) } else { format!(" (known: {known})") }
}

//! [`Collection`]: a named set of datasets, or a search path over such sets.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What kind of set a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CollectionType {
    /// What one run made. Every dataset belongs to exactly one.
    Run,
    /// A search path: other collections, in order.
    Chained,
    /// Datasets picked by hand, from any runs.
    Tagged,
    /// Datasets with validity ranges: calibrations.
    Calibration,
}

impl CollectionType {
    /// All types with the code they are stored under.
    pub const ALL: [(Self, i64); 4] = [(Self::Run, 1), (Self::Chained, 2), (Self::Tagged, 3), (Self::Calibration, 4)];

    /// The name, as shown and typed: `RUN`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "RUN",
            Self::Chained => "CHAINED",
            Self::Tagged => "TAGGED",
            Self::Calibration => "CALIBRATION",
        }
    }

    /// The code it is stored under.
    pub const fn code(self) -> i64 {
        match self {
            Self::Run => 1,
            Self::Chained => 2,
            Self::Tagged => 3,
            Self::Calibration => 4,
        }
    }

    /// The type stored under a code.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, c)| *c == code).map(|(kind, _)| kind)
    }
}

impl fmt::Display for CollectionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A collection as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// The name, `HSC/runs/w30`.
    pub name: Arc<str>,
    /// What kind of set it is.
    pub collection_type: CollectionType,
    /// The members of a CHAINED collection, in the order they are searched; empty for the others.
    pub children: Vec<Arc<str>>,
}

/// Why a text cannot be the name of a collection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be the name of a collection: {reason}")]
pub struct CollectionNameError {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Checks the name of a collection. It is a part of paths, so it must be a relative path that stays where it is.
///
/// # Errors
/// [`CollectionNameError`] for a name that is empty or longer than 255 bytes, that has control characters, `\`, the
/// characters of patterns (`*?[]`), or empty parts, `.` or `..` between its slashes.
///
/// ```
/// use bunter::check_collection_name;
///
/// check_collection_name("HSC/runs/w30")?;
/// assert!(check_collection_name("HSC/../other").is_err());
/// # Ok::<(), bunter::CollectionNameError>(())
/// ```
pub fn check_collection_name(name: &str) -> Result<(), CollectionNameError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > 255 {
        "it is longer than 255 bytes"
    } else if name.chars().any(char::is_control) {
        "it has control characters"
    } else if name.contains('\\') {
        "it has a backslash"
    } else if name.contains(['*', '?', '[', ']']) {
        "`*`, `?`, `[` and `]` make a pattern, not a name"
    } else if name.contains(',') {
        "a comma separates collections"
    } else if name.trim() != name {
        "it begins or ends with a space"
    } else if name.split('/').any(str::is_empty) {
        "a slash must stand between two words"
    } else if name.split('/').any(|part| part == "." || part == "..") {
        "`.` and `..` would lead elsewhere"
    } else {
        return Ok(());
    };
    Err(CollectionNameError { name: name.chars().take(64).collect(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_lead_elsewhere_are_refused() {
        for good in ["a", "HSC/runs/w30", "u/me/..x/y..", "été 2014", "it's"] {
            check_collection_name(good).unwrap();
        }
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b", "a\nb", "a*", " a", "a,b", "a\\b"] {
            assert!(check_collection_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_collection_name(&"a".repeat(256)).is_err());
    }

    #[test]
    fn codes_are_kept() {
        for (kind, code) in CollectionType::ALL {
            assert_eq!((CollectionType::from_code(code), kind.code()), (Some(kind), code));
        }
        assert_eq!(CollectionType::from_code(0), None);
    }
}

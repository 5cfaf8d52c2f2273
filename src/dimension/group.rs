//! [`DimensionGroup`]: a set of dimensions that together name something.

use std::fmt;

use super::{ColumnType, DataId, DimensionError, DimensionValue, Element, Universe, near_miss};

/// A minimal set of dimensions with all that they need and all that they fix.
///
/// `required` names what a data ID must have; `implied` what then follows (a visit has one physical filter and that one
/// band). Both are sorted by name and disjoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DimensionGroup {
    universe: &'static Universe,
    required: Vec<&'static str>,
    implied: Vec<&'static str>,
}

impl DimensionGroup {
    /// See [`Universe::group`].
    pub(super) fn new<'a>(
        universe: &'static Universe,
        dimensions: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, DimensionError> {
        let mut required: Vec<&'static str> = Vec::new();
        for name in dimensions {
            required.extend(universe.dimension(name)?.0.required);
        }
        required.sort_unstable();
        required.dedup();
        // What a dimension fixes need not be given, unless something else needs it as a part of its name.
        let mut implied: Vec<&'static str> = Vec::new();
        let mut open = required.clone();
        while let Some(name) = open.pop() {
            for fixed in universe.element(name)?.implied {
                if !implied.contains(fixed) {
                    implied.push(fixed);
                    open.push(fixed);
                }
            }
        }
        implied.sort_unstable();
        required.retain(|name| !implied.contains(name));
        Ok(Self { universe, required, implied })
    }

    /// The universe that its dimensions are of.
    pub const fn universe(&self) -> &'static Universe {
        self.universe
    }

    /// The dimensions that a data ID must have, sorted.
    pub fn required(&self) -> &[&'static str] {
        &self.required
    }

    /// The dimensions that the required ones fix, sorted.
    pub fn implied(&self) -> &[&'static str] {
        &self.implied
    }

    /// Required and implied dimensions, sorted.
    pub fn all(&self) -> Vec<&'static str> {
        let mut all = [self.required.as_slice(), &self.implied].concat();
        all.sort_unstable();
        all
    }

    /// Whether `dimension` is required or implied.
    pub fn contains(&self, dimension: &str) -> bool {
        self.required.contains(&dimension) || self.implied.contains(&dimension)
    }

    /// The elements whose records one data ID of this group selects at most one of: what it can be filtered by.
    pub fn elements(&self) -> impl Iterator<Item = &'static Element> {
        self.universe.elements().iter().filter(|e| e.required.iter().all(|d| self.contains(d)))
    }

    /// Checks that a data ID has a value of the right type for every required dimension, and no others.
    ///
    /// # Errors
    /// [`DimensionError::MissingValue`], [`DimensionError::UnexpectedValue`], [`DimensionError::UnknownDimension`],
    /// [`DimensionError::WrongType`], [`DimensionError::BadText`].
    pub fn check_exact(&self, data_id: &DataId) -> Result<(), DimensionError> {
        self.check_at_least(data_id)?;
        match data_id.iter().find(|(name, _)| !self.required.contains(name)) {
            Some((name, _)) => Err(DimensionError::UnexpectedValue {
                data_id: data_id.to_string(),
                dimension: name.to_owned(),
                group: self.to_string(),
                near: near_miss(name, self.required.iter().copied()),
            }),
            None => Ok(()),
        }
    }

    /// Checks that a data ID has a value of the right type for every required dimension. It may have more, which must be
    /// dimensions and of the right type too.
    ///
    /// # Errors
    /// [`DimensionError::MissingValue`], [`DimensionError::UnknownDimension`], [`DimensionError::WrongType`],
    /// [`DimensionError::BadText`].
    pub fn check_at_least(&self, data_id: &DataId) -> Result<(), DimensionError> {
        for (name, value) in data_id.iter() {
            check_value(self.universe, name, value)?;
        }
        match self.required.iter().find(|name| data_id.get(name).is_none()) {
            Some(name) => Err(DimensionError::MissingValue {
                data_id: data_id.to_string(),
                dimension: (*name).to_owned(),
                group: self.to_string(),
            }),
            None => Ok(()),
        }
    }
}

/// Checks that a value can be one of a dimension.
fn check_value(universe: &Universe, dimension: &str, value: &DimensionValue) -> Result<(), DimensionError> {
    let (element, key) = universe.dimension(dimension)?;
    if element.name != dimension {
        return Err(DimensionError::UnknownDimension {
            name: dimension.to_owned(),
            near: Some(element.name.to_owned()),
            known: String::new(),
        });
    }
    let fits = match value {
        DimensionValue::Int(_) => key == ColumnType::Int,
        DimensionValue::Str(_) => key == ColumnType::Text,
    };
    if !fits {
        return Err(DimensionError::WrongType {
            dimension: dimension.to_owned(),
            expected: key.name(),
            value: value.to_string(),
        });
    }
    value.as_str().map_or(Ok(()), |text| check_text(dimension, text))
}

/// Checks that a text can be the value of a dimension: not empty, at most 255 bytes, no control characters.
pub(crate) fn check_text(dimension: &str, text: &str) -> Result<(), DimensionError> {
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.len() > 255 {
        "it is longer than 255 bytes"
    } else if text.chars().any(char::is_control) {
        "it has control characters"
    } else {
        return Ok(());
    };
    let value = text.chars().take(64).collect();
    Err(DimensionError::BadText { dimension: dimension.to_owned(), value, reason })
}

impl fmt::Display for DimensionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.required.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(names: &[&str]) -> DimensionGroup {
        Universe::builtin().group(names.iter().copied()).unwrap()
    }

    #[test]
    fn groups_are_minimal() {
        assert_eq!(group(&["visit", "band", "physical_filter"]), group(&["visit"]));
        assert_eq!(group(&["patch", "band"]).required(), ["band", "patch", "skymap", "tract"]);
        assert_eq!(group(&["patch", "band"]).implied(), [""; 0]);
        assert_eq!(group(&[]).all(), [""; 0]);
        assert_eq!(group(&["physical_filter"]).implied(), ["band"]);
    }

    #[test]
    fn elements_in_reach() {
        let names = |g: &DimensionGroup| g.elements().map(|e| e.name).collect::<Vec<_>>();
        assert_eq!(names(&group(&["tract", "band"])), ["band", "skymap", "tract"]);
        assert!(names(&group(&["visit", "detector"])).contains(&"visit_detector"));
        assert!(!names(&group(&["visit"])).contains(&"visit_detector"));
    }

    #[test]
    fn data_ids_are_checked() {
        let g = group(&["visit"]);
        let id = DataId::new().with("instrument", "HSC").with("visit", 1);
        g.check_exact(&id).unwrap();
        let more = id.clone().with("band", "r");
        g.check_at_least(&more).unwrap();
        assert!(matches!(g.check_exact(&more), Err(DimensionError::UnexpectedValue { .. })));
        let text = |id: DataId| g.check_at_least(&id).unwrap_err().to_string();
        assert!(text(id.clone().with("vist", 2)).contains("unknown dimension `vist`: did you mean `visit`?"));
        assert!(text(id.clone().with("ccd", 2)).contains("did you mean `detector`?"));
        assert!(text(DataId::new().with("visit", 1)).contains("has no `instrument`"));
        assert!(text(id.clone().with("visit", "1")).contains("`visit` is an integer, but the value is `1`"));
        assert!(text(id.clone().with("instrument", "")).contains("empty"));
        assert!(text(id.with("instrument", "a\0b")).contains("control"));
    }
}

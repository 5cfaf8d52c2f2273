//! [`DataId`]: the dimension values that name one piece of data.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Universe;

/// The value of one dimension: an integer (visit, detector, tract, patch …) or a text (instrument, band, sky map …).
///
/// In JSON and TOML it is the bare number or text; binary formats, which must know what follows, get a tag before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DimensionValue {
    /// An integer.
    Int(i64),
    /// A text.
    Str(Arc<str>),
}

impl DimensionValue {
    /// The integer, when it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(*v),
            Self::Str(_) => None,
        }
    }

    /// The text, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            Self::Int(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Bare {
    Int(i64),
    Str(Arc<str>),
}

#[derive(Serialize, Deserialize)]
enum Tagged {
    Int(i64),
    Str(Arc<str>),
}

impl Serialize for DimensionValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self, serializer.is_human_readable()) {
            (Self::Int(v), true) => Bare::Int(*v).serialize(serializer),
            (Self::Str(s), true) => Bare::Str(Arc::clone(s)).serialize(serializer),
            (Self::Int(v), false) => Tagged::Int(*v).serialize(serializer),
            (Self::Str(s), false) => Tagged::Str(Arc::clone(s)).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for DimensionValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(if deserializer.is_human_readable() {
            match Bare::deserialize(deserializer)? {
                Bare::Int(v) => Self::Int(v),
                Bare::Str(s) => Self::Str(s),
            }
        } else {
            match Tagged::deserialize(deserializer)? {
                Tagged::Int(v) => Self::Int(v),
                Tagged::Str(s) => Self::Str(s),
            }
        })
    }
}

impl fmt::Display for DimensionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(v) => write!(f, "{v}"),
            Self::Str(s) => f.write_str(s),
        }
    }
}

macro_rules! from_integer {
    ($($t:ty),*) => { $(impl From<$t> for DimensionValue { fn from(v: $t) -> Self { Self::Int(v.into()) } })* };
}
from_integer!(i64, i32, u32, i16, u16, i8, u8);

impl From<&str> for DimensionValue {
    fn from(v: &str) -> Self {
        Self::Str(v.into())
    }
}

impl From<String> for DimensionValue {
    fn from(v: String) -> Self {
        Self::Str(v.into())
    }
}

impl From<Arc<str>> for DimensionValue {
    fn from(v: Arc<str>) -> Self {
        Self::Str(v)
    }
}

/// Dimension values by dimension name: `{instrument: HSC, visit: 1228, detector: 42}`.
///
/// Values are kept sorted by name, so that equal data IDs compare and hash equal however they were made.
///
/// ```
/// use bunter::DataId;
///
/// let id = DataId::new().with("visit", 1228).with("instrument", "HSC");
/// assert_eq!(id.int("visit"), Some(1228));
/// assert_eq!(id.to_string(), "{instrument: HSC, visit: 1228}");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DataId {
    values: Vec<(Arc<str>, DimensionValue)>,
}

impl DataId {
    /// A data ID without values, which names everything.
    pub const fn new() -> Self {
        Self { values: Vec::new() }
    }

    /// This data ID with one more value (replaced when the dimension has one).
    #[must_use]
    pub fn with(mut self, dimension: &str, value: impl Into<DimensionValue>) -> Self {
        self.set(dimension, value);
        self
    }

    /// The data IDs of the rows of a table: its columns that are dimensions, of integers and texts. A value that is absent
    /// is left out.
    pub fn of_rows(table: &RecordBatch) -> impl Iterator<Item = Self> {
        let schema = table.schema();
        let columns: Vec<(Arc<str>, ArrayRef)> = schema
            .fields()
            .iter()
            .zip(table.columns())
            .filter(|(field, _)| Universe::builtin().dimension(field.name()).is_ok_and(|d| d.0.name == field.name()))
            .map(|(field, column)| (field.name().as_str().into(), Arc::clone(column)))
            .collect();
        (0..table.num_rows()).map(move |row| {
            let mut id = Self::new();
            for (name, column) in columns.iter().filter(|(_, column)| column.is_valid(row)) {
                if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
                    id.set(name, numbers.value(row));
                } else if let Some(texts) = column.as_string_opt::<i32>() {
                    id.set(name, texts.value(row));
                }
            }
            id
        })
    }

    /// Sets the value of a dimension.
    pub fn set(&mut self, dimension: &str, value: impl Into<DimensionValue>) {
        match self.values.binary_search_by(|(name, _)| (**name).cmp(dimension)) {
            Ok(i) => self.values[i].1 = value.into(),
            Err(i) => self.values.insert(i, (dimension.into(), value.into())),
        }
    }

    /// The value of a dimension.
    pub fn get(&self, dimension: &str) -> Option<&DimensionValue> {
        let i = self.values.binary_search_by(|(name, _)| (**name).cmp(dimension)).ok()?;
        Some(&self.values[i].1)
    }

    /// The value of a dimension, when it is there and an integer.
    pub fn int(&self, dimension: &str) -> Option<i64> {
        self.get(dimension)?.as_int()
    }

    /// The value of a dimension, when it is there and a text.
    pub fn str(&self, dimension: &str) -> Option<&str> {
        self.get(dimension)?.as_str()
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &DimensionValue)> {
        self.values.iter().map(|(name, value)| (&**name, value))
    }

    /// Number of dimensions with a value.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no dimension has a value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Only the values of `dimensions`.
    #[must_use]
    pub fn subset<'a>(&self, dimensions: impl IntoIterator<Item = &'a str>) -> Self {
        let mut subset = Self::new();
        for name in dimensions {
            if let Some(value) = self.get(name) {
                subset.set(name, value.clone());
            }
        }
        subset
    }
}

impl fmt::Display for DataId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.values.iter().enumerate() {
            write!(f, "{}{name}: {value}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str("}")
    }
}

impl<K: AsRef<str>, V: Into<DimensionValue>> FromIterator<(K, V)> for DataId {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        let mut id = Self::new();
        for (name, value) in values {
            id.set(name.as_ref(), value);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_making_does_not_matter() {
        let a = DataId::new().with("visit", 1).with("band", "r");
        let b = DataId::new().with("band", "i").with("visit", 1).with("band", "r");
        assert_eq!(a, b);
        assert_eq!(a.subset(["band", "tract"]), DataId::new().with("band", "r"));
    }
}

//! [`Element`]: a table of the sky's, the camera's or the calendar's things, and its [`Column`]s.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{DimensionError, near_miss};

/// The type of a column of dimension records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `i64`, Arrow `Int64`.
    Int,
    /// `f64`, Arrow `Float64`. NaN is written as null.
    Float,
    /// UTF-8, Arrow `Utf8`.
    Text,
    /// Bytes that the registry does not look into, Arrow `Binary`.
    Bytes,
}

impl ColumnType {
    /// The Arrow type of a column.
    pub const fn arrow(self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
        }
    }

    /// The name used in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
        }
    }

    /// Whether values of both types can be compared: numbers with numbers, texts with texts.
    pub const fn is_comparable(self, other: Self) -> bool {
        match self {
            Self::Int | Self::Float => matches!(other, Self::Int | Self::Float),
            Self::Text => matches!(other, Self::Text),
            Self::Bytes => false,
        }
    }
}

/// A metadata column of an element's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name, `exposure_time`.
    pub name: &'static str,
    /// The type of its values.
    pub column_type: ColumnType,
    /// Whether a record may lack it.
    pub nullable: bool,
    /// The unit, `s`, `arcsec`; empty where there is none.
    pub unit: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// Where the records of an element come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementStorage {
    /// A table of the registry.
    Table,
    /// The distinct values in another element's table (`band` in `physical_filter`): nothing is stored or inserted.
    ViewOf(&'static str),
    /// Computed from the sky map's definition, by the layers above: a map of 18,938 tracts of 81 patches would be 1.5
    /// million rows of what one line defines.
    Virtual,
}

/// A dimension (`visit`), or a combination of dimensions that has records of its own (`visit_detector`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// The name.
    pub name: &'static str,
    /// The type of the key; `None` for a combination, whose key is that of its dimensions.
    pub key: Option<ColumnType>,
    /// The dimensions that name a record, outermost first, itself last when it is a dimension.
    pub required: &'static [&'static str],
    /// The dimensions that a record fixes: a visit has one physical filter.
    pub implied: &'static [&'static str],
    /// The types of the keys of `required`, then of `implied`.
    pub key_types: &'static [ColumnType],
    /// Further columns.
    pub metadata: &'static [Column],
    /// Whether records have a `region` on the sky.
    pub spatial: bool,
    /// Whether records have `timespan_begin` and `timespan_end`.
    pub temporal: bool,
    /// Where the records come from.
    pub storage: ElementStorage,
    /// What it is.
    pub doc: &'static str,
}

impl Element {
    /// Whether it is a dimension, which has a key of its own.
    pub const fn is_dimension(&self) -> bool {
        self.key.is_some()
    }

    /// Whether its records are computed from the sky map, not stored.
    pub const fn is_virtual(&self) -> bool {
        matches!(self.storage, ElementStorage::Virtual)
    }

    /// Name, type and nullability of all columns of a record: required dimensions, implied dimensions, metadata.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, ColumnType, bool)> {
        let names = self.required.iter().chain(self.implied);
        let keys = names.zip(self.key_types).map(|(name, key)| (*name, *key, false));
        keys.chain(self.metadata.iter().map(|c| (c.name, c.column_type, c.nullable)))
    }

    /// The Arrow schema of its records: the columns in the order of [`Element::columns`].
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns().map(|(name, kind, nullable)| Field::new(name, kind.arrow(), nullable)).collect::<Vec<_>>(),
        ))
    }

    /// A metadata column by its name. `timespan.begin` is another word for `timespan_begin`.
    ///
    /// # Errors
    /// [`DimensionError::UnknownColumn`] with the nearest name.
    pub fn column(&self, name: &str) -> Result<&'static Column, DimensionError> {
        let wanted = match name {
            "timespan.begin" => "timespan_begin",
            "timespan.end" => "timespan_end",
            other => other,
        };
        self.metadata.iter().find(|c| c.name == wanted).ok_or_else(|| DimensionError::UnknownColumn {
            element: self.name.to_owned(),
            name: name.to_owned(),
            near: near_miss(name, self.metadata.iter().map(|c| c.name)),
            known: self.metadata.iter().map(|c| c.name).collect::<Vec<_>>().join(", "),
        })
    }
}

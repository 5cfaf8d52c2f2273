//! [`ColumnKind`]: the types of column a snapshot holds, and their Arrow equivalents.

use std::fmt;

use arrow::datatypes::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

/// A number of fixed width, little-endian in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Primitive {
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 8-bit integer.
    U8,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 64-bit integer.
    U64,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
    /// Nanoseconds since 1970-01-01T00:00:00, signed 64-bit, without a time zone.
    Nanoseconds,
}

impl Primitive {
    /// Bytes of one value.
    pub const fn width(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 | Self::Nanoseconds => 8,
        }
    }

    /// The Arrow type.
    pub const fn data_type(self) -> DataType {
        match self {
            Self::I8 => DataType::Int8,
            Self::I16 => DataType::Int16,
            Self::I32 => DataType::Int32,
            Self::I64 => DataType::Int64,
            Self::U8 => DataType::UInt8,
            Self::U16 => DataType::UInt16,
            Self::U32 => DataType::UInt32,
            Self::U64 => DataType::UInt64,
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
            Self::Nanoseconds => DataType::Timestamp(TimeUnit::Nanosecond, None),
        }
    }

    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Int8 => Self::I8,
            DataType::Int16 => Self::I16,
            DataType::Int32 => Self::I32,
            DataType::Int64 => Self::I64,
            DataType::UInt8 => Self::U8,
            DataType::UInt16 => Self::U16,
            DataType::UInt32 => Self::U32,
            DataType::UInt64 => Self::U64,
            DataType::Float32 => Self::F32,
            DataType::Float64 => Self::F64,
            DataType::Timestamp(TimeUnit::Nanosecond, None) => Self::Nanoseconds,
            _ => return None,
        })
    }
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnKind {
    /// One bit a row, least significant bit first.
    Bool,
    /// One number a row.
    Primitive(Primitive),
    /// The same number of bytes in every row: 16 for a UUID.
    FixedBinary(u32),
    /// UTF-8 texts in one pool, with 32-bit offsets, or 64-bit ones when `large`.
    Utf8 {
        /// Whether offsets have 64 bits.
        large: bool,
    },
    /// Byte strings in one pool, with 32-bit offsets, or 64-bit ones when `large`: encoded regions and WCS.
    Binary {
        /// Whether offsets have 64 bits.
        large: bool,
    },
    /// A 32-bit code a row into a dictionary of UTF-8 texts (32-bit offsets).
    Dictionary,
    /// A list of numbers a row, in one pool, with 32-bit offsets, or 64-bit ones when `large`: vertices of polygons.
    List {
        /// Type of the numbers.
        item: Primitive,
        /// Whether items may be null in the schema (none ever is).
        nullable: bool,
        /// Whether offsets have 64 bits.
        large: bool,
    },
}

impl ColumnKind {
    /// The Arrow type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Primitive(p) => p.data_type(),
            // The width was checked against `i32::MAX` by `of` or when the header was read.
            Self::FixedBinary(n) => DataType::FixedSizeBinary(i32::try_from(n).unwrap_or(i32::MAX)),
            Self::Utf8 { large: false } => DataType::Utf8,
            Self::Utf8 { large: true } => DataType::LargeUtf8,
            Self::Binary { large: false } => DataType::Binary,
            Self::Binary { large: true } => DataType::LargeBinary,
            Self::Dictionary => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::List { item, nullable, large } => {
                let item = Field::new_list_field(item.data_type(), nullable).into();
                if large { DataType::LargeList(item) } else { DataType::List(item) }
            }
        }
    }

    /// The kind of column that holds an Arrow type, if there is one.
    pub fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Bool,
            DataType::FixedSizeBinary(n) => Self::FixedBinary(u32::try_from(*n).ok()?),
            DataType::Utf8 => Self::Utf8 { large: false },
            DataType::LargeUtf8 => Self::Utf8 { large: true },
            DataType::Binary => Self::Binary { large: false },
            DataType::LargeBinary => Self::Binary { large: true },
            DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
                Self::Dictionary
            }
            DataType::List(field) if field.name() == Field::LIST_FIELD_DEFAULT_NAME => {
                Self::List { item: Primitive::of(field.data_type())?, nullable: field.is_nullable(), large: false }
            }
            DataType::LargeList(field) if field.name() == Field::LIST_FIELD_DEFAULT_NAME => {
                Self::List { item: Primitive::of(field.data_type())?, nullable: field.is_nullable(), large: true }
            }
            other => Self::Primitive(Primitive::of(other)?),
        })
    }

    /// What its buffers are, in the order of the file.
    pub(super) const fn buffers(self) -> &'static [&'static str] {
        match self {
            Self::Bool | Self::Primitive(_) | Self::FixedBinary(_) => &["validity", "values"],
            Self::Utf8 { .. } | Self::Binary { .. } | Self::List { .. } => &["validity", "offsets", "values"],
            Self::Dictionary => &["validity", "codes", "dictionary offsets", "dictionary values"],
        }
    }
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.data_type())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_the_kind_of_its_arrow_type() {
        let mut kinds = vec![ColumnKind::Bool, ColumnKind::Dictionary, ColumnKind::FixedBinary(16)];
        for p in [
            Primitive::I8,
            Primitive::I16,
            Primitive::I32,
            Primitive::I64,
            Primitive::U8,
            Primitive::U16,
            Primitive::U32,
            Primitive::U64,
            Primitive::F32,
            Primitive::F64,
            Primitive::Nanoseconds,
        ] {
            kinds.push(ColumnKind::Primitive(p));
            for (nullable, large) in [(false, false), (true, false), (false, true), (true, true)] {
                kinds.push(ColumnKind::List { item: p, nullable, large });
            }
            assert_eq!(p.data_type().primitive_width(), Some(p.width()));
        }
        for large in [false, true] {
            kinds.extend([ColumnKind::Utf8 { large }, ColumnKind::Binary { large }]);
        }
        for kind in kinds {
            assert_eq!(ColumnKind::of(&kind.data_type()), Some(kind));
        }
        assert_eq!(ColumnKind::of(&DataType::Date32), None);
        assert_eq!(ColumnKind::of(&DataType::FixedSizeBinary(-1)), None);
    }
}

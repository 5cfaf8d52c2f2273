//! [`PackLayout`]: how integers are laid out, as it stands in TOML.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dimension::DimensionValue;

/// Whether the first field of a layout is the least or the most significant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldOrder {
    /// The first field has the lowest bits.
    #[default]
    Least,
    /// The first field has the highest bits.
    Most,
}

/// Texts and the integers that stand for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NameCodes {
    /// The first is 0, the second 1, ….
    List(Vec<String>),
    /// Each with its own integer.
    Codes(BTreeMap<String, u64>),
}

/// The largest value of a field depends on another: a tract's patches on the tract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitBy {
    /// The other field.
    pub field: String,
    /// For each value of the other field from its first on: how many values this one has there.
    pub counts: Vec<u64>,
}

/// One field of an integer: bits of its own, or a digit of a mixed radix with the fields beside it.
///
/// Exactly one of `radix` and `bits` is given. Neighbouring fields with a `radix` share bits: their digits are
/// multiplied up, the less significant first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldLayout {
    /// The dimension or column, `visit`.
    pub name: String,
    /// How many values there are, from 0 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radix: Option<u64>,
    /// Width in bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// The lowest bit; by default the one above the field before. Fields with a `radix` that share bits give it once,
    /// at the least significant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<u32>,
    /// Fewer values than there is room for: values are refused from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// The value that is packed as 0 (default 0).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first: i64,
    /// Values are dates, `20251122`, packed as days since this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// The value where the data ID or the table has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DimensionValue>,
    /// Always this value; tables have no such column, and integers with another value are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<DimensionValue>,
    /// What is packed for a null of a field of texts; without it a null is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null: Option<u64>,
    /// Values are texts, packed as these integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NameCodes>,
    /// Another field that says how many values this one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_by: Option<LimitBy>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl FieldLayout {
    /// A digit with `radix` values.
    pub fn digit(name: &str, radix: u64) -> Self {
        Self { name: name.to_owned(), radix: Some(radix), ..Self::default() }
    }

    /// A field of `bits` bits.
    pub fn of_bits(name: &str, bits: u32) -> Self {
        Self { name: name.to_owned(), bits: Some(bits), ..Self::default() }
    }
}

/// How an identifier is made of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentifierKind {
    /// Rubin's exposure: `YYYYMMDDnnnnn`, of `day_obs`, `seq_num` and, where the layout has it, `controller`, whose index adds to
    /// the thousands of the year.
    RubinExposure,
    /// Rubin's visit: an exposure, with a 9 before it when `one_to_one` is 1.
    RubinVisit,
}

/// A name for several fields together: Rubin's visit is day, sequence number, controller and a flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentifierLayout {
    /// The dimension or column, `visit`.
    pub name: String,
    /// Its parts and how they are put together.
    pub kind: IdentifierKind,
}

/// How integers are laid out.
///
/// ```
/// use bunter::{DataId, PackLayout, Packer};
///
/// let layout = PackLayout::from_toml(r#"
///     name = "my survey"
///     order = "least"
///     [[field]]
///     name = "detector"
///     radix = 62
///     first = 1
///     [[field]]
///     name = "visit"
///     radix = 5_000_000
///     [[field]]
///     name = "band"
///     bits = 3
///     names = ["u", "g", "r", "i", "z", "Y"]
/// "#)?;
/// let packer = Packer::new(layout)?;
/// assert_eq!(packer.bits(), 32);
/// let id = DataId::new().with("visit", 42).with("detector", 3).with("band", "r");
/// let packed = packer.pack(&id)?;
/// assert_eq!(packed, 2 + 62 * 42 + (2 << 29));
/// assert_eq!(packer.unpack(packed)?, id);
/// # Ok::<(), bunter::PackError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackLayout {
    /// The name in messages.
    #[serde(default)]
    pub name: String,
    /// Which end the first field is.
    #[serde(default)]
    pub order: FieldOrder,
    /// Bits that the integers are said to have, when more than the fields need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// What is unpacked unless the caller says otherwise; empty: all fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// Values that belong to every data ID and take no bits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fixed: BTreeMap<String, DimensionValue>,
    /// Names for several fields together.
    #[serde(default, rename = "identifier", skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<IdentifierLayout>,
    /// The fields.
    #[serde(default, rename = "field")]
    pub fields: Vec<FieldLayout>,
}

impl PackLayout {
    /// Reads a layout.
    ///
    /// # Errors
    /// [`PackError::Toml`](super::PackError::Toml) with line and key.
    pub fn from_toml(text: &str) -> Result<Self, super::PackError> {
        toml::from_str(text).map_err(|e| super::PackError::Toml(e.to_string()))
    }

    /// The layout as text that [`from_toml`](Self::from_toml) reads.
    ///
    /// # Errors
    /// [`PackError::Toml`](super::PackError::Toml) for a number that TOML cannot hold (above `i64::MAX`).
    pub fn to_toml(&self) -> Result<String, super::PackError> {
        toml::to_string(self).map_err(|e| super::PackError::Toml(e.to_string()))
    }
}

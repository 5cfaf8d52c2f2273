//! What names a piece of data?
//!
//! [`Universe`] has all dimensions (visit, detector, patch …) and what each needs and fixes; a [`DataId`] gives them
//! values; a [`DimensionGroup`] says which values something needs; an [`Expression`] chooses among them; a [`Packer`] writes
//! them as one integer, and back.
//!
//! Left out: where records are kept (`registry`, `snapshot`), what a tract is on the sky (`skymap`).

mod aliases;
mod data_id;
mod declaration;
mod element;
mod error;
mod expression;
mod group;
mod near_miss;
mod pack;
mod universe;

pub use aliases::{Alias, Aliases};
pub use data_id::{DataId, DimensionValue};
pub use declaration::UniverseChanges;
pub use element::{Column, ColumnType, Element, ElementStorage};
pub use error::DimensionError;
pub use expression::{Comparison, Expression, ExpressionError, InItem, Literal, Operand, ResolvedColumn, Scope};
pub use group::DimensionGroup;
pub(crate) use group::check_text;
pub(crate) use near_miss::{did_you_mean, near_miss};
pub use pack::{
    BadRow, BadRows, BandCodes, DEFAULT_BANDS, FieldLayout, FieldOrder, IdentifierKind, IdentifierLayout, IntView,
    IntViewMut, LimitBy, NameCodes, OnError, PackColumn, PackError, PackLayout, Packed, PackedTable, Packer,
    RUBIN_CONTROLLERS, RubinControllers, Unpacked, UnpackedColumn,
};
pub use universe::Universe;

//! *Here are columns of dimension values, give me one integer each; and back.*
//!
//! A [`Packer`] is made from a [`PackLayout`]: fields one above the other, each some bits or a digit of a mixed radix.
//! Columns of any integer type, contiguous or strided, with or without nulls, go in as [`PackColumn`]s; integers go to
//! a buffer of the caller's ([`IntViewMut`]) or a new one. A scalar call is a column of one.
//!
//! # The layouts of the field
//!
//! [`Packer::sky_map`], [`Packer::observation`], [`Packer::rubin`] and [`Packer::with_records`] give the integers of the reference
//! implementations (`lsst.skymap`, `lsst.pipe.base`, `lsst.obs.lsst`, `lsst.meas.base`), bit for bit. They differ where the
//! originals are wrong:
//!
//! * The original Rubin packer accepts the day after its last one, whose integer is that of another data ID. Here the
//!   last day is 2054-11-09, and 2054-11-10 is refused.
//! * The original divides the release out of a record ID by the number of *data IDs* instead of releases, so that large
//!   releases come back changed. Here they come back as they were.
//! * The original looks up bands by their *position* in the table when it unpacks, wrong unless the codes are 0, 1, 2, ….
//!   Here the code itself is looked up.
//! * The original checks little when it unpacks. Here an integer with bits outside of the layout, a digit beyond its
//!   radix, a code without a name, or a patch that its tract does not have is refused.
//!
//! Left out: which layout a repository needs (`butler`, which asks sky map and camera), tables in files (`datastore`).

mod calendar;
mod column;
mod digits;
mod error;
mod identifier;
mod kernels;
mod layout;
mod lines;
mod names;
mod packed_table;
mod packer;
mod packing;
mod plan;
mod rows;
mod split;
mod survey;
mod table;
mod unpacking;

pub use column::{IntView, IntViewMut, PackColumn};
pub use error::{BadRow, BadRows, PackError};
pub use layout::{FieldLayout, FieldOrder, IdentifierKind, IdentifierLayout, LimitBy, NameCodes, PackLayout};
pub use packed_table::PackedTable;
pub use packer::{OnError, Packed, Packer, Unpacked, UnpackedColumn};
pub use survey::{BandCodes, DEFAULT_BANDS, RUBIN_CONTROLLERS, RubinControllers};

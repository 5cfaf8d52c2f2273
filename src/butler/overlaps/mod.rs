//! What touches what on the sky: tracts and patches with the images of visits and detectors, and either with a region.
//!
//! [`OverlapQuery`] asks, [`OverlapStream`] answers in pieces. What is on the sky map's side (`sky_side.rs`) and on the images'
//! side (`images.rs`) is found by position; `join.rs` relates the two exactly, and `stream.rs` decides which side leads.

mod images;
mod join;
mod query;
mod sky_side;
mod stream;

pub use query::OverlapQuery;
pub use stream::OverlapStream;

pub(super) use images::{Images, visit_list};
pub(super) use query::{IMAGE_DIMENSIONS, SKY_DIMENSIONS};

//! Do these two shapes on the sky touch?

mod lon_lat;
mod unit_vector;

pub use lon_lat::LonLat;
pub use unit_vector::UnitVector;

//! Regions as the registry keeps them: the bytes of Rubin's registries.

use super::ButlerError;
use crate::sphere::{ConvexPolygon, Region};

pub(super) fn encode(region: &ConvexPolygon) -> Vec<u8> {
    Region::from(region.clone()).to_bytes()
}

pub(super) fn decode(bytes: &[u8], data_id: impl Fn() -> String) -> Result<ConvexPolygon, ButlerError> {
    let damaged = |cause: String| ButlerError::DamagedRecord { what: "region", data_id: data_id(), cause };
    match Region::from_bytes(bytes) {
        Ok(Region::Polygon(polygon)) => Ok(polygon),
        Ok(_) => Err(damaged("it is no convex polygon".to_owned())),
        Err(e) => Err(damaged(e.to_string())),
    }
}

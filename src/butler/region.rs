//! Regions as bytes: the encoding of LSST's `sphgeom`, so that either reads the other's registries.

use super::ButlerError;
use crate::sphere::{ConvexPolygon, UnitVector};

/// `p`, then x, y, z of each vertex as little-endian f64.
pub(super) fn encode(region: &ConvexPolygon) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 24 * region.vertices().len());
    bytes.push(b'p');
    for v in region.vertices() {
        bytes.extend([v.x, v.y, v.z].iter().flat_map(|c| c.to_le_bytes()));
    }
    bytes
}

pub(super) fn decode(bytes: &[u8], data_id: impl Fn() -> String) -> Result<ConvexPolygon, ButlerError> {
    let damaged = |cause: String| ButlerError::DamagedRecord { what: "region", data_id: data_id(), cause };
    let Some((b'p', rest)) = bytes.split_first() else {
        return Err(damaged("it is no encoded convex polygon".to_owned()));
    };
    if rest.len() % 24 != 0 {
        return Err(damaged(format!("{} bytes are no whole number of vertices", rest.len())));
    }
    let number = |chunk: &[u8]| chunk.try_into().map_or(f64::NAN, f64::from_le_bytes);
    let vertices: Vec<UnitVector> = rest
        .chunks_exact(24)
        .map(|v| UnitVector { x: number(&v[..8]), y: number(&v[8..16]), z: number(&v[16..]) })
        .collect();
    ConvexPolygon::from_vertices(&vertices).map_err(|e| damaged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_damage() {
        let region = ConvexPolygon::from_degrees(&[(10.0, 0.0), (11.0, 0.0), (11.0, 1.0)]).unwrap();
        let bytes = encode(&region);
        assert_eq!(decode(&bytes, String::new).unwrap(), region);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], String::new).is_err(), "{cut}");
        }
    }
}

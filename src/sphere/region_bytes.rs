//! Regions as the bytes of the reference implementation.

use super::{Circle, ConvexPolygon, LonLatBox, Region, SphereError, UnitVector, wrap};

pub(super) fn encode(region: &Region) -> Vec<u8> {
    let numbers = |letter: u8, values: &mut dyn Iterator<Item = f64>| {
        let mut bytes = vec![letter];
        bytes.extend(values.flat_map(f64::to_le_bytes));
        bytes
    };
    match region {
        Region::Polygon(p) => numbers(b'p', &mut p.vertices().iter().flat_map(|v| [v.x, v.y, v.z])),
        Region::Circle(c) => {
            // The squared chord of the opening angle goes first.
            let half = 2.0 * libm::sin(0.5 * c.radius());
            let v = c.centre();
            numbers(b'c', &mut [v.x, v.y, v.z, half * half, c.radius()].into_iter())
        }
        Region::Box(b) => numbers(b'b', &mut [b.lon(), b.lon_end(), b.lat_min(), b.lat_max()].into_iter()),
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Region, SphereError> {
    let bad = |problem: String| SphereError::BadEncoding { problem };
    let (letter, body) = bytes.split_first().ok_or_else(|| bad("no bytes".to_owned()))?;
    let (numbers, rest) = body.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(bad(format!("{} bytes are no letter and whole doubles", bytes.len())));
    }
    let numbers: Vec<f64> = numbers.iter().map(|b| f64::from_le_bytes(*b)).collect();
    let (triples, rest) = numbers.as_chunks::<3>();
    match (letter, &numbers[..]) {
        (b'p', _) if rest.is_empty() => {
            let vertices: Vec<_> = triples.iter().map(|[x, y, z]| UnitVector { x: *x, y: *y, z: *z }).collect();
            ConvexPolygon::from_vertices(&vertices).map(Region::Polygon)
        }
        (b'c', [x, y, z, _, radius]) => Circle::new(UnitVector { x: *x, y: *y, z: *z }, *radius).map(Region::Circle),
        (b'b', [west, east, south, north]) => {
            let all = east - west >= std::f64::consts::TAU;
            let width = if all { std::f64::consts::TAU } else { wrap(east - west) };
            // The constructor refuses NaN, the reference's empty box. The eastern border is then kept as written.
            let checked = LonLatBox::new(*west, width, *south, *north)?;
            let end = if all { checked.lon_end() } else { wrap(*east) };
            Ok(Region::Box(LonLatBox::unchecked(checked.lon(), end, *south, *north)))
        }
        (b'p' | b'c' | b'b', _) => Err(bad(format!("`{}` with {} doubles", char::from(*letter), numbers.len()))),
        _ => Err(bad(format!("first byte {letter:#04x} is not `p`, `c` or `b`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_is_refused() {
        for text in ["POLYGON 0 0 1 0 1 1 0 1", "CIRCLE 5 5 1", "RANGE 350 10 -1 1", "RANGE 0 360 -90 90"] {
            let region: Region = text.parse().unwrap();
            let bytes = encode(&region);
            assert_eq!(decode(&bytes).as_ref(), Ok(&region), "{text}");
            for cut in 0..bytes.len() {
                // A polygon of three of its four vertices is a polygon.
                if cut != 1 + 3 * 24 {
                    assert!(decode(&bytes[..cut]).is_err(), "{text} cut to {cut}");
                }
            }
            let mut wrong = bytes.clone();
            wrong[0] = b'x';
            assert!(matches!(decode(&wrong), Err(SphereError::BadEncoding { .. })));
            for at in (1..bytes.len()).step_by(8) {
                let mut wrong = bytes.clone();
                wrong[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
                // The squared chord of a circle is told twice, and read once.
                assert_eq!(decode(&wrong).is_err(), (bytes[0], at) != (b'c', 25), "{text} NaN at {at}");
            }
        }
    }
}

//! Regions as the bytes of the reference implementation.

use std::f64::consts::FRAC_PI_2;

use super::{Circle, ConvexPolygon, LonLatBox, Region, SphereError, UnitVector};

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

/// Unions and intersections hold for each operand its length and its bytes. Of one operand they are that operand.
fn operand(bytes: &[u8]) -> Result<&[u8], SphereError> {
    let mut bytes = bytes;
    while let Some((letter @ (b'u' | b'i'), mut rest)) = bytes.split_first() {
        let kind = if *letter == b'u' { "a union" } else { "an intersection" };
        let mut operands = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk() {
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let Some((one, behind)) = behind.split_at_checked(length) else {
                let problem = format!(
                    "{kind} whose operand {} has {length} bytes, and {} are left",
                    operands.len(),
                    behind.len()
                );
                return Err(SphereError::BadEncoding { problem });
            };
            operands.push(one);
            rest = behind;
        }
        if !rest.is_empty() {
            return Err(SphereError::BadEncoding { problem: format!("{kind} that ends within an operand's length") });
        }
        let [one] = operands[..] else {
            return Err(SphereError::OtherKind { kind: format!("{kind} of {} regions", operands.len()) });
        };
        bytes = one;
    }
    Ok(bytes)
}

/// A 3 x 3 matrix that turns the ellipse's axes to x, y and its centre to z, the half axes less a quarter turn, and what
/// follows from them.
fn ellipse(numbers: &[f64]) -> Result<Region, SphereError> {
    let &[.., x, y, z, a, b, _, _, _] = numbers else {
        return Err(SphereError::BadEncoding { problem: format!("`e` with {} doubles", numbers.len()) });
    };
    if (a - b).abs() > 1e-15 {
        let axes = [a, b].map(|v| (v + FRAC_PI_2).to_degrees());
        return Err(SphereError::OtherKind {
            kind: format!("an ellipse of the half axes {} and {} deg", axes[0], axes[1]),
        });
    }
    Circle::new(UnitVector { x, y, z }, a + FRAC_PI_2).map(Region::Circle)
}

pub(super) fn decode(bytes: &[u8]) -> Result<Region, SphereError> {
    let bad = |problem: String| SphereError::BadEncoding { problem };
    let bytes = operand(bytes)?;
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
        (b'c', [.., radius]) if numbers.len() == 5 && *radius < 0.0 => Err(bad("an empty circle".to_owned())),
        (b'b', [west, _, south, north]) if west.is_nan() || south > north => Err(bad("an empty box".to_owned())),
        (b'e', _) if numbers.len() == 14 => ellipse(&numbers),
        (b'c', [x, y, z, _, radius]) => Circle::new(UnitVector { x: *x, y: *y, z: *z }, *radius).map(Region::Circle),
        (b'b', [west, east, south, north]) => LonLatBox::between(*west, *east, *south, *north).map(Region::Box),
        (b'p' | b'c' | b'b' | b'e', _) => Err(bad(format!("`{}` with {} doubles", char::from(*letter), numbers.len()))),
        _ => Err(bad(format!("first byte {letter:#04x} is not one of `p`, `c`, `b`, `e`, `u`, `i`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    /// Bytes written by the reference implementation.
    #[test]
    fn other_kinds_are_named() {
        let message = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
        let ellipse = concat!(
            "65478baa9fb539d8bf6b5df099d838dc3f1b995e6fa10aea3fe8e4a57c0376923f86f29a1bf73dec3f1a2d5242f611debf61b46c3a039d",
            "ed3f3b46fac0f2e2c43ff50b8a74a8e3d53f2e98311f0193f8bfa3e2ba397edaf8bf0e9d944203f59e3f4318c27ee1a23c40499a74761da54c40"
        );
        let told = message(&bytes(ellipse));
        assert!(
            told.starts_with("the bytes hold an ellipse of the half axes 2") && told.contains(" and 1.0"),
            "{told}"
        );
        let mut round = bytes(ellipse);
        round.copy_within(73..=80, 81);
        let circle = decode(&round).unwrap();
        assert!(
            circle.to_string().starts_with("CIRCLE 10")
                && (circle.bounding_circle().radius().to_degrees() - 2.0).abs() < 1e-12
        );
        let empty = "6300000000000000000000000000000000000000000000f03f000000000000f0bf000000000000f0bf";
        assert_eq!(message(&bytes(empty)), "not a region: an empty circle");
        let empty = "62000000000000f87f000000000000f87f000000000000f03f0000000000000000";
        assert_eq!(message(&bytes(empty)), "not a region: an empty box");
        let circle = bytes("6361b46c3a039ded3f3b46fac0f2e2c43ff50b8a74a8e3d53f14cc8c8d99f6133f399d52a246df813f");
        let compound = |letter: u8, operands: &[&[u8]]| {
            let parts = operands.iter().map(|o| [&(o.len() as u64).to_le_bytes()[..], o].concat());
            [vec![letter], parts.flatten().collect()].concat()
        };
        let one = compound(b'i', &[&compound(b'u', &[&circle])]);
        assert_eq!(decode(&one), decode(&circle));
        let two = compound(b'u', &[&circle, &circle]);
        assert!(message(&two).starts_with("the bytes hold a union of 2 regions; "));
        assert!(message(&compound(b'i', &[])).starts_with("the bytes hold an intersection of 0 regions; "));
        assert!(message(&two[..two.len() - 1]).contains("a union whose operand 1 has 41 bytes, and 40 are left"));
        assert!(message(&two[..55]).contains("ends within"));
        // Many in each other, and a length beyond all memory.
        let deep = (0..300).fold(circle.clone(), |inner, _| compound(b'u', &[&inner]));
        assert_eq!(decode(&deep), decode(&circle));
        assert!(decode(&[&b"u"[..], &u64::MAX.to_le_bytes()].concat()).is_err());
    }

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

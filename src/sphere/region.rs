//! [`Region`]: a polygon, a circle or a box, and its forms as bytes and as text.

use std::f64::consts::{FRAC_PI_2, PI};

use super::relate::{self, Shape};
use super::{Circle, ConvexPolygon, LonLatBox, Relation, SphereError, UnitVector, region_bytes};

/// A closed region on the sphere.
///
/// Two polygons relate exactly. The borders of circles and boxes are given by angles: they relate to each other and to polygons
/// to within some 1e-15 radians, and touching to within that counts as touching.
///
/// ```
/// use bunter::Region;
///
/// let cone: Region = "CIRCLE 150.1 2.2 0.5".parse()?;
/// let field: Region = "RANGE 149 151 1 3".parse()?;
/// assert!(cone.relate(&field).within());
/// assert_eq!(Region::from_bytes(&field.to_bytes())?, field);
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// A convex polygon.
    Polygon(ConvexPolygon),
    /// A spherical cap.
    Circle(Circle),
    /// A range of longitude and latitude.
    Box(LonLatBox),
}

impl From<ConvexPolygon> for Region {
    fn from(polygon: ConvexPolygon) -> Self {
        Self::Polygon(polygon)
    }
}

impl From<Circle> for Region {
    fn from(circle: Circle) -> Self {
        Self::Circle(circle)
    }
}

impl From<LonLatBox> for Region {
    fn from(box_: LonLatBox) -> Self {
        Self::Box(box_)
    }
}

impl Region {
    /// Whether the point is inside or on the border.
    pub fn contains(&self, point: UnitVector) -> bool {
        match self {
            Self::Polygon(p) => p.contains(point),
            Self::Circle(c) => c.contains(point),
            Self::Box(b) => b.contains(point.to_lon_lat()),
        }
    }

    /// A circle that covers the region.
    pub fn bounding_circle(&self) -> Circle {
        match self {
            Self::Polygon(p) => p.bounding_circle(),
            Self::Circle(c) => *c,
            Self::Box(b) => relate::box_bounding_circle(*b),
        }
    }

    /// A box that covers the region.
    pub fn bounding_box(&self) -> LonLatBox {
        match self {
            Self::Polygon(p) => p.bounding_box(),
            Self::Box(b) => *b,
            Self::Circle(c) => {
                let (p, r) = (c.centre().to_lon_lat(), c.radius());
                let (low, high) = ((p.lat - r).max(-FRAC_PI_2), (p.lat + r).min(FRAC_PI_2));
                let half = if p.lat.abs() + r < FRAC_PI_2 {
                    libm::asin((libm::sin(r) / libm::cos(p.lat)).min(1.0))
                } else {
                    PI
                };
                LonLatBox::covering(p.lon - half, 2.0 * half, low, high)
            }
        }
    }

    /// Steradians.
    pub fn area(&self) -> f64 {
        match self {
            Self::Polygon(p) => p.area(),
            Self::Circle(c) => c.area(),
            Self::Box(b) => b.area(),
        }
    }

    /// How this region lies to another one.
    pub fn relate(&self, other: &Self) -> Relation {
        Shape::of(self).relate(Shape::of(other))
    }

    /// The region as bytes, exactly; the encoding of the reference implementation (`lsst-sphgeom`), which Rubin
    /// registries hold: a letter (`p`, `c`, `b`) and little-endian doubles.
    pub fn to_bytes(&self) -> Vec<u8> {
        region_bytes::encode(self)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) or the reference implementation wrote.
    ///
    /// # Errors
    /// [`SphereError::BadEncoding`] for a wrong letter or length, and the errors of the shape's own constructor for what
    /// is no such shape.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SphereError> {
        region_bytes::decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(text: &str) -> Region {
        text.parse().unwrap()
    }

    #[test]
    fn circles_and_polygons() {
        let square = region("POLYGON 0 0 10 0 10 10 0 10");
        let cases = [
            ("CIRCLE 5 5 1", "W"),
            ("CIRCLE 5 5 10", "C"),
            ("CIRCLE 20 5 1", "D"),
            ("CIRCLE 10.5 5 1", ""),
            ("CIRCLE 5 5 170", "C"),
            ("CIRCLE 185 -5 174", ""),
            ("CIRCLE 185 -5 100", "D"),
            ("RANGE -1 11 -1 11", "C"),
            ("RANGE 4 6 4 6", "W"),
            ("RANGE 11 12 0 1", "D"),
            ("RANGE 0 360 -90 90", "C"),
        ];
        for (text, letters) in cases {
            let relation = region(text).relate(&square);
            assert_eq!(relation.to_string(), letters, "{text}");
            assert_eq!(square.relate(&region(text)), relation.inverse(), "{text}");
        }
    }
}

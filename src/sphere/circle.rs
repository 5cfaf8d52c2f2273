//! [`Circle`]: all positions within an angle of a centre.

use std::f64::consts::PI;

use super::{Angle, Relation, SphereError, UnitVector, hull, relate};

/// A closed spherical cap: all positions at most `radius` away from `centre`.
///
/// ```
/// use bunter::{Angle, Circle, LonLat};
///
/// let cone = Circle::around(LonLat::from_degrees(150.1, 2.2).to_unit(), Angle::from_arcmin(30.0))?;
/// assert!(cone.contains(LonLat::from_degrees(150.4, 2.5).to_unit()));
/// assert!(!cone.contains(LonLat::from_degrees(150.5, 2.6).to_unit()));
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Circle {
    centre: UnitVector,
    radius: f64,
}

impl Circle {
    /// The cap of opening angle `radius` (radians, 0 to pi) around `centre`.
    ///
    /// # Errors
    /// [`SphereError::NotUnit`], [`SphereError::BadAngle`].
    pub fn new(centre: UnitVector, radius: f64) -> Result<Self, SphereError> {
        hull::check_unit(0, centre)?;
        if (0.0..=PI).contains(&radius) {
            Ok(Self { centre, radius })
        } else {
            Err(SphereError::BadAngle { what: "radius", value: radius, expected: "0 to pi" })
        }
    }

    /// As [`new`](Self::new).
    ///
    /// # Errors
    /// [`SphereError::NotUnit`], [`SphereError::BadAngle`].
    pub fn around(centre: UnitVector, radius: Angle) -> Result<Self, SphereError> {
        Self::new(centre, radius.radians())
    }

    /// A little wider than `radius`, so that rounding leaves nothing out.
    pub(super) fn covering(centre: UnitVector, radius: f64) -> Self {
        Self { centre, radius: (radius + 4.0 * f64::EPSILON).min(PI) }
    }

    /// The centre.
    pub fn centre(self) -> UnitVector {
        self.centre
    }

    /// The opening angle from the centre, radians.
    pub fn radius(self) -> f64 {
        self.radius
    }

    /// Steradians.
    pub fn area(self) -> f64 {
        let s = libm::sin(0.5 * self.radius);
        4.0 * PI * s * s
    }

    /// Whether the point is inside or on the border.
    pub fn contains(self, point: UnitVector) -> bool {
        self.centre.separation(point) <= self.radius
    }

    /// How this circle lies to another one; what touches to within 4e-15 radians intersects.
    pub fn relate(self, other: Self) -> Relation {
        let distance = self.centre.separation(other.centre);
        if distance > self.radius + other.radius + relate::SLACK {
            return Relation::DISJOINT;
        }
        let mut relation = Relation::INTERSECTS;
        if distance + other.radius <= self.radius || self.radius >= PI {
            relation = relation | Relation::CONTAINS;
        }
        if distance + self.radius <= other.radius || other.radius >= PI {
            relation = relation | Relation::WITHIN;
        }
        relation
    }
}

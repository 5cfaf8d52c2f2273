//! [`ConvexPolygon`]: the region between great circles that detectors, patches and tracts cover.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use serde::{Deserialize, Serialize};

use super::kernel::{self, Cap};
use super::{Circle, LonLat, LonLatBox, Relation, SphereError, UnitVector, hull, relate};

/// A closed convex polygon on the sphere, smaller than a hemisphere, its edges arcs of great circles.
///
/// Vertices run counter-clockwise seen from outside the sphere. Their coordinates are taken as exact numbers: whether a point
/// is inside and how two polygons lie to each other is answered without any rounding (see
/// [`orientation`](fn@super::orientation)), so that a polygon which shares a corner or a border with another one
/// intersects it, always.
///
/// ```
/// use bunter::{ConvexPolygon, LonLat};
///
/// let detector = ConvexPolygon::from_degrees(&[(150.0, 2.0), (150.2, 2.0), (150.2, 2.2), (150.0, 2.2)])?;
/// let patch = ConvexPolygon::from_degrees(&[(150.1, 2.1), (150.4, 2.1), (150.4, 2.4), (150.1, 2.4)])?;
/// assert!(detector.relate(&patch).intersects());
/// assert!(detector.contains(LonLat::from_degrees(150.1, 2.1).to_unit()));
/// assert!((detector.area().to_degrees().to_degrees() - 0.04).abs() < 1e-4);
/// # Ok::<(), bunter::SphereError>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<UnitVector>", into = "Vec<UnitVector>")]
pub struct ConvexPolygon {
    vertices: Box<[UnitVector]>,
    cap: Cap,
}

impl From<ConvexPolygon> for Vec<UnitVector> {
    fn from(polygon: ConvexPolygon) -> Self {
        polygon.vertices.into_vec()
    }
}

impl TryFrom<Vec<UnitVector>> for ConvexPolygon {
    type Error = SphereError;

    fn try_from(vertices: Vec<UnitVector>) -> Result<Self, SphereError> {
        Self::from_vertices(&vertices)
    }
}

impl PartialEq for ConvexPolygon {
    /// The same vertices from the same start; `relate` compares the regions.
    fn eq(&self, other: &Self) -> bool {
        self.vertices == other.vertices
    }
}

impl ConvexPolygon {
    /// The convex hull of points in any order.
    ///
    /// # Errors
    /// [`SphereError::NotUnit`], [`SphereError::TooFewPoints`], [`SphereError::ZeroArea`],
    /// [`SphereError::Hemisphere`].
    pub fn new(points: &[UnitVector]) -> Result<Self, SphereError> {
        hull::convex_hull(points).map(Self::from_checked)
    }

    /// From vertices that already run counter-clockwise; those in line with their neighbours are left out.
    ///
    /// # Errors
    /// [`SphereError::NotConvex`], and those of [`new`](Self::new).
    pub fn from_vertices(vertices: &[UnitVector]) -> Result<Self, SphereError> {
        hull::check_ordered(vertices).map(Self::from_checked)
    }

    /// The convex hull of positions `(lon, lat)` in degrees.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_degrees(points: &[(f64, f64)]) -> Result<Self, SphereError> {
        let units: Vec<_> = points.iter().map(|p| LonLat::from_degrees(p.0, p.1).to_unit()).collect();
        Self::new(&units)
    }

    fn from_checked(vertices: Vec<UnitVector>) -> Self {
        let cap = Cap::around(vertices.as_slice());
        Self::from_parts(vertices.into(), cap)
    }

    /// From vertices known to be good.
    pub(super) fn from_parts(vertices: Box<[UnitVector]>, cap: Cap) -> Self {
        Self { vertices, cap }
    }

    /// The vertices, counter-clockwise seen from outside.
    pub fn vertices(&self) -> &[UnitVector] {
        &self.vertices
    }

    /// A cap that covers the polygon, cheap to compare.
    pub(crate) fn cap(&self) -> Cap {
        self.cap
    }

    /// Whether the point is inside or on the border. A vector that is not of length one is in no polygon.
    pub fn contains(&self, point: UnitVector) -> bool {
        hull::check_unit(0, point).is_ok() && kernel::contains(&*self.vertices, point)
    }

    /// How this polygon lies to another one, exactly.
    ///
    /// Agrees with `relate` of the reference implementation (`lsst-sphgeom`) in every case, touching ones too.
    pub fn relate(&self, other: &Self) -> Relation {
        kernel::relate(&*self.vertices, self.cap, &*other.vertices, other.cap)
    }

    /// Whether the two share a point. Touching counts.
    pub fn intersects(&self, other: &Self) -> bool {
        self.relate(other).intersects()
    }

    /// Edges, as pairs of vertices.
    fn edges(&self) -> impl Iterator<Item = (UnitVector, UnitVector)> {
        let n = self.vertices.len();
        (0..n).map(move |i| (self.vertices[i], self.vertices[(i + 1) % n]))
    }

    /// The area in steradians; exact to rounding for the smallest polygons too.
    pub fn area(&self) -> f64 {
        // A fan of triangles, each by tan(E / 2) = det / (1 + a.b + b.c + c.a) (A. van Oosterom and J. Strackee, "The
        // Solid Angle of a Plane Triangle", 1983). The determinant is taken of differences: no cancellation.
        let [a, rest @ ..] = &*self.vertices else { return 0.0 };
        rest.windows(2)
            .map(|pair| {
                let (b, c) = (pair[0], pair[1]);
                let (p, q) = (b.minus(*a), c.minus(*a));
                let (x, y, z) = p.cross(q);
                let det = a.x * x + a.y * y + a.z * z;
                2.0 * libm::atan2(det, 1.0 + a.dot(b) + b.dot(c) + c.dot(*a))
            })
            .sum()
    }

    /// The centre of mass of the area, pulled up to the sphere.
    pub fn centroid(&self) -> UnitVector {
        // Integral of the position over the area: half the sum over edges of (angle x unit normal) (Stokes).
        let [a, rest @ ..] = &*self.vertices else { return self.cap.axis };
        // The same sum closes for any polygon, so it is taken triangle by triangle: small ones would drown in rounding.
        let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
        for pair in rest.windows(2) {
            let (p, q) = (pair[0].minus(*a), pair[1].minus(*a));
            let (u, v, w) = p.cross(q);
            let det = a.x * u + a.y * v + a.z * w;
            let area = 2.0 * libm::atan2(det, 1.0 + a.dot(pair[0]) + pair[0].dot(pair[1]) + pair[1].dot(*a));
            let centre = triangle_moment(*a, pair[0], pair[1]);
            let scale = if area > 1e-8 { 1.0 } else { area };
            let m = if area > 1e-8 { centre } else { mean(*a, pair[0], pair[1]) };
            x += scale * m.0;
            y += scale * m.1;
            z += scale * m.2;
        }
        UnitVector::normalized(x, y, z).unwrap_or(self.cap.axis)
    }

    /// The angle from a point to the nearest point of the polygon; 0 inside.
    pub fn distance(&self, point: UnitVector) -> f64 {
        relate::distance_to_ring(point, &self.vertices)
    }

    /// A circle around the [centroid](Self::centroid) that covers the polygon.
    pub fn bounding_circle(&self) -> Circle {
        let centre = self.centroid();
        let radius = self.vertices.iter().map(|v| centre.separation(*v)).fold(0.0, f64::max);
        Circle::covering(centre, radius)
    }

    /// The box in longitude and latitude around the polygon, widened by a few roundings.
    pub fn bounding_box(&self) -> LonLatBox {
        let mut low = FRAC_PI_2;
        let mut high = -FRAC_PI_2;
        for (a, b) in self.edges() {
            let (south, north) = relate::latitudes(a, b);
            (low, high) = (low.min(south), high.max(north));
        }
        let north = self.contains(UnitVector { x: 0.0, y: 0.0, z: 1.0 });
        let south = self.contains(UnitVector { x: 0.0, y: 0.0, z: -1.0 });
        if north || south {
            let (low, high) = (if south { -FRAC_PI_2 } else { low }, if north { FRAC_PI_2 } else { high });
            return LonLatBox::covering(0.0, TAU, low, high);
        }
        let (lon, width) = longitude_span(&self.vertices);
        LonLatBox::covering(lon, width, low, high)
    }
}

/// The shortest arc of longitude from west to east that holds a ring which does not hold a pole: start and width.
fn longitude_span(ring: &[UnitVector]) -> (f64, f64) {
    let Some(first) = ring.first() else { return (0.0, 0.0) };
    let start = first.to_lon_lat().lon;
    let (mut west, mut east, mut here) = (0.0_f64, 0.0_f64, 0.0_f64);
    let mut last = start;
    for v in ring.iter().skip(1) {
        let lon = v.to_lon_lat().lon;
        let mut step = lon - last;
        if step > PI {
            step -= TAU;
        } else if step < -PI {
            step += TAU;
        }
        here += step;
        last = lon;
        west = west.min(here);
        east = east.max(here);
    }
    (start + west, east - west)
}

fn mean(a: UnitVector, b: UnitVector, c: UnitVector) -> (f64, f64, f64) {
    let (x, y, z) = (a.x + b.x + c.x, a.y + b.y + c.y, a.z + b.z + c.z);
    // A small triangle is flat: its centre of mass is the mean of its corners.
    (x / 3.0, y / 3.0, z / 3.0)
}

/// The integral of the position over a triangle.
fn triangle_moment(a: UnitVector, b: UnitVector, c: UnitVector) -> (f64, f64, f64) {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for (p, q) in [(a, b), (b, c), (c, a)] {
        // a x b = (a - b) x (a + b) / 2, without cancellation for near vectors.
        let sum = UnitVector { x: 0.5 * (p.x + q.x), y: 0.5 * (p.y + q.y), z: 0.5 * (p.z + q.z) };
        let (nx, ny, nz) = p.minus(q).cross(sum);
        let sin = (nx * nx + ny * ny + nz * nz).sqrt();
        if sin > 0.0 {
            let half = 0.5 * libm::atan2(sin, p.dot(q)) / sin;
            x += half * nx;
            y += half * ny;
            z += half * nz;
        }
    }
    (x, y, z)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(points: &[(f64, f64)]) -> ConvexPolygon {
        ConvexPolygon::from_degrees(points).unwrap()
    }

    fn units(points: &[(f64, f64)]) -> Vec<UnitVector> {
        points.iter().map(|p| LonLat::from_degrees(p.0, p.1).to_unit()).collect()
    }

    #[test]
    fn bad_points_say_what_is_wrong() {
        use SphereError as E;
        let new = |points: &[(f64, f64)]| ConvexPolygon::new(&units(points)).unwrap_err();
        assert_eq!(new(&[]), E::TooFewPoints { given: 0, distinct: 0 });
        assert_eq!(new(&[(1.0, 1.0); 5]), E::TooFewPoints { given: 5, distinct: 1 });
        assert_eq!(new(&[(1.0, 1.0), (2.0, 2.0), (1.0, 1.0)]), E::TooFewPoints { given: 3, distinct: 2 });
        assert_eq!(new(&[(0.0, 0.0), (10.0, 0.0), (20.0, 0.0)]), E::ZeroArea { given: 3 });
        assert_eq!(new(&[(0.0, 0.0), (120.0, 0.0), (240.0, 0.0)]), E::ZeroArea { given: 3 });
        let tetrahedron = [(0.0, 90.0), (0.0, -19.0), (120.0, -19.0), (240.0, -19.0)];
        assert_eq!(new(&tetrahedron), E::Hemisphere { given: 4 });
        assert_eq!(new(&[(0.0, 0.0), (120.0, 0.0), (240.0, 0.0), (0.0, 90.0)]), E::Hemisphere { given: 4 });
        let nan = UnitVector { x: f64::NAN, y: 0.0, z: 1.0 };
        let mut points = units(&[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]);
        points[2] = nan;
        assert!(matches!(ConvexPolygon::new(&points), Err(E::NotUnit { index: 2, .. })));
        assert!(matches!(ConvexPolygon::from_vertices(&points), Err(E::NotUnit { index: 2, .. })));
        points[2] = UnitVector { x: 0.0, y: 0.0, z: 2.0 };
        assert!(matches!(ConvexPolygon::new(&points), Err(E::NotUnit { index: 2, .. })));
    }

    #[test]
    fn antipodal_points_have_no_hull() {
        let e = |x: f64, y: f64, z: f64| UnitVector { x, y, z };
        let points = [e(1.0, 0.0, 0.0), e(-1.0, 0.0, 0.0), e(0.0, 1.0, 0.0), e(0.0, 0.0, 1.0)];
        assert_eq!(ConvexPolygon::new(&points), Err(SphereError::Hemisphere { given: 4 }));
        assert!(ConvexPolygon::new(&points[..3]).is_err());
    }

    #[test]
    fn ordered_vertices_are_checked() {
        let square = units(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]);
        let ordered = ConvexPolygon::from_vertices(&square).unwrap();
        assert_eq!(ordered.vertices(), &square[..]);
        let mut turned = square.clone();
        turned.reverse();
        assert!(matches!(ConvexPolygon::from_vertices(&turned), Err(SphereError::NotConvex { .. })));
        assert!(matches!(
            ConvexPolygon::from_vertices(&[square[0], square[2], square[1], square[3]]),
            Err(SphereError::NotConvex { .. })
        ));
        let mut dented = square.clone();
        dented.insert(1, LonLat::from_degrees(0.5, 0.2).to_unit());
        assert_eq!(ConvexPolygon::from_vertices(&dented), Err(SphereError::NotConvex { index: 1 }));
        // A point on an edge is no vertex.
        let e = |x: f64, y: f64, z: f64| UnitVector { x, y, z };
        let inline = [e(1.0, 0.0, 0.0), e(0.8, 0.6, 0.0), e(0.0, 1.0, 0.0), e(0.0, 0.0, 1.0)];
        assert_eq!(ConvexPolygon::from_vertices(&inline).unwrap().vertices().len(), 3);
        // A pentagram turns left everywhere, twice around.
        let star: Vec<_> = (0..5).map(|k| LonLat::from_degrees(f64::from(k) * 144.0, 80.0).to_unit()).collect();
        assert!(matches!(ConvexPolygon::from_vertices(&star), Err(SphereError::NotConvex { .. })));
        assert_eq!(ConvexPolygon::new(&star).unwrap().vertices().len(), 5);
    }

    #[test]
    fn far_apart_polygons_that_no_edge_separates_are_disjoint() {
        let around_pole = |lat: f64, phase: f64| polygon(&[(phase, lat), (phase + 120.0, lat), (phase + 240.0, lat)]);
        // The antipodes of the southern one form a star with the northern one.
        let (north, south) = (around_pole(70.0, 0.0), around_pole(-70.0, 0.0));
        assert_eq!(north.relate(&south), Relation::DISJOINT);
        assert_eq!(south.relate(&north), Relation::DISJOINT);
        let across = polygon(&[(0.0, 80.0), (180.0, 80.0), (0.0, -75.0), (20.0, -60.0)]);
        assert_eq!(across.relate(&south), Relation::INTERSECTS);
        assert_eq!(across.relate(&north), Relation::INTERSECTS);
    }

    #[test]
    fn area_and_centroid_of_an_octant_and_of_a_speck() {
        let octant = polygon(&[(0.0, 0.0), (90.0, 0.0), (0.0, 90.0)]);
        assert!((octant.area() - FRAC_PI_2).abs() < 1e-15);
        let third = 1.0 / 3.0_f64.sqrt();
        let c = octant.centroid();
        assert!((c.x - third).abs() + (c.y - third).abs() + (c.z - third).abs() < 1e-15);
        let side = 1e-7_f64;
        let speck = polygon(&[(10.0, 0.0), (10.0 + side, 0.0), (10.0 + side, side), (10.0, side)]);
        assert!((speck.area() / side.to_radians().powi(2) - 1.0).abs() < 1e-5);
        assert!(speck.centroid().separation(LonLat::from_degrees(10.0 + side / 2.0, side / 2.0).to_unit()) < 1e-15);
    }
}

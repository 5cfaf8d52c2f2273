//! [`SphereError`]: why something is not a region on the sphere.

/// Why a region could not be made or read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SphereError {
    /// A coordinate is NaN or infinite, or a vector is not of length one.
    #[error("point {index} is ({x}, {y}, {z}), which is not a unit vector")]
    NotUnit {
        /// Which of the points.
        index: usize,
        /// Its first coordinate.
        x: f64,
        /// Its second coordinate.
        y: f64,
        /// Its third coordinate.
        z: f64,
    },
    /// A position that is not finite, or beyond a pole.
    #[error("point {index} is at longitude {lon} deg, latitude {lat} deg; latitudes are -90 to 90 deg, and both are finite")]
    BadPosition {
        /// Which of the points.
        index: usize,
        /// Its longitude, degrees.
        lon: f64,
        /// Its latitude, degrees.
        lat: f64,
    },
    /// Fewer than three different points.
    #[error("a polygon needs 3 different vertices, got {distinct} among {given} points")]
    TooFewPoints {
        /// How many points were given.
        given: usize,
        /// How many of them are different.
        distinct: usize,
    },
    /// All points lie on one great circle.
    #[error("the {given} points lie on one great circle: a polygon needs an area")]
    ZeroArea {
        /// How many points were given.
        given: usize,
    },
    /// The points do not fit into an open hemisphere, so they have no convex hull.
    #[error("the {given} points do not fit into an open hemisphere: a convex polygon is smaller than one")]
    Hemisphere {
        /// How many points were given.
        given: usize,
    },
    /// The vertices do not run counter-clockwise around a convex polygon.
    #[error(
        "vertex {index} turns the wrong way: vertices must run counter-clockwise, seen from outside, around a convex \
         polygon (`ConvexPolygon::new` takes points in any order)"
    )]
    NotConvex {
        /// The vertex that lies outside an edge.
        index: usize,
    },
    /// An angle of a circle or box is not finite or out of range.
    #[error("{what} is {value} rad, expected {expected}")]
    BadAngle {
        /// Which angle.
        what: &'static str,
        /// Its value, radians.
        value: f64,
        /// The range that is allowed.
        expected: &'static str,
    },
    /// Columns of vertices that do not fit together.
    #[error("polygon columns: {problem}")]
    BadColumns {
        /// What does not fit.
        problem: String,
    },
    /// Bytes or text that are not a region.
    #[error("not a region: {problem}")]
    BadEncoding {
        /// What is wrong, and where.
        problem: String,
    },
    /// A subdivision level that a pixelization does not have.
    #[error("{scheme} has the levels 0 to {max}, not {level}")]
    BadLevel {
        /// The pixelization.
        scheme: &'static str,
        /// The level asked for.
        level: u8,
        /// Its deepest level.
        max: u8,
    },
    /// An index that is no pixel of a pixelization.
    #[error("{scheme} has no pixel {index}: expected {expected}")]
    BadIndex {
        /// The pixelization.
        scheme: &'static str,
        /// The index asked for.
        index: u64,
        /// Which indices there are.
        expected: String,
    },
    /// A pixelization that is not known.
    #[error("no pixelization `{name}`: {hint}")]
    UnknownPixelization {
        /// The name asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// A polygon of a column is bad.
    #[error("polygon {row}: {source}")]
    Row {
        /// Which polygon.
        row: usize,
        /// What is wrong with it.
        source: Box<SphereError>,
    },
}

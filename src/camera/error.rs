//! [`CameraError`].

use super::expression::ParseError;
use crate::wcs::WcsError;

/// Why a camera definition or a file's headers could not be made sense of.
#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    /// A definition is not TOML, or not of the form of a camera definition.
    #[error("camera definition {origin}: {message}")]
    Definition {
        /// File or built-in definition.
        origin: String,
        /// What is wrong and where.
        message: String,
    },
    /// A pattern of file names does not parse.
    #[error("camera definition {origin}: file name pattern `{pattern}`: {reason}")]
    Pattern {
        /// File or built-in definition.
        origin: String,
        /// The pattern.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// An expression does not parse.
    #[error(transparent)]
    Expression(#[from] ParseError),
    /// No instrument of that name.
    #[error("no instrument `{name}`{}; there are {}", near(nearest.as_deref()), known.join(", "))]
    UnknownInstrument {
        /// The name asked for.
        name: String,
        /// One that is spelled nearly the same.
        nearest: Option<String>,
        /// All names.
        known: Vec<String>,
    },
    /// No translator recognises a file.
    #[error(
        "{file}: not an exposure of a camera known here.\n{}\nDescribe the camera in a TOML file and name it with \
         --camera.", tried.iter().map(|t| format!("  {t}")).collect::<Vec<_>>().join("\n")
    )]
    Unrecognised {
        /// The file.
        file: String,
        /// Each translator with the first of its conditions that does not hold.
        tried: Vec<String>,
    },
    /// A field has no value, or one that makes no sense.
    #[error("{file}: {field}: {reason}{}", expression.as_ref().map(|e| format!(" (translator {translator}: `{e}`)")).unwrap_or_default())]
    Field {
        /// The file.
        file: String,
        /// The translator at work.
        translator: String,
        /// The field, such as `visit`.
        field: &'static str,
        /// The expression that was evaluated for it.
        expression: Option<String>,
        /// What is wrong and what would help.
        reason: String,
    },
    /// The image's header has no celestial WCS, or one that is not understood.
    #[error("{file}: HDU {hdu}: no usable WCS: {source}")]
    Wcs {
        /// The file.
        file: String,
        /// Index of the header-data unit.
        hdu: usize,
        /// What is wrong.
        source: WcsError,
    },
    /// The table beside the files is damaged.
    #[error("{file}, line {line}: {reason}")]
    Sidecar {
        /// The table's file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The camera's definition does not say where its detectors are.
    #[error(
        "{camera} is known without the places of its detectors: describe them in a camera definition (TOML, `[focal_plane]`)"
    )]
    NoFocalPlane {
        /// The camera.
        camera: String,
    },
    /// The camera has no such detector.
    #[error("{camera} has no detector {name}{}; it has {known}", near(nearest.as_deref()))]
    UnknownDetector {
        /// The camera.
        camera: String,
        /// The number or name asked for.
        name: String,
        /// One that is spelled nearly the same.
        nearest: Option<String>,
        /// Which there are.
        known: String,
    },
    /// A position or angle on the sky that there is not.
    #[error("row {row}: the {what} is {value} degrees, expected {}", if *what == "declination" { "-90 to 90" } else { "a finite number" })]
    BadPointing {
        /// The row, from 0.
        row: usize,
        /// Which of the values.
        what: &'static str,
        /// Its value, degrees.
        value: f64,
    },
    /// A coordinate that is NaN or infinite.
    #[error("row {row}: {what} has the coordinate {value}, expected finite numbers")]
    NotFinite {
        /// What the coordinate is of.
        what: &'static str,
        /// The row, from 0.
        row: usize,
        /// The coordinate.
        value: f64,
    },
    /// A point so far from the axis that the camera's distortion is not known there.
    #[error(
        "row {row}: {r_mm:.3} mm from the axis is outside of the field of {camera}, whose distortion is known up to {limit_mm:.3} mm"
    )]
    OutsideField {
        /// The camera.
        camera: String,
        /// The row, from 0.
        row: usize,
        /// The distance to the optical axis, mm.
        r_mm: f64,
        /// The largest distance allowed, mm.
        limit_mm: f64,
    },
    /// Columns that should have as many rows as each other.
    #[error("{what} must have the same number of rows, have {first} and {other}")]
    Lengths {
        /// The columns.
        what: &'static str,
        /// Rows of the first.
        first: usize,
        /// Rows of one that differs.
        other: usize,
    },
    /// More polygons at once than can be addressed.
    #[error("{pointings} pointings of {vertices} vertices are too many at once: ask for some after the others")]
    TooMany {
        /// How many pointings.
        pointings: usize,
        /// Vertices of each.
        vertices: usize,
    },
    /// Vertices that form no polygon.
    #[error(transparent)]
    Sphere {
        /// What is wrong with them.
        source: crate::sphere::SphereError,
    },
    /// A table could not be made.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// Background and noise cannot be measured: the image has no finite pixels.
    #[error("{file}: the image has no finite pixels to measure its background from")]
    NoPixels {
        /// The file.
        file: String,
    },
}

pub(super) fn near(nearest: Option<&str>) -> String {
    nearest.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default()
}

/// The candidate that is spelled most like `wanted`, if one is near.
pub(super) fn nearest<'a>(wanted: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let lower = wanted.to_lowercase();
    candidates
        .map(|c| (strsim::osa_distance(&c.to_lowercase(), &lower), c))
        .filter(|(distance, _)| *distance <= 1 + wanted.len() / 6)
        .min()
        .map(|(_, c)| c.to_owned())
}

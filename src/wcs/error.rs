//! [`WcsError`]: why a header gives no world coordinate system, or a mapping cannot be made.

use super::HeaderError;

/// Why a header gives no world coordinate system, or a mapping between two of them cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WcsError {
    /// A keyword is missing or is not of its type.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A number is NaN or infinite.
    #[error("WCS keyword `{keyword}` is {value}; it must be a finite number")]
    NotFinite {
        /// The keyword.
        keyword: String,
        /// Its value.
        value: f64,
    },
    /// The axes are not right ascension and declination.
    #[error(
        "WCS axes are `CTYPE1 = {ctype1}`, `CTYPE2 = {ctype2}`; one right ascension and one declination axis are needed \
         (galactic, ecliptic and other frames are not read: transform the header first)"
    )]
    NotEquatorial {
        /// `CTYPE1`.
        ctype1: String,
        /// `CTYPE2`.
        ctype2: String,
    },
    /// The projection is none of those known.
    #[error(
        "WCS keyword `{keyword}` names the projection `{code}`; known are TAN, TPV, ZPN, STG, CEA, each with or without -SIP"
    )]
    UnknownProjection {
        /// The keyword.
        keyword: String,
        /// What stands at the place of the projection's three-letter code.
        code: String,
    },
    /// The axes are not in degrees.
    #[error("WCS keyword `{keyword}` is '{value}'; only degrees ('deg') are read")]
    Unit {
        /// The keyword.
        keyword: String,
        /// Its value.
        value: String,
    },
    /// The reference frame is neither ICRS nor FK5 of equinox 2000.
    #[error(
        "WCS keyword `{keyword}` is '{value}'; only ICRS and FK5 of equinox 2000 are read: transform the header first"
    )]
    Frame {
        /// The keyword.
        keyword: String,
        /// Its value.
        value: String,
    },
    /// The linear part has no inverse.
    #[error("WCS matrix ({keywords}) is singular: {matrix:?} degrees a pixel")]
    Singular {
        /// The keywords it was read from.
        keywords: &'static str,
        /// The matrix, rows longitude and latitude.
        matrix: [[f64; 2]; 2],
    },
    /// A value is out of its range.
    #[error("WCS keyword `{keyword}` is {value}; {reason}")]
    OutOfRange {
        /// The keyword.
        keyword: String,
        /// Its value.
        value: f64,
        /// What it must be.
        reason: &'static str,
    },
    /// The header asks for something that is not built.
    #[error("WCS keyword `{keyword}`: {reason}")]
    Unsupported {
        /// The keyword.
        keyword: String,
        /// What it asks for.
        reason: &'static str,
    },
    /// No pole of the native coordinates agrees with the reference point.
    #[error(
        "WCS keywords `LONPOLE = {lonpole_deg}`, `LATPOLE = {latpole_deg}` admit no native pole for `CRVAL2 = {lat_deg}`"
    )]
    Pole {
        /// Native longitude of the celestial pole, degrees.
        lonpole_deg: f64,
        /// Native latitude of the celestial pole, degrees.
        latpole_deg: f64,
        /// Latitude of the reference point, degrees.
        lat_deg: f64,
    },
    /// A stored WCS does not hold together.
    #[error("stored WCS is damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: &'static str,
    },
    /// Columns that belong together differ in length.
    #[error("columns of {first} and {other} rows given; they must have the same length")]
    Lengths {
        /// Length of the first column.
        first: usize,
        /// The length that differs.
        other: usize,
    },
    /// The tolerance of a mapping is not a positive number.
    #[error("tolerance of a grid mapping is {tolerance_px} pixels; it must be positive and finite")]
    Tolerance {
        /// The tolerance given.
        tolerance_px: f64,
    },
    /// The box of a mapping is empty, or larger than any image.
    #[error(
        "output box of a grid mapping is {output_box}; it must hold between 1 and {max_pixels} pixels and end below 2^31"
    )]
    OutputBox {
        /// The box given.
        output_box: super::PixelBox,
        /// The largest number of pixels allowed.
        max_pixels: u64,
    },
}

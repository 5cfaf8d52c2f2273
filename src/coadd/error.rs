//! [`CoaddError`]: what can go wrong between pixels and coadd.

use crate::wcs::PixelBox;

/// What went wrong in the making of a coadd.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoaddError {
    /// An array has not the shape that goes with its box.
    #[error("the {array} has {} rows of {} columns, but its box is {bbox}: pass the pixels of exactly that box", .shape.0, .shape.1)]
    Shape {
        /// Which array.
        array: &'static str,
        /// Its shape, `(rows, columns)`.
        shape: (usize, usize),
        /// The box that says which pixels they should be.
        bbox: PixelBox,
    },
    /// The pixels of a row do not lie side by side in memory.
    #[error("the rows of the {array} are not contiguous in memory: copy it to standard layout first")]
    Layout {
        /// Which array.
        array: &'static str,
    },
    /// The pixels passed lie partly outside of the detector.
    #[error("the box {bbox} of the input pixels is not inside its detector, {detector}")]
    OutsideDetector {
        /// The box of the pixels passed.
        bbox: PixelBox,
        /// The box of the whole detector.
        detector: PixelBox,
    },
    /// A pixel that the kernel needs is on the detector but was not passed.
    #[error(
        "output pixel ({x}, {y}) falls at ({input_x:.2}, {input_y:.2}) of the input and needs detector pixels outside of \
         the box passed, {bbox}: read the input over the output's box grown by the kernel's half width"
    )]
    MissingPixels {
        /// Output column.
        x: i32,
        /// Output row.
        y: i32,
        /// Position in the input.
        input_x: f64,
        /// Position in the input.
        input_y: f64,
        /// The box of the pixels passed.
        bbox: PixelBox,
    },
    /// A number that must be finite and positive is not.
    #[error("{what} is {value}: it must be finite and greater than zero")]
    NotPositive {
        /// What the number is.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// Two things that must cover the same pixels do not.
    #[error("a strip of {found} was added to a stack of {expected}: warp every input onto the stack's own box")]
    BoxMismatch {
        /// The box of the stack.
        expected: PixelBox,
        /// The box of the strip.
        found: PixelBox,
    },
    /// Strips and weights are not as many.
    #[error("{strips} strips came with {weights} weights: give one weight for each")]
    WeightCount {
        /// Number of strips.
        strips: usize,
        /// Number of weights.
        weights: usize,
    },
    /// The inputs have more mask planes together than a mask has bits.
    #[error("no bit is left for the mask plane {plane}: 31 planes are in use; name planes to remove")]
    TooManyPlanes {
        /// The plane that found no bit.
        plane: String,
    },
    /// No pixel could be measured.
    #[error("no usable pixel in {what}")]
    NoUsablePixels {
        /// Where pixels were looked for.
        what: String,
    },
    /// An image file could not be written.
    #[error("cannot write the preview {path}")]
    Preview {
        /// The file.
        path: std::path::PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An input is no exposure.
    #[error("{path} holds {found}, not an exposure: coadds are made of exposures")]
    NotAnExposure {
        /// Its file.
        path: String,
        /// What it is.
        found: &'static str,
    },
    /// An input cannot be read.
    #[error(transparent)]
    Datastore(#[from] crate::datastore::DatastoreError),
    /// The patch is not in the sky map.
    #[error(transparent)]
    SkyMap(#[from] crate::skymap::SkyMapError),
    /// Positions cannot be mapped.
    #[error(transparent)]
    Wcs(#[from] crate::wcs::WcsError),
    /// The table of inputs cannot be made.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
}

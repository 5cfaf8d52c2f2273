//! The `inputs` table of a coadd: one row an image.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use super::{CoaddError, CoaddInput};
use crate::wcs::PixelBox;

/// What became of one input.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InputRow<'a> {
    pub(super) input: &'a CoaddInput,
    /// 1 / variance, at the coadd's zero point; 0 for an image without a usable pixel here.
    pub(super) weight: f64,
    /// Warped pixels that have a value.
    pub(super) good_pixels: u64,
    /// The image's own.
    pub(super) zero_point: f64,
    /// The pixels that were read of it.
    pub(super) bbox: PixelBox,
}

/// Columns `instrument, visit, detector, weight, good_pixels, zero_point, x0, y0, width, height, checksum, dataset_id`.
pub(super) fn table(rows: &[InputRow<'_>]) -> Result<RecordBatch, CoaddError> {
    let ints =
        |value: &dyn Fn(&InputRow<'_>) -> i64| Arc::new(rows.iter().map(value).collect::<Int64Array>()) as ArrayRef;
    let floats =
        |value: &dyn Fn(&InputRow<'_>) -> f64| Arc::new(rows.iter().map(value).collect::<Float64Array>()) as ArrayRef;
    let texts = |value: &dyn Fn(&InputRow<'_>) -> String| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(value))) as ArrayRef
    };
    Ok(RecordBatch::try_from_iter([
        ("instrument", texts(&|r| r.input.instrument.to_string())),
        ("visit", ints(&|r| r.input.visit)),
        ("detector", ints(&|r| r.input.detector)),
        ("weight", floats(&|r| r.weight)),
        ("good_pixels", ints(&|r| r.good_pixels as i64)),
        ("zero_point", floats(&|r| r.zero_point)),
        ("x0", ints(&|r| i64::from(r.bbox.x0))),
        ("y0", ints(&|r| i64::from(r.bbox.y0))),
        ("width", ints(&|r| i64::from(r.bbox.width))),
        ("height", ints(&|r| i64::from(r.bbox.height))),
        ("checksum", texts(&|r| format!("{:016x}", r.input.file.checksum))),
        ("dataset_id", texts(&|r| r.input.id.to_string())),
    ])?)
}

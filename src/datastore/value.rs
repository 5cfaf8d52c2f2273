//! [`Dataset`]: a dataset, or one component of it, in memory.

use arrow::record_batch::RecordBatch;
use ndarray::Array2;

use crate::dataset::{Coadd, Exposure};
use crate::wcs::{Header, PixelBox, Wcs};

/// A dataset, or one component of it, in memory: what [`Datastore::get`](super::Datastore::get) gives and
/// [`Datastore::put`](super::Datastore::put) takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Dataset {
    /// A whole exposure, or the subset of one.
    Exposure(Box<Exposure>),
    /// A whole coadd, or the subset of one.
    Coadd(Box<Coadd>),
    /// A table, or the component `inputs` of a coadd.
    Table(RecordBatch),
    /// A JSON document.
    Json(serde_json::Value),
    /// The component `image` or `variance` (counts, counts squared) or `weight`, `[y, x]`.
    Image(Array2<f32>),
    /// The component `mask`, `[y, x]`.
    Mask(Array2<i32>),
    /// The component `n_image`, `[y, x]`.
    NImage(Array2<u16>),
    /// The component `wcs`, of the parent plane's pixels.
    Wcs(Wcs),
    /// The component `bbox`.
    Box(PixelBox),
    /// The component `zero_point`, a magnitude.
    Number(f64),
    /// The component `metadata`.
    Metadata(Header),
}

impl Dataset {
    /// What it is, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Exposure(_) => "Exposure",
            Self::Coadd(_) => "Coadd",
            Self::Table(_) => "Table",
            Self::Json(_) => "Json",
            Self::Image(_) => "an image",
            Self::Mask(_) => "a mask",
            Self::NImage(_) => "a number-of-inputs image",
            Self::Wcs(_) => "a WCS",
            Self::Box(_) => "a box",
            Self::Number(_) => "a number",
            Self::Metadata(_) => "a header",
        }
    }
}

impl From<Exposure> for Dataset {
    fn from(value: Exposure) -> Self {
        Self::Exposure(Box::new(value))
    }
}

impl From<Coadd> for Dataset {
    fn from(value: Coadd) -> Self {
        Self::Coadd(Box::new(value))
    }
}

impl From<RecordBatch> for Dataset {
    fn from(value: RecordBatch) -> Self {
        Self::Table(value)
    }
}

impl From<serde_json::Value> for Dataset {
    fn from(value: serde_json::Value) -> Self {
        Self::Json(value)
    }
}

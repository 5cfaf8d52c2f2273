//! What the ranks need to know, as a snapshot: the images, the coadds, and how they are made.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, StringArray, UInt64Array,
};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::BuildError;
use super::plan::{Plan, PlannedCoadd};
use crate::coadd::{CoaddConfig, CoaddInput, CoaddQuantum};
use crate::dataset::{DatasetType, codec};
use crate::snapshot::{Snapshot, SnapshotBuilder, property};
use crate::wcs::PixelBox;

/// Everything about a build that is not a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct JobHeader {
    pub(super) root: PathBuf,
    pub(super) run: String,
    /// Distinguishes the journals of this job.
    pub(super) job: Uuid,
    pub(super) dataset_type: DatasetType,
    pub(super) template: String,
    pub(super) sky_map: String,
    pub(super) sky_map_toml: String,
    pub(super) config: CoaddConfig,
}

/// Packs a plan into a snapshot.
pub(super) fn encode(header: &JobHeader, plan: &Plan) -> Result<Vec<u8>, BuildError> {
    let ints = |values: &mut dyn Iterator<Item = i64>| Arc::new(values.collect::<Int64Array>()) as ArrayRef;
    let images = &plan.images;
    let blobs = |encoded: Result<Vec<Vec<u8>>, _>| -> Result<ArrayRef, BuildError> {
        let encoded: Vec<Vec<u8>> = encoded.map_err(BuildError::Codec)?;
        Ok(Arc::new(BinaryArray::from_iter_values(encoded)))
    };
    let ids = FixedSizeBinaryArray::try_from_iter(images.iter().map(|i| i.id.into_bytes()));
    let images = RecordBatch::try_from_iter([
        ("id", Arc::new(if images.is_empty() { FixedSizeBinaryArray::new_null(16, 0) } else { ids? }) as ArrayRef),
        ("instrument", Arc::new(StringArray::from_iter_values(images.iter().map(|i| &*i.instrument)))),
        ("visit", ints(&mut images.iter().map(|i| i.visit))),
        ("detector", ints(&mut images.iter().map(|i| i.detector))),
        ("width", ints(&mut images.iter().map(|i| i64::from(i.bbox.width)))),
        ("height", ints(&mut images.iter().map(|i| i64::from(i.bbox.height)))),
        ("wcs", blobs(images.iter().map(|i| codec::encode(&i.wcs)).collect())?),
        ("file", blobs(images.iter().map(|i| codec::encode(&i.file)).collect())?),
    ])?;
    let coadds = &plan.coadds;
    let mut ends = 0;
    let coadd_rows = RecordBatch::try_from_iter([
        ("tract", ints(&mut coadds.iter().map(|c| i64::from(c.tract)))),
        ("patch", ints(&mut coadds.iter().map(|c| i64::from(c.patch)))),
        ("band", Arc::new(StringArray::from_iter_values(coadds.iter().map(|c| &*c.band))) as ArrayRef),
        ("fingerprint", Arc::new(coadds.iter().map(|c| c.fingerprint).collect::<UInt64Array>())),
        ("cost", Arc::new(coadds.iter().map(PlannedCoadd::cost).collect::<Float64Array>())),
        (
            "inputs_end",
            ints(&mut coadds.iter().map(|c| {
                ends += c.inputs.len() as i64;
                ends
            })),
        ),
    ])?;
    let inputs: Int32Array = coadds.iter().flat_map(|c| c.inputs.iter().copied()).collect();
    let mut builder = SnapshotBuilder::new();
    builder.set_property("task", super::plan::TASK);
    builder.set_property(property::RUN, header.run.as_str());
    builder.set_property(property::REGION_STATE, plan.regions.to_string());
    builder.add_table("images", &images)?;
    builder.add_table("coadds", &coadd_rows)?;
    builder.add_table("coadd_inputs", &RecordBatch::try_from_iter([("image", Arc::new(inputs) as ArrayRef)])?)?;
    builder.add_blob("job", codec::encode(header)?)?;
    Ok(builder.to_bytes()?)
}

/// A build's job as a rank sees it: in place in the bytes that were broadcast.
#[derive(Debug)]
pub(super) struct Job {
    snapshot: Snapshot,
    pub(super) header: JobHeader,
}

impl Job {
    pub(super) fn open(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, BuildError> {
        let snapshot = Snapshot::from_bytes(bytes)?;
        let header = codec::decode(snapshot.blob("job")?)?;
        Ok(Self { snapshot, header })
    }

    pub(super) fn costs(&self) -> Result<Vec<f64>, BuildError> {
        Ok(self.snapshot.table("coadds")?.column_f64("cost")?.to_vec())
    }

    /// The work of one coadd, and its fingerprint.
    pub(super) fn quantum(&self, index: usize) -> Result<(CoaddQuantum, u64), BuildError> {
        let coadds = self.snapshot.table("coadds")?;
        let number = |name: &str| -> Result<u32, BuildError> {
            let values = coadds.column_i64(name)?;
            Ok(values.get(index).copied().and_then(|v| u32::try_from(v).ok()).unwrap_or(u32::MAX))
        };
        let ends = coadds.column_i64("inputs_end")?;
        let end = |i: usize| ends.get(i).copied().unwrap_or_default() as usize;
        let (first, last) = (if index == 0 { 0 } else { end(index - 1) }, end(index));
        let rows = self.snapshot.table("coadd_inputs")?.column_i32("image")?;
        let rows = rows.get(first..last).unwrap_or_default();
        let quantum = CoaddQuantum {
            sky_map: self.header.sky_map.as_str().into(),
            tract: number("tract")?,
            patch: number("patch")?,
            band: coadds.column_str("band")?.get(index)?.into(),
            inputs: rows.iter().map(|row| self.image(*row as usize)).collect::<Result<_, _>>()?,
        };
        let fingerprint = coadds.column_u64("fingerprint")?.get(index).copied().unwrap_or_default();
        Ok((quantum, fingerprint))
    }

    fn image(&self, row: usize) -> Result<CoaddInput, BuildError> {
        let images = self.snapshot.table("images")?;
        let int = |name: &str| -> Result<i64, BuildError> {
            Ok(images.column_i64(name)?.get(row).copied().unwrap_or_default())
        };
        let side = |name: &str| int(name).map(|v| u32::try_from(v).unwrap_or_default());
        Ok(CoaddInput {
            id: Uuid::from_bytes(images.column_uuid("id")?.get(row).copied().unwrap_or_default()),
            instrument: images.column_str("instrument")?.get(row)?.into(),
            visit: int("visit")?,
            detector: int("detector")?,
            file: codec::decode(images.column_bytes("file")?.get(row)?)?,
            wcs: codec::decode(images.column_bytes("wcs")?.get(row)?)?,
            bbox: PixelBox::new(0, 0, side("width")?, side("height")?),
        })
    }
}

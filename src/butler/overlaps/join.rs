//! Relates images and patches, and makes rows of the pairs.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::images::Images;
use super::query::{IMAGE_DIMENSIONS, SKY_DIMENSIONS};
use super::sky_side::SkySide;
use crate::butler::ButlerError;
use crate::butler::columns::ints;
use crate::butler::relation::codes;
use crate::dimension::Expression;
use crate::skymap::SkyMapError;

/// Tract, patch (0 where tracts are related), row of the image.
pub(super) type Pair = (u32, u32, u32);

/// All pairs of images with what is wanted of the sky, or of one tract of it.
pub(super) fn pairs(
    images: &Images,
    sky: &mut SkySide,
    only: Option<u32>,
    reference: bool,
) -> Result<Vec<Pair>, ButlerError> {
    let polygons = images.polygons()?;
    let mut found: Vec<Pair> = if reference {
        let of_row = |row: usize| -> Result<Vec<Pair>, SkyMapError> {
            let corners: Vec<_> = polygons.vertices(row).map(crate::sphere::UnitVector::to_lon_lat).collect();
            let lists = sky.map.find_tract_patch_list(&corners)?;
            Ok(lists
                .into_iter()
                .flat_map(|(tract, patches)| patches.into_iter().map(move |patch| (tract, patch, row as u32)))
                .collect())
        };
        let rows = (0..polygons.len()).into_par_iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
        rows.into_iter().flatten().collect()
    } else if sky.by_patch {
        let joined = sky.map.overlaps_columns(&polygons);
        let rows = joined.tract.iter().zip(&joined.patch).zip(&joined.polygon);
        rows.map(|((tract, patch), row)| (*tract, *patch, *row)).collect()
    } else {
        let of_row = |row: usize| {
            let tracts = sky.map.overlapping_tracts(&polygons.polygon(row));
            tracts.into_iter().map(move |tract| (tract, 0, row as u32)).collect::<Vec<_>>()
        };
        (0..polygons.len()).into_par_iter().flat_map_iter(of_row).collect()
    };
    if !sky.by_patch {
        for pair in &mut found {
            pair.1 = 0;
        }
    }
    let mut kept = 0;
    for at in 0..found.len() {
        let (tract, patch, _) = found[at];
        if only.is_none_or(|t| t == tract) && sky.wanted(tract)?.has(patch) {
            found.swap(kept, at);
            kept += 1;
        }
    }
    found.truncate(kept);
    Ok(found)
}

/// From pairs to rows: the columns wanted, each row once, sorted.
pub(super) struct Output {
    pub(super) columns: Vec<&'static str>,
    pub(super) schema: SchemaRef,
    /// The terms of the filter that name both sides.
    pub(super) filter: Option<Expression>,
    /// Rows that were given before, where parts of an answer may repeat each other.
    pub(super) seen: Option<HashSet<Vec<u8>>>,
}

impl Output {
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// The rows of pairs; without images, of tracts and patches alone.
    pub(super) fn rows(
        &mut self,
        mut pairs: Vec<Pair>,
        images: Option<&Images>,
        sky_map: Option<&str>,
    ) -> Result<RecordBatch, ButlerError> {
        if let Some(filter) = &self.filter {
            pairs = filtered(filter, &pairs, images, sky_map)?;
        }
        let (ranks, firsts) = match images {
            Some(images) => self.groups(images)?,
            None => (vec![0], vec![0]),
        };
        let (by_tract, by_patch) = (self.has("tract"), self.has("patch"));
        for (tract, patch, row) in &mut pairs {
            *tract = if by_tract { *tract } else { 0 };
            *patch = if by_patch { *patch } else { 0 };
            *row = ranks[*row as usize];
        }
        pairs.par_sort_unstable();
        pairs.dedup();
        let rows = UInt32Array::from_iter_values(pairs.iter().map(|pair| firsts[pair.2 as usize]));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            columns.push(match (field.name().as_str(), images) {
                ("skymap", _) => {
                    let name = sky_map.unwrap_or_default();
                    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(name, pairs.len())))
                }
                ("tract", _) => Arc::new(Int64Array::from_iter_values(pairs.iter().map(|p| i64::from(p.0)))),
                ("patch", _) => Arc::new(Int64Array::from_iter_values(pairs.iter().map(|p| i64::from(p.1)))),
                (name, Some(images)) => take(column(&images.batch, name)?, &rows, None)?,
                (name, None) => return Err(absent(name)),
            });
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        match &mut self.seen {
            Some(seen) => unseen(&batch, seen),
            None => Ok(batch),
        }
    }

    /// For each image the number of its group, and of each group an image: images that are the same in the columns wanted
    /// are one group, and groups are numbered in the order of the columns.
    fn groups(&self, images: &Images) -> Result<(Vec<u32>, Vec<u32>), ButlerError> {
        let mut order: Vec<&str> = self.columns.iter().copied().filter(|c| IMAGE_DIMENSIONS.contains(c)).collect();
        if !SKY_DIMENSIONS.iter().any(|sky| self.has(sky)) {
            // What the images are named by leads: answers come page by page in this order.
            order.sort_by_key(|name| ["instrument", "visit", "detector"].iter().position(|n| n == name).unwrap_or(9));
        }
        let codes = order
            .iter()
            .map(|name| codes(column(&images.batch, name)?).ok_or_else(|| absent(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let by = |a: u32, b: u32| {
            codes
                .iter()
                .map(|code| code[a as usize].cmp(&code[b as usize]))
                .find(|o| o.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        };
        let mut sorted: Vec<u32> = (0..images.len() as u32).collect();
        sorted.par_sort_unstable_by(|a, b| by(*a, *b).then(a.cmp(b)));
        let (mut ranks, mut firsts) = (vec![0; images.len()], Vec::<u32>::new());
        for row in sorted {
            if firsts.last().is_none_or(|first| by(*first, row).is_ne()) {
                firsts.push(row);
            }
            ranks[row as usize] = firsts.len() as u32 - 1;
        }
        Ok((ranks, firsts))
    }
}

fn absent(name: &str) -> ButlerError {
    ButlerError::Column { name: name.to_owned(), expected: "a column of images", found: "absent".to_owned() }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ButlerError> {
    batch.column_by_name(name).ok_or_else(|| absent(name))
}

/// The pairs for which an expression over all their columns is true.
fn filtered(
    filter: &Expression,
    pairs: &[Pair],
    images: Option<&Images>,
    sky_map: Option<&str>,
) -> Result<Vec<Pair>, ButlerError> {
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (
            "skymap",
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(sky_map.unwrap_or_default(), pairs.len()))),
        ),
        ("tract", Arc::new(Int64Array::from_iter_values(pairs.iter().map(|p| i64::from(p.0))))),
        ("patch", Arc::new(Int64Array::from_iter_values(pairs.iter().map(|p| i64::from(p.1))))),
    ];
    if let Some(images) = images {
        let rows = UInt32Array::from_iter_values(pairs.iter().map(|pair| pair.2));
        for name in IMAGE_DIMENSIONS {
            columns.push((name, take(column(&images.batch, name)?, &rows, None)?));
        }
    }
    columns.push(("row", Arc::new(Int64Array::from_iter_values(0..pairs.len() as i64))));
    let chosen = crate::snapshot::filter_rows(&RecordBatch::try_from_iter(columns)?, filter)?;
    Ok(ints(&chosen, "row")?.values().iter().map(|row| pairs[*row as usize]).collect())
}

/// The rows that were not given before.
fn unseen(batch: &RecordBatch, seen: &mut HashSet<Vec<u8>>) -> Result<RecordBatch, ButlerError> {
    let mut rows = Vec::new();
    for row in 0..batch.num_rows() {
        let mut key = Vec::new();
        for column in batch.columns() {
            if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
                key.extend(numbers.value(row).to_le_bytes());
            } else if let Some(texts) = column.as_string_opt::<i32>() {
                key.extend(texts.value(row).as_bytes());
                key.push(0);
            }
        }
        if seen.insert(key) {
            rows.push(row as u32);
        }
    }
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    Ok(arrow::compute::take_record_batch(batch, &UInt32Array::from(rows))?)
}

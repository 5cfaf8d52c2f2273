//! [`SkySide`]: which tracts and patches are wanted, and where they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;

use crate::butler::columns::ints;
use crate::butler::sky_maps::{check_numbers, patch_table, tract_table, wanted_tracts};
use crate::butler::{Butler, ButlerError};
use crate::dimension::Expression;
use crate::skymap::SkyMap;
use crate::sphere::{Circle, Region};

/// Patches fewer than these are looked for one by one, and more as their tract.
const FEW_PATCHES: usize = 16;

/// Tracts, or tracts and patches, of one sky map.
pub(super) struct SkySide {
    pub(super) name: String,
    pub(super) map: Arc<SkyMap>,
    /// Whether patches are related, or tracts by their own regions.
    pub(super) by_patch: bool,
    filter: Option<Expression>,
    region: Option<Region>,
    /// The tracts that can have something.
    pub(super) tracts: Vec<u32>,
    /// What is wanted of a tract, once that was asked for.
    known: HashMap<u32, Wanted>,
}

/// What is wanted of a tract.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    All,
    /// By patch number; where tracts are related, one for the tract.
    Some(Vec<bool>),
    Nothing,
}

impl Wanted {
    pub(super) fn has(&self, patch: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(wanted) => wanted.get(patch as usize).copied().unwrap_or(false),
            Self::Nothing => false,
        }
    }
}

impl SkySide {
    /// Checks the names and numbers. `filter` names nothing but the dimensions of the sky.
    pub(super) fn new(
        butler: &Butler,
        sky_map: Option<&str>,
        filter: Option<Expression>,
        whole_filter: Option<&Expression>,
        region: Option<Region>,
        by_patch: bool,
    ) -> Result<Self, ButlerError> {
        let (name, map) = butler.one_sky_map(sky_map, whole_filter)?;
        check_numbers(&[(name.clone(), Arc::clone(&map))], whole_filter)?;
        let tracts = wanted_tracts(&map, whole_filter, region.as_ref());
        let side = Self { name, map, by_patch, filter, region, tracts, known: HashMap::new() };
        if side.tracts.is_empty() {
            // Names are checked even where there is nothing to look at.
            side.look_at(0)?;
        }
        Ok(side)
    }

    /// What is wanted of a tract.
    pub(super) fn wanted(&mut self, tract: u32) -> Result<&Wanted, ButlerError> {
        if !self.known.contains_key(&tract) {
            let wanted = match self.tracts.binary_search(&tract) {
                Ok(_) => self.look_at(tract)?,
                Err(_) => Wanted::Nothing,
            };
            self.known.insert(tract, wanted);
        }
        Ok(self.known.get(&tract).unwrap_or(&Wanted::Nothing))
    }

    /// Forgets what was wanted of tracts that are done.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    fn look_at(&self, tract: u32) -> Result<Wanted, ButlerError> {
        if self.filter.is_none() && self.region.is_none() {
            return Ok(Wanted::All);
        }
        let (nx, ny) = self.map.num_patches(tract)?;
        let rows = if self.by_patch { nx * ny } else { 1 };
        let table = if self.is_simple() {
            self.numbers(tract, rows)?
        } else if self.by_patch {
            patch_table(&self.name, &self.map, tract, self.region.as_ref())?
        } else {
            tract_table(&self.name, &self.map, &[tract], self.region.as_ref())?
        };
        let table = match &self.filter {
            Some(filter) => crate::snapshot::filter_rows(&table, filter)?,
            None => table,
        };
        let mut wanted = vec![false; rows as usize];
        if self.by_patch {
            for patch in ints(&table, "patch")?.values() {
                wanted[*patch as usize] = true;
            }
        } else {
            wanted[0] = table.num_rows() > 0;
        }
        Ok(match wanted.iter().filter(|w| **w).count() {
            0 => Wanted::Nothing,
            n if n == wanted.len() => Wanted::All,
            _ => Wanted::Some(wanted),
        })
    }

    /// Whether numbers are all that the filter asks for.
    fn is_simple(&self) -> bool {
        let numbers = ["skymap", "tract", "patch"];
        self.region.is_none() && self.filter.as_ref().is_none_or(|f| f.names_only(&numbers))
    }

    fn numbers(&self, tract: u32, rows: u32) -> Result<RecordBatch, ButlerError> {
        let rows = rows as usize;
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("skymap", Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&self.name, rows)))),
            ("tract", Arc::new(Int64Array::from_value(i64::from(tract), rows))),
        ];
        if self.by_patch {
            columns.push(("patch", Arc::new(Int64Array::from_iter_values(0..rows as i64))));
        }
        Ok(RecordBatch::try_from_iter(columns)?)
    }

    /// Circles around all that is wanted of a tract: nothing else need be looked at for it. None where nothing is wanted.
    pub(super) fn circles(&mut self, tract: u32) -> Result<Vec<Circle>, ButlerError> {
        let by_patch = self.by_patch;
        let patches: Vec<u32> = match self.wanted(tract)? {
            Wanted::Nothing => return Ok(Vec::new()),
            Wanted::Some(wanted) if by_patch => (0..).zip(wanted).filter(|(_, w)| **w).map(|(patch, _)| patch).collect(),
            _ => Vec::new(),
        };
        let around = self.map.tract_circle(tract)?;
        if let Some(region) = self.region.as_ref().map(Region::bounding_circle)
            && region.radius() < around.radius()
        {
            return Ok(vec![region]);
        }
        if patches.is_empty() || patches.len() > FEW_PATCHES {
            return Ok(vec![around]);
        }
        let info = self.map.tract(tract)?;
        patches.into_iter().map(|patch| Ok(info.patch(patch)?.outer_polygon().bounding_circle())).collect()
    }
}

//! The tracts and patches of whole columns of positions.

use rayon::prelude::*;

use super::SkyMapError;
use super::sky_map::{SkyMap, check_position};
use crate::sphere::LonLat;

/// Positions that a thread takes at a time.
const CHUNK: usize = 16_384;

/// Tract and patch of each position, as columns of equal length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundPatches {
    /// The tract that is responsible, as [`SkyMap::find_tract`].
    pub tract: Vec<u32>,
    /// The patch whose inner box holds the position, as [`TractInfo::find_patch`](super::TractInfo::find_patch); 0 where there is none.
    pub patch: Vec<u32>,
    /// The patch's column.
    pub patch_x: Vec<u32>,
    /// The patch's row.
    pub patch_y: Vec<u32>,
    /// Whether the tract's pixels hold the position. Those of a discrete map, and of some turned rings, need not: then there is no patch.
    pub inside: Vec<bool>,
}

impl SkyMap {
    /// [`find_tract`](Self::find_tract) for columns of longitudes and latitudes, radians; on all threads of the current rayon pool.
    ///
    /// # Errors
    /// [`SkyMapError::BadColumns`], [`SkyMapError::BadPosition`] with the first bad row.
    pub fn find_tract_columns(&self, lon: &[f64], lat: &[f64]) -> Result<Vec<u32>, SkyMapError> {
        check(lon, lat)?;
        let mut tracts = vec![0; lon.len()];
        let fill = |(tracts, (lon, lat)): (&mut [u32], (&[f64], &[f64]))| {
            for (tract, (lon, lat)) in tracts.iter_mut().zip(lon.iter().zip(lat)) {
                *tract = self.find(LonLat::new(*lon, *lat));
            }
        };
        if lon.len() <= CHUNK {
            fill((&mut tracts, (lon, lat)));
        } else {
            tracts.par_chunks_mut(CHUNK).zip(lon.par_chunks(CHUNK).zip(lat.par_chunks(CHUNK))).for_each(fill);
        }
        Ok(tracts)
    }

    /// The tract and patch of each position of columns of longitudes and latitudes, radians; on all threads of the current rayon
    /// pool.
    ///
    /// ```
    /// let sky_map = bunter::SkyMap::preset("hsc_rings_v1")?;
    /// let found = sky_map.find_patch_columns(&[150.1_f64.to_radians()], &[2.2_f64.to_radians()])?;
    /// assert_eq!((found.tract[0], found.patch[0]), (9813, 40));
    /// assert_eq!((found.patch_x[0], found.patch_y[0]), (4, 4));
    /// # Ok::<(), bunter::SkyMapError>(())
    /// ```
    ///
    /// # Errors
    /// [`SkyMapError::BadColumns`], [`SkyMapError::BadPosition`] with the first bad row.
    pub fn find_patch_columns(&self, lon: &[f64], lat: &[f64]) -> Result<FoundPatches, SkyMapError> {
        check(lon, lat)?;
        let count = lon.len();
        let mut found = FoundPatches {
            tract: vec![0; count],
            patch: vec![0; count],
            patch_x: vec![0; count],
            patch_y: vec![0; count],
            inside: vec![false; count],
        };
        let positions = lon.par_iter().zip(lat).with_min_len(CHUNK);
        let columns = found
            .tract
            .par_iter_mut()
            .zip(&mut found.patch)
            .zip(found.patch_x.par_iter_mut().zip(&mut found.patch_y))
            .zip(&mut found.inside);
        columns.zip(positions).for_each(|((((tract, patch), (patch_x, patch_y)), inside), (lon, lat))| {
            let p = LonLat::new(*lon, *lat);
            *tract = self.find(p);
            let record = &self.records[*tract as usize];
            if let Some((x, y)) = self.geometry(record).pixel(p.to_unit()) {
                let [w, h] = self.division.inner;
                (*patch_x, *patch_y) = ((x / w) as u32, (y / h) as u32);
                *patch = *patch_y * record.size.count[0] + *patch_x;
                *inside = true;
            }
        });
        Ok(found)
    }
}

fn check(lon: &[f64], lat: &[f64]) -> Result<(), SkyMapError> {
    if lon.len() != lat.len() {
        return Err(SkyMapError::BadColumns { lon: lon.len(), lat: lat.len() });
    }
    // Without a branch for each: good columns are the rule.
    let good = |(lon, lat): (&[f64], &[f64])| {
        lon.iter()
            .zip(lat)
            .fold(true, |good, (lon, lat)| good & lon.is_finite() & (lat.abs() <= std::f64::consts::FRAC_PI_2))
    };
    let all =
        if lon.len() <= CHUNK { good((lon, lat)) } else { lon.par_chunks(CHUNK).zip(lat.par_chunks(CHUNK)).all(good) };
    if all {
        return Ok(());
    }
    lon.iter().zip(lat).enumerate().try_for_each(|(row, (lon, lat))| check_position(LonLat::new(*lon, *lat), Some(row)))
}

//! Makes a sky map of one tract that covers the images of a repository.

use super::columns::{binaries, ints, texts};
use super::{Butler, ButlerError, region};
use crate::dataset::codec;
use crate::dimension::Expression;
use crate::registry::Query;
use crate::skymap::{Layout, Projection, SkyMap, SkyMapConfig, TractBuilder};
use crate::sphere::UnitVector;
use crate::wcs::Wcs;

/// Which images a discrete sky map is to cover, and how fine it is.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscreteSkyMapOptions {
    /// The dataset type of the images.
    pub dataset_type: String,
    /// Where the images are.
    pub collections: Vec<String>,
    /// Which of them.
    pub filter: Option<Expression>,
    /// Arcsec; `None`: the scale of the images.
    pub pixel_scale: Option<f64>,
    /// Inner size of a patch, pixels.
    pub patch_size: u32,
    /// Border of a patch, pixels.
    pub patch_border: u32,
}

impl Butler {
    /// A sky map of one tract, centred on the images and just large enough for all of them: Rubin's
    /// `make-discrete-skymap`.
    ///
    /// # Errors
    /// [`ButlerError::Question`] when there is no image, or the images reach over more than 30 degrees: that is a survey,
    /// which wants a rings map.
    pub fn make_discrete_sky_map(&self, options: &DiscreteSkyMapOptions) -> Result<SkyMap, ButlerError> {
        let query = Query { filter: options.filter.clone(), ..Query::default() };
        let collections: Vec<&str> = options.collections.iter().map(String::as_str).collect();
        let images = self.reader().datasets(&options.dataset_type, &collections, &query, true)?;
        let wanted: std::collections::HashSet<_> =
            texts(&images, "instrument")?.iter().zip(ints(&images, "visit")?).zip(ints(&images, "detector")?).collect();
        let records = self.reader().dimension_records("visit_detector", &query)?;
        let (instrument, visit, detector) =
            (texts(&records, "instrument")?, ints(&records, "visit")?, ints(&records, "detector")?);
        let (regions, wcs) = (binaries(&records, "region")?, binaries(&records, "wcs")?);
        let mut corners: Vec<UnitVector> = Vec::new();
        let mut scales: Vec<f64> = Vec::new();
        let keys = instrument.iter().zip(visit).zip(detector);
        for (row, key) in keys.enumerate().filter(|(_, key)| wanted.contains(key)) {
            let damaged = |what, cause: String| ButlerError::DamagedRecord { what, data_id: format!("{key:?}"), cause };
            if !arrow::array::Array::is_null(regions, row) {
                let region = region::decode(regions.value(row), || format!("{key:?}"))?;
                corners.extend(region.vertices());
            }
            if !arrow::array::Array::is_null(wcs, row) {
                let wcs: Wcs = codec::decode(wcs.value(row)).map_err(|e| damaged("wcs", e.to_string()))?;
                let [x, y] = wcs.reference_pixel();
                scales.extend(wcs.pixel_scale(x, y));
            }
        }
        let nothing = || {
            ButlerError::Question(format!(
                "no `{}` with a region in {}: ingest exposures first",
                options.dataset_type,
                options.collections.join(", ")
            ))
        };
        let (x, y, z) = corners.iter().fold((0.0, 0.0, 0.0), |(x, y, z), c| (x + c.x, y + c.y, z + c.z));
        let centre = UnitVector::normalized(x, y, z).ok_or_else(nothing)?;
        let radius = corners.iter().map(|c| centre.separation(*c)).fold(0.0, f64::max);
        if radius.to_degrees() > 15.0 {
            return Err(ButlerError::Question(format!(
                "the images reach {:.1} degrees from their centre, too far for one tract: register a rings sky map, such \
                 as `bunter register-skymap REPO hsc_rings_v1`, or select fewer images with --where",
                radius.to_degrees()
            )));
        }
        scales.sort_by(f64::total_cmp);
        let scale = options.pixel_scale.or_else(|| scales.get(scales.len() / 2).copied()).ok_or_else(nothing)?;
        let centre = centre.to_lon_lat();
        Ok(SkyMap::new(SkyMapConfig {
            layout: Layout::Discrete {
                ra_deg: vec![centre.lon_deg()],
                dec_deg: vec![centre.lat_deg()],
                radius_deg: vec![radius.to_degrees()],
            },
            tract_overlap_deg: 0.0,
            pixel_scale_arcsec: scale,
            projection: Projection::Tan,
            rotation_deg: 0.0,
            tract_builder: TractBuilder::Legacy {
                patch_inner_dimensions: [options.patch_size; 2],
                patch_border: options.patch_border,
            },
        })?)
    }
}

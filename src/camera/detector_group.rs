//! The form in which a camera definition lists detectors and where they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::detector_index::overlapping;
use super::error::{near, nearest};
use super::focal_plane::{FocalPlane, Mounted};
use super::instrument::Detector;
use super::placement::Placement;
use super::radial::Radial;

/// More detectors than any camera has.
const MOST_DETECTORS: usize = 100_000;

/// Detectors of successive numbers that are alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DetectorGroup {
    first: i64,
    /// Either names, or a raft and its slots, named `raft_slot`.
    #[serde(default)]
    names: Vec<String>,
    raft: Option<String>,
    #[serde(default)]
    slots: Vec<String>,
    /// The first so many letters of a name are the raft, the rest (without a `_` before it) is the slot.
    raft_letters: Option<usize>,
    purpose: Option<String>,
    /// A key of `types`.
    #[serde(rename = "type")]
    kind: Option<String>,
    size: Option<(u32, u32)>,
    reference_pixel: Option<(f64, f64)>,
    pixel_mm: Option<PixelSize>,
    /// `[x, y]` or `[x, y, yaw]`, mm and degrees, one row a detector.
    positions: Option<Vec<Vec<f64>>>,
    raster: Option<Raster>,
    /// The four corners in mm, one row a detector.
    corners: Option<Vec<[[f64; 2]; 4]>>,
}

/// What detectors of one make have in common.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DetectorType {
    size: Option<(u32, u32)>,
    reference_pixel: Option<(f64, f64)>,
    pixel_mm: Option<PixelSize>,
}

/// One number for square pixels, or two.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum PixelSize {
    Square(f64),
    Sides(f64, f64),
}

/// Equal distances: row by row, each from the left.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raster {
    columns: usize,
    /// The middle of the raster, mm.
    centre: (f64, f64),
    /// Distance of columns and of rows, mm.
    step: (f64, f64),
    #[serde(default)]
    yaw: f64,
}

/// From the focal plane to the sky.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FocalPlaneDefinition {
    /// Arcsec a millimetre.
    plate_scale: Option<f64>,
    /// Radius over plate scale, as a polynomial of mm: `[0, 1]` is no distortion.
    radial: Option<Vec<f64>>,
    /// Radius in radians as a polynomial of mm.
    radial_rad: Option<Vec<f64>>,
    /// mm times plate scale as a polynomial of the angle in radians, `PV2_0, PV2_1, …` of FITS `ZPN`.
    zpn: Option<Vec<f64>>,
    #[serde(default)]
    flip_x: bool,
    pixel_mm: Option<PixelSize>,
    note: Option<String>,
}

/// A detector with what is said of its place.
pub(super) struct Listed {
    pub(super) detector: Detector,
    place: Option<Placement>,
}

impl DetectorGroup {
    /// The group's detectors. `at` names the group in errors.
    pub(super) fn list(
        self,
        at: &str,
        types: &BTreeMap<String, DetectorType>,
        plane: Option<&FocalPlaneDefinition>,
    ) -> Result<Vec<Listed>, String> {
        let kind = match &self.kind {
            None => DetectorType::default(),
            Some(name) => types.get(name).cloned().ok_or_else(|| {
                let near = near(nearest(name, types.keys().map(String::as_str)).as_deref());
                format!("{at}.type: there is no type `{name}` in instrument.types{near}")
            })?,
        };
        let size = self.size.or(kind.size);
        let names = self.names(at)?;
        if names.is_empty() {
            return Err(format!("{at}: has neither names nor slots"));
        }
        if names.len() > MOST_DETECTORS || self.first < 0 {
            return Err(format!("{at}: detectors are numbered from 0, {MOST_DETECTORS} at most"));
        }
        let places = match (&self.positions, &self.raster, &self.corners) {
            (None, None, None) => None,
            (Some(_), None, None) | (None, Some(_), None) | (None, None, Some(_)) => {
                let size = size.ok_or_else(|| format!("{at}: has places but no size (columns, rows)"))?;
                Some(self.places(at, names.len(), size, &kind, plane)?)
            }
            _ => return Err(format!("{at}: say one of positions, raster and corners")),
        };
        let purpose = self.purpose.unwrap_or_else(|| "SCIENCE".to_owned());
        let listed = names.into_iter().enumerate().map(|(i, (name, raft, slot))| Listed {
            detector: Detector {
                id: self.first + i as i64,
                name,
                raft,
                slot,
                purpose: purpose.clone(),
                physical_type: self.kind.clone(),
                size,
            },
            place: places.as_ref().map(|p| p[i]),
        });
        Ok(listed.collect())
    }

    /// Name, raft, slot.
    #[expect(clippy::type_complexity, reason = "said by the line above")]
    fn names(&self, at: &str) -> Result<Vec<(String, Option<String>, Option<String>)>, String> {
        match (&self.raft, self.names.is_empty(), self.slots.is_empty()) {
            (Some(raft), true, false) => {
                let named = |slot: &String| (format!("{raft}_{slot}"), Some(raft.clone()), Some(slot.clone()));
                Ok(self.slots.iter().map(named).collect())
            }
            (None, _, true) => self
                .names
                .iter()
                .map(|name| {
                    let Some(letters) = self.raft_letters else { return Ok((name.clone(), None, None)) };
                    let cut = name.char_indices().nth(letters).map(|(i, _)| name.split_at(i));
                    let (raft, slot) = cut
                        .filter(|_| letters > 0)
                        .ok_or_else(|| format!("{at}.raft_letters: nothing is left of {name}"))?;
                    let slot = slot.strip_prefix('_').unwrap_or(slot);
                    Ok((name.clone(), Some(raft.to_owned()), Some(slot.to_owned())))
                })
                .collect(),
            _ => Err(format!("{at}: say either names, or a raft and its slots")),
        }
    }

    fn places(
        &self,
        at: &str,
        count: usize,
        size: (u32, u32),
        kind: &DetectorType,
        plane: Option<&FocalPlaneDefinition>,
    ) -> Result<Vec<Placement>, String> {
        let counted = |key: &str, rows: usize| {
            if rows == count {
                return Ok(());
            }
            Err(format!("{at}.{key}: has {rows} rows for {count} detectors"))
        };
        if let Some(corners) = &self.corners {
            counted("corners", corners.len())?;
            let place = |(i, c): (usize, &[[f64; 2]; 4])| {
                Placement::from_corners(size, *c).map_err(|e| format!("{at}.corners[{i}]: {e}"))
            };
            return corners.iter().enumerate().map(place).collect();
        }
        let pixel = self.pixel_mm.or(kind.pixel_mm).or(plane.and_then(|p| p.pixel_mm)).map(|p| match p {
            PixelSize::Square(side) => (side, side),
            PixelSize::Sides(x, y) => (x, y),
        });
        let pixel = pixel.ok_or_else(|| format!("{at}: has places but no pixel_mm, nor has focal_plane"))?;
        let middle = (0.5 * f64::from(size.0) - 0.5, 0.5 * f64::from(size.1) - 0.5);
        let reference = self.reference_pixel.or(kind.reference_pixel).unwrap_or(middle);
        let mut places = Vec::with_capacity(count);
        let mut place = |key: &str, i: usize, x: f64, y: f64, yaw: f64| {
            let placed = Placement::turned(size, pixel, reference, (x, y), yaw);
            places.push(placed.map_err(|e| format!("{at}.{key}[{i}]: {e}"))?);
            Ok::<(), String>(())
        };
        if let Some(rows) = &self.positions {
            counted("positions", rows.len())?;
            for (i, row) in rows.iter().enumerate() {
                match row.as_slice() {
                    [x, y] => place("positions", i, *x, *y, 0.0)?,
                    [x, y, yaw] => place("positions", i, *x, *y, *yaw)?,
                    _ => return Err(format!("{at}.positions[{i}]: has {} numbers, expected x, y, yaw", row.len())),
                }
            }
        }
        if let Some(Raster { columns, centre, step, yaw }) = &self.raster {
            if *columns == 0 || !count.is_multiple_of(*columns) {
                return Err(format!("{at}.raster: {count} detectors do not fill rows of {columns}"));
            }
            let rows = count / columns;
            let along =
                |k: usize, n: usize, centre: f64, step: f64| centre + (k as f64 - 0.5 * (n as f64 - 1.0)) * step;
            for i in 0..count {
                let x = along(i % columns, *columns, centre.0, step.0);
                let y = along(i / columns, rows, centre.1, step.1);
                place("raster", i, x, y, *yaw)?;
            }
        }
        Ok(places)
    }
}

/// Sorts the detectors and sees to it that each number and name is there once.
pub(super) fn distinct(listed: &mut [Listed]) -> Result<(), String> {
    listed.sort_by_key(|l| l.detector.id);
    if let Some(pair) = listed.windows(2).find(|pair| pair[0].detector.id == pair[1].detector.id) {
        let (a, b) = (&pair[0].detector, &pair[1].detector);
        return Err(format!("instrument.detectors: detector {} is there twice, as {} and {}", a.id, a.name, b.name));
    }
    let mut names = BTreeMap::new();
    for Listed { detector, .. } in listed.iter() {
        if let Some(other) = names.insert(detector.name.to_lowercase(), detector.id) {
            let (name, id) = (&detector.name, detector.id);
            return Err(format!("instrument.detectors: {other} and {id} are both called {name}"));
        }
    }
    Ok(())
}

impl FocalPlaneDefinition {
    /// The focal plane of the detectors, and what is strange about it.
    pub(super) fn build(self, camera: &str, listed: &[Listed]) -> Result<(FocalPlane, Vec<String>), String> {
        let scale = || self.plate_scale.ok_or_else(|| "focal_plane.plate_scale: is missing (arcsec a mm)".to_owned());
        let (key, law) = match (&self.radial, &self.radial_rad, &self.zpn) {
            (None, None, None) => ("plate_scale", Radial::relative(scale()?, &[0.0, 1.0])),
            (Some(c), None, None) => ("radial", Radial::relative(scale()?, c)),
            (None, Some(c), None) => ("radial_rad", Radial::radians(c)),
            (None, None, Some(c)) => ("zpn", Radial::zpn(scale()?, c)),
            _ => return Err("focal_plane: say one of radial, radial_rad and zpn".to_owned()),
        };
        let at = |e: String| format!("focal_plane.{key}: {e}");
        let law = law.map_err(at)?;
        let mut mounted = Vec::with_capacity(listed.len());
        for Listed { detector, place } in listed {
            let place = place.ok_or_else(|| {
                format!(
                    "instrument.detectors: detector {} ({}) has no place in the focal plane: give its group positions, a raster \
                     or corners",
                    detector.id, detector.name
                )
            })?;
            mounted.push(Mounted { id: detector.id, name: Arc::from(detector.name.as_str()), place });
        }
        if mounted.is_empty() {
            return Err("focal_plane: there are no detectors in instrument.detectors".to_owned());
        }
        let places: Vec<_> = mounted.iter().map(|m| m.place).collect();
        let field = places.iter().flat_map(|p| p.corners()).map(|(x, y)| libm::hypot(x, y)).fold(0.0, f64::max);
        let warnings = overlapping(&places)
            .into_iter()
            .map(|(i, j, depth)| {
                let (a, b) = (&mounted[i], &mounted[j]);
                format!(
                    "detectors {} ({}) and {} ({}) lie over each other by {depth:.3} mm",
                    a.id, a.name, b.id, b.name
                )
            })
            .collect();
        let radial = Radial::new(law, field).map_err(at)?;
        let plane = FocalPlane::new(camera, mounted, radial, self.flip_x, self.note)
            .map_err(|e| format!("focal_plane: {e}"))?;
        Ok((plane, warnings))
    }
}

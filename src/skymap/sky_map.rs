//! [`SkyMap`]: the tracts of a survey.

use super::builder::Division;
use super::grid::Grid;
use super::projection::{Frame, PixelScale};
use super::rings::Rings;
use super::solids::{Dodecahedron, Equatorial, Healpix, nearest};
use super::tract::{InnerRegion, TractGeometry};
use super::tract_size::{TractSize, around_circle, around_vertices};
use super::zones::Zones;
use super::{Layout, Projection, SkyMapConfig, SkyMapError, TractInfo};
use crate::sphere::{Cap, ConvexPolygon, LonLat, UnitVector};

/// A division of the sky into tracts, patches and, in some maps, cells.
///
/// Geometry agrees with the reference implementation (`lsst.skymap`): numbers and boxes exactly, pixel positions to
/// 1e-6 pixels, sky positions to 1e-10 degrees. Two traits of the original are kept on purpose: a tract centred exactly at
/// declination +90 has its pixel plane turned by half a turn, and `HEALPix` tracts are mirrored north to south. A sky map is built
/// once and shared; all methods take it by reference.
///
/// ```
/// use bunter::{ConvexPolygon, LonLat, SkyMap};
///
/// let sky_map = SkyMap::preset("hsc_rings_v1")?;
/// assert_eq!(sky_map.len(), 18938);
/// let detector = ConvexPolygon::from_degrees(&[(150.0, 2.0), (150.2, 2.0), (150.2, 2.1), (150.0, 2.1)])?;
/// let mut patches = Vec::new();
/// sky_map.overlaps(&detector, &mut patches);
/// assert_eq!(patches.first(), Some(&(9813, 31)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SkyMap {
    config: SkyMapConfig,
    layout: Tracts,
    pub(super) scale: PixelScale,
    pub(super) division: Division,
    pub(super) records: Vec<Record>,
    pub(super) zones: Zones,
    /// The widest of the caps of all records, radians.
    pub(super) widest: f64,
}

/// What is kept for each tract.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) frame: Frame,
    pub(super) size: TractSize,
    /// Around all outer boxes of its patches.
    pub(super) reach: Cap,
}

#[derive(Clone, Debug)]
enum Tracts {
    Rings(Rings),
    Discrete { centres: Vec<LonLat>, radii: Vec<f64> },
    Healpix(Healpix),
    Equatorial(Equatorial),
    Dodecahedron(Dodecahedron),
    Grid(Grid),
}

impl Tracts {
    fn new(layout: &Layout) -> Result<Self, SkyMapError> {
        Ok(match layout {
            Layout::Rings { num_rings, ra_start_deg } => Self::Rings(Rings::new(*num_rings, *ra_start_deg)?),
            Layout::Discrete { ra_deg, dec_deg, radius_deg } => discrete(ra_deg, dec_deg, radius_deg)?,
            Layout::Healpix { log2_nside, nest } => Self::Healpix(Healpix::new(*log2_nside, *nest)?),
            Layout::Equatorial { num_tracts, dec_range_deg } => {
                Self::Equatorial(Equatorial::new(*num_tracts, *dec_range_deg)?)
            }
            Layout::Dodecahedron { tracts_on_poles } => Self::Dodecahedron(Dodecahedron::new(*tracts_on_poles)),
            Layout::Grid { ra_deg, dec_deg, crpix, size } => Self::Grid(Grid::new(*ra_deg, *dec_deg, *crpix, *size)?),
        })
    }

    fn len(&self) -> u32 {
        match self {
            Self::Rings(r) => r.len(),
            Self::Discrete { centres, .. } => centres.len() as u32,
            Self::Healpix(h) => h.len(),
            Self::Equatorial(e) => e.len(),
            Self::Dodecahedron(_) => 12,
            Self::Grid(_) => 1,
        }
    }

    fn centre(&self, tract: u32) -> LonLat {
        match self {
            Self::Rings(r) => r.centre(tract),
            Self::Discrete { centres, .. } => centres[tract as usize],
            Self::Healpix(h) => h.centre(tract),
            Self::Equatorial(e) => e.centre(tract),
            Self::Dodecahedron(d) => d.centre(tract),
            Self::Grid(g) => g.reference(),
        }
    }

    fn crval(&self, tract: u32) -> LonLat {
        let centre = self.centre(tract);
        if let Self::Equatorial(_) = self { LonLat::new(centre.lon, 0.0) } else { centre }
    }

    /// The vertices of the inner region, for layouts that have them; for the others, the radius.
    fn extent(&self, tract: u32) -> Extent {
        match self {
            Self::Rings(r) => Extent::Radius(r.radius()),
            Self::Discrete { radii, .. } => Extent::Radius(radii[tract as usize]),
            Self::Healpix(h) => Extent::Vertices(h.vertices(tract)),
            Self::Equatorial(e) => Extent::Vertices(e.vertices(tract)),
            Self::Dodecahedron(d) => Extent::Vertices(d.vertices(tract)),
            Self::Grid(g) => Extent::Grid(*g),
        }
    }
}

enum Extent {
    Radius(f64),
    Vertices(Vec<UnitVector>),
    Grid(Grid),
}

fn discrete(ra: &[f64], dec: &[f64], radius: &[f64]) -> Result<Tracts, SkyMapError> {
    let bad = |field, problem: String| Err(SkyMapError::BadConfig { field, problem });
    if ra.is_empty() || ra.len() != dec.len() || ra.len() != radius.len() {
        let lengths = format!("{}, {}, {}", ra.len(), dec.len(), radius.len());
        return bad("ra_deg", format!("`dec_deg` and `radius_deg` must have one entry a tract, but have {lengths}"));
    }
    if ra.len() > 1_000_000 {
        return bad("ra_deg", format!("has {} tracts, expected at most a million", ra.len()));
    }
    for (i, ((ra, dec), radius)) in ra.iter().zip(dec).zip(radius).enumerate() {
        if !ra.is_finite() {
            return bad("ra_deg", format!("of tract {i} is {ra}"));
        }
        if !(-90.0..=90.0).contains(dec) {
            return bad("dec_deg", format!("of tract {i} is {dec}"));
        }
        if !(0.0..90.0).contains(radius) {
            return bad("radius_deg", format!("of tract {i} is {radius}, expected 0 to 90"));
        }
    }
    let position = |(ra, dec): (&f64, &f64)| {
        let p = LonLat::from_degrees(*ra, *dec);
        LonLat::new(crate::sphere::wrap(p.lon), p.lat)
    };
    Ok(Tracts::Discrete {
        centres: ra.iter().zip(dec).map(position).collect(),
        radii: radius.iter().map(|r| r.to_radians()).collect(),
    })
}

impl SkyMap {
    /// Builds the sky map of a configuration.
    ///
    /// # Errors
    /// [`SkyMapError::BadConfig`], naming the field.
    pub fn new(config: SkyMapConfig) -> Result<Self, SkyMapError> {
        let bad = |field, problem: String| Err(SkyMapError::BadConfig { field, problem });
        let pixel = config.pixel_scale_arcsec;
        if !(1e-4..=36_000.0).contains(&pixel) {
            return bad("pixel_scale_arcsec", format!("is {pixel}, expected 0.0001 to 36000"));
        }
        if !(0.0..90.0).contains(&config.tract_overlap_deg) {
            return bad("tract_overlap_deg", format!("is {}, expected 0 to 90", config.tract_overlap_deg));
        }
        if !config.rotation_deg.is_finite() {
            return bad("rotation_deg", format!("is {}, expected a finite number", config.rotation_deg));
        }
        let scale = PixelScale::new(config.projection, pixel, config.rotation_deg);
        let division = Division::new(config.tract_builder)?;
        let layout = Tracts::new(&config.layout)?;
        let overlap = config.tract_overlap_deg.to_radians();
        let mut records: Vec<Record> = Vec::with_capacity(layout.len() as usize);
        let mut crvals = Vec::with_capacity(layout.len() as usize);
        for tract in 0..layout.len() {
            let crval = layout.crval(tract);
            let frame = Frame::new(crval, config.projection);
            let shared = records.last().filter(|_| matches!(layout, Tracts::Rings(_)));
            let (size, reach) = if let Some(first) = shared {
                (first.size, first.reach)
            } else {
                let size = match layout.extent(tract) {
                    Extent::Radius(radius) => around_circle(&scale, &division, radius + overlap),
                    Extent::Grid(grid) => grid.tract_size(&division),
                    Extent::Vertices(v) => around_vertices(&scale, &division, &frame, &v, overlap),
                };
                let Some(size) = size else {
                    let problem =
                        format!("is {pixel}: tract {tract} does not fit into its projection or into 2^30 pixels");
                    return bad("pixel_scale_arcsec", problem);
                };
                (size, reach_of(&TractGeometry { frame, size, scale, division }, tract)?)
            };
            records.push(Record { frame, size, reach: Cap { axis: frame.centre, ..reach } });
            crvals.push(crval);
        }
        let widest = records.iter().map(|r| r.reach.radius()).fold(0.0, f64::max);
        Ok(Self { zones: Zones::new(&crvals), config, layout, scale, division, records, widest })
    }

    /// Builds the sky map described by TOML; see [`SkyMapConfig::from_toml`].
    ///
    /// # Errors
    /// Those of [`SkyMapConfig::from_toml`] and [`new`](Self::new).
    pub fn from_toml(text: &str) -> Result<Self, SkyMapError> {
        Self::new(SkyMapConfig::from_toml(text)?)
    }

    /// Builds a survey's sky map; see [`SkyMapConfig::preset`].
    ///
    /// # Errors
    /// [`SkyMapError::UnknownPreset`].
    pub fn preset(name: &str) -> Result<Self, SkyMapError> {
        Self::new(SkyMapConfig::preset(name)?)
    }

    /// What it was built from.
    pub fn config(&self) -> &SkyMapConfig {
        &self.config
    }

    /// Number of tracts.
    pub fn len(&self) -> u32 {
        self.records.len() as u32
    }

    /// Never: a sky map has tracts.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The largest number of patches in x and in y that any tract has.
    pub fn max_patches(&self) -> (u32, u32) {
        let max = |axis: usize| self.records.iter().map(|r| r.size.count[axis]).max().unwrap_or(0);
        (max(0), max(1))
    }

    /// The tract of a number.
    ///
    /// # Errors
    /// [`SkyMapError::TractOutOfRange`].
    pub fn tract(&self, id: u32) -> Result<TractInfo, SkyMapError> {
        let Some(record) = self.records.get(id as usize) else {
            return Err(SkyMapError::TractOutOfRange { tract: i64::from(id), count: self.len() });
        };
        let geometry = self.geometry(record);
        let corners = |source| SkyMapError::Corners { what: format!("tract {id}"), source };
        let inner = match &self.layout {
            Tracts::Rings(rings) => InnerRegion::Box(rings.inner(id)),
            layout => InnerRegion::Polygon(match layout.extent(id) {
                Extent::Vertices(v) => ConvexPolygon::new(&v).map_err(corners)?,
                Extent::Radius(_) | Extent::Grid(_) => {
                    // Within the pixel box by a thousandth of a pixel.
                    let [(x0, y0), _, (x1, y1), _] = geometry.bbox().corners();
                    let (x0, y0, x1, y1) = (x0 + 0.001, y0 + 0.001, x1 - 0.001, y1 - 0.001);
                    geometry.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]).map_err(corners)?
                }
            }),
        };
        Ok(TractInfo {
            id,
            centre: self.layout.centre(id),
            crval: self.layout.crval(id),
            inner,
            outer_polygon: geometry.polygon(geometry.bbox().corners()).map_err(corners)?,
            geometry,
        })
    }

    pub(super) fn geometry(&self, record: &Record) -> TractGeometry {
        TractGeometry { frame: record.frame, size: record.size, scale: self.scale, division: self.division }
    }

    /// All tracts, in order.
    pub fn tracts(&self) -> impl Iterator<Item = Result<TractInfo, SkyMapError>> {
        (0..self.len()).map(|id| self.tract(id))
    }

    /// The tract that is responsible for a position; for a discrete or equatorial map the nearest one, which need not
    /// contain it.
    ///
    /// # Errors
    /// [`SkyMapError::BadPosition`].
    pub fn find_tract(&self, p: LonLat) -> Result<u32, SkyMapError> {
        check_position(p, None)?;
        Ok(self.find(p))
    }

    pub(super) fn find(&self, p: LonLat) -> u32 {
        match &self.layout {
            Tracts::Rings(rings) => rings.find(p),
            Tracts::Discrete { centres, .. } => nearest(centres.iter().copied(), p),
            Tracts::Healpix(healpix) => healpix.find(p),
            Tracts::Equatorial(belt) => belt.find(p),
            Tracts::Dodecahedron(faces) => faces.find(p.to_unit()),
            Tracts::Grid(_) => 0,
        }
    }

    /// Every tract whose pixels hold a position; for rings in the reference's order, for other maps by number.
    ///
    /// # Errors
    /// [`SkyMapError::BadPosition`].
    pub fn find_all_tracts(&self, p: LonLat) -> Result<Vec<u32>, SkyMapError> {
        check_position(p, None)?;
        let v = p.to_unit();
        let mut tracts = if let Tracts::Rings(rings) = &self.layout {
            rings.neighbours(p)
        } else {
            let mut near = Vec::new();
            self.zones.near(p, self.widest, |tract| near.push(tract));
            near.sort_unstable();
            near
        };
        tracts.retain(|t| self.geometry(&self.records[*t as usize]).pixel(v).is_some());
        Ok(tracts)
    }

    /// The tracts and patches near a set of positions, as the reference's `findTractPatchList` gives them.
    ///
    /// In a rings map that is each tract that holds one of the positions, with its
    /// [patch list](TractInfo::find_patch_list) for all of them. It misses up to a third of what a focal plane
    /// overlaps and adds as much that it does not; [`overlaps`](Self::overlaps) is exact.
    ///
    /// # Errors
    /// [`SkyMapError::BadPosition`] with the row.
    pub fn find_tract_patch_list(&self, points: &[LonLat]) -> Result<Vec<(u32, Vec<u32>)>, SkyMapError> {
        for (row, p) in points.iter().enumerate() {
            check_position(*p, Some(row))?;
        }
        let units: Vec<_> = points.iter().map(|p| p.to_unit()).collect();
        let list = |tract: u32| self.geometry(&self.records[tract as usize]).patch_list(&units);
        let mut found: Vec<(u32, Vec<u32>)> = Vec::new();
        if let Tracts::Rings(_) = self.layout {
            for p in points {
                for tract in self.find_all_tracts(*p)? {
                    if found.iter().all(|(t, _)| *t != tract) {
                        found.push((tract, list(tract)));
                    }
                }
            }
        } else {
            found.extend((0..self.len()).map(|t| (t, list(t))).filter(|(_, patches)| !patches.is_empty()));
        }
        Ok(found)
    }

    /// The 20 bytes that identify the sky map; see [`SkyMapConfig::sha1`].
    pub fn sha1(&self) -> [u8; 20] {
        self.config.sha1()
    }
}

/// A cap around all outer boxes of a tract's patches. Refuses boxes that are no polygon.
fn reach_of(geometry: &TractGeometry, tract: u32) -> Result<Cap, SkyMapError> {
    let box_ = geometry.division.reach(geometry.size.count).grown(1);
    let axis = geometry.frame.centre;
    let corners = |source| SkyMapError::Corners { what: format!("tract {tract}"), source };
    let polygon = geometry.polygon(box_.corners()).map_err(corners)?;
    if geometry.scale.projection == Projection::Cea {
        // A way along the reference circle, then along a meridian: no longer than the sum.
        let [(x0, y0), _, (x1, y1), _] = box_.corners();
        let [cx, cy] = geometry.size.crpix;
        let (dx, dy) = ((x0 - cx).abs().max((x1 - cx).abs()), (y0 - cy).abs().max((y1 - cy).abs()));
        // The matrix may turn the axes.
        let side = geometry.scale.scale * libm::hypot(dx, dy);
        let way = side + libm::asin(side.min(1.0));
        return Ok(Cap::new(axis, if way < 1.5 { libm::cos(way) } else { -1.0 }));
    }
    // A cap's image is convex in both other projections: when it holds the corners, it holds the box.
    let cos = polygon.vertices().iter().map(|v| v.dot(axis)).fold(1.0, f64::min);
    Ok(Cap::new(axis, cos))
}

pub(super) fn check_position(p: LonLat, row: Option<usize>) -> Result<(), SkyMapError> {
    if p.lon.is_finite() && p.lat.abs() <= std::f64::consts::FRAC_PI_2 {
        Ok(())
    } else {
        Err(SkyMapError::BadPosition { lon_deg: p.lon_deg(), lat_deg: p.lat_deg(), row })
    }
}

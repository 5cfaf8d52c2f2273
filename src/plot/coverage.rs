//! [`Coverage`]: the part of the sky that a selection covers, as `HEALPix` cells.

use moc::moc::range::RangeMOC;
use moc::moc::{RangeMOCIntoIterator, RangeMOCIterator};
use moc::qty::Hpx;
use rayon::prelude::*;

use super::PlotError;
use crate::sphere::{Healpix, Pixelization, RangeSet, Region, UnitVector};

/// Which cells stand for a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoverageKind {
    /// All cells that it touches: no point of the region is missing.
    #[default]
    Envelope,
    /// The cells that are wholly inside of it: no point too many. Of a union, the cells inside one of its regions.
    Interior,
}

/// A coverage map of the sky (MOC): a set of `HEALPix` cells of one depth, kept as ranges. ICRS, nested numbering.
///
/// ```
/// use bunter::{LonLat, plot::{Coverage, CoverageKind}};
///
/// let cone = "CIRCLE 150.1 2.2 0.5".parse()?;
/// let coverage = Coverage::new(&[cone], 12, CoverageKind::Envelope)?;
/// assert!(coverage.contains(LonLat::from_degrees(150.4, 2.5).to_unit()));
/// assert!((coverage.area().to_degrees().to_degrees() / 0.7854 - 1.0).abs() < 0.05);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Source: P. Fernique et al., "MOC: Multi-Order Coverage map", IVOA Recommendation 2.0 (2022). Formats by the crate `moc` of the Centre de Données
/// astronomiques de Strasbourg; which cells a region touches, by [`Healpix`].
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    pub(super) moc: RangeMOC<u64, Hpx<u64>>,
}

/// Regions that one thread covers before its ranges are merged.
const CHUNK: usize = 256;

impl Coverage {
    /// The deepest cells: 0.4 milliarcseconds.
    pub const MAX_DEPTH: u8 = 29;

    /// The union of regions, in cells of a depth (0 to 29).
    ///
    /// # Errors
    /// [`PlotError::Sphere`] for a depth beyond 29.
    pub fn new(regions: &[Region], depth: u8, kind: CoverageKind) -> Result<Self, PlotError> {
        let healpix = Healpix::new(depth)?;
        let parts: Vec<RangeSet> = regions
            .par_chunks(CHUNK)
            .map(|regions| {
                let ranges = regions.iter().flat_map(|region| {
                    let cells = match kind {
                        CoverageKind::Envelope => healpix.envelope(region),
                        CoverageKind::Interior => healpix.interior(region),
                    };
                    Vec::from(cells)
                });
                RangeSet::from_ranges(ranges)
            })
            .collect();
        let all = RangeSet::from_ranges(parts.into_iter().flat_map(Vec::from));
        Ok(Self::from_cells(&all, depth))
    }

    /// From cells of a depth, which is at most 29.
    fn from_cells(cells: &RangeSet, depth: u8) -> Self {
        // Ranges are kept in cells of the deepest level.
        let shift = 2 * u32::from(Self::MAX_DEPTH - depth.min(Self::MAX_DEPTH));
        let ranges = cells.iter().map(|r| r.start << shift..r.end << shift).collect();
        Self { moc: RangeMOC::new(depth, ranges) }
    }

    /// The depth (order) of its smallest cells.
    pub fn depth(&self) -> u8 {
        self.moc.depth_max()
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.moc.is_empty()
    }

    /// The number of cells it takes, large ones for four small ones where that can be.
    pub fn cells(&self) -> u64 {
        (&self.moc).into_range_moc_iter().cells().count() as u64
    }

    /// The part of the sky that is covered, 0 to 1.
    pub fn sky_fraction(&self) -> f64 {
        let whole = 12_u64 << (2 * u32::from(Self::MAX_DEPTH));
        self.ranges().map(|r| r.end - r.start).sum::<u64>() as f64 / whole as f64
    }

    /// Steradians.
    pub fn area(&self) -> f64 {
        self.sky_fraction() * 4.0 * std::f64::consts::PI
    }

    /// Whether the cell that holds a position is covered.
    pub fn contains(&self, position: UnitVector) -> bool {
        Healpix::new(Self::MAX_DEPTH).is_ok_and(|deepest| self.moc.contains_val(&deepest.index(position)))
    }

    /// What both cover, in cells of the greater depth.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self { moc: self.moc.and(&other.moc) }
    }

    /// What one of them covers, in cells of the greater depth.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { moc: self.moc.or(&other.moc) }
    }

    /// What this one covers and the other does not, in cells of the greater depth.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self { moc: self.moc.minus(&other.moc) }
    }

    /// Ranges of cells of the deepest level (29), in order.
    pub fn ranges(&self) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
        self.moc.moc_ranges().0.0.iter().cloned()
    }

    /// The side of a cell of a depth: the square root of its area, radians.
    pub fn cell_side(depth: u8) -> f64 {
        (std::f64::consts::PI / 3.0).sqrt() / libm::pow(2.0, f64::from(depth))
    }

    /// The least depth whose cells have sides of at most so many radians.
    ///
    /// # Errors
    /// [`PlotError::BadNumber`] for a resolution that is not positive, or finer than the deepest cells.
    pub fn depth_of_resolution(radians: f64) -> Result<u8, PlotError> {
        let fits = |depth: &u8| Self::cell_side(*depth) <= radians;
        (0..=Self::MAX_DEPTH).find(fits).ok_or_else(|| PlotError::BadNumber {
            what: "the resolution",
            value: format!("{} arcsec", radians.to_degrees() * 3600.0),
            expected: "at least 0.0004 arcsec",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(text: &str) -> Region {
        text.parse().unwrap()
    }

    #[test]
    fn the_whole_sky_and_nothing() {
        let all = Coverage::new(&[region("RANGE 0 360 -90 90")], 3, CoverageKind::Envelope).unwrap();
        assert!((all.sky_fraction() - 1.0).abs() < 1e-15);
        assert_eq!((all.depth(), all.cells()), (3, 12));
        let nothing = Coverage::new(&[], 3, CoverageKind::Envelope).unwrap();
        assert!(
            nothing.is_empty() && nothing.area() == 0.0 && !nothing.contains(UnitVector { x: 1.0, y: 0.0, z: 0.0 })
        );
        assert!(Coverage::new(&[], 30, CoverageKind::Envelope).is_err());
    }

    #[test]
    fn sets_of_cells() {
        let a = Coverage::new(&[region("CIRCLE 10 10 2")], 8, CoverageKind::Envelope).unwrap();
        let b = Coverage::new(&[region("CIRCLE 11 10 2")], 9, CoverageKind::Envelope).unwrap();
        let (both, all, only) = (a.intersection(&b), a.union(&b), a.minus(&b));
        assert_eq!([both.depth(), all.depth(), only.depth()], [9, 9, 9]);
        assert!((a.area() + b.area() - both.area() - all.area()).abs() < 1e-12);
        assert!((only.area() + both.area() - a.area()).abs() < 1e-12);
        assert_eq!(a.minus(&a).cells(), 0);
    }

    #[test]
    fn resolutions() {
        let arcsec = |v: f64| Coverage::depth_of_resolution((v / 3600.0).to_radians());
        assert_eq!(arcsec(60.0).unwrap(), 12);
        assert_eq!(arcsec(1e6).unwrap(), 0);
        for bad in [0.0, -1.0, f64::NAN, 1e-5] {
            assert!(arcsec(bad).is_err());
        }
        assert!((Coverage::cell_side(0).powi(2) * 12.0 - 4.0 * std::f64::consts::PI).abs() < 1e-12);
    }
}

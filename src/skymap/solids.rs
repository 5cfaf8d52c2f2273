//! The layouts whose tracts are given by the vertices of their inner regions: `HEALPix` pixels, the equatorial belt,
//! the faces of a dodecahedron.

use std::f64::consts::{PI, TAU};

use super::SkyMapError;
use crate::sphere::{LonLat, UnitVector};

/// `HEALPix` pixels, mirrored north to south as in the reference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Healpix {
    depth: u8,
    nest: bool,
}

impl Healpix {
    pub(super) fn new(log2_nside: u32, nest: bool) -> Result<Self, SkyMapError> {
        match u8::try_from(log2_nside) {
            Ok(depth) if depth <= 9 => Ok(Self { depth, nest }),
            _ => {
                let problem = format!("is {log2_nside}, expected 0 to 9 (3.1 million tracts)");
                Err(SkyMapError::BadConfig { field: "log2_nside", problem })
            }
        }
    }

    pub(super) fn len(self) -> u32 {
        12 << (2 * u32::from(self.depth))
    }

    fn nested(self, tract: u32) -> u64 {
        let layer = cdshealpix::nested::get(self.depth);
        if self.nest { u64::from(tract) } else { layer.from_ring(u64::from(tract)) }
    }

    pub(super) fn centre(self, tract: u32) -> LonLat {
        let (lon, lat) = cdshealpix::nested::get(self.depth).center(self.nested(tract));
        LonLat::new(lon, -lat)
    }

    pub(super) fn vertices(self, tract: u32) -> Vec<UnitVector> {
        let corners = cdshealpix::nested::get(self.depth).vertices(self.nested(tract));
        corners.iter().map(|(lon, lat)| LonLat::new(*lon, -lat).to_unit()).collect()
    }

    pub(super) fn find(self, p: LonLat) -> u32 {
        let layer = cdshealpix::nested::get(self.depth);
        let hash = layer.hash(p.lon, -p.lat);
        (if self.nest { hash } else { layer.to_ring(hash) }) as u32
    }
}

/// A belt of equal boxes around the sky.
#[derive(Clone, Copy, Debug)]
pub(super) struct Equatorial {
    count: u32,
    dec: [f64; 2],
}

impl Equatorial {
    pub(super) fn new(count: u32, dec_deg: [f64; 2]) -> Result<Self, SkyMapError> {
        if !(3..=100_000).contains(&count) {
            let problem = format!("is {count}, expected 3 to 100000 (a tract must be smaller than a hemisphere)");
            return Err(SkyMapError::BadConfig { field: "num_tracts", problem });
        }
        let [south, north] = dec_deg;
        if !(south >= -90.0 && north <= 90.0 && south < north) {
            let problem = format!("is [{south}, {north}], expected two rising declinations");
            return Err(SkyMapError::BadConfig { field: "dec_range_deg", problem });
        }
        Ok(Self { count, dec: dec_deg.map(f64::to_radians) })
    }

    pub(super) fn len(self) -> u32 {
        self.count
    }

    pub(super) fn centre(self, tract: u32) -> LonLat {
        let width = TAU / f64::from(self.count);
        LonLat::new(width * (f64::from(tract) + 0.5), 0.5 * (self.dec[0] + self.dec[1]))
    }

    pub(super) fn vertices(self, tract: u32) -> Vec<UnitVector> {
        let width = TAU / f64::from(self.count);
        let (west, east) = (width * f64::from(tract), width * (f64::from(tract) + 1.0));
        let [south, north] = self.dec;
        [(west, south), (east, south), (east, north), (west, north)]
            .map(|(lon, lat)| LonLat::new(lon, lat).to_unit())
            .to_vec()
    }

    /// The nearest centre: by right ascension alone, for all have one declination.
    pub(super) fn find(self, p: LonLat) -> u32 {
        nearest((0..self.count).map(|t| self.centre(t)), p)
    }
}

/// The number of the centre nearest to `p`, the lower one of two as near.
pub(super) fn nearest(centres: impl Iterator<Item = LonLat>, p: LonLat) -> u32 {
    let mut best = (f64::INFINITY, 0);
    for (i, c) in centres.enumerate() {
        // Haversine of the distance.
        let (a, b) = (libm::sin(0.5 * (p.lat - c.lat)), libm::sin(0.5 * (p.lon - c.lon)));
        let h = a * a + libm::cos(p.lat) * libm::cos(c.lat) * b * b;
        if h < best.0 {
            best = (h, i as u32);
        }
    }
    best.1
}

/// The twelve faces of a dodecahedron.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dodecahedron {
    centres: [LonLat; 12],
}

impl Dodecahedron {
    pub(super) fn new(tracts_on_poles: bool) -> Self {
        let fifth = TAU / 5.0;
        let third = TAU / 3.0;
        let mut centres = [LonLat::default(); 12];
        if tracts_on_poles {
            let lat = libm::atan(0.5);
            centres[0] = LonLat::new(0.0, 0.5 * PI);
            for k in 0..5 {
                centres[1 + k] = LonLat::new(fifth * k as f64, lat);
                centres[6 + k] = LonLat::new(fifth * (k as f64 + 0.5), -lat);
            }
            centres[11] = LonLat::new(0.0, -0.5 * PI);
        } else {
            let root = 2.0 * 5.0_f64.sqrt();
            let high = libm::asin(((5.0 + root) / 15.0).sqrt());
            let low = libm::asin(((5.0 - root) / 15.0).sqrt());
            for k in 0..3 {
                let (even, odd) = (third * k as f64, third * (k as f64 + 0.5));
                centres[k] = LonLat::new(even, high);
                centres[3 + k] = LonLat::new(odd, low);
                centres[6 + k] = LonLat::new(even, -low);
                centres[9 + k] = LonLat::new(odd, -high);
            }
        }
        Self { centres }
    }

    pub(super) fn centre(&self, tract: u32) -> LonLat {
        self.centres[tract as usize]
    }

    /// The five corners of a face: each is the middle of three faces that meet.
    pub(super) fn vertices(&self, tract: u32) -> Vec<UnitVector> {
        let units = self.centres.map(LonLat::to_unit);
        let own = units[tract as usize];
        // Faces that meet have normals with a product of 1 / sqrt(5), others -1 / sqrt(5) or -1.
        let meets = |a: UnitVector, b: UnitVector| (0.4..0.5).contains(&a.dot(b));
        let mut corners = Vec::with_capacity(5);
        for (i, a) in units.iter().enumerate() {
            for b in &units[i + 1..] {
                if meets(own, *a) && meets(own, *b) && meets(*a, *b) {
                    corners.extend(UnitVector::normalized(own.x + a.x + b.x, own.y + a.y + b.y, own.z + a.z + b.z));
                }
            }
        }
        corners
    }

    /// The face whose normal is nearest, the lower number of two as near.
    pub(super) fn find(&self, p: UnitVector) -> u32 {
        let mut best = (f64::NEG_INFINITY, 0);
        for (i, c) in self.centres.iter().enumerate() {
            let d = c.to_unit().dot(p);
            if d > best.0 {
                best = (d, i as u32);
            }
        }
        best.1
    }
}

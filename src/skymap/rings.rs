//! The rings layout: rings of constant declination and two polar caps.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use super::SkyMapError;
use crate::sphere::{LonLat, LonLatBox, wrap};

/// Tracts of a rings sky map, numbering version 1: south cap, rings from south to north and eastward in each, north cap.
#[derive(Clone, Debug)]
pub(super) struct Rings {
    height: f64,
    ra_start: f64,
    /// Number of the first tract of each ring, and of the north cap.
    first: Vec<u32>,
}

impl Rings {
    pub(super) fn new(num_rings: u32, ra_start_deg: f64) -> Result<Self, SkyMapError> {
        if !(1..=2000).contains(&num_rings) {
            let problem = format!("is {num_rings}, expected 1 to 2000");
            return Err(SkyMapError::BadConfig { field: "num_rings", problem });
        }
        if !ra_start_deg.is_finite() {
            let problem = format!("is {ra_start_deg}, expected a finite number");
            return Err(SkyMapError::BadConfig { field: "ra_start_deg", problem });
        }
        let height = PI / (f64::from(num_rings) + 1.0);
        let mut first = Vec::with_capacity(num_rings as usize + 1);
        let mut next = 1;
        for ring in 0..num_rings {
            first.push(next);
            let (start, stop) = limits(height, ring);
            let dec = start.abs().min(stop.abs());
            next += (TAU * libm::cos(dec) / height) as u32 + 1;
        }
        first.push(next);
        Ok(Self { height, ra_start: ra_start_deg.to_radians(), first })
    }

    fn num_rings(&self) -> u32 {
        self.first.len() as u32 - 1
    }

    fn north_cap(&self) -> u32 {
        self.first[self.first.len() - 1]
    }

    pub(super) fn len(&self) -> u32 {
        self.north_cap() + 1
    }

    fn size(&self, ring: u32) -> u32 {
        self.first[ring as usize + 1] - self.first[ring as usize]
    }

    /// Half a ring: the radius of a tract without its overlap.
    pub(super) fn radius(&self) -> f64 {
        0.5 * self.height
    }

    /// Ring and place in it of a tract that is no polar cap.
    fn place(&self, tract: u32) -> (u32, u32) {
        let ring = self.first.partition_point(|f| *f <= tract) as u32 - 1;
        (ring, tract - self.first[ring as usize])
    }

    pub(super) fn centre(&self, tract: u32) -> LonLat {
        if tract == 0 {
            return LonLat::new(0.0, -FRAC_PI_2);
        }
        if tract >= self.north_cap() {
            return LonLat::new(0.0, FRAC_PI_2);
        }
        let (ring, k) = self.place(tract);
        let dec = self.height * (f64::from(ring) + 1.0) - FRAC_PI_2;
        LonLat::new(wrap(TAU * f64::from(k) / f64::from(self.size(ring)) + self.ra_start), dec)
    }

    pub(super) fn inner(&self, tract: u32) -> LonLatBox {
        let all = |south, north| LonLatBox::unchecked(0.0, TAU, south, north);
        if tract == 0 {
            return all(-FRAC_PI_2, limits(self.height, 0).0);
        }
        if tract >= self.north_cap() {
            return all(limits(self.height, self.num_rings() - 1).1, FRAC_PI_2);
        }
        let (ring, k) = self.place(tract);
        let (south, north) = limits(self.height, ring);
        let width = TAU / f64::from(self.size(ring));
        let border = |k: f64| wrap(self.ra_start + k * width);
        LonLatBox::unchecked(border(f64::from(k) - 0.5), border(f64::from(k) + 0.5), south, north)
    }

    /// The tract whose inner region holds the position.
    pub(super) fn find(&self, p: LonLat) -> u32 {
        match self.ring(p.lat) {
            -1 => 0,
            ring if ring >= i64::from(self.num_rings()) => self.north_cap(),
            ring => self.first[ring as usize] + self.find_in_ring(ring as u32, p.lon),
        }
    }

    /// The ring of a declination: -1 for the south cap, the number of rings for the north cap.
    fn ring(&self, dec: f64) -> i64 {
        let south = 0.5 * self.height - FRAC_PI_2;
        if dec < south {
            -1
        } else if dec > -south {
            i64::from(self.num_rings())
        } else {
            ((dec - south) / self.height) as i64
        }
    }

    fn find_in_ring(&self, ring: u32, ra: f64) -> u32 {
        let n = self.size(ring);
        let k = (wrap(ra - self.ra_start) / (TAU / f64::from(n)) + 0.5) as u32;
        if k >= n { 0 } else { k }
    }

    /// The tracts that may reach a position, in the order in which the reference looks at them.
    pub(super) fn neighbours(&self, p: LonLat) -> Vec<u32> {
        let ring = self.ring(p.lat);
        let mut tracts = Vec::with_capacity(11);
        for ring in ring - 1..=ring + 1 {
            let Some(ring) = u32::try_from(ring).ok().filter(|r| *r < self.num_rings()) else { continue };
            let (n, k) = (self.size(ring), self.find_in_ring(ring, p.lon));
            for step in [n - 1, 0, 1] {
                let tract = self.first[ring as usize] + (k + step) % n;
                if !tracts.contains(&tract) {
                    tracts.push(tract);
                }
            }
        }
        tracts.extend([0, self.north_cap()]);
        tracts
    }
}

/// Lower and upper declination of a ring.
fn limits(height: f64, ring: u32) -> (f64, f64) {
    let start = height * (f64::from(ring) + 0.5) - FRAC_PI_2;
    (start, start + height)
}

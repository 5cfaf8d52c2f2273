//! The layouts whose tracts are given by the vertices of their inner regions: `HEALPix` pixels, the equatorial belt,
//! the faces of a dodecahedron.

use std::f64::consts::PI;

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

    /// The pixel of the mirrored position. On a border between pixels the last bit decides; the steps and their order
    /// are those of the `HEALPix` C++ library (`T_Healpix_Base::loc2pix`), so that it decides as in the reference.
    pub(super) fn find(self, p: LonLat) -> u32 {
        let nside = 1_i64 << self.depth;
        let side = nside as f64;
        let theta = p.lat + 0.5 * PI;
        let z = libm::cos(theta);
        let za = z.abs();
        let tt = (p.lon * (2.0 / PI)).rem_euclid(4.0);
        let tt = if tt >= 4.0 { 0.0 } else { tt };
        let equator = za <= 2.0 / 3.0;
        // Steps along the two diagonals.
        let (jp, jm) = if equator {
            let (a, b) = (side * (0.5 + tt), side * (z * 0.75));
            ((a - b) as i64, (a + b) as i64)
        } else {
            let near_pole = !(0.01..=PI - 0.01).contains(&theta);
            let reach = if near_pole {
                side * libm::sin(theta) / ((1.0 + za) / 3.0).sqrt()
            } else {
                side * (3.0 * (1.0 - za)).sqrt()
            };
            let tp = tt - tt.trunc();
            ((tp * reach) as i64, ((1.0 - tp) * reach) as i64)
        };
        if self.nest {
            let (face, x, y) = if equator {
                let (fp, fm) = (jp >> self.depth, jm >> self.depth);
                let face = match fp.cmp(&fm) {
                    std::cmp::Ordering::Equal => fp | 4,
                    std::cmp::Ordering::Less => fp,
                    std::cmp::Ordering::Greater => fm + 8,
                };
                (face, jm & (nside - 1), nside - (jp & (nside - 1)) - 1)
            } else {
                let (jp, jm, face) = (jp.min(nside - 1), jm.min(nside - 1), (tt as i64).min(3));
                if z >= 0.0 { (face, nside - jm - 1, nside - jp - 1) } else { (face + 8, jp, jm) }
            };
            return (face << (2 * self.depth)) as u32 | spread(x) | spread(y) << 1;
        }
        let (around, total) = (4 * nside, 12 * nside * nside);
        (if equator {
            let ring = nside + 1 + jp - jm;
            let shift = 1 - (ring & 1);
            let step = ((jp + jm - nside + shift + 1 + 2 * around) >> 1) % around;
            2 * nside * (nside - 1) + (ring - 1) * around + step
        } else {
            let ring = jp + jm + 1;
            let step = (tt * ring as f64) as i64;
            if z > 0.0 { 2 * ring * (ring - 1) + step } else { total - 2 * ring * (ring + 1) + step }
        }) as u32
    }
}

/// The bits of a number below 2^16, each followed by a zero.
fn spread(v: i64) -> u32 {
    (0..16).fold(0, |bits, i| bits | ((v as u32 >> i) & 1) << (2 * i))
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
        let width = (360.0 / f64::from(self.count)).to_radians();
        LonLat::new(width * f64::from(tract) + 0.5 * width, 0.5 * (self.dec[0] + self.dec[1]))
    }

    pub(super) fn vertices(self, tract: u32) -> Vec<UnitVector> {
        let width = (360.0 / f64::from(self.count)).to_radians();
        let west = width * f64::from(tract);
        let east = west + width;
        let [south, north] = self.dec;
        [(west, south), (east, south), (east, north), (west, north)]
            .map(|(lon, lat)| LonLat::new(lon, lat).to_unit())
            .to_vec()
    }

    /// The nearest centre.
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
        // The angle itself, whose coarser rounding makes ties of what is nearly one.
        let distance = 2.0 * libm::asin(h.sqrt().min(1.0));
        if distance < best.0 {
            best = (distance, i as u32);
        }
    }
    best.1
}

/// Centres of the faces, degrees, when one is at the pole: latitudes are atan(1/2).
///
/// Both tables carry the last digits of the reference's rotated solid, which decide in the middle between two faces.
const FACE_ON_POLE: [(f64, f64); 12] = [
    (0.0, 90.0),
    (0.0, 26.565_051_177_077_994),
    (72.0, 26.565_051_177_077_99),
    (144.0, 26.565_051_177_077_99),
    (216.0, 26.565_051_177_077_99),
    (288.0, 26.565_051_177_077_99),
    (36.0, -26.565_051_177_077_99),
    (108.0, -26.565_051_177_077_99),
    (180.0, -26.565_051_177_077_994),
    (252.0, -26.565_051_177_077_99),
    (324.0, -26.565_051_177_077_99),
    (0.0, -90.0),
];

/// When a vertex is at the pole: the sines of the latitudes are sqrt((5 +- 2 sqrt 5) / 15).
const VERTEX_ON_POLE: [(f64, f64); 12] = [
    (1.495_686_661_541_380_8e-14, 52.622_631_859_350_314),
    (120.000_000_000_000_01, 52.622_631_859_350_314),
    (240.000_000_000_000_03, 52.622_631_859_350_314),
    (60.000_000_000_000_01, 10.812_316_963_571_705),
    (180.0, 10.812_316_963_571_707),
    (300.0, 10.812_316_963_571_707),
    (8.249_311_493_733_619e-15, -10.812_316_963_571_707),
    (120.000_000_000_000_01, -10.812_316_963_571_707),
    (240.000_000_000_000_03, -10.812_316_963_571_705),
    (60.000_000_000_000_01, -52.622_631_859_350_314),
    (180.0, -52.622_631_859_350_314),
    (300.0, -52.622_631_859_350_314),
];

/// The twelve faces of a dodecahedron.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dodecahedron {
    centres: [LonLat; 12],
}

impl Dodecahedron {
    pub(super) fn new(tracts_on_poles: bool) -> Self {
        let table = if tracts_on_poles { FACE_ON_POLE } else { VERTEX_ON_POLE };
        Self { centres: table.map(|(lon, lat)| LonLat::from_degrees(lon, lat)) }
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

    /// The face whose normal is nearest, the lower number of two as near to within rounding.
    pub(super) fn find(&self, p: UnitVector) -> u32 {
        let mut best = (f64::NEG_INFINITY, 0);
        for (i, c) in self.centres.iter().enumerate() {
            let d = c.to_unit().dot(p);
            if d > best.0 + 1.2e-16 {
                best = (d, i as u32);
            }
        }
        best.1
    }
}

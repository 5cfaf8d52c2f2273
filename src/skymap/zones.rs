//! An index over tract centres: zones of declination, each sorted by right ascension.

use std::f64::consts::{PI, TAU};

use crate::sphere::LonLat;

/// Tracts by zone. A rings sky map gets one zone a ring or less.
#[derive(Clone, Debug)]
pub(super) struct Zones {
    /// Right ascension and number of each tract, zone by zone.
    entries: Vec<(f64, u32)>,
    zones: Vec<Zone>,
}

#[derive(Clone, Copy, Debug)]
struct Zone {
    south: f64,
    north: f64,
    start: usize,
    end: usize,
}

impl Zones {
    pub(super) fn new(centres: &[LonLat]) -> Self {
        // As many zones as make their height about the distance of neighbours.
        let count = ((centres.len() as f64 * PI / 4.0).sqrt() as usize).max(1);
        let zone_of = |p: &LonLat| (((p.lat / PI + 0.5) * count as f64) as usize).min(count - 1);
        let mut order: Vec<(usize, f64, u32)> =
            centres.iter().enumerate().map(|(i, p)| (zone_of(p), p.lon, i as u32)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut zones: Vec<Zone> = Vec::with_capacity(count);
        for (i, pair) in order.chunk_by(|a, b| a.0 == b.0).scan(0, |at, chunk| {
            *at += chunk.len();
            Some((*at - chunk.len(), chunk))
        }) {
            let lat = |e: &(usize, f64, u32)| centres[e.2 as usize].lat;
            zones.push(Zone {
                south: pair.iter().map(lat).fold(f64::INFINITY, f64::min),
                north: pair.iter().map(lat).fold(f64::NEG_INFINITY, f64::max),
                start: i,
                end: i + pair.len(),
            });
        }
        Self { entries: order.into_iter().map(|e| (e.1, e.2)).collect(), zones }
    }

    /// Calls `visit` for every tract whose centre is at most `radius` away from `p`, and for some others.
    pub(super) fn near(&self, p: LonLat, radius: f64, mut visit: impl FnMut(u32)) {
        let radius = radius + 1e-9;
        let (low, high) = (p.lat - radius, p.lat + radius);
        // Half-width in right ascension of a cap that holds no pole.
        let cos = libm::cos(p.lat);
        let half =
            if p.lat.abs() + radius < 0.5 * PI { libm::asin((libm::sin(radius) / cos).min(1.0)) + 1e-9 } else { PI };
        let first = self.zones.partition_point(|z| z.north < low);
        for zone in self.zones[first..].iter().take_while(|z| z.south <= high) {
            let entries = &self.entries[zone.start..zone.end];
            if half >= PI || entries.len() < 4 {
                for entry in entries {
                    visit(entry.1);
                }
                continue;
            }
            let (west, east) = (p.lon - half, p.lon + half);
            for shift in [-TAU, 0.0, TAU] {
                let (west, east) = (west + shift, east + shift);
                if east < 0.0 || west > TAU {
                    continue;
                }
                let start = entries.partition_point(|e| e.0 < west);
                for entry in entries[start..].iter().take_while(|e| e.0 <= east) {
                    visit(entry.1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn finds_every_centre_within_the_radius(
            centres in proptest::collection::vec((0.0..TAU, -1.57..1.57_f64), 1..200),
            p in (0.0..TAU, -1.57..1.57_f64),
            radius in 0.0..3.0_f64,
        ) {
            let centres: Vec<_> = centres.into_iter().map(|(lon, lat)| LonLat::new(lon, lat)).collect();
            let p = LonLat::new(p.0, p.1);
            let mut found = Vec::new();
            Zones::new(&centres).near(p, radius, |t| found.push(t));
            for (i, c) in centres.iter().enumerate() {
                let near = c.to_unit().separation(p.to_unit()) <= radius;
                let times = found.iter().filter(|t| **t == i as u32).count();
                proptest::prop_assert!(times <= 1);
                proptest::prop_assert!(!near || times == 1);
            }
        }
    }
}

//! [`SkyKey`]: where a region lies on the sky, as one integer that an ordinary index can search.
//!
//! The regions of images are found by the method of zones (J. Gray, M. Nieto-Santisteban, A. Szalay, "The Zones Algorithm
//! for Finding Points-Near-a-Point", 2007), a zone's height going by the size of what is in it: a region belongs to the
//! smallest class whose radius covers it, in there to the zone of its centre's latitude, in there to its longitude. What
//! may touch a circle is then in a few ranges of keys, for there is no more to each class than its own radius around it.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use super::{Circle, Region};

/// The widest class holds whole spheres; each class below is half as wide.
const CLASSES: u32 = 16;
/// Keys of one class differ below this bit.
const CLASS_BITS: u32 = 48;
/// Keys of one zone differ below this bit.
const ZONE_BITS: u32 = 32;
/// Room for rounding, radians: more than a step of longitude, and less than a milliarcsecond.
const SLACK: f64 = 2e-9;
/// From here on zones are not searched one by one.
const MOST_ZONES: i64 = 400;

/// Keys of regions, and the ranges of them to look through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SkyKey;

impl SkyKey {
    /// The key of what cannot be read: every search meets it, so that damage is told rather than passed over.
    pub(crate) const UNKNOWN: i64 = 1 << 60;

    /// The key of an encoded region.
    pub(crate) fn of_bytes(region: &[u8]) -> i64 {
        Region::from_bytes(region).map_or(Self::UNKNOWN, |region| Self::of(region.bounding_circle()))
    }

    /// The key of whatever a circle covers.
    pub(crate) fn of(circle: Circle) -> i64 {
        let class = (0..CLASSES - 1).find(|class| circle.radius() <= radius(*class)).unwrap_or(CLASSES - 1);
        let p = circle.centre().to_lon_lat();
        (i64::from(class) << CLASS_BITS) | (zone(class, p.lat) << ZONE_BITS) | step(p.lon)
    }

    /// The class of a key, and the first key of the next class.
    pub(crate) fn class(key: i64) -> (u32, i64) {
        let class = (key >> CLASS_BITS) as u32;
        (class, (i64::from(class) + 1) << CLASS_BITS)
    }

    /// Ranges, both ends included and apart from each other, that hold the keys of all regions of a class which share a
    /// point with one of the circles. Keys of others are among them.
    pub(crate) fn ranges(circles: &[Circle], class: u32) -> Vec<(i64, i64)> {
        if class >= CLASSES {
            let start = i64::from(class) << CLASS_BITS;
            return vec![(start, start | ((1 << CLASS_BITS) - 1))];
        }
        let mut ranges = Vec::new();
        for circle in circles {
            add_ranges(*circle, class, &mut ranges);
        }
        ranges.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1 + 1 => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        merged
    }
}

/// The radius of what is in a class, radians at most.
fn radius(class: u32) -> f64 {
    PI / f64::from(1_u32 << (CLASSES - 1 - class))
}

/// Number of zones of a class: each as high as the class is wide.
fn zones(class: u32) -> i64 {
    (1_i64 << (CLASSES - 1)) >> (class + 1).min(CLASSES - 1)
}

fn zone(class: u32, lat: f64) -> i64 {
    let count = zones(class);
    (((lat / PI + 0.5) * count as f64).floor() as i64).clamp(0, count - 1)
}

/// Longitude in 2^32 steps around.
fn step(lon: f64) -> i64 {
    ((lon.rem_euclid(TAU) / TAU * f64::from(u32::MAX)) as i64).clamp(0, i64::from(u32::MAX))
}

fn add_ranges(circle: Circle, class: u32, ranges: &mut Vec<(i64, i64)>) {
    const LAST: i64 = u32::MAX as i64;
    let p = circle.centre().to_lon_lat();
    let reach = circle.radius() + radius(class) + SLACK;
    let start = i64::from(class) << CLASS_BITS;
    let at = |zone: i64, step: i64| start | (zone << ZONE_BITS) | step;
    let (south, north) = (zone(class, p.lat - reach), zone(class, p.lat + reach));
    // The half-width in longitude of a cap that holds no pole.
    let half = if p.lat.abs() + reach < FRAC_PI_2 {
        libm::asin((libm::sin(reach) / libm::cos(p.lat)).min(1.0)) + SLACK / libm::cos(p.lat)
    } else {
        PI
    };
    if half >= 0.5 * PI || north - south > MOST_ZONES {
        ranges.push((at(south, 0), at(north, LAST)));
        return;
    }
    for zone in south..=north {
        let (west, east) = (p.lon - half, p.lon + half);
        if west < 0.0 {
            ranges.push((at(zone, step(west + TAU)), at(zone, LAST)));
            ranges.push((at(zone, 0), at(zone, step(east))));
        } else if east >= TAU {
            ranges.push((at(zone, step(west)), at(zone, LAST)));
            ranges.push((at(zone, 0), at(zone, step(east - TAU))));
        } else {
            ranges.push((at(zone, step(west)), at(zone, step(east))));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sphere::LonLat;

    fn circle(lon: f64, lat: f64, radius: f64) -> Circle {
        Circle::new(LonLat::new(lon, lat).to_unit(), radius).unwrap()
    }

    /// A circle anywhere, of any size, poles and the meridian of zero more often than they come by chance.
    fn anywhere() -> impl Strategy<Value = Circle> {
        let lon = prop_oneof![0.0..TAU, -1e-3..1e-3_f64];
        let lat = prop_oneof![-FRAC_PI_2..FRAC_PI_2, Just(FRAC_PI_2), Just(-FRAC_PI_2), -FRAC_PI_2..-1.56_f64];
        let radius = (0.0..=1.0_f64, 0..20_i32).prop_map(|(r, k)| PI * r / f64::from(1 << k));
        (lon, lat, radius).prop_map(|(lon, lat, r)| circle(lon, lat.clamp(-FRAC_PI_2, FRAC_PI_2), r))
    }

    proptest! {
        #[test]
        fn what_touches_is_in_the_ranges(region in anywhere(), asked in anywhere(), more in anywhere()) {
            let key = SkyKey::of(region);
            let (class, next) = SkyKey::class(key);
            prop_assert!(key >= 0 && key < next && key < SkyKey::UNKNOWN);
            let ranges = SkyKey::ranges(&[asked, more], class);
            prop_assert!(ranges.windows(2).all(|w| w[0].1 < w[1].0), "{ranges:?}");
            prop_assert!(ranges.iter().all(|r| r.0 <= r.1 && SkyKey::class(r.1).0 == class));
            let touches = [asked, more].iter().any(|c| !region.relate(*c).disjoint());
            let found = ranges.iter().any(|r| (r.0..=r.1).contains(&key));
            prop_assert!(found || !touches, "{region:?} {asked:?} {class}");
        }
    }

    #[test]
    fn ranges_are_few_and_narrow() {
        // Of images of 0.3 degrees in a grid of one degree few are found around a patch.
        let key = SkyKey::of(circle(1.0, 0.1, 0.15_f64.to_radians()));
        let ranges = SkyKey::ranges(&[circle(1.0, 0.1, 0.13_f64.to_radians())], SkyKey::class(key).0);
        assert!(ranges.len() <= 4, "{ranges:?}");
        let found = (0..360 * 160).filter(|i| {
            let (lon, lat) = (f64::from(i % 360).to_radians(), f64::from(i / 360 - 80).to_radians());
            let key = SkyKey::of(circle(lon, lat, 0.15_f64.to_radians()));
            ranges.iter().any(|r| (r.0..=r.1).contains(&key))
        });
        assert!(found.count() <= 4);
    }

    #[test]
    fn what_cannot_be_read_is_met_by_every_search() {
        let key = SkyKey::of_bytes(&[1, 2, 3]);
        assert_eq!(key, SkyKey::UNKNOWN);
        let (class, _) = SkyKey::class(key);
        assert!(SkyKey::ranges(&[circle(0.0, 0.0, 0.0)], class).iter().any(|r| (r.0..=r.1).contains(&key)));
    }
}

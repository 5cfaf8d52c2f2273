//! Regions as text: the `POS` parameter of the IVOA's `SIAv2` (section 2.1.1), degrees.

use std::fmt;
use std::str::FromStr;

use super::{Circle, ConvexPolygon, LonLat, LonLatBox, Region, SphereError};

/// `CIRCLE lon lat radius`, `RANGE lon_min lon_max lat_min lat_max`, `POLYGON lon lat lon lat lon lat ...`; to within
/// rounding of degrees. Of a range `-Inf` and `+Inf` are read for no border.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Circle(c) => {
                let p = c.centre().to_lon_lat();
                write!(f, "CIRCLE {} {} {}", p.lon_deg(), p.lat_deg(), c.radius().to_degrees())
            }
            Self::Box(b) => {
                let (lon, end) = (b.lon().to_degrees(), b.lon_end().to_degrees());
                write!(f, "RANGE {lon} {end} {} {}", b.lat_min().to_degrees(), b.lat_max().to_degrees())
            }
            Self::Polygon(p) => {
                f.write_str("POLYGON")?;
                p.vertices()
                    .iter()
                    .map(|v| v.to_lon_lat())
                    .try_for_each(|p| write!(f, " {} {}", p.lon_deg(), p.lat_deg()))
            }
        }
    }
}

impl FromStr for Region {
    type Err = SphereError;

    /// Reads a circle, a range or a polygon; of a polygon the convex hull is taken.
    fn from_str(text: &str) -> Result<Self, SphereError> {
        let bad = |problem: String| SphereError::BadEncoding { problem };
        let mut words = text.split_whitespace();
        let shape = words.next().ok_or_else(|| bad("the text is empty".to_owned()))?;
        let numbers = words
            .map(|w| w.parse::<f64>().map_err(|_| bad(format!("`{w}` is not a number"))))
            .collect::<Result<Vec<_>, _>>()?;
        let position = |lon: f64, lat: f64| {
            if lat.abs() <= 90.0 {
                Ok(LonLat::from_degrees(lon, lat).to_unit())
            } else {
                Err(bad(format!("latitude {lat} deg is beyond a pole")))
            }
        };
        let (pairs, odd) = numbers.as_chunks::<2>();
        match (shape.to_ascii_uppercase().as_str(), &numbers[..]) {
            ("CIRCLE", [lon, lat, radius]) => Circle::new(position(*lon, *lat)?, radius.to_radians()).map(Self::Circle),
            // Infinities stand for no border.
            ("RANGE", [west, east, south, north]) if !west.is_nan() && !east.is_nan() => {
                let west = if *west == f64::NEG_INFINITY { 0.0 } else { *west };
                let east = if *east == f64::INFINITY { west + 360.0 } else { *east };
                let open = |lat: f64| if lat.is_infinite() { lat.clamp(-90.0, 90.0) } else { lat };
                let [west, east, south, north] = [west, east, open(*south), open(*north)].map(f64::to_radians);
                LonLatBox::between(west, east, south, north).map(Self::Box)
            }
            ("POLYGON", _) if odd.is_empty() => {
                let points = pairs.iter().map(|[lon, lat]| position(*lon, *lat)).collect::<Result<Vec<_>, _>>()?;
                ConvexPolygon::new(&points).map(Self::Polygon)
            }
            ("CIRCLE" | "RANGE" | "POLYGON", _) => Err(bad(format!("{shape} with {} numbers", numbers.len()))),
            _ => Err(bad(format!("`{shape}` is not `CIRCLE`, `RANGE` or `POLYGON`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back_and_bad_text_is_refused() {
        for text in ["CIRCLE 10 20 0.5", "RANGE 350 10 -5 5", "RANGE 0 360 -90 90", "polygon 0 0 1 0 0 1"] {
            let region: Region = text.parse().unwrap();
            let again: Region = region.to_string().parse().unwrap();
            assert!((again.area() / region.area() - 1.0).abs() < 1e-9, "{region}");
        }
        let all: Region = "RANGE -Inf +Inf -Inf +Inf".parse().unwrap();
        assert_eq!(all, "RANGE 0 360 -90 90".parse().unwrap());
        assert_eq!("RANGE 350 10 80 +Inf".parse::<Region>().unwrap(), "RANGE 350 10 80 90".parse().unwrap());
        for text in [
            "",
            "CIRCLE",
            "CIRCLE 1 2",
            "CIRCLE 1 2 x",
            "CIRCLE 1 91 1",
            "CIRCLE nan 0 1",
            "CIRCLE 0 0 -1",
            "ELLIPSE 1 2 3",
            "RANGE 0 1 2",
            "RANGE 0 1 5 2",
            "RANGE inf 0 0 1",
            "RANGE 0 -inf 0 1",
            "RANGE 0 nan 0 1",
            "RANGE 0 1 inf 1",
            "POLYGON 0 0 1 0 2",
            "POLYGON 0 0 1 0",
        ] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }
}

//! Regions for `SAOImage` DS9.

use std::fmt::Write;

use crate::sphere::{LonLat, Region};

/// Arcs of parallels are cut into pieces of at most so many radians: DS9 joins the vertices of a polygon by straight lines.
const PIECE: f64 = 0.01;

/// A DS9 region file (ICRS, degrees) of named regions: polygons and circles, each with its name as text.
///
/// ```
/// use bunter::plot::ds9_regions;
///
/// let cone = "CIRCLE 150.1 2.2 0.5".parse()?;
/// let text = ds9_regions([("visit=12 detector=3", &cone)]);
/// assert!(text.contains("circle(150.1,2.2,1800\") # text={visit=12 detector=3}"));
/// # Ok::<(), bunter::SphereError>(())
/// ```
///
/// Source: "Region Descriptions", `SAOImage` DS9 reference manual, version 4.1 of the format.
pub fn ds9_regions<'a>(regions: impl IntoIterator<Item = (&'a str, &'a Region)>) -> String {
    let mut text = "# Region file format: DS9 version 4.1\nglobal color=green width=1\nicrs\n".to_owned();
    for (name, region) in regions {
        match region {
            Region::Polygon(polygon) => {
                write_polygon(&mut text, polygon.vertices().iter().map(|v| v.to_lon_lat()));
            }
            Region::Circle(circle) => {
                let p = circle.centre().to_lon_lat();
                let radius = decimal(circle.radius().to_degrees() * 3600.0);
                put(&mut text, format_args!("circle({},{},{radius}\")", decimal(p.lon_deg()), decimal(p.lat_deg())));
            }
            Region::Box(b) => {
                let pieces = (b.width() / PIECE).ceil().clamp(1.0, 10_000.0) as u32;
                let along = |i: u32| b.lon() + b.width() * f64::from(i) / f64::from(pieces);
                let south = (0..=pieces).map(|i| LonLat::new(along(i), b.lat_min()));
                let north = (0..=pieces).rev().map(|i| LonLat::new(along(i), b.lat_max()));
                write_polygon(&mut text, south.chain(north));
            }
        }
        if !name.is_empty() {
            // The text of a region ends at its closing brace.
            let name: String =
                name.chars().map(|c| if matches!(c, '{' | '}') || c.is_control() { '_' } else { c }).collect();
            put(&mut text, format_args!(" # text={{{name}}}"));
        }
        text.push('\n');
    }
    text
}

fn write_polygon(text: &mut String, vertices: impl Iterator<Item = LonLat>) {
    text.push_str("polygon(");
    for (i, p) in vertices.enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let lon = p.lon_deg().rem_euclid(360.0);
        put(text, format_args!("{comma}{},{}", decimal(lon), decimal(p.lat_deg())));
    }
    text.push(')');
}

/// Writing to a string cannot fail.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
}

/// Ten decimals of a degree are a third of a microarcsecond.
fn decimal(v: f64) -> String {
    let text = format!("{v:.10}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_end_early_and_boxes_follow_parallels() {
        let region: Region = "POLYGON 359 -1 1 -1 1 1 359 1".parse().unwrap();
        let text = ds9_regions([("a}b\n{", &region)]);
        assert_eq!(text.lines().count(), 4);
        let line = text.lines().last().unwrap();
        assert!(line.starts_with("polygon(") && line.ends_with(" # text={a_b__}"), "{line}");
        assert!(line.contains("359,-1") && line.contains("1,1"), "{line}");
        let region: Region = "RANGE 350 10 60 70".parse().unwrap();
        let text = ds9_regions([("", &region)]);
        assert!(text.lines().last().unwrap().matches(',').count() > 2 * 35);
        assert!(!text.contains('#') || text.matches('#').count() == 1);
    }
}

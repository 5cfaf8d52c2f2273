//! Pictures of the sky, looked at: where ticks are, what colours pixels have, what is told when there is nothing to draw.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod program;

use std::path::Path;
use std::process::Command;

use bunter::plot::{Footprint, PictureFormat, PlotError, SkyContent, SkyFigure, SkyLayer, SkyProjection, SkyTile};
use bunter::{ConvexPolygon, LonLat, SkyMap};

fn square(lon: f64, lat: f64, half: f64) -> ConvexPolygon {
    let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
    let corners: Vec<(f64, f64)> = corners.iter().map(|(x, y)| (lon + half * x, lat + half * y)).collect();
    ConvexPolygon::from_degrees(&corners).unwrap()
}

fn detector(visit: u32, polygon: ConvexPolygon) -> Footprint {
    Footprint { label: format!("visit={visit} <&>"), polygon, visit }
}

fn tile(label: &str, polygon: ConvexPolygon) -> SkyTile {
    SkyTile { label: label.to_owned(), name: label.to_owned(), drawn: polygon.clone(), region: polygon }
}

fn svg(figure: &SkyFigure, content: &SkyContent) -> String {
    String::from_utf8(figure.draw(content, PictureFormat::Svg).unwrap().bytes).unwrap()
}

/// A name, attributes, and the text inside.
type Element = (String, Vec<(String, String)>, String);

/// Elements of an XML text: name, attributes, and the text up to the next tag. Fails on tags that do not match.
fn elements(xml: &str) -> Vec<Element> {
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let mut parts = xml.split('<');
    assert_eq!(parts.next(), Some(""), "text before the first tag");
    for part in parts {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("an open tag: {part}"));
        assert!(!text.contains('&') || text.contains(';'), "{text}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in another order");
            continue;
        }
        let (tag, alone) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut attributes = Vec::new();
        while let Some((key, after)) = rest.trim_start().split_once("=\"") {
            let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("an open value: {tag}"));
            assert!(attributes.iter().all(|(k, _)| k != key), "{key} twice in {tag}");
            attributes.push((key.to_owned(), value.to_owned()));
            rest = after;
        }
        assert!(rest.trim().is_empty(), "`{rest}` in {tag}");
        if !alone {
            open.push(name.to_owned());
        }
        found.push((name.to_owned(), attributes, text.to_owned()));
    }
    assert!(open.is_empty(), "{open:?} are never closed");
    found
}

/// Texts of numbers with their places.
fn numbers(xml: &str) -> Vec<(f64, f64, f64)> {
    let of = |attributes: &[(String, String)], key: &str| -> f64 {
        attributes.iter().find(|(k, _)| k == key).unwrap().1.parse().unwrap()
    };
    elements(xml)
        .iter()
        .filter(|(name, ..)| name == "text")
        .filter_map(|(_, a, text)| text.replace('\u{2212}', "-").parse().ok().map(|v: f64| (v, of(a, "x"), of(a, "y"))))
        .collect()
}

#[test]
fn right_ascension_grows_to_the_left_and_ticks_are_where_the_projection_says() {
    let content = SkyContent { detectors: vec![detector(0, square(150.0, 0.0, 2.4))], ..SkyContent::default() };
    let figure = SkyFigure {
        layers: Some(vec![SkyLayer::Detectors]),
        title: Some("a < b & c".to_owned()),
        ..SkyFigure::default()
    };
    let xml = svg(&figure, &content);
    let numbers = numbers(&xml);
    let bottom = numbers.iter().map(|n| n.2).fold(0.0, f64::max);
    let ra: Vec<_> = numbers.iter().filter(|n| (n.2 - bottom).abs() < 0.5).collect();
    assert!(ra.len() >= 4 && ra.iter().all(|n| (146.0..154.0).contains(&n.0)), "{ra:?}");
    // On a tangent plane at declination 0 a meridian is at the tangent of its distance, everywhere.
    let centre = ra.iter().find(|n| near(n.0, 150.0)).unwrap().1;
    let scale = (centre - ra.iter().find(|n| near(n.0, 152.0)).unwrap().1) / 2.0_f64.to_radians().tan();
    assert!(scale > 0.0, "east is on the left");
    for (value, x, _) in &ra {
        let expected = centre - scale * (value - 150.0).to_radians().tan();
        assert!((x - expected).abs() < 0.02, "{value} at {x}, expected {expected}");
    }
    // Declinations: up the page, the same scale. On the left edge, the parallel is at tan(dec) / cos(lon - 150).
    let dec: Vec<_> = numbers.iter().filter(|n| n.0.abs() < 10.0).collect();
    let zero = dec.iter().find(|n| n.0 == 0.0).unwrap();
    assert!(dec.len() >= 4);
    for (value, _, y) in &dec {
        let low = zero.2 - scale * value.to_radians().tan();
        assert!((y - low).abs() < 0.01 * scale * value.to_radians().abs() + 0.02, "{value} at {y}, expected {low}");
    }
    assert!(xml.contains("a &lt; b &amp; c") && xml.contains("visit=0 &lt;&amp;&gt;"));
}

#[test]
fn every_projection_and_place_gives_whole_files() {
    let map = SkyMap::from_toml(
        "kind = 'rings'\nnum_rings = 5\ntract_overlap_deg = 0.1\npixel_scale_arcsec = 60\n\
         tract_builder = { kind = 'legacy', patch_inner_dimensions = [500, 500], patch_border = 10 }",
    )
    .unwrap();
    let content = SkyContent::from_sky_map(&map, None).unwrap();
    let projections =
        [SkyProjection::Gnomonic, SkyProjection::Azimuthal, SkyProjection::Mollweide, SkyProjection::Hammer];
    for projection in projections {
        for (lon, lat) in [(0.0, 90.0), (180.0, -90.0), (359.99, 0.0), (120.0, 50.0)] {
            let figure = SkyFigure {
                size: Some((500, 400)),
                projection: Some(projection),
                centre: Some(LonLat::from_degrees(lon, lat)),
                ..SkyFigure::default()
            };
            let xml = svg(&figure, &content);
            assert!(elements(&xml).len() > 30, "{projection:?} {lon} {lat}");
            assert!(!xml.contains("NaN") && !xml.contains("inf"), "{projection:?} {lon} {lat}");
            // Nothing but whiskers of text lies outside of the page.
            for (name, attributes, _) in elements(&xml) {
                for (key, value) in attributes.iter().filter(|_| name == "path") {
                    if key == "d" {
                        for word in value.split(['M', 'L', 'Z', ' ']).filter(|w| !w.is_empty()) {
                            let v: f64 = word.parse().unwrap();
                            assert!((-1.0..=501.0).contains(&v), "{projection:?} {lon} {lat}: {v}");
                        }
                    }
                }
            }
        }
    }
}

struct Pixels {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Pixels {
    fn of(bytes: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self { width: info.width as usize, height: info.height as usize, rgb }
    }

    fn at(&self, x: f64, y: f64) -> [u8; 3] {
        let i = 3 * (y as usize * self.width + x as usize);
        [self.rgb[i], self.rgb[i + 1], self.rgb[i + 2]]
    }
}

#[test]
fn depth_has_the_colours_of_its_bar() {
    // Visit 0 has two overlapping detectors and counts once; visits 1 and 2 lie over its western half.
    let detectors = vec![
        detector(0, square(10.0, 0.0, 2.0)),
        detector(0, square(10.0, 0.0, 1.9)),
        detector(1, square(9.0, 0.0, 1.0)),
        detector(2, square(9.0, 0.5, 0.5)),
    ];
    let content = SkyContent { detectors, ..SkyContent::default() };
    let figure = SkyFigure { size: Some((800, 700)), layers: Some(vec![SkyLayer::Depth]), ..SkyFigure::default() };
    let picture = figure.draw(&content, PictureFormat::Png).unwrap();
    assert_eq!((picture.max_depth, picture.projection), (Some(3), SkyProjection::Gnomonic));
    let pixels = Pixels::of(&picture.bytes);
    assert_eq!((pixels.width, pixels.height), (800, 700));
    // The places come from the ticks of the same picture as SVG.
    let xml = svg(&figure, &content);
    let numbers = numbers(&xml);
    let bottom = numbers.iter().map(|n| n.2).fold(0.0, f64::max);
    let x = |ra: f64| {
        let at = |v: f64| numbers.iter().find(|n| near(n.0, v) && near(n.2, bottom)).unwrap().1;
        at(10.0) + (at(9.0) - at(10.0)) * (10.0 - ra)
    };
    let axis = numbers.iter().map(|n| n.1).fold(f64::INFINITY, f64::min);
    let y = |dec: f64| {
        let at = |v: f64| numbers.iter().find(|n| near(n.0, v) && n.1 < axis + 40.0 && n.2 < bottom - 5.0).unwrap().2;
        // Labels stand on their baseline, half a capital below their tick.
        at(0.0) - 5.0 + (at(1.0) - at(0.0)) * dec
    };
    // Off the lines of the graticule.
    let place = |ra: f64, dec: f64| pixels.at(x(ra), y(dec));
    let (one, two, three) = (place(11.23, 0.37), place(9.37, -0.57), place(9.23, 0.43));
    assert_eq!(place(10.83, -1.23), one);
    assert_eq!(place(12.09, 0.37), [255; 3]);
    let light = |c: [u8; 3]| c.iter().map(|v| u32::from(*v)).sum::<u32>();
    assert!(light(one) > light(two) && light(two) > light(three), "{one:?} {two:?} {three:?}");
    // The bar at the right has these three colours, the deepest on top.
    let bar: Vec<[u8; 3]> = elements(&xml)
        .iter()
        .filter(|(name, a, _)| name == "path" && a[0].0 == "fill" && a[0].1.starts_with('#'))
        .map(|(_, a, _)| {
            let v = u32::from_str_radix(&a[0].1[1..], 16).unwrap();
            [(v >> 16) as u8, (v >> 8) as u8, v as u8]
        })
        .collect();
    assert_eq!(bar, [one, two, three]);
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let mut content = SkyContent::from_sky_map(&SkyMap::preset("hsc_rings_v1").unwrap(), Some(&[9813, 9814])).unwrap();
    content.detectors = (0..40).map(|i| detector(i / 2, square(150.0 + 0.01 * f64::from(i), 2.1, 0.2))).collect();
    for format in [PictureFormat::Svg, PictureFormat::Png] {
        let figure = SkyFigure { size: Some((400, 300)), ..SkyFigure::default() };
        let first = figure.draw(&content, format).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let again = pool.install(|| figure.draw(&content, format).unwrap());
        assert!(first == again, "{format:?}");
    }
}

#[test]
fn dense_selections_become_depth_and_stay_small() {
    let detectors: Vec<Footprint> = (0..25_000_u32)
        .map(|i| detector(i / 50, square(100.0 + 0.02 * f64::from(i % 500), 0.02 * f64::from(i / 500), 0.009)))
        .collect();
    let content = SkyContent { detectors, ..SkyContent::default() };
    let figure = SkyFigure { size: Some((600, 300)), layers: Some(vec![SkyLayer::Detectors]), ..SkyFigure::default() };
    let picture = figure.draw(&content, PictureFormat::Svg).unwrap();
    assert!(picture.bytes.len() < 200_000, "{}", picture.bytes.len());
    assert!(picture.notes[0].contains("25000 detectors are drawn as depth"), "{:?}", picture.notes);
    assert_eq!(picture.max_depth, Some(1));
}

#[test]
fn nothing_to_draw_and_bad_numbers_are_errors() {
    let figure = SkyFigure::default();
    let nothing = figure.draw(&SkyContent::default(), PictureFormat::Svg).unwrap_err();
    assert!(matches!(nothing, PlotError::Empty { .. }), "{nothing}");
    let content = SkyContent { tracts: vec![tile("1", square(10.0, 10.0, 1.0))], ..SkyContent::default() };
    let away = SkyFigure { centre: Some(LonLat::from_degrees(200.0, -10.0)), radius: Some(0.1), ..figure.clone() };
    assert!(matches!(away.draw(&content, PictureFormat::Png), Err(PlotError::Empty { .. })));
    let behind = SkyFigure {
        centre: Some(LonLat::from_degrees(190.0, -10.0)),
        projection: Some(SkyProjection::Gnomonic),
        ..figure.clone()
    };
    assert!(matches!(behind.draw(&content, PictureFormat::Png), Err(PlotError::Empty { .. })));
    for bad in [
        SkyFigure { size: Some((10, 1000)), ..figure.clone() },
        SkyFigure { size: Some((1000, 30_000)), ..figure.clone() },
        SkyFigure { centre: Some(LonLat::from_degrees(f64::NAN, 0.0)), ..figure.clone() },
        SkyFigure { centre: Some(LonLat::from_degrees(0.0, 90.1)), ..figure.clone() },
        SkyFigure { radius: Some(f64::NAN), ..figure.clone() },
        SkyFigure { radius: Some(0.0), ..figure.clone() },
        SkyFigure { radius: Some(4.0), ..figure },
    ] {
        assert!(matches!(bad.draw(&content, PictureFormat::Svg), Err(PlotError::BadNumber { .. })), "{bad:?}");
    }
}

fn bunter(arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bunter")).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_program_says_what_is_wrong_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("bad.csv"), "visit,vertices\n1,0 0;1 0;1 NaN\n").unwrap();
    std::fs::write(folder.join("good.csv"), "visit,vertices\n1,0 0;1 0;1 1;0 1\n").unwrap();
    let cases: [(&[&str], i32, &str); 12] = [
        (&["plot", "sky", "--skymap", "hsc_ring_v1", "-o", "a.png"], 1, "did you mean `hsc_rings_v1`?"),
        (&["plot", "sky", "--skymap", "DC2", "--tract", "99999", "-o", "a.png"], 1, "99999"),
        (&["plot", "sky", "--skymap", "DC2", "--tract", "1", "-o", "a.pdf"], 2, "it can be svg, png"),
        (&["plot", "sky", "--skymap", "DC2", "--tract", "1", "-o", "missing/a.png"], 1, "missing/a.png"),
        (&["plot", "sky", "--skymap", "DC2", "--tract", "1", "-o", "."], 2, "it can be svg, png"),
        (&["plot", "sky", "-o", "a.png"], 2, "a repository, --skymap, or --table"),
        (&["plot", "sky", "--tract", "1", "--table", "good.csv", "-o", "a.png"], 2, "give --skymap too"),
        (&["plot", "sky", "--table", "bad.csv", "-o", "a.png"], 1, "row 1 of the table, column `vertices`"),
        (&["plot", "sky", "--table", "none.csv", "-o", "a.png"], 1, "none.csv"),
        (&["plot", "sky", "--table", "good.csv", "--size", "big", "-o", "a.png"], 2, "WIDTHxHEIGHT"),
        (&["plot", "sky", "--table", "good.csv", "--radius", "NaN", "-o", "a.png"], 2, "the radius is NaN"),
        (&["plot", "sky", "nowhere", "-o", "a.png"], 1, "not a repository"),
    ];
    for (arguments, code, words) in cases {
        let (found, text) = bunter(arguments, folder);
        assert!(
            found == Some(code) && text.contains(words) && !text.contains("panicked"),
            "{arguments:?}: {found:?} {text}"
        );
    }
    let (code, text) = bunter(&["plot", "sky", "--table", "good.csv", "--title", "One", "-o", "a.png"], folder);
    assert_eq!((code, text.as_str()), (Some(0), "picture: a.png (gnomonic, 1 detector image, depth up to 1)\n"));
    let mut left: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["a.png", "bad.csv", "good.csv"]);
}

#[test]
fn a_repository_is_drawn_by_what_the_filter_says() {
    let repository = program::tiny_repository("plot-sky");
    let folder = repository.parent().unwrap();
    let picture = |more: &[&str]| {
        let output = folder.join("sky.svg");
        let fixed = ["plot", "sky", program::text(&repository), "-o", program::text(&output)];
        let ran = program::bunter(&[&fixed[..], more].concat());
        (ran, output)
    };
    let records = |element: &str, more: &[&str]| {
        let fixed = ["query-dimension-records", program::text(&repository), element, "--format", "json"];
        program::bunter(&[&fixed[..], more].concat()).ok().json().as_array().unwrap().len()
    };
    let images = records("visit_detector", &[]);
    let (ran, output) = picture(&[]);
    assert!(ran.ok().err.contains(&format!("{images} detector image")));
    let xml = std::fs::read_to_string(&output).unwrap();
    assert!(elements(&xml).len() > 20 && xml.contains("visit="));
    // Tracts and patches of the map that images touch; a tract that is named is there whole.
    let map = program::bunter(&["query-dimension-records", program::text(&repository), "skymap", "--format", "json"]);
    let map = map.ok().json()[0]["skymap"].as_str().unwrap().to_owned();
    let patches = records("patch", &["--where", "tract = 0"]);
    for more in [["--tract", "0"], ["--where", "tract = 0"], ["--id", "tract=0"]] {
        let (ran, _) = picture(&[&["--skymap", map.as_str()][..], &more].concat());
        let said = ran.ok().err;
        assert!(
            said.contains(&format!("1 tract, {patches} patch")) && said.contains("detector image"),
            "{more:?}: {said}"
        );
    }
    let (ran, _) = picture(&["--skymap", &map, "--where", "tract = 0 AND patch = 0"]);
    assert!(ran.ok().err.contains("1 tract, 1 patch, "));
    // A coverage of the images holds what one of them covers.
    let (ran, output) = (
        program::bunter(&[
            "coverage",
            program::text(&repository),
            "--max-depth",
            "15",
            "-o",
            program::text(&folder.join("a.fits")),
        ]),
        folder.join("a.fits"),
    );
    ran.ok();
    assert!(!bunter::plot::Coverage::read(&output).unwrap().is_empty());
    // What is not there is told, with what there is.
    let (ran, _) = picture(&["--skymap", &format!("{map}x")]);
    ran.exits(1).says(&["did you mean"]);
    let (ran, _) = picture(&["--skymap", &map, "--tract", "77"]);
    ran.exits(1).says(&["77"]);
    let (ran, _) = picture(&["--where", "visit = 987654321"]);
    ran.exits(1).says(&["nothing to draw"]);
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

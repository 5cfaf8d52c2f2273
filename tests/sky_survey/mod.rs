//! A small survey all over the sky, in a repository and in a snapshot of it, and the slow way to join it.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use bunter::{
    Butler, ConvexPolygon, DataId, DatasetRef, FileRecord, Format, Layout, LonLat, NewDataset, Projection, Region,
    Selection, SkyMap, SkyMapConfig, Snapshot, TractBuilder, UnitVector,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::Uuid;

pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0.next_u32() as usize % n
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// A position, evenly over the sky, but more often than by chance at a pole or at right ascension zero.
    pub(crate) fn position(&mut self) -> LonLat {
        let (lon, lat) = (360.0 * self.unit(), (2.0 * self.unit() - 1.0).asin().to_degrees());
        match self.below(8) {
            0 => LonLat::from_degrees(0.2 * self.unit() - 0.1, lat),
            1 => LonLat::from_degrees(lon, 90.0 - 0.5 * self.unit()),
            2 => LonLat::from_degrees(lon, -90.0 + 0.5 * self.unit()),
            _ => LonLat::from_degrees(lon, lat),
        }
    }
}

/// One image.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) instrument: &'static str,
    pub(crate) visit: i64,
    pub(crate) detector: i64,
    pub(crate) filter: &'static str,
    pub(crate) band: &'static str,
    pub(crate) day_obs: i64,
    pub(crate) region: ConvexPolygon,
}

const FILTERS: [(&str, &str, &str); 5] =
    [("CamA", "A-G", "g"), ("CamA", "A-R", "r"), ("CamA", "A-R2", "r"), ("CamB", "B-R", "r"), ("CamB", "B-Z", "z")];
pub(crate) const DETECTORS: i64 = 4;

/// A square of `side` degrees around a place beside a centre, `(x, y)` degrees to its east and north.
pub(crate) fn square(centre: LonLat, x: f64, y: f64, side: f64) -> ConvexPolygon {
    let c = centre.to_unit();
    let east = UnitVector { x: -centre.lon.sin(), y: centre.lon.cos(), z: 0.0 };
    let (nx, ny, nz) = c.cross(east);
    let at = |dx: f64, dy: f64| {
        let (e, n) = ((x + dx * side).to_radians(), (y + dy * side).to_radians());
        UnitVector::normalized(c.x + e * east.x + n * nx, c.y + e * east.y + n * ny, c.z + e * east.z + n * nz).unwrap()
    };
    ConvexPolygon::new(&[at(-0.5, -0.5), at(0.5, -0.5), at(0.5, 0.5), at(-0.5, 0.5)]).unwrap()
}

/// Visits of two cameras, of four detectors each in a square of `side` degrees, two of them far larger; around `centres` or
/// anywhere.
pub(crate) fn images(dice: &mut Dice, visits: i64, side: f64) -> Vec<Image> {
    let mut images = Vec::new();
    for visit in 0..visits {
        let (instrument, filter, band) = FILTERS[dice.below(FILTERS.len())];
        let centre = dice.position();
        let side = if visit % 17 == 5 { 20.0 * side } else { side };
        for detector in 0..DETECTORS {
            let (x, y) = (f64::from(detector as i32 % 2) - 0.5, f64::from(detector as i32 / 2) - 0.5);
            let region = square(centre, x * side, y * side, 0.95 * side);
            let (visit, day_obs) = (100 + visit, 20_260_101 + visit / 7);
            images.push(Image { instrument, visit, detector, filter, band, day_obs, region });
        }
    }
    images
}

pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

pub(crate) fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(crate) fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

/// Records of images' regions.
pub(crate) fn regions(images: &[Image]) -> RecordBatch {
    batch(vec![
        ("instrument", texts(images.iter().map(|i| i.instrument))),
        ("visit", ints(images.iter().map(|i| i.visit))),
        ("detector", ints(images.iter().map(|i| i.detector))),
        (
            "region",
            Arc::new(BinaryArray::from_iter_values(images.iter().map(|i| Region::from(i.region.clone()).to_bytes()))),
        ),
    ])
}

/// A repository with images, and nothing else.
pub(crate) struct Survey {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) butler: Butler,
    pub(crate) images: Vec<Image>,
}

impl Survey {
    pub(crate) fn new(images: Vec<Image>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let butler = Butler::create(folder.path().join("repo")).unwrap();
        let registry = butler.registry().unwrap();
        let insert = |element: &str, columns| registry.insert_dimension_records(element, &batch(columns)).unwrap();
        insert("instrument", vec![("instrument", texts(["CamA", "CamB"]))]);
        insert(
            "physical_filter",
            vec![
                ("instrument", texts(FILTERS.map(|f| f.0))),
                ("physical_filter", texts(FILTERS.map(|f| f.1))),
                ("band", texts(FILTERS.map(|f| f.2))),
            ],
        );
        let detectors = || ["CamA", "CamB"].into_iter().flat_map(|i| (0..=DETECTORS).map(move |d| (i, d)));
        let names: Vec<String> = detectors().map(|(i, d)| format!("{i}_{d}")).collect();
        insert(
            "detector",
            vec![
                ("instrument", texts(detectors().map(|d| d.0))),
                ("detector", ints(detectors().map(|d| d.1))),
                ("full_name", texts(names.iter().map(String::as_str))),
            ],
        );
        let mut firsts: Vec<&Image> = images.iter().collect();
        firsts.dedup_by_key(|i| i.visit);
        insert(
            "visit",
            vec![
                ("instrument", texts(firsts.iter().map(|i| i.instrument))),
                ("visit", ints(firsts.iter().map(|i| i.visit))),
                ("day_obs", ints(firsts.iter().map(|i| i.day_obs))),
                ("physical_filter", texts(firsts.iter().map(|i| i.filter))),
                (
                    "exposure_time",
                    Arc::new(arrow::array::Float64Array::from_iter_values(
                        firsts.iter().map(|i| i.visit as f64 / 10.0),
                    )),
                ),
            ],
        );
        registry.insert_dimension_records("visit_detector", &regions(&images)).unwrap();
        Self { folder, butler, images }
    }

    /// Datasets of images, in a run.
    pub(crate) fn add_datasets(&self, run: &str, wanted: impl Fn(&Image) -> bool) {
        let registry = self.butler.registry().unwrap();
        registry.register_run(run).unwrap();
        let datasets: Vec<_> = self
            .images
            .iter()
            .filter(|i| wanted(i))
            .map(|i| {
                let data_id =
                    DataId::new().with("instrument", i.instrument).with("visit", i.visit).with("detector", i.detector);
                let dataset =
                    DatasetRef { id: Uuid::now_v7(), dataset_type: "calexp".into(), data_id, run: run.into() };
                let file = FileRecord {
                    path: format!("{run}/{}_{}", i.visit, i.detector),
                    format: Format::Hdf5,
                    size: 1,
                    checksum: 1,
                };
                NewDataset { dataset, file }
            })
            .collect();
        registry.insert_datasets(&datasets).unwrap();
    }

    /// The same, known from a snapshot.
    pub(crate) fn on_snapshot(&self) -> Butler {
        let mut selection = Selection::new(["*"]).with_datasets("calexp", None).with_datasets("deepCoadd", None);
        for element in ["instrument", "physical_filter", "detector", "visit", "visit_detector"] {
            selection = selection.with_records(element, None);
        }
        // A collection there must be for a pattern to stand for.
        self.butler.registry().unwrap().register_run("empty").unwrap();
        let bytes = Snapshot::build(self.butler.reader(), &selection).unwrap().to_bytes().unwrap();
        let view = Snapshot::from_bytes(bytes).unwrap().registry().unwrap();
        Butler::with_reader(self.butler.root(), Arc::new(view))
    }

    /// All that touches, by asking each image of each patch: tract, patch, image.
    pub(crate) fn slow_join(&self, map: &SkyMap) -> Vec<(u32, u32, Image)> {
        let mut pairs = Vec::new();
        for (tract, patch, polygon) in patches(map) {
            for image in self.images.iter().filter(|i| i.region.relate(&polygon).intersects()) {
                pairs.push((tract, patch, image.clone()));
            }
        }
        pairs
    }
}

/// All patches of a sky map with their outer polygons.
pub(crate) fn patches(map: &SkyMap) -> Vec<(u32, u32, ConvexPolygon)> {
    let mut all = Vec::new();
    for tract in map.tracts() {
        let tract = tract.unwrap();
        let (nx, ny) = tract.num_patches();
        all.extend((0..nx * ny).map(|p| (tract.id(), p, tract.patch(p).unwrap().outer_polygon().clone())));
    }
    all
}

/// A whole-sky map of 25 or so tracts of a few patches, with patches or with cells, whose patches stick out of their tracts.
pub(crate) fn small_map(cells: bool) -> SkyMap {
    SkyMap::new(SkyMapConfig {
        layout: Layout::Rings { num_rings: 4, ra_start_deg: 3.0 },
        tract_overlap_deg: 1.0,
        pixel_scale_arcsec: 200.0,
        projection: Projection::Tan,
        rotation_deg: 0.0,
        tract_builder: if cells {
            TractBuilder::Cells {
                cell_inner_dimensions: [40, 40],
                cell_border: 5,
                num_cells_per_patch_inner: 4,
                num_cells_in_patch_border: 1,
            }
        } else {
            TractBuilder::Legacy { patch_inner_dimensions: [200, 150], patch_border: 10 }
        },
    })
    .unwrap()
}

/// Rows of a table as texts, with commas between.
pub(crate) fn rows(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows())
        .map(|row| {
            let cells = batch.columns().iter().map(|column| match column.data_type() {
                DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
                DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
                _ => format!("<{}>", column.data_type()),
            });
            cells.collect::<Vec<_>>().join(",")
        })
        .collect()
}

/// The names of the columns of a table.
pub(crate) fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|f| f.name().clone()).collect()
}

/// A row of the slow join as text, by names of columns.
pub(crate) fn slow_row(map: &str, columns: &[&str], (tract, patch, image): &(u32, u32, Image)) -> String {
    let cell = |column: &&str| match *column {
        "skymap" => map.to_owned(),
        "tract" => tract.to_string(),
        "patch" => patch.to_string(),
        "band" => image.band.to_owned(),
        "physical_filter" => image.filter.to_owned(),
        "day_obs" => image.day_obs.to_string(),
        "instrument" => image.instrument.to_owned(),
        "visit" => image.visit.to_string(),
        "detector" => image.detector.to_string(),
        other => panic!("{other}"),
    };
    columns.iter().map(cell).collect::<Vec<_>>().join(",")
}

/// Each row once.
pub(crate) fn set(rows: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    rows.into_iter().collect()
}

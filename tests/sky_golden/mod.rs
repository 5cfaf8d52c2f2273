//! Reading the golden tables: comma-separated, gzipped, with a line of column names.

#![allow(dead_code, reason = "each test program uses a part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::HashMap;
use std::io::Read as _;

use bunter::LonLat;

/// A table of texts.
pub(crate) struct Table {
    columns: HashMap<String, usize>,
    cells: Vec<Vec<String>>,
}

/// One row of it.
#[derive(Clone, Copy)]
pub(crate) struct Row<'t> {
    table: &'t Table,
    row: usize,
}

impl Table {
    pub(crate) fn read(name: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let mut lines = text.lines().map(|l| l.split(',').map(str::to_owned).collect::<Vec<_>>());
        let columns = lines.next().unwrap().into_iter().enumerate().map(|(i, c)| (c, i)).collect();
        Self { columns, cells: lines.collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|row| Row { table: self, row })
    }
}

impl<'t> Row<'t> {
    pub(crate) fn text(self, column: &str) -> &'t str {
        let index = self.table.columns.get(column).unwrap_or_else(|| panic!("no column {column}"));
        &self.table.cells[self.row][*index]
    }

    pub(crate) fn f64(self, column: &str) -> f64 {
        self.text(column).parse().unwrap()
    }
}

/// `ra dec;ra dec;...` in degrees.
pub(crate) fn positions(text: &str) -> Vec<LonLat> {
    text.split(';')
        .map(|pair| {
            let (lon, lat) = pair.split_once(' ').unwrap();
            LonLat::from_degrees(lon.parse().unwrap(), lat.parse().unwrap())
        })
        .collect()
}

//! Polygons from a person's table with a column `vertices`.

use std::path::Path;

use arrow::array::{Array, ArrayRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::PlotError;
use super::content::{Footprint, SkyContent, SkyTile};
use crate::datastore::{TableOptions, TableReader};
use crate::dimension::near_miss;
use crate::sphere::{ConvexPolygon, LonLat};

/// The column of vertices, `ra dec;ra dec;…` in degrees.
const VERTICES: &str = "vertices";

impl SkyContent {
    /// The polygons of a table, CSV or Parquet, whose column `vertices` holds `ra dec;ra dec;…` in degrees,
    /// at least three positions around a convex polygon. All other columns name the row.
    ///
    /// Rows with a column `visit` (or `exposure`) are detectors; with `patch`, patches; with `tract`, tracts; all others are
    /// detectors that count one by one.
    ///
    /// # Errors
    /// [`PlotError::Datastore`] for a file that cannot be read, [`PlotError::NoColumn`], and [`PlotError::BadRow`] for a cell that is not
    /// such a polygon, with its row.
    pub fn from_table(path: &Path) -> Result<Self, PlotError> {
        Self::from_batch(&read(path)?)
    }

    /// The polygons of a record batch; see [`from_table`](Self::from_table).
    ///
    /// # Errors
    /// As [`from_table`](Self::from_table).
    pub fn from_batch(batch: &RecordBatch) -> Result<Self, PlotError> {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let at = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
        let vertices = at(VERTICES).ok_or_else(|| PlotError::NoColumn {
            name: VERTICES.to_owned(),
            near: near_miss(VERTICES, names.iter().copied()),
            known: names.iter().map(|n| (*n).to_owned()).collect(),
        })?;
        let options = FormatOptions::default();
        let columns = batch
            .columns()
            .iter()
            .map(|c: &ArrayRef| ArrayFormatter::try_new(c.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        let name = |row: usize, skip: &[usize]| {
            let words = columns.iter().enumerate().filter(|(i, _)| !skip.contains(i));
            words.map(|(i, c)| format!("{}={}", names[i], c.value(row))).collect::<Vec<_>>().join(" ")
        };
        let visit = at("visit").or_else(|| at("exposure"));
        let (patch, tract) = (at("patch"), at("tract"));
        let mut content = Self::default();
        let mut keys = Vec::new();
        for row in 0..batch.num_rows() {
            let bad = |problem: String| PlotError::BadRow { row: row + 1, column: VERTICES.to_owned(), problem };
            if batch.column(vertices).is_null(row) {
                return Err(bad("is empty".to_owned()));
            }
            let polygon = polygon(&columns[vertices].value(row).to_string()).map_err(bad)?;
            let label = name(row, &[vertices]);
            if let Some(key) = visit {
                let camera = at("instrument").map(|i| columns[i].value(row).to_string());
                keys.push((camera, columns[key].value(row).to_string()));
                content.detectors.push(Footprint { label, polygon, visit: 0 });
            } else if let Some(number) = patch.or(tract) {
                let tile = SkyTile {
                    label: columns[number].value(row).to_string(),
                    name: label,
                    drawn: polygon.clone(),
                    region: polygon,
                };
                if patch.is_some() { content.patches.push(tile) } else { content.tracts.push(tile) }
            } else {
                keys.push((None, format!("{row:020}")));
                content.detectors.push(Footprint { label, polygon, visit: 0 });
            }
        }
        Self::number_visits(&mut content.detectors, &keys);
        Ok(content)
    }
}

fn polygon(text: &str) -> Result<ConvexPolygon, String> {
    let mut points = Vec::new();
    for (i, pair) in text.split(';').map(str::trim).filter(|p| !p.is_empty()).enumerate() {
        let numbers: Vec<&str> = pair.split([' ', ',', '\t']).filter(|w| !w.is_empty()).collect();
        let [lon, lat] = numbers[..] else {
            return Err(format!("position {} is `{pair}`, expected `ra dec` in degrees", i + 1));
        };
        let number = |what: &str, word: &str| {
            word.parse::<f64>()
                .ok()
                .filter(|v| v.is_finite())
                .ok_or_else(|| format!("the {what} of position {} is `{word}`, expected a number", i + 1))
        };
        let (lon, lat) = (number("ra", lon)?, number("dec", lat)?);
        if lat.abs() > 90.0 {
            return Err(format!("the dec of position {} is {lat}, expected -90 to 90", i + 1));
        }
        points.push(LonLat::from_degrees(lon, lat).to_unit());
    }
    // As they stand, or the other way around: both are usual. What is not convex is refused, not widened.
    ConvexPolygon::from_vertices(&points)
        .or_else(|error| {
            let backwards: Vec<_> = points.iter().rev().copied().collect();
            ConvexPolygon::from_vertices(&backwards).map_err(|_| error)
        })
        .map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<RecordBatch, PlotError> {
    let reader = TableReader::open(path, TableOptions::default())?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(arrow::compute::concat_batches(&schema, &batches)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn rows_become_what_their_columns_say() {
        let vertices: ArrayRef =
            Arc::new(StringArray::from(vec!["0 0;1 0;1 1;0 1", "2 0; 2 1; 3 1; 3 0", "0 0;1 0;0 1;"]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7, 3, 7]));
        let content =
            SkyContent::from_batch(&batch(vec![("visit", Arc::clone(&numbers)), ("vertices", Arc::clone(&vertices))]))
                .unwrap();
        let visits: Vec<_> = content.detectors.iter().map(|d| (d.visit, d.label.as_str())).collect();
        assert_eq!(visits, [(0, "visit=3"), (1, "visit=7"), (1, "visit=7")]);
        let content =
            SkyContent::from_batch(&batch(vec![("tract", Arc::clone(&numbers)), ("vertices", Arc::clone(&vertices))]))
                .unwrap();
        assert_eq!(content.tracts.len(), 3);
        let content = SkyContent::from_batch(&batch(vec![("vertices", vertices)])).unwrap();
        assert_eq!(content.detectors.iter().map(|d| d.visit).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn bad_cells_are_told_with_their_row() {
        let message = |cell: &str| {
            let vertices: ArrayRef = Arc::new(StringArray::from(vec!["0 0;1 0;1 1", cell]));
            SkyContent::from_batch(&batch(vec![("vertices", vertices)])).unwrap_err().to_string()
        };
        assert_eq!(
            message("0 0;1 x;1 1"),
            "row 2 of the table, column `vertices`: the dec of position 2 is `x`, expected a number"
        );
        assert!(message("0 0;NaN 0;1 1").contains("the ra of position 2 is `NaN`"));
        assert!(message("0 0;1 91;1 1").contains("-90 to 90"));
        assert!(message("0 0;1 0").contains("3 different vertices"));
        assert!(message("0 0;1 0;2 0").contains("great circle"));
        assert!(message("0 0;4 0;1 1;0 4").contains("turns the wrong way"));
        let wrong =
            SkyContent::from_batch(&batch(vec![("vertexes", Arc::new(Int64Array::from(vec![1])))])).unwrap_err();
        assert_eq!(wrong.to_string(), "no column `vertices` in the table: did you mean `vertexes`?; it has vertexes");
    }
}

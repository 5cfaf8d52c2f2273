//! Rows of a person's own table as regions and WCSs of images.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, SchemaRef};
use arrow::util::display::array_value_to_string;
use rayon::prelude::*;

use super::columns::texts;
use super::regions::{Key, Row, Sizes, data_id, table};
use super::{Butler, ButlerError, region};
use crate::datastore::{is_wcs, parse_header};
use crate::dimension::{Universe, near_miss};
use crate::registry::Query;
use crate::sphere::{ConvexPolygon, LonLat, Region, SphereError, UnitVector};
use crate::wcs::{Header, HeaderValue, Wcs};

/// Further keywords that a WCS may need, beside those that place it.
const FRAME: [&str; 4] = ["RADESYS", "RADECSYS", "EQUINOX", "NAXIS1"];

/// Batches of a table, as they come, turned into what the registry takes.
pub(super) struct RegionTable<'a> {
    batches: Box<dyn Iterator<Item = Result<RecordBatch, ButlerError>> + 'a>,
    /// Looked at already, to know the columns.
    first: Option<RecordBatch>,
    columns: Option<Columns>,
    sizes: Sizes,
    regions_only: bool,
    rows: usize,
}

/// Where in a table's columns the parts of a row are.
#[derive(Clone, Debug)]
struct Columns {
    instrument: Result<usize, Arc<str>>,
    visit: usize,
    detector: usize,
    shape: Shape,
    /// Width and height.
    size: Option<[usize; 2]>,
}

#[derive(Clone, Debug)]
enum Shape {
    /// `ra dec;ra dec;…`.
    Vertices(usize),
    /// `POLYGON ra dec ra dec …`, or bytes.
    Region(usize),
    /// Cards as text.
    Header(usize),
    /// A column a keyword.
    Keywords(Vec<(String, usize)>),
}

impl<'a> RegionTable<'a> {
    /// Looks at the columns. What must be asked of the registry is asked now: later it is busy writing.
    pub(super) fn new(
        butler: &Butler,
        mut batches: Box<dyn Iterator<Item = Result<RecordBatch, ButlerError>> + 'a>,
        instrument: Option<String>,
        regions_only: bool,
    ) -> Result<Self, ButlerError> {
        let first = batches.next().transpose()?;
        let columns = match &first {
            Some(batch) => Some(Columns::of(&batch.schema(), || default_instrument(butler, instrument))?),
            None => None,
        };
        let is_wcs = columns.as_ref().is_some_and(|c| matches!(c.shape, Shape::Header(_) | Shape::Keywords(_)));
        let sizes = if is_wcs { Sizes::all(butler)? } else { Sizes::default() };
        Ok(Self { batches, first, columns, sizes, regions_only, rows: 0 })
    }

    /// The next rows for the registry.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, ButlerError> {
        let batch = match self.first.take() {
            Some(batch) => batch,
            None => match self.batches.next() {
                Some(batch) => batch?,
                None => return Ok(None),
            },
        };
        let Some(columns) = &self.columns else { return Ok(None) };
        let before = self.rows;
        self.rows += batch.num_rows();
        let failed = |row: usize, problem: String| ButlerError::RegionUpdate {
            what: format!("row {} of the table", before + row + 1),
            source: problem.into(),
        };
        let part = Part::of(columns, &batch)?;
        let rows: Vec<Result<Row, String>> =
            (0..batch.num_rows()).into_par_iter().map(|row| part.row(row, &self.sizes, self.regions_only)).collect();
        let mut good = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            good.push(row.map_err(|problem| failed(at, problem))?);
        }
        table(&good).map(Some)
    }
}

/// The instrument of a table that does not name one.
fn default_instrument(butler: &Butler, asked: Option<String>) -> Result<Arc<str>, ButlerError> {
    let known = butler.reader().dimension_records("instrument", &Query::all())?;
    let known: Vec<&str> = texts(&known, "instrument")?.iter().flatten().collect();
    match (asked, known.as_slice()) {
        (Some(name), _) if known.contains(&name.as_str()) => Ok(name.into()),
        (Some(name), _) => Err(ButlerError::Question(format!(
            "instrument `{name}` is not registered here{}",
            near_miss(&name, known.iter().copied())
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
        ))),
        (None, [only]) => Ok((*only).into()),
        (None, _) => Err(ButlerError::Question(format!(
            "the table has no column `instrument`, and the repository has {}: say which with --instrument",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ))),
    }
}

impl Columns {
    fn of(schema: &Schema, instrument: impl FnOnce() -> Result<Arc<str>, ButlerError>) -> Result<Self, ButlerError> {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().trim()).collect();
        // A dimension, by its own name or by another word for it, in any case.
        let dimension = |wanted: &str| {
            let means =
                |name: &str| Universe::builtin().dimension(name).is_ok_and(|(element, _)| element.name == wanted);
            names.iter().position(|name| means(name)).or_else(|| names.iter().position(|n| means(&n.to_lowercase())))
        };
        let needed = |wanted: &str| {
            dimension(wanted).ok_or_else(|| {
                let near = near_miss(wanted, names.iter().copied());
                ButlerError::Question(format!(
                    "the table has no column `{wanted}`{}; it has {}",
                    near.map_or_else(String::new, |near| format!(" (`{near}` is near)")),
                    names.join(", ")
                ))
            })
        };
        let named = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let upper: Vec<String> = names.iter().map(|name| name.to_ascii_uppercase()).collect();
        let keywords: Vec<(String, usize)> = (upper.iter().enumerate())
            .filter(|(_, name)| is_wcs(name) || FRAME.contains(&name.as_str()) || *name == "NAXIS2")
            .map(|(at, name)| (name.clone(), at))
            .collect();
        let places = keywords.iter().any(|(name, _)| name == "CRVAL1");
        let shape = match (named("vertices"), named("region"), named("header"), places) {
            (Some(at), None, None, false) => Shape::Vertices(at),
            (None, Some(at), None, false) => Shape::Region(at),
            (None, None, Some(at), false) => Shape::Header(at),
            (None, None, None, true) => Shape::Keywords(keywords),
            (None, None, None, false) => {
                return Err(ButlerError::Question(format!(
                    "the table says nothing of where images lie: it wants a column `vertices` (ra dec;ra dec;…), `region` \
                     (POLYGON ra dec …), `header` (FITS cards), or columns CTYPE1, CRVAL1, CRPIX1, CD1_1 …; it has {}",
                    names.join(", ")
                )));
            }
            _ => {
                return Err(ButlerError::Question(format!(
                    "the table says more than once where images lie: leave one of vertices, region, header and the \
                     keywords of a WCS; it has {}",
                    names.join(", ")
                )));
            }
        };
        let side = |names: [&str; 2]| names.into_iter().find_map(named);
        Ok(Self {
            visit: needed("visit")?,
            detector: needed("detector")?,
            instrument: match dimension("instrument") {
                Some(at) => Ok(at),
                None => Err(instrument()?),
            },
            shape,
            size: side(["NAXIS1", "width"]).zip(side(["NAXIS2", "height"])).map(|(width, height)| [width, height]),
        })
    }
}

/// One batch with its columns in the types they are read in.
struct Part {
    schema: SchemaRef,
    instrument: Result<StringArray, Arc<str>>,
    visit: Int64Array,
    detector: Int64Array,
    shape: ShapeColumn,
    size: Option<[Int64Array; 2]>,
}

enum ShapeColumn {
    Vertices(StringArray),
    RegionText(StringArray),
    RegionBytes(BinaryArray),
    Header(StringArray),
    Keywords(Vec<(String, Keyword)>),
}

enum Keyword {
    Number(ArrayRef),
    Text(StringArray),
}

impl Part {
    fn of(columns: &Columns, batch: &RecordBatch) -> Result<Self, ButlerError> {
        let schema = batch.schema();
        let cast = |at: usize, to: &DataType, words: &'static str| {
            let array = batch.column(at);
            let field = schema.field(at);
            let wrong = |found: String| ButlerError::Column { name: field.name().clone(), expected: words, found };
            // A text that looks like a number is none: `007` may be a name.
            let from = match array.data_type() {
                DataType::Dictionary(_, values) => values.as_ref(),
                other => other,
            };
            let fits = match to {
                DataType::Int64 => from.is_integer() || from.is_null(),
                DataType::Float64 => from.is_numeric() || from.is_null(),
                DataType::Utf8 => {
                    matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
                }
                _ => matches!(from, DataType::Binary | DataType::LargeBinary | DataType::BinaryView),
            };
            if !fits {
                return Err(wrong(from.to_string()));
            }
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(array, to, &options).map_err(|e| wrong(e.to_string()))
        };
        let ints = |at: usize| -> Result<Int64Array, ButlerError> {
            Ok(cast(at, &DataType::Int64, "whole numbers")?.as_primitive::<Int64Type>().clone())
        };
        let strings = |at: usize| -> Result<StringArray, ButlerError> {
            Ok(cast(at, &DataType::Utf8, "texts")?.as_string::<i32>().clone())
        };
        let is_text = |at: usize| {
            matches!(batch.column(at).data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
                || matches!(batch.column(at).data_type(), DataType::Dictionary(..))
        };
        let shape = match &columns.shape {
            Shape::Vertices(at) => ShapeColumn::Vertices(strings(*at)?),
            Shape::Region(at) if is_text(*at) => ShapeColumn::RegionText(strings(*at)?),
            Shape::Region(at) => ShapeColumn::RegionBytes(
                cast(*at, &DataType::Binary, "texts or encoded regions")?.as_binary::<i32>().clone(),
            ),
            Shape::Header(at) => ShapeColumn::Header(strings(*at)?),
            Shape::Keywords(keywords) => ShapeColumn::Keywords(
                keywords
                    .iter()
                    .map(|(name, at)| {
                        let column = if is_text(*at) {
                            Keyword::Text(strings(*at)?)
                        } else {
                            Keyword::Number(cast(*at, &DataType::Float64, "a number or a text")?)
                        };
                        Ok((name.clone(), column))
                    })
                    .collect::<Result<_, ButlerError>>()?,
            ),
        };
        Ok(Self {
            instrument: match &columns.instrument {
                Ok(at) => Ok(strings(*at)?),
                Err(name) => Err(Arc::clone(name)),
            },
            visit: ints(columns.visit)?,
            detector: ints(columns.detector)?,
            shape,
            size: match columns.size {
                Some([width, height]) if matches!(columns.shape, Shape::Keywords(_) | Shape::Header(_)) => {
                    Some([ints(width)?, ints(height)?])
                }
                _ => None,
            },
            schema,
        })
    }

    fn row(&self, row: usize, sizes: &Sizes, regions_only: bool) -> Result<Row, String> {
        let int = |column: &Int64Array, name: &str| {
            if column.is_null(row) { Err(format!("it has no {name}")) } else { Ok(column.value(row)) }
        };
        let instrument: Arc<str> = match &self.instrument {
            Ok(column) if column.is_null(row) => return Err("it has no instrument".to_owned()),
            Ok(column) => column.value(row).into(),
            Err(name) => Arc::clone(name),
        };
        let key: Key = (instrument, int(&self.visit, "visit")?, int(&self.detector, "detector")?);
        let named = data_id(&key);
        self.shaped(row, key, sizes, regions_only).map_err(|problem| format!("{named}: {problem}"))
    }

    fn shaped(&self, row: usize, key: Key, sizes: &Sizes, regions_only: bool) -> Result<Row, String> {
        let text = |column: &StringArray, name: &str| {
            if column.is_null(row) { Err(format!("it has no {name}")) } else { Ok(column.value(row).to_owned()) }
        };
        let polygon = |region: Result<Region, SphereError>| match region {
            Ok(Region::Polygon(polygon)) => Ok(polygon),
            Ok(_) => Err("the region of an image is a convex polygon, not a circle or a range".to_owned()),
            Err(e) => Err(e.to_string()),
        };
        let of_region = |key: Key, polygon: &ConvexPolygon| Row { key, region: region::encode(polygon), wcs: None };
        match &self.shape {
            ShapeColumn::Vertices(column) => Ok(of_region(key, &vertices(&text(column, "vertices")?)?)),
            ShapeColumn::RegionText(column) => Ok(of_region(key, &polygon(text(column, "region")?.parse())?)),
            ShapeColumn::RegionBytes(column) if column.is_null(row) => Err("it has no region".to_owned()),
            ShapeColumn::RegionBytes(column) => Ok(of_region(key, &polygon(Region::from_bytes(column.value(row)))?)),
            ShapeColumn::Header(column) => {
                let header = cards(&text(column, "header")?)?;
                self.of_header(row, key, &header, sizes, regions_only)
            }
            ShapeColumn::Keywords(columns) => {
                let mut header = Header::default();
                for (name, column) in columns {
                    match column {
                        Keyword::Number(array) if !array.is_null(row) => {
                            header.set(name, number(name, array.as_primitive::<Float64Type>().value(row)));
                        }
                        Keyword::Text(array) if !array.is_null(row) => header.set(name, array.value(row)),
                        _ => {}
                    }
                }
                self.of_header(row, key, &header, sizes, regions_only)
            }
        }
    }

    fn of_header(
        &self,
        row: usize,
        key: Key,
        header: &Header,
        sizes: &Sizes,
        regions_only: bool,
    ) -> Result<Row, String> {
        let wcs = Wcs::from_header(header).map_err(|e| e.to_string())?;
        let given = match &self.size {
            Some([width, height]) if !width.is_null(row) && !height.is_null(row) => {
                Some((width.value(row), height.value(row)))
            }
            _ => header.i64("NAXIS1").ok().zip(header.i64("NAXIS2").ok()),
        };
        let bbox = sizes.bbox(&key, given)?;
        Row::of_wcs(key, &wcs, bbox, regions_only)
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = |column: &Int64Array| array_value_to_string(column, 0).unwrap_or_default();
        write!(f, "rows from visit {} detector {} of {}", first(&self.visit), first(&self.detector), self.schema)
    }
}

/// Orders and sides are whole numbers, also where a table without them in a row has made reals of them.
fn number(name: &str, value: f64) -> HeaderValue {
    if value.fract() == 0.0 && value.abs() < 1e9 && (name.ends_with("_ORDER") || name.starts_with("NAXIS")) {
        HeaderValue::Integer(value as i64)
    } else {
        HeaderValue::Real(value)
    }
}

/// The cards of a text: lines, or 80 characters each.
fn cards(text: &str) -> Result<Header, String> {
    if !text.contains('\n') {
        return Ok(parse_header(text.as_bytes()));
    }
    let mut bytes = Vec::with_capacity(text.len() * 2);
    for line in text.lines() {
        let line = line.trim_end();
        if line.len() > 80 {
            return Err(format!(
                "a card of its header has {} characters, and none has more than 80: {line}",
                line.len()
            ));
        }
        bytes.extend_from_slice(line.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(80), b' ');
    }
    Ok(parse_header(&bytes))
}

/// The polygon of `ra dec;ra dec;…`, degrees: vertices in order, either way round.
fn vertices(text: &str) -> Result<ConvexPolygon, String> {
    let mut points = Vec::with_capacity(4);
    for pair in text.split(';').filter(|pair| !pair.trim().is_empty()) {
        let mut numbers = pair.split([' ', '\t', ',']).filter(|word| !word.is_empty()).map(str::parse::<f64>);
        let (Some(Ok(ra)), Some(Ok(dec)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
            return Err(format!("`{}` is not a pair `ra dec` of degrees", pair.trim()));
        };
        if !ra.is_finite() || !(-90.0..=90.0).contains(&dec) {
            return Err(format!("`{}` is no position: dec is between -90 and 90 degrees", pair.trim()));
        }
        points.push(LonLat::from_degrees(ra, dec).to_unit());
    }
    in_order(points).map_err(|e| e.to_string())
}

/// Points that run around a convex polygon, to within the rounding of degrees: a straight side may have more than two of
/// them, and one of these may lie inside by its last bit.
fn in_order(mut points: Vec<UnitVector>) -> Result<ConvexPolygon, SphereError> {
    let reversed = match ConvexPolygon::from_vertices(&points) {
        Err(SphereError::NotConvex { .. }) => {
            points.reverse();
            ConvexPolygon::from_vertices(&points)
        }
        other => return other,
    };
    match reversed {
        Err(SphereError::NotConvex { index }) => {
            let hull = ConvexPolygon::new(&points)?;
            let centre = hull.centroid();
            let (around, whole) = (plane_area(centre, &points).abs(), plane_area(centre, hull.vertices()));
            if (around - whole).abs() <= 1e-9 * whole { Ok(hull) } else { Err(SphereError::NotConvex { index }) }
        }
        other => other,
    }
}

/// The area that points run around on the plane that touches the sphere at `centre`, counter-clockwise positive.
fn plane_area(centre: UnitVector, points: &[UnitVector]) -> f64 {
    // Two directions across: any one that is not along the centre, made perpendicular, and the third.
    let axis = if centre.x.abs() < 0.7 { (1.0, 0.0, 0.0) } else { (0.0, 1.0, 0.0) };
    let along = axis.0 * centre.x + axis.1 * centre.y + axis.2 * centre.z;
    let (ux, uy, uz) = (axis.0 - along * centre.x, axis.1 - along * centre.y, axis.2 - along * centre.z);
    let vx = (centre.y * uz - centre.z * uy, centre.z * ux - centre.x * uz, centre.x * uy - centre.y * ux);
    let on_plane = |p: &UnitVector| {
        let depth = centre.dot(*p);
        ((ux * p.x + uy * p.y + uz * p.z) / depth, (vx.0 * p.x + vx.1 * p.y + vx.2 * p.z) / depth)
    };
    let next = points.iter().cycle().skip(1);
    let twice: f64 =
        points.iter().zip(next).map(|(a, b)| (on_plane(a), on_plane(b))).map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
    0.5 * twice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vertices_run_either_way_round_and_nonsense_is_told() {
        let one = vertices("0 0;1 0; 1 1;0,1").unwrap();
        let other = vertices("0 1;1 1;1 0;0 0;").unwrap();
        assert!(one.relate(&other).contains() && one.relate(&other).within());
        // A point of a side that lies inside by rounding is of the side; one that lies inside is a dent.
        let rounded = vertices("0 0;1 0;0.9999999999999999 0.5;1 1;0 1").unwrap();
        assert!((rounded.area() / one.area() - 1.0).abs() < 1e-9);
        let star = "0 1;-0.59 -0.81;0.95 0.31;-0.95 0.31;0.59 -0.81";
        for dented in ["0 0;1 0;0.99999 0.5;1 1;0 1", star] {
            assert!(vertices(dented).unwrap_err().contains("wrong way"), "{dented}");
        }
        for (text, told) in [
            ("", "3 different"),
            ("0 0;1 0", "3 different"),
            ("0 0;1 0;2 0", "great circle"),
            ("0 0;1 1;1 0;0 1", "wrong way"),
            ("0 0;1 0;0 91", "-90 and 90"),
            ("0 0;1 0;nan 1", "no position"),
            ("0 0;1 0;1", "not a pair"),
            ("0 0;1 0;1 2 3", "not a pair"),
        ] {
            let found = vertices(text).unwrap_err();
            assert!(found.contains(told), "{text}: {found}");
        }
    }

    #[test]
    fn cards_are_lines_or_eighty_characters_each() {
        let lines = "CRVAL1  = 150.5 / degrees\nCTYPE1  = 'RA---TAN'\nEND\n";
        let fixed = lines.lines().map(|line| format!("{line:<80}")).collect::<Vec<_>>().concat();
        for text in [lines, &fixed] {
            let header = cards(text).unwrap();
            assert_eq!((header.f64("CRVAL1").unwrap(), header.str("CTYPE1").unwrap()), (150.5, "RA---TAN"));
        }
        assert!(cards(&format!("A\n{}", "x".repeat(81))).unwrap_err().contains("81 characters"));
    }
}

//! The options by which a person says which data is meant.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use clap::Args;

use super::CliError;
use super::output::{OutputFormat, write_rows};
use crate::butler::Butler;
use crate::dataset::CollectionType;
use crate::dimension::{ColumnType, DataId, DimensionValue, Expression, Literal, Operand, Universe};
use crate::registry::{OrderBy, Query};
use crate::sphere::{Circle, LonLat, Region, SphereError};

/// `--where`, `--id`.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only what this expression is true for: "tract = 9813 AND band IN ('r', 'i') AND visit.exposure_time > 30".
    #[arg(long = "where", value_name = "EXPRESSION", help_heading = "Selection")]
    filter: Option<String>,
    /// Only these data IDs: visit=12^14..20:2 ccd=0..8, tract=9813 patch=3,5, or by the camera's own names: raft=R22
    /// slot=S11. Of dimensions that are not named, all.
    #[arg(long, value_name = "KEY=VALUES", num_args = 1.., help_heading = "Selection")]
    id: Vec<String>,
    /// A value for a name of --where: --where "visit.target_name = :name" --bind "name=Barnard's star". Times are
    /// T'2025-01-01'. May be given several times.
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Selection")]
    bind: Vec<String>,
}

impl Selection {
    /// The expression that both options say together.
    pub(crate) fn filter(&self) -> Result<Option<Expression>, CliError> {
        let values = self.bind.iter().map(|word| bound(word)).collect::<Result<Vec<_>, _>>()?;
        if self.filter.is_none() && !values.is_empty() {
            return Err(CliError::Usage("--bind gives values to names of --where, which is not there".to_owned()));
        }
        let filter = self.filter.as_deref().map(|text| Expression::parse_with(text, &values)).transpose()?;
        let words: Vec<&str> = self.id.iter().map(String::as_str).collect();
        let ids = if words.is_empty() { None } else { Some(Expression::parse_open_ids(&words)?) };
        Ok(match (filter, ids) {
            (Some(a), Some(b)) => Some(Expression::And(Box::new(a), Box::new(b))),
            (a, b) => a.or(b),
        })
    }
}

/// The name and the value of one `--bind`: a number or a time where it can be read as one, else a text.
fn bound(word: &str) -> Result<(String, Literal), CliError> {
    let Some((name, value)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err(CliError::Usage(format!("--bind `{word}` is not of the form name=value")));
    };
    if let Ok(Expression::Compare(_, _, Operand::Literal(literal))) = Expression::parse(&format!("visit = {value}")) {
        return Ok((name.to_owned(), literal));
    }
    Ok((name.to_owned(), Literal::Str(value.to_owned())))
}

/// `--region`, `--circle`, `--point`.
#[derive(Debug, Args)]
pub(crate) struct SkyRegion {
    /// Only what touches this region, in degrees: 'CIRCLE 150.1 2.2 0.5', 'POLYGON 149 1 151 1 151 3', 'RANGE 149 151 1 3',
    /// 'POINT 150.1 2.2'.
    #[arg(long, value_name = "SHAPE", group = "shape", help_heading = "Selection")]
    region: Option<String>,
    /// Only what touches the circle of this radius, degrees.
    #[arg(
        long,
        value_names = ["RA", "DEC", "RADIUS"],
        num_args = 3,
        allow_negative_numbers = true,
        group = "shape",
        help_heading = "Selection"
    )]
    circle: Vec<f64>,
    /// Only what has this position, degrees.
    #[arg(
        long,
        value_names = ["RA", "DEC"],
        num_args = 2,
        allow_negative_numbers = true,
        group = "shape",
        help_heading = "Selection"
    )]
    point: Vec<f64>,
}

impl SkyRegion {
    /// The region that one of the options says.
    pub(crate) fn region(&self) -> Result<Option<Region>, CliError> {
        match (self.region.as_deref(), &*self.circle, &*self.point) {
            (Some(text), ..) => {
                let wrong = |e: &dyn std::fmt::Display| CliError::Usage(format!("--region '{text}': {e}"));
                if let Some((word, rest)) = text.trim().split_once(char::is_whitespace)
                    && word.eq_ignore_ascii_case("POINT")
                {
                    let numbers: Vec<f64> = rest
                        .split_whitespace()
                        .map(|word| word.parse().map_err(|_| wrong(&format!("`{word}` is not a number"))))
                        .collect::<Result<_, _>>()?;
                    let [ra, dec] = numbers[..] else { return Err(wrong(&"write POINT RA DEC")) };
                    return circle("--region", ra, dec, 0.0).map(Some);
                }
                text.parse().map(Some).map_err(|e: SphereError| wrong(&e))
            }
            (None, [ra, dec, radius], _) => circle("--circle", *ra, *dec, *radius).map(Some),
            (None, _, [ra, dec]) => circle("--point", *ra, *dec, 0.0).map(Some),
            _ => Ok(None),
        }
    }
}

/// A circle around a position, degrees.
fn circle(option: &str, ra: f64, dec: f64, radius: f64) -> Result<Region, CliError> {
    let wrong = |what: String| CliError::Usage(format!("{option}: {what}"));
    if !ra.is_finite() || !dec.is_finite() || dec.abs() > 90.0 {
        return Err(wrong(format!("({ra}, {dec}) deg is not a position on the sky; declinations are -90 to 90")));
    }
    if !(0.0..=180.0).contains(&radius) {
        return Err(wrong(format!("{radius} deg is no radius; expected 0 to 180")));
    }
    let circle = Circle::new(LonLat::from_degrees(ra, dec).to_unit(), radius.to_radians());
    circle.map(Region::from).map_err(|e| wrong(e.to_string()))
}

/// `--order-by`, `--limit`, `--count`.
#[derive(Debug, Args)]
pub(crate) struct Rows {
    /// Sort by these: visit,-visit.exposure_time (a minus: largest first).
    #[arg(long, value_name = "KEYS", value_delimiter = ',', allow_hyphen_values = true)]
    order_by: Vec<String>,
    /// At most so many rows.
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
    /// Write only how many rows there are, after --limit.
    #[arg(long)]
    count: bool,
}

impl Rows {
    /// Writes the rows to standard output, or with `--count` their number.
    pub(crate) fn write(&self, rows: &RecordBatch, format: OutputFormat) -> Result<(), CliError> {
        if !self.count {
            return write_rows(rows, format);
        }
        let count: ArrayRef = Arc::new(UInt64Array::from(vec![u64::try_from(rows.num_rows()).unwrap_or(u64::MAX)]));
        write_rows(&RecordBatch::try_from_iter([("count", count)]).map_err(|e| CliError::Usage(e.to_string()))?, format)
    }

    pub(crate) fn query(&self, selection: &Selection) -> Result<Query, CliError> {
        Ok(Query {
            filter: selection.filter()?,
            order_by: self.order_by.iter().map(|key| OrderBy::parse(key)).collect(),
            limit: self.limit,
        })
    }
}

/// `--collections`.
#[derive(Debug, Args)]
pub(crate) struct Collections {
    /// Collections to search, in this order [default: all runs].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    collections: Vec<String>,
}

impl Collections {
    /// The collections named, or all RUN collections, the youngest name first.
    pub(crate) fn names(&self, butler: &Butler) -> Result<Vec<String>, CliError> {
        if !self.collections.is_empty() {
            return Ok(self.collections.clone());
        }
        let all = butler.reader().collections()?;
        let runs = all.into_iter().filter(|c| c.collection_type == CollectionType::Run);
        Ok(runs.map(|c| c.name.to_string()).rev().collect())
    }
}

/// A data ID from words `key=value`; each value has the type of its dimension. A camera's own names are kept: the butler knows
/// them.
pub(crate) fn data_id(words: &[String]) -> Result<DataId, CliError> {
    let mut id = DataId::new();
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(CliError::Usage(format!("`{word}` is not of the form dimension=value, such as visit=1228")));
        };
        let Ok((dimension, kind)) = Universe::builtin().dimension(name) else {
            id.set(name, value);
            continue;
        };
        let named = dimension.name == "detector" && value.starts_with(|c: char| c.is_ascii_alphabetic());
        let value = match (kind, value.parse::<i64>()) {
            (ColumnType::Int, Ok(number)) => DimensionValue::Int(number),
            // The sky map knows its number.
            (ColumnType::Int, Err(_)) if dimension.name == "patch" && value.contains(',') => {
                DimensionValue::from(value)
            }
            (ColumnType::Int, Err(_)) if !named => {
                return Err(CliError::Usage(format!("`{word}`: {} is a whole number", dimension.name)));
            }
            _ => DimensionValue::from(value),
        };
        id.set(dimension.name, value);
    }
    Ok(id)
}

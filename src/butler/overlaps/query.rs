//! [`OverlapQuery`]: the question.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::stream::OverlapStream;
use crate::butler::{Butler, ButlerError};
use crate::dimension::{ColumnType, Expression, Universe};
use crate::sphere::Region;

/// The dimensions that the sky map fixes, in the order of columns.
pub(in crate::butler) const SKY_DIMENSIONS: [&str; 3] = ["skymap", "tract", "patch"];
/// The dimensions of images, in the order of columns.
pub(in crate::butler) const IMAGE_DIMENSIONS: [&str; 6] =
    ["band", "physical_filter", "day_obs", "instrument", "visit", "detector"];
/// What is answered unless told.
const USUAL: [&str; 7] = ["skymap", "tract", "patch", "band", "instrument", "visit", "detector"];

/// A question of what overlaps on the sky. By default all pairs of a detector's image and a patch that touch.
///
/// ```
/// use bunter::{Expression, OverlapQuery};
///
/// // The visits and detectors in a circle of half a degree, and the patches that a visit touches.
/// let cone = OverlapQuery {
///     region: Some("CIRCLE 150.1 2.2 0.5".parse()?),
///     dimensions: Some(vec!["visit".into(), "detector".into()]),
///     ..OverlapQuery::default()
/// };
/// let patches = OverlapQuery {
///     filter: Some(Expression::parse("visit = 1228")?),
///     dimensions: Some(vec!["tract".into(), "patch".into(), "band".into()]),
///     ..OverlapQuery::default()
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OverlapQuery {
    /// Name of the sky map; `None`: the only one that is registered, or the one that the filter names.
    pub sky_map: Option<String>,
    /// Only rows for which this is true. It may name tract and patch beside all that the registry knows of images.
    pub filter: Option<Expression>,
    /// Only images that have a dataset of this type, found first in these collections; adds the columns `id` and `run` where
    /// the dimensions name datasets one by one.
    pub datasets: Option<(String, Vec<String>)>,
    /// Only images and patches that share a point with this region, each by itself. A position is a circle without a radius.
    pub region: Option<Region>,
    /// The columns wanted, as names of dimensions (what they need is added); of rows that are the same in them one remains.
    /// `None`: `skymap, tract, patch, band, instrument, visit, detector`. With dimensions of one side alone, and a filter
    /// and a region that do not name the other, the other side has no part in it.
    pub dimensions: Option<Vec<String>>,
    /// Pairs as the reference implementation's `findTractPatchList` gives them for the corners of an image, for those who
    /// compare: it misses true overlaps and lists some that are none.
    pub reference_behaviour: bool,
}

impl Butler {
    /// What overlaps, as one table: columns sky map first, rows sorted by them ([`OverlapStream`] says how).
    ///
    /// Images and patches touch when polygon and **outer** polygon share a point: closed sets, exactly. Where neither patch nor
    /// its columns are named, the tract's own region stands for it.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for unknown names, [`ButlerError::SkyMap`] for tracts and patches out of range,
    /// [`ButlerError::DamagedRecord`] for a region that cannot be read, [`ButlerError::Question`] for a question that has
    /// no meaning, such as one of several sky maps.
    ///
    /// Source: the spatial join of Rubin's `daf_butler` (visit-detector region against patch region);
    /// `tests/overlaps.rs` compares with its exact tables and with a loop over all pairs.
    pub fn query_overlaps(&self, query: &OverlapQuery) -> Result<RecordBatch, ButlerError> {
        let stream = self.stream_overlaps(query)?;
        let schema = stream.schema();
        let batches = stream.collect::<Result<Vec<_>, _>>()?;
        Ok(concat_batches(&schema, &batches)?)
    }

    /// What overlaps, piece by piece: an iterator of tables, in bounded memory however large the answer is.
    ///
    /// # Errors
    /// As [`query_overlaps`](Self::query_overlaps); what is found wrong on the way comes as an item.
    pub fn stream_overlaps(&self, query: &OverlapQuery) -> Result<OverlapStream<'_>, ButlerError> {
        OverlapStream::new(self, query)
    }
}

/// The columns of an answer, in order.
pub(super) fn columns(dimensions: Option<&[String]>) -> Result<Vec<&'static str>, ButlerError> {
    let Some(names) = dimensions else { return Ok(USUAL.to_vec()) };
    let universe = Universe::builtin();
    let group = universe.group(names.iter().map(String::as_str))?;
    let mut wanted = group.required().to_vec();
    for name in names {
        wanted.push(universe.dimension(name)?.0.name);
    }
    let order = || SKY_DIMENSIONS.into_iter().chain(IMAGE_DIMENSIONS);
    if let Some(other) = wanted.iter().find(|name| !order().any(|known| known == **name)) {
        return Err(ButlerError::Question(format!(
            "`{other}` has no part in overlaps; there are {}",
            order().collect::<Vec<_>>().join(", ")
        )));
    }
    if wanted.is_empty() {
        return Err(ButlerError::Question("say which dimensions are wanted, such as visit,detector".to_owned()));
    }
    Ok(order().filter(|name| wanted.contains(name)).collect())
}

/// The schema of these columns.
pub(super) fn schema(columns: &[&str], with_datasets: bool) -> SchemaRef {
    let mut fields = Vec::new();
    for name in columns {
        let kind = Universe::builtin().dimension(name).map_or(ColumnType::Text, |d| d.1);
        fields.push(Field::new(*name, kind.arrow(), false));
    }
    if with_datasets {
        fields.push(Field::new("id", DataType::FixedSizeBinary(16), false));
        fields.push(Field::new("run", DataType::Utf8, false));
    }
    Arc::new(Schema::new(fields))
}

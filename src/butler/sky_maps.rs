//! Dimension records, the computed ones of sky maps among them.

use arrow::record_batch::RecordBatch;

use super::columns::texts;
use super::records::{Value, record_batch};
use super::{Butler, ButlerError, region};
use crate::dimension::Universe;
use crate::registry::Query;

/// More patches than this are not listed in one answer: a whole-sky map has millions.
const MOST_RECORDS: usize = 20_000_000;

impl Butler {
    /// The records of a dimension, or of a combination such as `visit_detector`. Records of tracts and patches are
    /// computed from the registered sky maps.
    ///
    /// # Errors
    /// [`ButlerError::Registry`] for unknown names, [`ButlerError::Question`] for an answer that would be too long.
    pub fn query_dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, ButlerError> {
        let element = Universe::builtin().element(element)?;
        let query = &*self.query_with_camera_names(query)?;
        if !element.is_virtual() {
            return Ok(self.reader().dimension_records(element.name, query)?);
        }
        let maps = self.reader().dimension_records("skymap", &Query::all())?;
        let mut batches = Vec::new();
        for name in texts(&maps, "skymap")?.iter().flatten() {
            batches.push(match element.name {
                "tract" => self.tract_records(name)?,
                _ => self.patch_records(name, query)?,
            });
        }
        let all = arrow::compute::concat_batches(&element.schema(), &batches)?;
        Ok(crate::snapshot::select(&all, query)?)
    }

    fn tract_records(&self, name: &str) -> Result<RecordBatch, ButlerError> {
        let map = self.sky_map(name)?;
        let tracts = map.tracts().collect::<Result<Vec<_>, _>>()?;
        record_batch("tract", tracts.len(), |row, column| match column {
            "skymap" => Value::from(name),
            "tract" => Value::from(row as i64),
            "region" => Value::Bytes(region::encode(tracts[row].outer_polygon())),
            _ => Value::Null,
        })
    }

    fn patch_records(&self, name: &str, query: &Query) -> Result<RecordBatch, ButlerError> {
        let map = self.sky_map(name)?;
        let (mut tracts, mut patches) = (Vec::new(), Vec::new());
        for id in wanted_tracts(query, map.len()) {
            let tract = map.tract(id)?;
            let (nx, ny) = tract.num_patches();
            for patch in 0..nx * ny {
                tracts.push(id);
                patches.push(tract.patch(patch)?);
            }
            if patches.len() > MOST_RECORDS {
                return Err(ButlerError::Question(format!(
                    "sky map `{name}` has more than {MOST_RECORDS} patches: say which, `--where 'tract = 9813'`"
                )));
            }
        }
        record_batch("patch", patches.len(), |row, column| match column {
            "skymap" => Value::from(name),
            "tract" => Value::from(i64::from(tracts[row])),
            "patch" => Value::from(i64::from(patches[row].id())),
            "cell_x" => Value::from(i64::from(patches[row].index().0)),
            "cell_y" => Value::from(i64::from(patches[row].index().1)),
            "region" => Value::Bytes(region::encode(patches[row].outer_polygon())),
            _ => Value::Null,
        })
    }
}

/// The tracts that a filter can mean: those that it names by `tract = …` or `tract IN (…)`, or all.
fn wanted_tracts(query: &Query, tracts: u32) -> Box<dyn Iterator<Item = u32>> {
    match query.filter.as_ref().and_then(|f| f.values_of("tract")) {
        Some(named) => Box::new(named.into_iter().filter_map(move |t| u32::try_from(t).ok().filter(|t| *t < tracts))),
        None => Box::new(0..tracts),
    }
}

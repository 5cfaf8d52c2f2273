//! [`DataIdQuery`]: all data IDs of some dimensions.

use std::collections::BTreeSet;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;

use super::overlaps::{IMAGE_DIMENSIONS, SKY_DIMENSIONS};
use super::relation::{distinct, natural_join, shared};
use super::{Butler, ButlerError, OverlapQuery};
use crate::dimension::{Expression, Scope, Universe};
use crate::registry::{OrderBy, Query, RegistryError, VisitDetectorQuery};
use crate::sphere::Region;

/// More data IDs than this are not listed in one answer.
const MOST: usize = 20_000_000;

/// Which data IDs are wanted, and in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataIdQuery {
    /// Only those for which this is true. It may name any dimension and its metadata: those that the data IDs do not have are
    /// joined (patches of a visit).
    pub filter: Option<Expression>,
    /// Only those for which there is a dataset of this type in these collections.
    pub datasets: Option<(String, Vec<String>)>,
    /// Only those whose tracts, patches and images share a point with this region.
    pub region: Option<Region>,
    /// Sort keys, most important first; then the columns in their order.
    pub order_by: Vec<OrderBy>,
    /// At most so many, of the sorted ones the first.
    pub limit: Option<usize>,
}

impl From<Query> for DataIdQuery {
    fn from(query: Query) -> Self {
        Self { filter: query.filter, order_by: query.order_by, limit: query.limit, ..Self::default() }
    }
}

impl Butler {
    /// All data IDs of some dimensions: patches of a tract, detectors of a visit, bands of a physical filter, and any
    /// combination. The columns are the dimensions asked for, what they need, and what these fix (a visit its band), the sky
    /// map's first; each data ID comes once, sorted. [`DataId::of_rows`](crate::dimension::DataId::of_rows) iterates.
    ///
    /// Dimensions that a record has together are related by records (a visit and its filter, a visit and the detectors that
    /// saw something); tract and patch with visits by the sky, when they truly overlap; others not at all, which gives every
    /// combination.
    ///
    /// ```no_run
    /// use bunter::{Butler, DataId, DataIdQuery, Expression};
    ///
    /// let butler = Butler::open("/data/hsc")?;
    /// let filter = Some(Expression::parse("tract = 9813")?);
    /// let patches = butler.query_data_ids(&["patch"], &DataIdQuery { filter, ..DataIdQuery::default() })?;
    /// for id in DataId::of_rows(&patches) {
    ///     println!("{id}"); // {patch: 0, skymap: hsc_rings_v1, tract: 9813} …
    /// }
    /// # Ok::<(), bunter::ButlerError>(())
    /// ```
    ///
    /// # Errors
    /// [`ButlerError::Dimension`], [`ButlerError::Registry`] for unknown names, with the near ones; [`ButlerError::SkyMap`]
    /// for a tract or patch out of range; [`ButlerError::Question`] for more than 20 million combinations, naming the
    /// dimension to constrain.
    pub fn query_data_ids(&self, dimensions: &[&str], query: &DataIdQuery) -> Result<RecordBatch, ButlerError> {
        let question = Question::new(self, dimensions, query)?;
        let found = question.relation()?;
        let found = match Expression::all_of(question.left_over()) {
            Some(filter) => crate::snapshot::filter_rows(&found, &filter)?,
            None => found,
        };
        let found = distinct(&found, &question.wanted)?;
        let sorted = Query { filter: None, order_by: query.order_by.clone(), limit: query.limit };
        Ok(crate::snapshot::select(&found, &sorted)?)
    }
}

/// A question taken apart.
struct Question<'a> {
    butler: &'a Butler,
    query: &'a DataIdQuery,
    filter: Option<Expression>,
    /// The columns of the answer.
    wanted: Vec<&'static str>,
    /// All dimensions that have a part in it.
    joined: BTreeSet<&'static str>,
    /// The terms of the filter, and which of them some table has taken care of.
    terms: Vec<(Expression, std::cell::Cell<bool>)>,
    /// The dimensions of the dataset type.
    of_datasets: Vec<&'static str>,
}

impl<'a> Question<'a> {
    fn new(butler: &'a Butler, dimensions: &[&str], query: &'a DataIdQuery) -> Result<Self, ButlerError> {
        let universe = Universe::builtin();
        if dimensions.is_empty() {
            return Err(ButlerError::Question("say which dimensions are wanted, such as patch".to_owned()));
        }
        let group = universe.group(dimensions.iter().copied())?;
        let all = group.all();
        let order = SKY_DIMENSIONS.iter().chain(&ORDER);
        let wanted = order.copied().filter(|name| all.contains(name)).collect();
        let filter = butler.standard_filter(query.filter.as_ref(), None)?;
        let mut joined: Vec<&'static str> = group.required().to_vec();
        for name in filter.iter().flat_map(Expression::elements) {
            joined.extend(universe.element(name)?.required);
        }
        let mut of_datasets = Vec::new();
        if let Some((name, _)) = &query.datasets {
            let kind = butler.reader().dataset_type(name)?;
            let group = universe.group(kind.dimensions.iter().map(|d| &**d))?;
            of_datasets = group.all();
            joined.extend(group.required());
        }
        let joined = universe.group(joined)?;
        if let Some(filter) = &filter {
            Scope::new(joined.clone(), format!("data IDs {joined}")).check(filter)?;
        }
        let joined: BTreeSet<_> = joined.all().into_iter().collect();
        if joined.contains("skymap") {
            super::sky_maps::check_numbers(&butler.sky_maps_of(filter.as_ref())?, filter.as_ref())?;
        }
        let terms = filter.iter().flat_map(|f| f.terms()).map(|term| (term.clone(), std::cell::Cell::new(false)));
        let terms = terms.collect();
        Ok(Self { butler, query, filter, wanted, joined, terms, of_datasets })
    }

    fn has(&self, name: &str) -> bool {
        self.joined.contains(name)
    }

    /// The terms that nobody has taken care of, for a table of dimension values.
    fn left_over(&self) -> Vec<Expression> {
        self.terms.iter().filter(|(_, taken)| !taken.get()).map(|(term, _)| term.clone()).collect()
    }

    /// The terms that concern the records of a group of dimensions; they are taken care of.
    fn take_terms(&self, dimensions: &[&str]) -> Result<Option<Expression>, ButlerError> {
        let scope = Scope::new(Universe::builtin().group(dimensions.iter().copied())?, "");
        let mut taken = Vec::new();
        for (term, is_taken) in &self.terms {
            // Of the sky nothing is stored but numbers.
            let stored = term.elements().iter().all(|e| !SKY_DIMENSIONS.contains(e)) || term.names_only(dimensions);
            if !is_taken.get() && stored && scope.check(term).is_ok() {
                is_taken.set(true);
                taken.push(term.clone());
            }
        }
        Ok(Expression::all_of(taken))
    }

    /// Everything joined.
    fn relation(&self) -> Result<RecordBatch, ButlerError> {
        let on_sky = self.has("tract");
        let mut tables = Vec::new();
        // Datasets of images can be asked for with what overlaps, all others are joined to it.
        let images = !self.of_datasets.is_empty() && self.of_datasets.iter().all(|d| IMAGE_DIMENSIONS.contains(d));
        if on_sky && self.has("visit") {
            tables.push(self.overlapping(images && self.of_datasets.contains(&"visit"))?);
            if images && self.of_datasets.contains(&"visit") {
                return self.join(tables);
            }
        }
        if let Some((name, collections)) = &self.query.datasets {
            let filter = self.take_terms(&self.of_datasets)?;
            let collections: Vec<&str> = collections.iter().map(String::as_str).collect();
            let query = Query { filter, ..Query::default() };
            let found = self.butler.reader().datasets(name, &collections, &query, false)?;
            tables.push(distinct(&found, &self.of_datasets)?);
        }
        let covered = |tables: &[RecordBatch], name: &str| tables.iter().any(|t| t.schema_ref().index_of(name).is_ok());
        if self.has("skymap") && !SKY_DIMENSIONS.iter().all(|d| !self.has(d) || covered(&tables, d))
            || self.terms.iter().any(|(term, taken)| !taken.get() && is_sky(term))
        {
            tables.push(self.sky()?);
        }
        if self.has("visit") && self.has("detector") {
            if !covered(&tables, "visit") || !covered(&tables, "detector") {
                tables.push(self.images()?);
            }
        } else if self.has("visit") && !covered(&tables, "visit") {
            tables.push(self.visits(&["visit", "day_obs", "physical_filter"])?);
        }
        if self.has("detector") && !covered(&tables, "detector") {
            tables.push(self.records("detector")?);
        }
        if self.has("day_obs") && !covered(&tables, "day_obs") {
            tables.push(self.visits(&["day_obs", "physical_filter"])?);
        }
        for name in ["physical_filter", "band"] {
            if self.has(name) && !covered(&tables, name) {
                tables.push(self.records("physical_filter")?);
            }
        }
        if self.has("instrument") && !covered(&tables, "instrument") {
            tables.push(self.records("instrument")?);
        }
        // Metadata of what a table has named already: the records that hold it are joined once more.
        for (term, taken) in &self.terms {
            for name in term.elements() {
                let element = Universe::builtin().element(name)?;
                if !taken.get()
                    && !element.is_virtual()
                    && !element.metadata.is_empty()
                    && !SKY_DIMENSIONS.contains(&name)
                {
                    tables.push(self.records(name)?);
                }
            }
        }
        self.join(tables)
    }

    /// Images and tracts or patches that overlap.
    fn overlapping(&self, with_datasets: bool) -> Result<RecordBatch, ButlerError> {
        let dimensions: Vec<String> = self.joined.iter().map(|d| (*d).to_owned()).collect();
        let maps = self.butler.sky_maps_of(self.filter.as_ref())?;
        let mut found = Vec::new();
        for (name, _) in &maps {
            let query = OverlapQuery {
                sky_map: Some(name.clone()),
                filter: self.filter.clone(),
                region: self.query.region.clone(),
                dimensions: Some(dimensions.clone()),
                datasets: self.query.datasets.clone().filter(|_| with_datasets),
                ..OverlapQuery::default()
            };
            found.push(self.butler.query_overlaps(&query)?);
        }
        self.terms.iter().for_each(|(_, taken)| taken.set(true));
        let Some(first) = found.first() else { return Err(no_sky_map()) };
        Ok(concat_batches(&first.schema(), &found)?)
    }

    /// Sky maps, tracts, patches.
    fn sky(&self) -> Result<RecordBatch, ButlerError> {
        let mut terms = Vec::new();
        for (term, taken) in &self.terms {
            if !taken.get() && is_sky(term) {
                taken.set(true);
                terms.push(term.clone());
            }
        }
        let filter = Expression::all_of(terms);
        let dimensions: Vec<&str> = SKY_DIMENSIONS.into_iter().filter(|d| self.has(d)).collect();
        if dimensions == ["skymap"] {
            self.butler.sky_maps_of(filter.as_ref())?;
            let found = self.butler.reader().dimension_records("skymap", &Query { filter, ..Query::default() })?;
            return distinct(&found, &dimensions);
        }
        let maps = self.butler.sky_maps_of(filter.as_ref())?;
        if maps.is_empty() {
            return Err(no_sky_map());
        }
        // Of tracts and patches alone the first suffice.
        let enough = self
            .query
            .limit
            .filter(|_| self.query.order_by.is_empty() && self.wanted == dimensions && self.query.datasets.is_none());
        super::sky_maps::check_numbers(&maps, filter.as_ref())?;
        let (mut found, mut rows, mut schema) = (Vec::new(), 0, None);
        for (name, map) in &maps {
            if super::sky_maps::wanted_tracts(map, filter.as_ref(), self.query.region.as_ref()).is_empty()
                && maps.len() > 1
            {
                // Another sky map has these tracts.
                continue;
            }
            let query = OverlapQuery {
                sky_map: Some(name.clone()),
                filter: filter.clone(),
                region: self.query.region.clone(),
                dimensions: Some(dimensions.iter().map(|d| (*d).to_owned()).collect()),
                ..OverlapQuery::default()
            };
            let stream = self.butler.stream_overlaps(&query)?;
            schema = Some(stream.schema());
            for batch in stream {
                let batch = batch?;
                rows += batch.num_rows();
                found.push(batch);
                if rows > MOST {
                    return Err(too_many("tract"));
                }
                if enough.is_some_and(|limit| rows >= limit) {
                    break;
                }
            }
        }
        let schema = match schema {
            Some(schema) => schema,
            None => super::records::record_batch("patch", 0, |_, _| super::records::Value::Null)?
                .project(&(0..dimensions.len()).collect::<Vec<_>>())?
                .schema(),
        };
        Ok(concat_batches(&schema, &found)?)
    }

    /// Detectors of visits, with what their visits fix.
    fn images(&self) -> Result<RecordBatch, ButlerError> {
        let filter = self.take_terms(&["visit", "detector"])?;
        let columns: Vec<&str> = IMAGE_DIMENSIONS.into_iter().filter(|d| self.has(d)).collect();
        let found = if let Some(region) = &self.query.region {
            self.butler.query_overlaps(&OverlapQuery {
                filter,
                region: Some(region.clone()),
                dimensions: Some(columns.iter().map(|d| (*d).to_owned()).collect()),
                ..OverlapQuery::default()
            })?
        } else {
            let query = VisitDetectorQuery { filter, ..VisitDetectorQuery::default() };
            self.butler.reader().visit_detectors(&query)?
        };
        distinct(&found, &columns)
    }

    /// What visits have together, with the bands of their filters.
    fn visits(&self, names: &[&str]) -> Result<RecordBatch, ButlerError> {
        if let Some(region) = self.query.region.as_ref().filter(|_| names.contains(&"visit")) {
            let filter = self.take_terms(&["visit"])?;
            let columns: Vec<&str> = IMAGE_DIMENSIONS.into_iter().filter(|d| self.has(d)).collect();
            return self.butler.query_overlaps(&OverlapQuery {
                filter,
                region: Some(region.clone()),
                dimensions: Some(columns.iter().map(|d| (*d).to_owned()).collect()),
                ..OverlapQuery::default()
            });
        }
        let query = Query { filter: self.take_terms(&["visit"])?, ..Query::default() };
        let visits = self.butler.reader().dimension_records("visit", &query)?;
        let mut columns = vec!["instrument"];
        columns.extend(names.iter().copied().filter(|d| self.has(d) || *d == "physical_filter"));
        let visits = distinct(&visits, &columns)?;
        let filters = self.butler.reader().dimension_records("physical_filter", &Query::all())?;
        let filters = distinct(&filters, &["instrument", "physical_filter", "band"])?;
        let all = natural_join(&visits, &filters, MOST)?.ok_or_else(|| too_many("visit"))?;
        let kept: Vec<&str> =
            ORDER.into_iter().filter(|d| self.has(d) && all.schema_ref().index_of(d).is_ok()).collect();
        distinct(&all, &kept)
    }

    /// The keys of an element's records.
    fn records(&self, name: &str) -> Result<RecordBatch, ButlerError> {
        let element = Universe::builtin().element(name)?;
        let query = Query { filter: self.take_terms(element.required)?, ..Query::default() };
        let found = self.butler.reader().dimension_records(name, &query)?;
        let keys = element.required.iter().chain(element.implied).copied();
        distinct(&found, &keys.filter(|d| self.has(d)).collect::<Vec<_>>())
    }

    /// Tables that share something first, combinations of what has nothing in common last.
    fn join(&self, mut tables: Vec<RecordBatch>) -> Result<RecordBatch, ButlerError> {
        if tables.is_empty() {
            return Err(ButlerError::Question("there is nothing to list".to_owned()));
        }
        let mut all = tables.remove(0);
        while !tables.is_empty() {
            let next = tables.iter().position(|table| !shared(&all, table).is_empty()).unwrap_or(0);
            let table = tables.remove(next);
            all = natural_join(&all, &table, MOST)?.ok_or_else(|| self.unbounded(&all, &table))?;
        }
        Ok(all)
    }

    /// The error of combinations that are too many.
    fn unbounded(&self, a: &RecordBatch, b: &RecordBatch) -> ButlerError {
        let larger = if a.num_rows() >= b.num_rows() { a } else { b };
        let has = |name: &str| larger.schema_ref().index_of(name).is_ok();
        let free = |name: &str| self.filter.as_ref().is_none_or(|f| f.values_of(name).is_none());
        let order = ["tract", "visit", "patch", "detector", "day_obs"];
        let constrain = order.into_iter().find(|d| has(d) && free(d)).or_else(|| order.into_iter().find(|d| has(d)));
        let names = |batch: &RecordBatch| {
            batch.schema_ref().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>().join(", ")
        };
        ButlerError::Question(format!(
            "nothing relates ({}) and ({}): that makes {} x {} combinations, more than the {MOST} that are listed; constrain \
             `{}`, such as --where \"{} = …\"",
            names(a),
            names(b),
            a.num_rows(),
            b.num_rows(),
            constrain.unwrap_or("instrument"),
            constrain.unwrap_or("instrument")
        ))
    }
}

/// The order of columns, behind those of the sky.
const ORDER: [&str; 6] = ["instrument", "visit", "detector", "day_obs", "physical_filter", "band"];

fn no_sky_map() -> ButlerError {
    ButlerError::Question(
        "no sky map is registered: `bunter register-skymap REPO hsc_rings_v1`, or another one".to_owned(),
    )
}

fn too_many(dimension: &str) -> ButlerError {
    RegistryError::Invalid {
        what: "a list of data IDs".to_owned(),
        reason: format!("there are more than {MOST}: constrain `{dimension}`"),
    }
    .into()
}

/// Whether a term speaks of the sky map alone.
fn is_sky(term: &Expression) -> bool {
    let elements = term.elements();
    !elements.is_empty() && elements.iter().all(|e| SKY_DIMENSIONS.contains(e))
}

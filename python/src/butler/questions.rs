//! What exists, and what touches what.

use bunter::{
    Comparison, DataIdQuery, DimensionValue, Expression, Literal, Operand, OrderBy, OverlapQuery, Query, Region,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::PyButler;
use crate::data_id::{data_id, names};
use crate::errors::{OrRaise, usage};
use crate::run::run;
use crate::table::PyTable;

/// An expression and a data ID, together.
pub(super) fn filter(condition: Option<&str>, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Option<Expression>> {
    let mut terms = Vec::new();
    if let Some(text) = condition.filter(|t| !t.trim().is_empty()) {
        terms.push(Expression::parse(text).or_raise()?);
    }
    for (name, value) in data_id(None, keywords)?.iter() {
        let literal = match value {
            DimensionValue::Int(v) => Literal::Int(*v),
            DimensionValue::Str(v) => Literal::Str(v.to_string()),
        };
        let dimension = Operand::Identifier { element: name.to_owned(), field: None };
        terms.push(Expression::Compare(Comparison::Eq, dimension, Operand::Literal(literal)));
    }
    Ok(Expression::all_of(terms))
}

fn query(
    condition: Option<&str>,
    order_by: Option<&Bound<'_, PyAny>>,
    limit: Option<&Bound<'_, PyAny>>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Query> {
    let order_by = order_by.map(|o| names(o, "order_by")).transpose()?.unwrap_or_default();
    let limit = match limit {
        Some(limit) => {
            let rows = crate::data_id::integer(limit, "limit")?;
            Some(
                usize::try_from(rows)
                    .map_err(|_| usage(format!("limit is {rows}, but a number of rows is not negative")))?,
            )
        }
        None => None,
    };
    Ok(Query {
        filter: filter(condition, keywords)?,
        order_by: order_by.iter().map(|key| OrderBy::parse(key)).collect(),
        limit,
    })
}

fn region(text: Option<&str>) -> PyResult<Option<Region>> {
    text.map(str::parse::<Region>).transpose().or_raise()
}

#[pymethods]
impl PyButler {
    /// Datasets of one type.
    ///
    /// Parameters
    /// ----------
    /// dataset_type : str
    ///     The type.
    /// collections : str or list of str, optional
    ///     Where they are looked for.
    /// where : str, optional
    ///     Only those for which this is true: ``"band = 'r' AND visit.exposure_time > 30"``.
    /// find_first : bool
    ///     Of datasets with the same data ID only the one that the search meets first.
    /// order_by : str or list of str, optional
    ///     Sort keys: ``"visit"``, ``"-visit.exposure_time"``.
    /// limit : int, optional
    ///     At most so many rows.
    /// **keywords
    ///     Dimension values that they have.
    ///
    /// Returns
    /// -------
    /// Table
    ///     ``id``, ``run`` and the dimensions.
    ///
    /// Examples
    /// --------
    /// >>> butler.query_datasets("calexp", where="band = 'r'", order_by="visit", limit=2).column_names[:2]
    /// ['id', 'run']
    #[pyo3(signature = (dataset_type, collections=None, *, r#where=None, find_first=true, order_by=None, limit=None, **keywords))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn query_datasets<'py>(
        &self,
        py: Python<'py>,
        dataset_type: &str,
        collections: Option<&Bound<'py, PyAny>>,
        r#where: Option<&str>,
        find_first: bool,
        order_by: Option<&Bound<'py, PyAny>>,
        limit: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyTable> {
        let query = query(r#where, order_by, limit, keywords)?;
        let (inner, collections) = (&self.inner, self.search(collections)?);
        let batch = run(py, || {
            let collections: Vec<&str> = collections.iter().map(String::as_str).collect();
            inner.query_datasets(dataset_type, &collections, &query, find_first)
        })?;
        Ok(batch.into())
    }

    /// Records of a dimension, or of a combination such as ``visit_detector``; those of tracts and patches are computed.
    ///
    /// Returns
    /// -------
    /// Table
    #[pyo3(signature = (element, *, r#where=None, order_by=None, limit=None, **keywords))]
    fn query_dimension_records<'py>(
        &self,
        py: Python<'py>,
        element: &str,
        r#where: Option<&str>,
        order_by: Option<&Bound<'py, PyAny>>,
        limit: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyTable> {
        let query = query(r#where, order_by, limit, keywords)?;
        let inner = &self.inner;
        Ok(run(py, || inner.query_dimension_records(element, &query))?.into())
    }

    /// All data IDs of some dimensions: patches of a tract, detectors of a visit, tracts that visits overlap.
    ///
    /// Parameters
    /// ----------
    /// dimensions : str or list of str
    ///     ``["visit", "detector"]``; what they need is added.
    /// where, order_by, limit, **keywords
    ///     As of `query_datasets`.
    /// dataset_type : str, optional
    ///     Only those for which there is a dataset of this type.
    /// collections : str or list of str, optional
    ///     Where it is looked for.
    /// region : str, optional
    ///     Only what shares a point with it: ``"CIRCLE ra dec radius"``, ``"RANGE …"``, ``"POLYGON …"``, degrees.
    ///
    /// Returns
    /// -------
    /// Table
    #[pyo3(signature = (dimensions, *, r#where=None, dataset_type=None, collections=None, region=None, order_by=None, limit=None, **keywords))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn query_data_ids<'py>(
        &self,
        py: Python<'py>,
        dimensions: &Bound<'py, PyAny>,
        r#where: Option<&str>,
        dataset_type: Option<String>,
        collections: Option<&Bound<'py, PyAny>>,
        region: Option<&str>,
        order_by: Option<&Bound<'py, PyAny>>,
        limit: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyTable> {
        let dimensions = names(dimensions, "dimensions")?;
        let datasets = dataset_type.map(|name| Ok::<_, PyErr>((name, self.search(collections)?))).transpose()?;
        let query = DataIdQuery {
            datasets,
            region: self::region(region)?,
            ..DataIdQuery::from(query(r#where, order_by, limit, keywords)?)
        };
        let inner = &self.inner;
        let batch = run(py, || {
            let dimensions: Vec<&str> = dimensions.iter().map(String::as_str).collect();
            inner.query_data_ids(&dimensions, &query)
        })?;
        Ok(batch.into())
    }

    /// Which detectors' images touch which patches, exactly.
    ///
    /// Parameters
    /// ----------
    /// skymap : str, optional
    ///     Name of the sky map; the only one unless given.
    /// where, **keywords
    ///     As of `query_datasets`; may name tract and patch beside all that is known of images.
    /// dataset_type : str, optional
    ///     Only images that have a dataset of this type; adds the columns ``id`` and ``run``.
    /// collections : str or list of str, optional
    ///     Where it is looked for.
    /// region : str, optional
    ///     Only what shares a point with it.
    /// dimensions : list of str, optional
    ///     The columns wanted; ``skymap, tract, patch, band, instrument, visit, detector`` unless given.
    ///
    /// Returns
    /// -------
    /// Table
    ///     Sorted by its columns.
    #[pyo3(signature = (skymap=None, *, r#where=None, dataset_type=None, collections=None, region=None, dimensions=None, **keywords))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn query_overlaps<'py>(
        &self,
        py: Python<'py>,
        skymap: Option<String>,
        r#where: Option<&str>,
        dataset_type: Option<String>,
        collections: Option<&Bound<'py, PyAny>>,
        region: Option<&str>,
        dimensions: Option<&Bound<'py, PyAny>>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<PyTable> {
        let datasets = dataset_type.map(|name| Ok::<_, PyErr>((name, self.search(collections)?))).transpose()?;
        let query = OverlapQuery {
            sky_map: skymap,
            filter: filter(r#where, keywords)?,
            datasets,
            region: self::region(region)?,
            dimensions: dimensions.map(|d| names(d, "dimensions")).transpose()?,
            ..OverlapQuery::default()
        };
        let inner = &self.inner;
        Ok(run(py, || inner.query_overlaps(&query))?.into())
    }

    /// The dataset types: ``name``, ``storage_class``, ``dimensions``.
    fn query_dataset_types<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let types = self.inner.reader().dataset_types().or_raise()?;
        let rows = types.iter().map(|t| {
            let dict = PyDict::new(py);
            dict.set_item("name", &*t.name)?;
            dict.set_item("storage_class", t.storage_class.name())?;
            dict.set_item("dimensions", t.dimensions.iter().map(|d| &**d).collect::<Vec<_>>())?;
            Ok(dict)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }

    /// The collections: ``name``, ``type``, ``children``.
    fn query_collections<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let collections = self.inner.reader().collections().or_raise()?;
        let rows = collections.iter().map(|c| {
            let dict = PyDict::new(py);
            dict.set_item("name", &*c.name)?;
            dict.set_item("type", c.collection_type.to_string())?;
            dict.set_item("children", c.children.iter().map(|d| &**d).collect::<Vec<_>>())?;
            Ok(dict)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }
}

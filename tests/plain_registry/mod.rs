//! The obviously right and slow reader that snapshots are compared with.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use bunter::{
    Collection, CollectionType, ColumnType, Comparison, DataId, DatasetRef, DatasetType, DimensionValue, Expression,
    FileRecord, InItem, Literal, Operand, Query, RegionState, RegistryError, RegistryReader, Scope, Universe,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

pub(crate) type Row = BTreeMap<String, Value>;

/// A registry in lists, read from end to end for every question.
#[derive(Default)]
pub(crate) struct Plain {
    pub(crate) records: BTreeMap<&'static str, Vec<Row>>,
    pub(crate) types: Vec<DatasetType>,
    pub(crate) collections: Vec<Collection>,
    /// Identity, type, required and implied values, run, tagged collections.
    pub(crate) datasets: Vec<(Uuid, &'static str, Row, String, Vec<String>)>,
    pub(crate) files: BTreeMap<Uuid, FileRecord>,
    pub(crate) regions: RegionState,
}

pub(crate) fn row(values: &[(&str, Value)]) -> Row {
    values.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b)?,
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b)?,
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64))?,
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => return None,
    })
}

pub(crate) fn glob(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|n| glob(rest, &text[n..])),
        ['?', rest @ ..] => !text.is_empty() && glob(rest, &text[1..]),
        [c, rest @ ..] => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}

impl Plain {
    /// The records of stored elements, and those that follow from others'.
    fn all(&self, element: &str) -> Vec<Row> {
        let element = Universe::builtin().element(element).unwrap();
        let source = match element.storage {
            bunter::ElementStorage::ViewOf(other) => other,
            _ => element.name,
        };
        let names: Vec<&str> = element.columns().map(|c| c.0).collect();
        let mut rows: Vec<Row> = Vec::new();
        for record in self.records.get(source).into_iter().flatten() {
            let only: Row = record
                .iter()
                .filter(|(k, _)| names.contains(&k.as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            if !rows.contains(&only) {
                rows.push(only);
            }
        }
        sort(&mut rows, element.required);
        rows
    }

    fn dimension(&self, scope: &Scope, row: &Row, name: &str) -> Value {
        if let Some(value) = row.get(name) {
            return value.clone();
        }
        let holder = scope.group().elements().find(|e| e.implied.contains(&name)).unwrap();
        self.record(scope, row, holder).map_or(Value::Null, |r| r[name].clone())
    }

    fn record(&self, scope: &Scope, row: &Row, element: &bunter::Element) -> Option<Row> {
        let key: Vec<Value> = element.required.iter().map(|d| self.dimension(scope, row, d)).collect();
        self.all(element.name).into_iter().find(|r| element.required.iter().zip(&key).all(|(d, v)| &r[*d] == v))
    }

    fn value(
        &self,
        scope: &Scope,
        own: Option<&str>,
        row: &Row,
        element: &str,
        field: Option<&str>,
    ) -> Result<Value, RegistryError> {
        let resolved = scope.resolve(element, field)?;
        Ok(match resolved.column {
            None => self.dimension(scope, row, resolved.element.name),
            Some(column) if own == Some(resolved.element.name) => row[column.name].clone(),
            Some(column) => self.record(scope, row, resolved.element).map_or(Value::Null, |r| r[column.name].clone()),
        })
    }

    fn operand(&self, scope: &Scope, own: Option<&str>, row: &Row, operand: &Operand) -> Result<Value, RegistryError> {
        Ok(match operand {
            Operand::Identifier { element, field } => self.value(scope, own, row, element, field.as_deref())?,
            Operand::Literal(Literal::Int(v)) => Value::Int(*v),
            Operand::Literal(Literal::Float(v)) => Value::Float(*v),
            Operand::Literal(Literal::Str(v)) => Value::Text(v.clone()),
        })
    }

    /// SQL's three truth values.
    fn holds(
        &self,
        scope: &Scope,
        own: Option<&str>,
        row: &Row,
        e: &Expression,
    ) -> Result<Option<bool>, RegistryError> {
        let truth = |e: &Expression| self.holds(scope, own, row, e);
        let value = |o: &Operand| self.operand(scope, own, row, o);
        Ok(match e {
            Expression::And(a, b) => match (truth(a)?, truth(b)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Expression::Or(a, b) => match (truth(a)?, truth(b)?) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Expression::Not(a) => truth(a)?.map(|t| !t),
            Expression::Compare(op, a, b) => compare(&value(a)?, &value(b)?).map(|o| match op {
                Comparison::Eq => o.is_eq(),
                Comparison::Ne => o.is_ne(),
                Comparison::Lt => o.is_lt(),
                Comparison::Le => o.is_le(),
                Comparison::Gt => o.is_gt(),
                Comparison::Ge => o.is_ge(),
            }),
            Expression::In { operand, items, negated } => {
                let v = value(operand)?;
                let inside = items.iter().any(|item| match item {
                    InItem::Value(l) => {
                        let l = self.operand(scope, own, row, &Operand::Literal(l.clone())).unwrap();
                        compare(&v, &l) == Some(Ordering::Equal)
                    }
                    InItem::Range { start, stop, step } => {
                        let step = usize::try_from(*step).unwrap();
                        (*start..=*stop).step_by(step).any(|i| compare(&v, &Value::Int(i)) == Some(Ordering::Equal))
                    }
                });
                (v != Value::Null).then_some(inside != *negated)
            }
            Expression::Glob(operand, pattern) => match value(operand)? {
                Value::Text(t) => Some(glob(&pattern.chars().collect::<Vec<_>>(), &t.chars().collect::<Vec<_>>())),
                _ => None,
            },
            Expression::IsNull { operand, negated } => Some((value(operand)? == Value::Null) != *negated),
            Expression::Constant(truth) => Some(*truth),
        })
    }

    fn chosen(
        &self,
        scope: &Scope,
        own: Option<&str>,
        rows: Vec<Row>,
        query: &Query,
    ) -> Result<Vec<Row>, RegistryError> {
        let mut chosen = Vec::new();
        if let Some(filter) = &query.filter {
            scope.check(filter)?;
        }
        for key in &query.order_by {
            scope.resolve(&key.element, key.field.as_deref())?;
        }
        for row in rows {
            if query.filter.as_ref().map_or(Ok(Some(true)), |f| self.holds(scope, own, &row, f))? == Some(true) {
                chosen.push(row);
            }
        }
        chosen.sort_by(|a, b| {
            query.order_by.iter().fold(Ordering::Equal, |sofar, key| {
                let get = |row| self.value(scope, own, row, &key.element, key.field.as_deref()).unwrap();
                let (a, b) = (get(a), get(b));
                sofar.then(match (&a, &b) {
                    (Value::Null, Value::Null) => Ordering::Equal,
                    (Value::Null, _) => Ordering::Greater,
                    (_, Value::Null) => Ordering::Less,
                    _ if key.descending => compare(&b, &a).unwrap(),
                    _ => compare(&a, &b).unwrap(),
                })
            })
        });
        chosen.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(chosen)
    }

    fn path(&self, names: &[&str], patterns: bool) -> Result<Vec<String>, RegistryError> {
        let mut path: Vec<String> = Vec::new();
        let mut open: Vec<String> = Vec::new();
        for name in names.iter().rev().map(|name| name.strip_prefix("*=").unwrap_or(name)) {
            if name.contains('*') {
                if !patterns {
                    return Err(RegistryError::PatternInSearch { pattern: name.to_owned() });
                }
                let pattern: Vec<char> = name.chars().collect();
                let matching = self.collections.iter().filter(|c| glob(&pattern, &c.name.chars().collect::<Vec<_>>()));
                open.extend(matching.map(|c| c.name.to_string()).collect::<Vec<_>>().into_iter().rev());
            } else {
                open.push(name.to_owned());
            }
        }
        while let Some(name) = open.pop() {
            let Some(collection) = self.collections.iter().find(|c| *c.name == *name) else {
                return Err(RegistryError::UnknownCollection { name, near: None });
            };
            open.extend(collection.children.iter().rev().map(ToString::to_string));
            // Without a time nothing of a CALIBRATION collection is found first.
            let passed_over = !patterns && collection.collection_type == CollectionType::Calibration;
            if collection.children.is_empty() && !path.contains(&name) && !passed_over {
                path.push(name);
            }
        }
        Ok(path)
    }
}

pub(crate) fn sort(rows: &mut [Row], keys: &[&str]) {
    rows.sort_by(|a, b| {
        keys.iter().map(|k| compare(&a[*k], &b[*k]).unwrap()).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    });
}

pub(crate) fn column(rows: &[Row], name: &str, data_type: &DataType) -> ArrayRef {
    let values = rows.iter().map(|r| r[name].clone());
    match data_type {
        DataType::Int64 => {
            Arc::new(values.map(|v| if let Value::Int(v) = v { Some(v) } else { None }).collect::<Int64Array>())
        }
        DataType::Float64 => {
            Arc::new(values.map(|v| if let Value::Float(v) = v { Some(v) } else { None }).collect::<Float64Array>())
        }
        DataType::Utf8 => {
            Arc::new(values.map(|v| if let Value::Text(v) = v { Some(v) } else { None }).collect::<StringArray>())
        }
        DataType::Binary => {
            Arc::new(values.map(|v| if let Value::Bytes(v) = v { Some(v) } else { None }).collect::<BinaryArray>())
        }
        _ => {
            let ids = values.map(|v| if let Value::Bytes(v) = v { Some(v) } else { None });
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids, 16).unwrap())
        }
    }
}

impl RegistryReader for Plain {
    fn region_state(&self) -> Result<RegionState, RegistryError> {
        Ok(self.regions)
    }

    fn dataset_types(&self) -> Result<Vec<DatasetType>, RegistryError> {
        Ok(self.types.clone())
    }

    fn dataset_type(&self, name: &str) -> Result<DatasetType, RegistryError> {
        let found = self.types.iter().find(|t| *t.name == *name).cloned();
        found.ok_or_else(|| RegistryError::UnknownDatasetType { name: name.to_owned(), near: None })
    }

    fn collections(&self) -> Result<Vec<Collection>, RegistryError> {
        Ok(self.collections.clone())
    }

    fn dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, RegistryError> {
        let element = Universe::builtin().element(element)?;
        if element.is_virtual() {
            return Err(RegistryError::VirtualElement { element: element.name.to_owned(), hint: "" });
        }
        let group = Universe::builtin().group(element.required.iter().copied())?;
        let rows = self.chosen(&Scope::new(group, "records"), Some(element.name), self.all(element.name), query)?;
        let schema = element.schema();
        let columns = schema.fields().iter().map(|f| column(&rows, f.name(), f.data_type())).collect();
        Ok(RecordBatch::try_new(schema, columns).unwrap())
    }

    fn datasets(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
        find_first: bool,
    ) -> Result<RecordBatch, RegistryError> {
        let group = Universe::builtin().group(self.dataset_type(dataset_type)?.dimensions.iter().map(|d| &**d))?;
        let path = self.path(collections, !find_first)?;
        let mut rows: Vec<Row> = Vec::new();
        for collection in &path {
            for (id, kind, values, run, tags) in &self.datasets {
                if *kind != dataset_type || !(run == collection || tags.contains(collection)) {
                    continue;
                }
                let mut row = values.clone();
                row.insert("id".to_owned(), Value::Bytes(id.as_bytes().to_vec()));
                row.insert("run".to_owned(), Value::Text(run.clone()));
                let met =
                    |other: &Row| other["id"] == row["id"] || find_first && values.iter().all(|(k, v)| &other[k] == v);
                if !rows.iter().any(met) {
                    rows.push(row);
                }
            }
        }
        sort(&mut rows, group.required());
        let rows = self.chosen(&Scope::new(group.clone(), "datasets"), None, rows, query)?;
        let mut fields =
            vec![Field::new("id", DataType::FixedSizeBinary(16), false), Field::new("run", DataType::Utf8, false)];
        for name in group.required().iter().chain(group.implied()) {
            let (_, key) = Universe::builtin().dimension(name)?;
            fields.push(Field::new(
                *name,
                if key == ColumnType::Int { DataType::Int64 } else { DataType::Utf8 },
                false,
            ));
        }
        let columns = fields.iter().map(|f| column(&rows, f.name(), f.data_type())).collect();
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap())
    }

    fn find_dataset(
        &self,
        dataset_type: &str,
        data_id: &DataId,
        collections: &[&str],
    ) -> Result<Option<DatasetRef>, RegistryError> {
        let group = Universe::builtin().group(self.dataset_type(dataset_type)?.dimensions.iter().map(|d| &**d))?;
        group.check_at_least(data_id)?;
        let path = self.path(collections, false)?;
        for collection in &path {
            let mut found = self.datasets.iter().filter(|(_, kind, values, run, tags)| {
                *kind == dataset_type
                    && (run == collection || tags.contains(collection))
                    && values.iter().all(|(k, v)| data_id.get(k).is_none_or(|d| dimension_value(v) == *d))
            });
            if let Some(found) = found.next() {
                return self.dataset(found.0);
            }
        }
        Ok(None)
    }

    fn dataset(&self, id: Uuid) -> Result<Option<DatasetRef>, RegistryError> {
        let Some((_, kind, values, run, _)) = self.datasets.iter().find(|d| d.0 == id) else { return Ok(None) };
        let group = Universe::builtin().group(self.dataset_type(kind)?.dimensions.iter().map(|d| &**d))?;
        let data_id = group.required().iter().map(|d| (*d, dimension_value(&values[*d]))).collect();
        Ok(Some(DatasetRef { id, dataset_type: (*kind).into(), data_id, run: run.as_str().into() }))
    }

    fn file_records(&self, ids: &[Uuid]) -> Result<Vec<Option<FileRecord>>, RegistryError> {
        Ok(ids.iter().map(|id| self.files.get(id).cloned()).collect())
    }

    fn sky_map_definition(&self, name: &str) -> Result<String, RegistryError> {
        let found = self.all("skymap").into_iter().find(|r| r["skymap"] == Value::Text(name.to_owned()));
        match found.map(|r| r["definition"].clone()) {
            Some(Value::Text(definition)) => Ok(definition),
            _ => Err(RegistryError::UnknownSkyMap { name: name.to_owned(), near: None }),
        }
    }
}

pub(crate) fn dimension_value(value: &Value) -> DimensionValue {
    match value {
        Value::Int(v) => (*v).into(),
        Value::Text(t) => t.as_str().into(),
        other => panic!("{other:?}"),
    }
}

//! A snapshot of a registry answers as the registry does: compared with a slow reader that looks at one row at a time, and with SQL.
#![allow(clippy::unwrap_used, clippy::panic, clippy::type_complexity, reason = "helpers of tests fail by panicking")]

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use bunter::{
    Collection, CollectionType, ColumnType, Comparison, DataId, DatasetRef, DatasetType, DimensionValue, Expression,
    FileRecord, Format, InItem, Literal, NewDataset, Operand, OrderBy, Query, Registry, RegistryError, RegistryReader,
    Scope, Selection, Snapshot, StorageClass, Universe,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

type Row = BTreeMap<String, Value>;

/// A registry in lists, read from end to end for every question.
#[derive(Default)]
struct Plain {
    records: BTreeMap<&'static str, Vec<Row>>,
    types: Vec<DatasetType>,
    collections: Vec<Collection>,
    /// Identity, type, required and implied values, run, tagged collections.
    datasets: Vec<(Uuid, &'static str, Row, String, Vec<String>)>,
    files: BTreeMap<Uuid, FileRecord>,
}

fn row(values: &[(&str, Value)]) -> Row {
    values.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

fn compare(a: &Value, b: &Value) -> Option<Ordering> {
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

fn glob(pattern: &[char], text: &[char]) -> bool {
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
        for name in names.iter().rev() {
            if name.contains('*') {
                if !patterns {
                    return Err(RegistryError::PatternInSearch { pattern: (*name).to_owned() });
                }
                let pattern: Vec<char> = name.chars().collect();
                let matching = self.collections.iter().filter(|c| glob(&pattern, &c.name.chars().collect::<Vec<_>>()));
                open.extend(matching.map(|c| c.name.to_string()).collect::<Vec<_>>().into_iter().rev());
            } else {
                open.push((*name).to_owned());
            }
        }
        while let Some(name) = open.pop() {
            let Some(collection) = self.collections.iter().find(|c| *c.name == *name) else {
                return Err(RegistryError::UnknownCollection { name, near: None });
            };
            open.extend(collection.children.iter().rev().map(|c| c.to_string()));
            if collection.children.is_empty() && !path.contains(&name) {
                path.push(name);
            }
        }
        Ok(path)
    }
}

fn sort(rows: &mut [Row], keys: &[&str]) {
    rows.sort_by(|a, b| {
        keys.iter().map(|k| compare(&a[*k], &b[*k]).unwrap()).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    });
}

fn column(rows: &[Row], name: &str, data_type: &DataType) -> ArrayRef {
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

fn dimension_value(value: &Value) -> DimensionValue {
    match value {
        Value::Int(v) => (*v).into(),
        Value::Text(t) => t.as_str().into(),
        other => panic!("{other:?}"),
    }
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0.next_u32() as usize % n
    }
    fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

fn text(s: &str) -> Value {
    Value::Text(s.to_owned())
}

/// A registry with everything that is awkward: absent values, datasets in several collections, nested chains.
fn registry(dice: &mut Dice) -> Plain {
    let mut plain = Plain::default();
    let element = |name: &str, values: &[(&str, Value)]| {
        let mut record = row(values);
        for (name, ..) in Universe::builtin().element(name).unwrap().columns() {
            record.entry(name.to_owned()).or_insert(Value::Null);
        }
        record
    };
    let filters = [("HSC", "HSC-R", "r"), ("HSC", "HSC-R2", "r"), ("HSC", "HSC-Y", "y"), ("LATISS", "blé~été", "r")];
    for instrument in ["HSC", "LATISS"] {
        plain.records.entry("instrument").or_default().push(element("instrument", &[("instrument", text(instrument))]));
        for detector in 0..4 {
            let name = if detector == 3 { Value::Null } else { Value::Text(format!("S{detector}_é")) };
            let values = [("instrument", text(instrument)), ("detector", Value::Int(detector)), ("full_name", name)];
            plain.records.entry("detector").or_default().push(element("detector", &values));
        }
    }
    for (instrument, filter, band) in filters {
        let values = [("instrument", text(instrument)), ("physical_filter", text(filter)), ("band", text(band))];
        plain.records.entry("physical_filter").or_default().push(element("physical_filter", &values));
    }
    let mut raws = Vec::new();
    for _ in 0..14 {
        let (instrument, filter, band) = dice.of(&filters);
        let visit = dice.below(1000) as i64 - 100;
        let known = |r: &Row| r["instrument"] == text(instrument) && r["visit"] == Value::Int(visit);
        if plain.records.entry("visit").or_default().iter().any(known) {
            continue;
        }
        let maybe = |dice: &mut Dice, v: Value| if dice.below(3) == 0 { Value::Null } else { v };
        let day = 20_260_101 + dice.below(3) as i64;
        let (time, air) = (dice.of(&[30.0, 30.5, 45.0, 300.0]), dice.of(&[1.0, 1.2, 30.0]));
        let values = [
            ("instrument", text(instrument)),
            ("visit", Value::Int(visit)),
            ("day_obs", Value::Int(day)),
            ("physical_filter", text(filter)),
            ("name", {
                let v = dice.of(&[text("a"), text("B*"), text(""), text("ä_b")]);
                maybe(dice, v)
            }),
            ("exposure_time", maybe(dice, Value::Float(time))),
            ("airmass", maybe(dice, Value::Float(air))),
        ];
        plain.records.entry("visit").or_default().push(element("visit", &values));
        for detector in 0..4 {
            let key =
                [("instrument", text(instrument)), ("visit", Value::Int(visit)), ("detector", Value::Int(detector))];
            if dice.below(4) > 0 {
                let seeing = Value::Float(dice.of(&[0.6, 0.7, 1.5]));
                let more = [
                    ("width", Value::Int(2048)),
                    ("seeing", maybe(dice, seeing)),
                    ("region", Value::Bytes(vec![0, 255, detector as u8])),
                ];
                let values: Vec<_> = key.iter().cloned().chain(more).collect();
                plain.records.entry("visit_detector").or_default().push(element("visit_detector", &values));
            }
            let implied = [("band", text(band)), ("day_obs", Value::Int(day)), ("physical_filter", text(filter))];
            raws.push(row(&key.iter().cloned().chain(implied).collect::<Vec<_>>()));
        }
    }
    let sky = [
        ("skymap", text("rings")),
        ("definition", text("kind = 'rings'\n")),
        ("hash", Value::Bytes(vec![7; 20])),
        ("tract_max", Value::Int(9)),
        ("patch_nx_max", Value::Int(3)),
        ("patch_ny_max", Value::Int(3)),
    ];
    plain.records.entry("skymap").or_default().push(element("skymap", &sky));
    let kind = |name: &str, dimensions: &[&str]| DatasetType {
        name: name.into(),
        dimensions: dimensions.iter().map(|d| (*d).into()).collect(),
        storage_class: StorageClass::Exposure,
    };
    plain.types = vec![
        kind("coadd", &["band", "patch", "skymap", "tract"]),
        kind("config", &[]),
        kind("raw", &["detector", "instrument", "visit"]),
        kind("unused", &["instrument"]),
    ];
    let collection = |name: &str, collection_type, children: &[&str]| Collection {
        name: name.into(),
        collection_type,
        children: children.iter().map(|c| (*c).into()).collect(),
    };
    plain.collections = vec![
        collection("all", CollectionType::Chained, &["best", "inner", "runs/a"]),
        collection("best", CollectionType::Tagged, &[]),
        collection("calib", CollectionType::Calibration, &[]),
        collection("inner", CollectionType::Chained, &["runs/b", "best", "runs/c"]),
        collection("runs/a", CollectionType::Run, &[]),
        collection("runs/b", CollectionType::Run, &[]),
        collection("runs/c", CollectionType::Run, &[]),
    ];
    let coadds = (0..40).map(|i| {
        row(&[
            ("skymap", text("rings")),
            ("tract", Value::Int(i / 9)),
            ("patch", Value::Int(i % 9)),
            ("band", text(if i % 2 == 0 { "r" } else { "y" })),
        ])
    });
    let all = raws.into_iter().map(|r| ("raw", r)).chain(coadds.map(|r| ("coadd", r))).chain([("config", Row::new())]);
    for (kind, values) in all {
        for run in ["runs/a", "runs/b", "runs/c"] {
            if dice.below(2) == 0 {
                let id = Uuid::from_u128(u128::from(dice.0.next_u64()) << 64 | u128::from(dice.0.next_u64()));
                let tagged = |plain: &Plain, tag: &str| {
                    plain.datasets.iter().any(|d| d.1 == kind && d.2 == values && d.4.iter().any(|t| t == tag))
                };
                let tags: Vec<String> = ["best", "calib"]
                    .iter()
                    .filter(|t| dice.below(2) == 0 && !tagged(&plain, t))
                    .map(|t| (*t).to_owned())
                    .collect();
                if dice.below(5) > 0 {
                    let record = FileRecord {
                        path: format!("{run}/{id}.é"),
                        format: dice.of(&[Format::Json, Format::Hdf5]),
                        size: dice.0.next_u64(),
                        checksum: dice.0.next_u64(),
                    };
                    plain.files.insert(id, record);
                }
                plain.datasets.push((id, kind, values.clone(), run.to_owned(), tags));
            }
        }
    }
    plain
}

/// A filter of random shape; some name what is not in scope, which every reader must refuse.
fn expression(dice: &mut Dice, depth: usize) -> Expression {
    if depth > 0 && dice.below(2) == 0 {
        let (a, b) = (expression(dice, depth - 1), expression(dice, depth - 1));
        return match dice.below(3) {
            0 => Expression::And(a.into(), b.into()),
            1 => Expression::Or(a.into(), b.into()),
            _ => Expression::Not(a.into()),
        };
    }
    let texts = [
        "visit > 200",
        "visit IN (-50..900:3)",
        "exposure_time >= 30.5",
        "exposure_time IN (30, 45)",
        "visit.airmass < exposure_time",
        "band = 'r'",
        "band != 'y'",
        "physical_filter GLOB 'HSC-?*'",
        "visit.name GLOB '*b'",
        "visit.name GLOB 'B?'",
        "visit.name IS NULL",
        "visit_detector.seeing < 1",
        "visit_detector.seeing IS NOT NULL",
        "visit_detector.region IS NULL",
        "instrument = 'HSC'",
        "detector IN (0, 2..3)",
        "detector.full_name >= 'S1'",
        "day_obs = 20260102",
        "tract < 3",
        "patch NOT IN (0..8:2)",
        "skymap = 'rings'",
        "visit < 300.5",
        "visit = detector",
        "exposure_time NOT IN (30.0, 300)",
        "band IN ('r', 'z')",
        "visit_detector.width = 2048.0",
        "visit.name < band",
        "'HSC' = instrument",
        "2 > 1",
        "visit.name = physical_filter",
        "detector.full_name GLOB 'S?_é'",
    ];
    Expression::parse(dice.of(&texts)).unwrap()
}

fn query(dice: &mut Dice) -> Query {
    let keys = [
        "visit",
        "-visit",
        "band",
        "-exposure_time",
        "visit.name",
        "-visit_detector.seeing",
        "detector",
        "-instrument",
        "patch",
        "-tract",
        "day_obs",
        "-physical_filter",
    ];
    let filter = (dice.below(5) > 0).then(|| expression(dice, 3));
    let order_by = (0..dice.below(3)).map(|_| OrderBy::parse(dice.of(&keys))).collect();
    Query { filter, order_by, limit: (dice.below(3) == 0).then(|| dice.below(20)) }
}

const PATHS: [&[&str]; 11] = [
    &["all"],
    &["inner"],
    &["runs/a"],
    &["runs/c", "runs/a"],
    &["best", "runs/b"],
    &["calib"],
    &[],
    &["runs/*"],
    &["*"],
    &["nowhere"],
    &["inner", "all"],
];

/// Every question, asked of both; errors must be of the same kind. Returns how many were answered.
fn same_answers(one: &dyn RegistryReader, other: &dyn RegistryReader, dice: &mut Dice, rounds: usize) -> usize {
    fn same<T: PartialEq + std::fmt::Debug>(
        a: Result<T, RegistryError>,
        b: Result<T, RegistryError>,
        what: &str,
    ) -> usize {
        match (a, b) {
            (Ok(a), Ok(b)) => {
                assert_eq!(a, b, "{what}");
                1
            }
            (Err(a), Err(b)) => {
                assert_eq!(std::mem::discriminant(&a), std::mem::discriminant(&b), "{what}: {a} / {b}");
                0
            }
            (a, b) => panic!("{what}: {a:?} / {b:?}"),
        }
    }
    assert_eq!(one.dataset_types().unwrap(), other.dataset_types().unwrap());
    assert_eq!(one.collections().unwrap(), other.collections().unwrap());
    for name in ["rings", "ring"] {
        same(one.sky_map_definition(name), other.sky_map_definition(name), name);
    }
    let mut answered = 0;
    for _ in 0..rounds {
        let query = query(dice);
        let element = dice.of(&[
            "instrument",
            "visit",
            "visit_detector",
            "detector",
            "physical_filter",
            "band",
            "day_obs",
            "skymap",
            "ccd",
            "tract",
            "vist",
        ]);
        let what = format!("{element} {query:?}");
        answered += same(one.dimension_records(element, &query), other.dimension_records(element, &query), &what);
        let (kind, path, first) =
            (dice.of(&["raw", "raw", "coadd", "config", "unused", "rwa"]), dice.of(&PATHS), dice.below(2) == 0);
        let what = format!("{kind} {path:?} {first} {query:?}");
        answered += same(one.datasets(kind, path, &query, first), other.datasets(kind, path, &query, first), &what);
    }
    for kind in ["raw", "coadd", "config"] {
        let all = one.datasets(kind, &["*"], &Query::all(), false).unwrap();
        for row in 0..all.num_rows() {
            let id =
                Uuid::from_slice(all.column(0).as_any().downcast_ref::<FixedSizeBinaryArray>().unwrap().value(row))
                    .unwrap();
            answered += same(one.dataset(id), other.dataset(id), kind);
            answered += same(one.file_record(id), other.file_record(id), kind);
            let mut data_id = one.dataset(id).unwrap().unwrap().data_id;
            match dice.below(6) {
                0 => data_id.set("band", dice.of(&["r", "y"])),
                1 => data_id.set("visit", dice.below(900) as i64),
                2 => data_id.set("patch", "text"),
                3 => data_id.set("physical_filter", "HSC-R2"),
                _ => {}
            }
            let path = dice.of(&PATHS);
            let what = format!("{kind} {data_id} {path:?}");
            answered += same(one.find_dataset(kind, &data_id, path), other.find_dataset(kind, &data_id, path), &what);
        }
    }
    assert_eq!(one.dataset(Uuid::nil()).unwrap(), None);
    assert_eq!(other.dataset(Uuid::nil()).unwrap(), None);
    assert_eq!(other.file_records(&[Uuid::nil()]).unwrap(), [None]);
    answered
}

fn everything() -> Selection {
    let types = ["raw", "coadd", "config", "unused"];
    let selection = types.iter().fold(Selection::new(["*"]), |s, t| s.with_datasets(*t, None));
    ["instrument", "detector", "visit", "visit_detector"].iter().fold(selection, |s, e| s.with_records(*e, None))
}

#[test]
fn a_snapshot_answers_as_the_registry_does() {
    for seed in 0..6 {
        let dice = &mut Dice(ChaCha8Rng::seed_from_u64(seed));
        let plain = registry(dice);
        let bytes = Snapshot::build(&plain, &everything()).unwrap().to_bytes().unwrap();
        let snapshot = Snapshot::from_bytes(bytes).unwrap();
        snapshot.verify().unwrap();
        let answered = same_answers(&plain, &snapshot.registry().unwrap(), dice, 250);
        assert!(answered > 300, "only {answered} questions were answered");
    }
}

/// The same in an SQL registry, which knows no TAGGED and CALIBRATION collections.
fn in_sqlite(plain: &mut Plain) -> Registry {
    plain.collections.retain(|c| !matches!(c.collection_type, CollectionType::Tagged | CollectionType::Calibration));
    plain.collections.iter_mut().for_each(|c| c.children.retain(|child| **child != *"best"));
    plain.datasets.iter_mut().for_each(|d| d.4.clear());
    let registry = Registry::in_memory().unwrap();
    for element in ["instrument", "physical_filter", "detector", "visit", "visit_detector", "skymap"] {
        registry.insert_dimension_records(element, &plain.dimension_records(element, &Query::all()).unwrap()).unwrap();
    }
    for dataset_type in &plain.types {
        registry.register_dataset_type(dataset_type, None).unwrap();
    }
    for run in ["runs/a", "runs/b", "runs/c"] {
        registry.register_run(run).unwrap();
    }
    for chain in ["inner", "all"] {
        let found = plain.collections.iter().find(|c| *c.name == *chain).unwrap();
        registry.set_collection_chain(chain, &found.children.iter().map(|c| &**c).collect::<Vec<_>>()).unwrap();
    }
    for (id, ..) in &plain.datasets {
        let file = FileRecord { path: format!("{id}.é"), format: Format::Hdf5, size: u64::MAX, checksum: 1 };
        let file = plain.files.entry(*id).or_insert(file).clone();
        let dataset = plain.dataset(*id).unwrap().unwrap();
        registry.insert_datasets(&[NewDataset { dataset, file }]).unwrap();
    }
    registry
}

#[test]
fn registry_snapshot_and_definition_agree() {
    for seed in 20..23 {
        let dice = &mut Dice(ChaCha8Rng::seed_from_u64(seed));
        let mut plain = registry(dice);
        let sqlite = in_sqlite(&mut plain);
        let bytes = Snapshot::build(&sqlite, &everything()).unwrap().to_bytes().unwrap();
        assert!(bytes == Snapshot::build(&plain, &everything()).unwrap().to_bytes().unwrap(), "seed {seed}");
        let view = Snapshot::from_bytes(bytes).unwrap().registry().unwrap();
        let answered = same_answers(&sqlite, &view, dice, 250);
        assert!(answered > 300, "only {answered} questions were answered");
    }
}

#[test]
fn a_snapshot_of_a_snapshot_is_the_same() {
    let dice = &mut Dice(ChaCha8Rng::seed_from_u64(99));
    let bytes = Snapshot::build(&registry(dice), &everything()).unwrap().to_bytes().unwrap();
    let view = Snapshot::from_bytes(bytes.clone()).unwrap().registry().unwrap();
    assert!(Snapshot::build(&view, &everything()).unwrap().to_bytes().unwrap() == bytes);
}

#[test]
fn a_selection_holds_what_was_selected() {
    let dice = &mut Dice(ChaCha8Rng::seed_from_u64(7));
    let plain = registry(dice);
    let filter = Expression::parse("band = 'r' AND detector < 2").unwrap();
    let visits = Expression::parse("visit >= 0").unwrap();
    let selection = Selection::new(["inner"])
        .with_datasets("raw", Some(filter.clone()))
        .with_records("visit", Some(visits.clone()));
    let snapshot =
        Snapshot::from_bytes(Snapshot::build(&plain, &selection.without_files()).unwrap().to_bytes().unwrap()).unwrap();
    let view = snapshot.registry().unwrap();
    let names: Vec<_> = view.collections().unwrap().iter().map(|c| c.name.to_string()).collect();
    assert_eq!(names, ["best", "inner", "runs/b", "runs/c"]);
    let rows = view.datasets("raw", &["inner"], &Query::all(), false).unwrap();
    assert!(rows.num_rows() > 10);
    assert_eq!(rows, plain.datasets("raw", &["inner"], &Query::filtered(filter), false).unwrap());
    let records = view.dimension_records("visit", &Query::all()).unwrap();
    assert_eq!(records, plain.dimension_records("visit", &Query::filtered(visits)).unwrap());
    assert!(matches!(view.dataset_type("coadd"), Err(RegistryError::UnknownDatasetType { .. })));
    assert!(matches!(
        view.datasets("raw", &["runs/a"], &Query::all(), true),
        Err(RegistryError::UnknownCollection { .. })
    ));
    let missing = view.file_records(&[Uuid::nil()]).unwrap_err();
    assert!(missing.to_string().contains("were they selected?"), "{missing}");
}

#[test]
fn a_snapshot_without_a_registry_says_so() {
    let snapshot = Snapshot::from_bytes(bunter::SnapshotBuilder::new().to_bytes().unwrap()).unwrap();
    assert!(matches!(snapshot.registry(), Err(RegistryError::Store { .. })));
}

//! [`QuantumRecord`]: what a build did with one piece of work.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, UInt64Type};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::columns::{ColumnBuilder, table};
use super::database::{Database, Value};
use super::dataset_writer::{self, NewDataset};
use super::{Inserted, Registry, RegistryError, collections};
use crate::dataset::CollectionType;
use crate::dimension::{ColumnType, DataId, DimensionValue};

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuantumStatus {
    /// Its output is whole.
    Done,
    /// It gave up; the cause is recorded.
    Failed,
}

impl QuantumStatus {
    /// The name, as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    const fn code(self) -> i64 {
        match self {
            Self::Done => 1,
            Self::Failed => 2,
        }
    }
}

impl fmt::Display for QuantumStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for QuantumStatus {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        [Self::Done, Self::Failed].into_iter().find(|s| s.name() == text).ok_or_else(|| RegistryError::Invalid {
            what: format!("quantum status {text:?}"),
            reason: "it must be `done` or `failed`".to_owned(),
        })
    }
}

/// What a build did with one quantum, the smallest piece of work: a task applied to one data ID.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantumRecord {
    /// The RUN collection that the output goes to.
    pub run: Arc<str>,
    /// The task, `coadd`.
    pub task: Arc<str>,
    /// What it was applied to.
    pub data_id: DataId,
    /// Hash of all that the output depends on: inputs with their checksums, configuration, version. Work is out of date when
    /// it differs.
    pub fingerprint: u64,
    /// How it ended.
    pub status: QuantumStatus,
    /// Why it failed.
    pub cause: Option<String>,
    /// Wall-clock time it took, s.
    pub seconds: f64,
    /// The MPI rank that did it.
    pub rank: u32,
    /// The machine that did it.
    pub host: Arc<str>,
    /// The dataset it made.
    pub output: Option<Uuid>,
    /// When it ended: microseconds since 1970-01-01 00:00:00 UTC.
    pub finished_at_us: i64,
}

/// What a fold wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoldSummary {
    /// Datasets.
    pub datasets: Inserted,
    /// Quanta; those that were there with the same or a later end count as existing.
    pub quanta: Inserted,
}

impl Registry {
    /// Writes what became of quanta. One for the same run, task and data ID takes the place of an older one, and is without
    /// effect beside one that ended at the same time or later: the order of writing does not matter.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`], [`RegistryError::CollectionType`] when the run is none;
    /// [`RegistryError::Invalid`] for seconds that are not finite.
    pub fn record_quanta(&self, quanta: &[QuantumRecord]) -> Result<Inserted, RegistryError> {
        self.write(|database| record(database, quanta))
    }

    /// Writes datasets and quanta, all or nothing: what the journals of a build prove to be whole. Doing it again changes
    /// nothing.
    ///
    /// # Errors
    /// Those of [`Registry::insert_datasets`] and [`Registry::record_quanta`].
    pub fn fold(&self, datasets: &[NewDataset], quanta: &[QuantumRecord]) -> Result<FoldSummary, RegistryError> {
        let summary = self.write(|database| {
            Ok(FoldSummary {
                datasets: dataset_writer::insert(database, datasets, self.user())?,
                quanta: record(database, quanta)?,
            })
        })?;
        self.has_written(summary.datasets.new + summary.quanta.new);
        Ok(summary)
    }

    /// The quanta of a task in a run, by data ID: `data_id` (`Utf8`, a JSON object sorted by name), `fingerprint` (`UInt64`),
    /// `status` (`Utf8`, `done` or `failed`), `cause` (`Utf8`), `seconds` (`Float64`), `rank` (`Int64`), `host` (`Utf8`),
    /// `output` (`FixedSizeBinary(16)`), `finished_at_us` (`Int64`, microseconds since 1970 UTC).
    /// [`QuantumRecord::from_batch`] makes values of it.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`], [`RegistryError::CollectionType`] when the run is none.
    pub fn quanta(&self, run: &str, task: &str) -> Result<RecordBatch, RegistryError> {
        let mut columns = vec![
            ColumnBuilder::new("data_id", ColumnType::Text, false),
            ColumnBuilder::new("fingerprint", ColumnType::Int, false),
            ColumnBuilder::new("status", ColumnType::Text, false),
            ColumnBuilder::new("cause", ColumnType::Text, true),
            ColumnBuilder::new("seconds", ColumnType::Float, false),
            ColumnBuilder::new("rank", ColumnType::Int, false),
            ColumnBuilder::new("host", ColumnType::Text, false),
            ColumnBuilder::uuid("output", true),
            ColumnBuilder::new("finished_at_us", ColumnType::Int, false),
        ];
        let batch = self.read(|database| {
            let run = collections::find_of_type(database, run, CollectionType::Run)?;
            database.query(
                "SELECT data_id, fingerprint, CASE status WHEN 1 THEN 'done' WHEN 2 THEN 'failed' END, cause, seconds,
                     \"rank\", host, output, finished_at
                 FROM quantum WHERE run = ?1 AND task = ?2 ORDER BY data_id",
                &[Value::Int(run.id), Value::Text(task)],
                &mut |row| columns.iter_mut().enumerate().try_for_each(|(i, column)| column.push(row.get(i))),
            )?;
            table(columns)
        })?;
        unsigned_fingerprints(&batch).ok_or_else(|| RegistryError::damaged("quanta without fingerprints"))
    }
}

/// Databases have signed integers only.
fn unsigned_fingerprints(batch: &RecordBatch) -> Option<RecordBatch> {
    let signed = batch.column_by_name("fingerprint")?.as_primitive_opt::<Int64Type>()?;
    let unsigned: ArrayRef = Arc::new(signed.values().iter().map(|v| v.cast_unsigned()).collect::<UInt64Array>());
    let mut columns = batch.columns().to_vec();
    *columns.get_mut(1)? = unsigned;
    let schema = batch.schema();
    let fields = schema.fields().iter().map(|f| match f.name().as_str() {
        "fingerprint" => Arc::new(Field::new("fingerprint", DataType::UInt64, false)),
        _ => f.clone(),
    });
    RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns).ok()
}

fn record(database: &mut dyn Database, quanta: &[QuantumRecord]) -> Result<Inserted, RegistryError> {
    const COLUMNS: [&str; 11] = [
        "run",
        "task",
        "data_id",
        "fingerprint",
        "status",
        "cause",
        "seconds",
        "rank",
        "host",
        "output",
        "finished_at",
    ];
    let insert = database.insert_or_nothing("quantum", &COLUMNS);
    let update = "UPDATE quantum SET fingerprint = ?4, status = ?5, cause = ?6, seconds = ?7, \"rank\" = ?8, host = ?9,
         output = ?10, finished_at = ?11 WHERE run = ?1 AND task = ?2 AND data_id = ?3 AND finished_at < ?11";
    let mut inserted = Inserted::default();
    let mut last: Option<(Arc<str>, i64)> = None;
    for quantum in quanta {
        let run = match &last {
            Some((name, id)) if *name == quantum.run => *id,
            _ => collections::find_of_type(database, &quantum.run, CollectionType::Run)?.id,
        };
        last = Some((quantum.run.clone(), run));
        let invalid = |reason: &str| RegistryError::Invalid {
            what: format!("quantum {} {}", quantum.task, quantum.data_id),
            reason: reason.to_owned(),
        };
        if !quantum.seconds.is_finite() {
            return Err(invalid("the seconds it took are not a finite number"));
        }
        if quantum.task.is_empty() || quantum.task.contains('\0') || quantum.host.contains('\0') {
            return Err(invalid("a name is empty or has a NUL in it"));
        }
        let data_id = to_json(&quantum.data_id);
        // Messages may come from anywhere; a NUL would end them early in other programs.
        let cause = quantum.cause.as_ref().map(|c| c.replace('\0', "\u{fffd}"));
        let values = [
            Value::Int(run),
            Value::Text(&quantum.task),
            Value::Text(&data_id),
            Value::Int(quantum.fingerprint.cast_signed()),
            Value::Int(quantum.status.code()),
            cause.as_deref().map_or(Value::Null, Value::Text),
            Value::Float(quantum.seconds),
            Value::Int(quantum.rank.into()),
            Value::Text(&quantum.host),
            quantum.output.as_ref().map_or(Value::Null, |id| Value::Bytes(id.as_bytes())),
            Value::Int(quantum.finished_at_us),
        ];
        let is_new = database.execute(&insert, &values)? > 0 || database.execute(update, &values)? > 0;
        inserted.count(is_new);
    }
    Ok(inserted)
}

/// A data ID as a JSON object, sorted by name: equal data IDs give equal texts.
pub(super) fn to_json(data_id: &DataId) -> String {
    let map: serde_json::Map<String, serde_json::Value> = data_id
        .iter()
        .map(|(name, value)| {
            let value = match value {
                DimensionValue::Int(v) => (*v).into(),
                DimensionValue::Str(s) => (**s).into(),
            };
            (name.to_owned(), value)
        })
        .collect();
    serde_json::Value::Object(map).to_string()
}

fn from_json(text: &str) -> Option<DataId> {
    let serde_json::Value::Object(map) = serde_json::from_str(text).ok()? else { return None };
    let mut data_id = DataId::new();
    for (name, value) in map {
        match value {
            serde_json::Value::Number(n) => data_id.set(&name, n.as_i64()?),
            serde_json::Value::String(s) => data_id.set(&name, s),
            _ => return None,
        }
    }
    Some(data_id)
}

impl QuantumRecord {
    /// The rows of [`Registry::quanta`] as values.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a table that does not come from there.
    pub fn from_batch(run: &str, task: &str, batch: &RecordBatch) -> Result<Vec<Self>, RegistryError> {
        Self::rows(run, task, batch).ok_or_else(|| RegistryError::Invalid {
            what: "a table of quanta".to_owned(),
            reason: "its columns are not those of `Registry::quanta`".to_owned(),
        })
    }

    fn rows(run: &str, task: &str, batch: &RecordBatch) -> Option<Vec<Self>> {
        fn text<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a StringArray> {
            batch.column_by_name(name)?.as_string_opt::<i32>()
        }
        let integer = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let (data_id, status, cause, host) =
            (text(batch, "data_id")?, text(batch, "status")?, text(batch, "cause")?, text(batch, "host")?);
        let fingerprint = batch.column_by_name("fingerprint")?.as_primitive_opt::<UInt64Type>()?;
        let seconds = batch.column_by_name("seconds")?.as_primitive_opt::<Float64Type>()?;
        let (rank, finished_at) = (integer("rank")?, integer("finished_at_us")?);
        let output = batch.column_by_name("output")?.as_fixed_size_binary_opt()?;
        let (run, task): (Arc<str>, Arc<str>) = (run.into(), task.into());
        (0..batch.num_rows())
            .map(|i| {
                Some(Self {
                    run: run.clone(),
                    task: task.clone(),
                    data_id: from_json(data_id.value(i))?,
                    fingerprint: fingerprint.value(i),
                    status: status.value(i).parse().ok()?,
                    cause: (!cause.is_null(i)).then(|| cause.value(i).to_owned()),
                    seconds: seconds.value(i),
                    rank: u32::try_from(rank.value(i)).ok()?,
                    host: host.value(i).into(),
                    output: if output.is_null(i) { None } else { Some(Uuid::from_slice(output.value(i)).ok()?) },
                    finished_at_us: finished_at.value(i),
                })
            })
            .collect()
    }
}

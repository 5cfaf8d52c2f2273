//! Regions as they were: events, the regions that each of them superseded, and the registry at an earlier state.

use std::sync::Arc;

use arrow::array::RecordBatch;
use uuid::Uuid;

use super::columns::{ColumnBuilder, table};
use super::database::{Database, Value};
use super::dimension_records::{limit, order_by};
use super::region_state::{last, now_us};
use super::relation::{Relation, element_source, own_dimensions};
use super::schema::FIRST_EVENT;
use super::{Query, RegionEvent, RegionEventKind, RegionState, Registry, RegistryError, RegistryReader, collections};
use crate::dataset::{Collection, CollectionType, DatasetRef, DatasetType, FileRecord};
use crate::dimension::{ColumnType, DataId, Element, Scope, Universe};

/// Which regions are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AsOf {
    Now,
    /// Those after the event of this number.
    Event(u64),
}

/// A moment in the history of regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionMoment {
    /// After the event of this number; 0 for before the first.
    Event(u64),
    /// At this time, microseconds since 1970 UTC.
    Time(i64),
}

/// That a run was planned of a region state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionUse {
    /// The task.
    pub task: String,
    /// When, microseconds since 1970 UTC. What the task made in the run from then on, up to the next use, is of this state.
    pub used_at_us: i64,
    /// The state.
    pub state: RegionState,
}

impl Registry {
    /// All changes of regions, the first first.
    ///
    /// # Errors
    /// [`RegistryError`] when the store cannot be read.
    pub fn region_events(&self) -> Result<Vec<RegionEvent>, RegistryError> {
        self.read(|database| events(database, "", &[]))
    }

    /// The state at a moment.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchRegionEvent`] for an event that has not happened.
    pub fn region_state_at(&self, moment: RegionMoment) -> Result<RegionState, RegistryError> {
        self.read(|database| state_at(database, moment))
    }

    /// Refuses what was made of regions that are no longer those of the registry. `what` is how the message calls it: "the
    /// work list plan.bnt".
    ///
    /// # Errors
    /// [`RegistryError::StaleRegions`] says from which state to which, and what has happened between.
    pub fn check_region_state(&self, made_of: RegionState, what: &str) -> Result<(), RegistryError> {
        self.read(|database| check(database, made_of, what))
    }

    /// The regions and WCSs that images have had, each with the events between which it was valid: `instrument`, `visit`,
    /// `detector`, `since` and `until` (`Int64`, numbers of events; `until` is null for what is valid now, `since` 0 for what
    /// came in before there were events), `region`, `wcs`. By image, the oldest first. A query's limit counts images.
    ///
    /// # Errors
    /// As [`RegistryReader::dimension_records`].
    pub fn region_history(&self, query: &Query) -> Result<RecordBatch, RegistryError> {
        let element = Universe::builtin().element("visit_detector")?;
        let group = Universe::builtin().group(element.required.iter().copied())?;
        let scope = Scope::new(group, "the history of regions".to_owned());
        self.read(|database| {
            // What was superseded first: it is the smaller part, and what is valid now is then merged in as it streams by.
            let mut past: Vec<Version> = Vec::new();
            let join = " JOIN region_history AS h ON h.instrument = visit_detector.instrument
                AND h.visit = visit_detector.visit AND h.detector = visit_detector.detector";
            let columns = "h.until_event, h.region, h.wcs";
            let unlimited = Query { limit: None, order_by: Vec::new(), ..query.clone() };
            ask(database, element, &scope, &unlimited, columns, join, "h.until_event", &mut |version| {
                past.push(version);
                Ok(())
            })?;
            past.sort_by(|a, b| a.key.cmp(&b.key).then(a.until.cmp(&b.until)));
            let mut out = Versions::new();
            let columns = format!("{FIRST_EVENT}, region, wcs");
            ask(database, element, &scope, query, &columns, "", "", &mut |now| {
                let first = past.partition_point(|v| v.key < now.key);
                let count = past[first..].partition_point(|v| v.key == now.key);
                out.push(&past[first..first + count], &now)
            })?;
            table(out.columns)
        })
    }

    /// The registry with regions and WCSs as they were: it answers all that [`RegistryReader`] asks, and images that came in
    /// later have no `visit_detector` records. Everything else is as it is now.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchRegionEvent`] for an event that has not happened.
    pub fn as_of(self: &Arc<Self>, moment: RegionMoment) -> Result<RegistryAsOf, RegistryError> {
        Ok(RegistryAsOf { state: self.region_state_at(moment)?, registry: Arc::clone(self) })
    }

    /// Writes down that a task planned a run of a region state, so that the run can be explained later.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`], [`RegistryError::CollectionType`] when the run is none.
    pub fn record_region_use(&self, run: &str, task: &str, state: RegionState) -> Result<(), RegistryError> {
        self.write(|database| {
            let run = collections::find_of_type(database, run, CollectionType::Run)?;
            let mut last = None;
            let sql = "SELECT used_at, number, digest FROM region_use WHERE run = ?1 AND task = ?2
                ORDER BY used_at DESC LIMIT 1";
            database.query(sql, &[Value::Int(run.id), Value::Text(task)], &mut |row| {
                last = Some((row.int(0)?, row.int(1)?, row.int(2)?));
                Ok(())
            })?;
            let (number, digest) = (state.number.cast_signed(), state.digest.cast_signed());
            let used_at = match last {
                Some((_, n, d)) if (n, d) == (number, digest) => return Ok(()),
                Some((at, ..)) => now_us().max(at + 1),
                None => now_us(),
            };
            let values =
                [Value::Int(run.id), Value::Text(task), Value::Int(used_at), Value::Int(number), Value::Int(digest)];
            let columns = ["run", "task", "used_at", "number", "digest"];
            database.execute(&database.insert_or_nothing("region_use", &columns), &values).map(drop)
        })
    }

    /// The region states that a run was planned of, the first first.
    ///
    /// # Errors
    /// [`RegistryError::UnknownCollection`], [`RegistryError::CollectionType`] when the run is none.
    pub fn region_uses(&self, run: &str) -> Result<Vec<RegionUse>, RegistryError> {
        self.read(|database| {
            let run = collections::find_of_type(database, run, CollectionType::Run)?;
            let mut uses = Vec::new();
            let sql = "SELECT task, used_at, number, digest FROM region_use WHERE run = ?1 ORDER BY used_at, task";
            database.query(sql, &[Value::Int(run.id)], &mut |row| {
                let state = RegionState { number: row.int(2)?.cast_unsigned(), digest: row.int(3)?.cast_unsigned() };
                uses.push(RegionUse { task: row.text(0)?.to_owned(), used_at_us: row.int(1)?, state });
                Ok(())
            })?;
            Ok(uses)
        })
    }
}

/// Records of `visit_detector` as they were after an event, under the name of the table.
pub(super) fn source_as_of(element: &Element, event: u64) -> String {
    let columns: Vec<String> = element
        .columns()
        .map(|(name, ..)| match name {
            "region" | "wcs" => format!(
                "COALESCE((SELECT h.{name} FROM region_history AS h WHERE h.instrument = v.instrument
                     AND h.visit = v.visit AND h.detector = v.detector AND h.until_event > {event}
                     AND h.{name} IS NOT NULL ORDER BY h.until_event LIMIT 1), v.{name}) AS {name}"
            ),
            other => format!("v.\"{other}\""),
        })
        .collect();
    let name = element.name;
    format!("(SELECT {} FROM \"{name}\" AS v WHERE v.{FIRST_EVENT} <= {event}) AS \"{name}\"", columns.join(", "))
}

/// Fails when the registry is not in the state that something was made of.
pub(super) fn check(database: &mut dyn Database, made_of: RegionState, what: &str) -> Result<(), RegistryError> {
    let (to, _) = last(database)?;
    if to == made_of {
        return Ok(());
    }
    let was = state_at(database, RegionMoment::Event(made_of.number));
    let (since, hint) = if was.is_ok_and(|was| was == made_of) {
        let after = [Value::Int(made_of.number.cast_signed())];
        let between = events(database, "WHERE number > ?1 ", &after)?;
        let images: u64 = between.iter().map(|e| e.images).sum();
        let last = between.last().map_or_else(String::new, RegionEvent::to_string);
        (format!("{} changes of {images} images since then, the last: {last}", between.len()), "make it again")
    } else {
        let since = "which does not come after it: another registry, or a copy that went its own way";
        (since.to_owned(), "make it again of this registry")
    };
    Err(RegistryError::StaleRegions { what: what.to_owned(), from: made_of, to, since, hint })
}

fn state_at(database: &mut dyn Database, moment: RegionMoment) -> Result<RegionState, RegistryError> {
    let (column, value) = match moment {
        RegionMoment::Event(number) => ("number", number.cast_signed()),
        RegionMoment::Time(time) => ("made_at", time),
    };
    let mut found = RegionState::default();
    let sql = format!("SELECT number, digest FROM region_event WHERE {column} <= ?1 ORDER BY number DESC LIMIT 1");
    database.query(&sql, &[Value::Int(value)], &mut |row| {
        found = RegionState { number: row.int(0)?.cast_unsigned(), digest: row.int(1)?.cast_unsigned() };
        Ok(())
    })?;
    match moment {
        RegionMoment::Event(number) if number != found.number => {
            let (last, _) = last(database)?;
            Err(RegistryError::NoSuchRegionEvent {
                asked: number.to_string(),
                known: match last.number {
                    0 => "regions have never changed here".to_owned(),
                    n => format!("the events are 1 to {n}, and 0 is before the first"),
                },
            })
        }
        _ => Ok(found),
    }
}

fn events(
    database: &mut dyn Database,
    condition: &str,
    values: &[Value<'_>],
) -> Result<Vec<RegionEvent>, RegistryError> {
    let mut events = Vec::new();
    let sql = format!(
        "SELECT number, digest, made_at, kind, who, message, source, images FROM region_event {condition}ORDER BY number"
    );
    database.query(&sql, values, &mut |row| {
        events.push(RegionEvent {
            state: RegionState { number: row.int(0)?.cast_unsigned(), digest: row.int(1)?.cast_unsigned() },
            made_at_us: row.int(2)?,
            kind: RegionEventKind::from_code(row.int(3)?)?,
            who: row.text(4)?.to_owned(),
            message: row.text(5)?.to_owned(),
            source: row.text(6)?.to_owned(),
            images: row.int(7)?.cast_unsigned(),
        });
        Ok(())
    })?;
    Ok(events)
}

/// What an image had until an event; for what it has now, `until` is the event that it came in with.
#[derive(Clone, Debug)]
struct Version {
    key: (String, i64, i64),
    until: i64,
    region: Option<Vec<u8>>,
    wcs: Option<Vec<u8>>,
}

/// Images of a query, with further columns: a number, a region, a WCS.
#[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
fn ask(
    database: &mut dyn Database,
    element: &'static Element,
    scope: &Scope,
    query: &Query,
    columns: &str,
    join: &str,
    then_by: &str,
    each: &mut dyn FnMut(Version) -> Result<(), RegistryError>,
) -> Result<(), RegistryError> {
    let mut relation = Relation::new(scope, database, element.name, own_dimensions(element));
    let filter = query.filter.as_ref().map(|f| relation.filter(f)).transpose()?;
    let mut order = order_by(&mut relation, &query.order_by)?;
    let keys: Vec<_> = element.required.iter().map(|k| format!("\"{}\".\"{k}\"", element.name)).collect();
    order.extend(keys.iter().cloned());
    order.extend((!then_by.is_empty()).then(|| then_by.to_owned()));
    let sql = format!(
        "SELECT {}, {columns} FROM {}{join}{}{} ORDER BY {}{}",
        keys.join(", "),
        element_source(element)?,
        relation.joins(),
        filter.map_or_else(String::new, |f| format!(" WHERE {f}")),
        order.join(", "),
        limit(query.limit)
    );
    let parameters = relation.into_parameters();
    let values: Vec<_> = parameters.iter().map(super::relation::Parameter::value).collect();
    let bytes = |value: Value<'_>| match value {
        Value::Null => Ok(None),
        Value::Bytes(bytes) => Ok(Some(bytes.to_owned())),
        other => Err(RegistryError::unexpected("bytes", other)),
    };
    database.query(&sql, &values, &mut |row| {
        each(Version {
            key: (row.text(0)?.to_owned(), row.int(1)?, row.int(2)?),
            until: row.int(3)?,
            region: bytes(row.get(4))?,
            wcs: bytes(row.get(5))?,
        })
    })
}

/// The columns of a history.
struct Versions {
    columns: Vec<ColumnBuilder>,
}

impl Versions {
    fn new() -> Self {
        let columns = [
            ("instrument", ColumnType::Text, false),
            ("visit", ColumnType::Int, false),
            ("detector", ColumnType::Int, false),
            ("since", ColumnType::Int, false),
            ("until", ColumnType::Int, true),
            ("region", ColumnType::Bytes, true),
            ("wcs", ColumnType::Bytes, true),
        ];
        Self { columns: columns.into_iter().map(|(name, kind, null)| ColumnBuilder::new(name, kind, null)).collect() }
    }

    /// Appends the versions of one image.
    fn push(&mut self, past: &[Version], now: &Version) -> Result<(), RegistryError> {
        // What an event left as it was is what the next one superseded.
        let held = |of: fn(&Version) -> Option<&Vec<u8>>, from: usize| {
            past[from..].iter().find_map(of).or(of(now)).filter(|bytes| !bytes.is_empty())
        };
        let mut since = now.until;
        for at in 0..=past.len() {
            let until = past.get(at).map(|v| v.until);
            let values = [
                Value::Text(&now.key.0),
                Value::Int(now.key.1),
                Value::Int(now.key.2),
                Value::Int(since),
                until.map_or(Value::Null, Value::Int),
                held(|v| v.region.as_ref(), at).map_or(Value::Null, |bytes| Value::Bytes(bytes)),
                held(|v| v.wcs.as_ref(), at).map_or(Value::Null, |bytes| Value::Bytes(bytes)),
            ];
            self.columns.iter_mut().zip(values).try_for_each(|(column, value)| column.push(value))?;
            since = until.unwrap_or(since);
        }
        Ok(())
    }
}

/// A registry with the regions and WCSs that it had in an earlier state; see [`Registry::as_of`].
#[derive(Clone, Debug)]
pub struct RegistryAsOf {
    registry: Arc<Registry>,
    state: RegionState,
}

impl RegistryReader for RegistryAsOf {
    fn calibrations(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
    ) -> Result<RecordBatch, RegistryError> {
        self.registry.calibrations(dataset_type, collections, query)
    }

    fn dataset_types(&self) -> Result<Vec<DatasetType>, RegistryError> {
        self.registry.dataset_types()
    }

    fn dataset_type(&self, name: &str) -> Result<DatasetType, RegistryError> {
        self.registry.dataset_type(name)
    }

    fn collections(&self) -> Result<Vec<Collection>, RegistryError> {
        self.registry.collections()
    }

    fn dimension_records(&self, element: &str, query: &Query) -> Result<RecordBatch, RegistryError> {
        self.registry.read_records_as_of(element, None, query, AsOf::Event(self.state.number))
    }

    fn datasets(
        &self,
        dataset_type: &str,
        collections: &[&str],
        query: &Query,
        find_first: bool,
    ) -> Result<RecordBatch, RegistryError> {
        self.registry.datasets(dataset_type, collections, query, find_first)
    }

    fn find_dataset(
        &self,
        dataset_type: &str,
        data_id: &DataId,
        collections: &[&str],
    ) -> Result<Option<DatasetRef>, RegistryError> {
        self.registry.find_dataset(dataset_type, data_id, collections)
    }

    fn dataset(&self, id: Uuid) -> Result<Option<DatasetRef>, RegistryError> {
        self.registry.dataset(id)
    }

    fn file_records(&self, ids: &[Uuid]) -> Result<Vec<Option<FileRecord>>, RegistryError> {
        self.registry.file_records(ids)
    }

    fn sky_map_definition(&self, name: &str) -> Result<String, RegistryError> {
        self.registry.sky_map_definition(name)
    }

    fn region_state(&self) -> Result<RegionState, RegistryError> {
        Ok(self.state)
    }
}

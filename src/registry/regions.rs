//! Regions that take the place of others: one transaction, whatever their number, and the old ones are kept.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use xxhash_rust::xxh3::Xxh3;

use super::columns::{Cells, element_cells};
use super::database::{Database, Value};
use super::dimension_records::plain;
use super::region_state::{PendingEvent, whoami};
use super::{RegionEventKind, RegionState, Registry, RegistryError};
use crate::dimension::{Element, Universe, near_miss};
use crate::sphere::SkyKey;

/// Data IDs that name nothing are told up to this many.
const TOLD: usize = 5;
/// The key of an image.
const KEY: [&str; 3] = ["instrument", "visit", "detector"];
/// No bytes, which in the history mean: there was none.
const ABSENT: Value<'_> = Value::Bytes(&[]);

/// What an update of regions is, and how it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionUpdate {
    /// Why, for whoever asks later.
    pub message: String,
    /// What the regions were taken from: a file, a table, a program.
    pub source: String,
    /// Who; `None`: the user and host of this process.
    pub who: Option<String>,
    /// Leave out data IDs that name no image, instead of refusing the whole update.
    pub skip_missing: bool,
    /// Only when the registry is still in this state, for regions that were worked out from those of that state.
    pub made_of: Option<RegionState>,
    /// Find out what would be done, and do nothing.
    pub dry_run: bool,
}

/// What an update of regions did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionUpdateReport {
    /// The state that the registry was in.
    pub before: RegionState,
    /// The state that it is in now, or would be in; the same as `before` when nothing changed.
    pub after: RegionState,
    /// Data IDs in the update.
    pub rows: u64,
    /// Images that have another region or WCS now.
    pub changed: u64,
    /// Images that had just these.
    pub unchanged: u64,
    /// Data IDs that name no image, left out.
    pub missing: u64,
    /// The first of them, each with what comes near.
    pub missing_first: Vec<String>,
}

impl Registry {
    /// Gives images other regions and WCSs: all of them in one transaction, or none. What they had is kept, with the number
    /// of the event that superseded it, and can be asked for ([`Registry::region_history`], [`Registry::as_of`]).
    ///
    /// `next` gives tables until it gives `None`. Their columns: `instrument`, `visit`, `detector`, and `region`, `wcs` or both
    /// (bytes, as in the records of `visit_detector`; null or absent: left as it is). It is called within the transaction, and
    /// must not ask this very registry. An image that has just this region and WCS is not changed, and an update that changes
    /// nothing leaves no trace.
    ///
    /// Readers see the old regions until this returns, then the new ones; those who read
    /// [at a moment](Registry::at_this_moment) keep theirs.
    ///
    /// # Errors
    /// [`RegistryError::NoSuchImages`] for data IDs that name no image, unless they are to be skipped;
    /// [`RegistryError::Invalid`] for an image that is there twice, with different regions, and for columns that do not fit;
    /// [`RegistryError::StaleRegions`] when the registry is not in the state that is asked for; what `next` gives. Nothing is
    /// written then.
    pub fn update_regions<E: From<RegistryError>>(
        &self,
        update: &RegionUpdate,
        next: &mut dyn FnMut() -> Result<Option<RecordBatch>, E>,
    ) -> Result<RegionUpdateReport, E> {
        // What ends the transaction without being an error of the registry: the cause is in the one or the other.
        let stop = || RegistryError::Invalid { what: "an update of regions".to_owned(), reason: "stopped".to_owned() };
        let mut cause = None;
        let mut tried = None;
        let written = self.write(|database| {
            let mut writer = Writer::begin(database, update, self.location())?;
            loop {
                match next() {
                    Ok(Some(batch)) => writer.write(&batch)?,
                    Ok(None) => break,
                    Err(error) => {
                        cause = Some(error);
                        return Err(stop());
                    }
                }
            }
            let report = writer.finish()?;
            if update.dry_run {
                tried = Some(report);
                return Err(stop());
            }
            Ok(report)
        });
        match (written, cause, tried) {
            (Ok(report), ..) => {
                if report.changed >= 1000 {
                    self.optimize();
                }
                Ok(report)
            }
            (_, Some(error), _) => Err(error),
            (_, _, Some(report)) => Ok(report),
            (Err(error), ..) => Err(error.into()),
        }
    }
}

/// Keeps what a row of `visit_detector` has where it is not `region` (or `wcs`) given; null is given for what is to stay.
///
/// Parameters: the key, the event, region, WCS, no bytes.
fn keep_sql(database: &dyn Database) -> String {
    let region = database.differs("region", "COALESCE(?5, region)");
    let wcs = database.differs("wcs", "COALESCE(?6, wcs)");
    format!(
        "INSERT INTO region_history (instrument, visit, detector, until_event, region, wcs)
         SELECT instrument, visit, detector, ?4,
         CASE WHEN {region} THEN COALESCE(region, ?7) END, CASE WHEN {wcs} THEN COALESCE(wcs, ?7) END
         FROM visit_detector WHERE instrument = ?1 AND visit = ?2 AND detector = ?3 AND ({region} OR {wcs})"
    )
}

/// Parameters: the key, region, WCS, where the region lies.
const REPLACE: &str = "UPDATE visit_detector SET region = COALESCE(?4, region), wcs = COALESCE(?5, wcs), \
    sky_key = CASE WHEN ?4 IS NULL THEN sky_key ELSE ?6 END \
    WHERE instrument = ?1 AND visit = ?2 AND detector = ?3";

/// Keeps the region and WCS of one image before others take their place; false when they are the same.
pub(super) fn keep(
    database: &mut dyn Database,
    event: &mut PendingEvent,
    key: [Value<'_>; 3],
    region: Value<'_>,
    wcs: Value<'_>,
) -> Result<bool, RegistryError> {
    let [instrument, visit, detector] = key;
    let number = Value::Int(event.number());
    let sql = keep_sql(database);
    let kept = database.execute(&sql, &[instrument, visit, detector, number, region, wcs, ABSENT])? > 0;
    if kept {
        event.count(&[instrument, visit, detector, region, wcs]);
    }
    Ok(kept)
}

/// One update under way.
struct Writer<'a> {
    database: &'a mut dyn Database,
    update: &'a RegionUpdate,
    location: &'a str,
    event: PendingEvent,
    element: &'static Element,
    report: RegionUpdateReport,
    instruments: Vec<String>,
    /// What was given for an image, as a hash.
    seen: HashMap<(u32, i64, i64), u64>,
}

impl<'a> Writer<'a> {
    fn begin(
        database: &'a mut dyn Database,
        update: &'a RegionUpdate,
        location: &'a str,
    ) -> Result<Self, RegistryError> {
        let event = PendingEvent::begin(database)?;
        if let Some(from) = update.made_of {
            super::region_history::check(database, from, "this update")?;
        }
        let report = RegionUpdateReport { before: event.before(), ..RegionUpdateReport::default() };
        Ok(Self {
            database,
            update,
            location,
            event,
            element: Universe::builtin().element("visit_detector")?,
            report,
            instruments: Vec::new(),
            seen: HashMap::new(),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), RegistryError> {
        let cells = element_cells(self.element, batch)?;
        if let Some((name, _)) = cells.iter().find(|(name, _)| !KEY.contains(name) && !["region", "wcs"].contains(name))
        {
            return Err(RegistryError::Invalid {
                what: "an update of regions".to_owned(),
                reason: format!("column `{name}` is no part of it: only region and wcs are"),
            });
        }
        let [instrument, visit, detector, region, wcs] = [KEY[0], KEY[1], KEY[2], "region", "wcs"]
            .map(|name| cells.iter().find(|(n, _)| *n == name).map(|(_, cells)| cells));
        for row in 0..batch.num_rows() {
            let key = [value(instrument, row), value(visit, row), value(detector, row)];
            let (region, wcs) = (value(region, row), value(wcs, row));
            if let Some((name, _)) = [("region", region), ("wcs", wcs)].iter().find(|(_, v)| *v == ABSENT) {
                let reason = format!("its {name} has no bytes; null leaves it as it was");
                return Err(RegistryError::Invalid { what: named(key), reason });
            }
            self.report.rows += 1;
            if !self.is_first(key, region, wcs)? {
                continue;
            }
            if keep(self.database, &mut self.event, key, region, wcs)? {
                let [instrument, visit, detector] = key;
                let place = match region {
                    Value::Bytes(region) => Value::Int(SkyKey::of_bytes(region)),
                    _ => Value::Null,
                };
                self.database.execute(REPLACE, &[instrument, visit, detector, region, wcs, place])?;
            } else if exists(self.database, "visit_detector", &KEY, &key)? {
                self.report.unchanged += 1;
            } else {
                self.report.missing += 1;
                if self.report.missing_first.len() < TOLD {
                    let text = format!("{} ({})", named(key), self.near(key)?);
                    self.report.missing_first.push(text);
                }
            }
        }
        Ok(())
    }

    /// Whether an image is met for the first time; the second time it must have the same to it.
    fn is_first(&mut self, key: [Value<'_>; 3], region: Value<'_>, wcs: Value<'_>) -> Result<bool, RegistryError> {
        let [Value::Text(instrument), Value::Int(visit), Value::Int(detector)] = key else {
            return Err(RegistryError::damaged("an image without a key"));
        };
        let known = self.instruments.iter().position(|i| i == instrument);
        let number = known.unwrap_or_else(|| {
            self.instruments.push(instrument.to_owned());
            self.instruments.len() - 1
        });
        let mut hash = Xxh3::new();
        for value in [region, wcs] {
            if let Value::Bytes(bytes) = value {
                hash.update(bytes);
            }
            hash.update(&[u8::from(value == Value::Null)]);
        }
        match self.seen.insert((number as u32, visit, detector), hash.digest()) {
            None => Ok(true),
            Some(before) if before == hash.digest() => {
                self.report.unchanged += 1;
                Ok(false)
            }
            Some(_) => Err(RegistryError::Invalid {
                what: format!("a region of {}", named(key)),
                reason: "the update has the image twice, with different regions: leave one of them out".to_owned(),
            }),
        }
    }

    /// What comes near to a data ID that names nothing.
    fn near(&mut self, key: [Value<'_>; 3]) -> Result<String, RegistryError> {
        let [instrument, visit, detector] = key;
        let database = &mut *self.database;
        if !exists(database, "instrument", &KEY[..1], &key[..1])? {
            let mut known = Vec::new();
            database.query("SELECT instrument FROM instrument ORDER BY instrument", &[], &mut |row| {
                known.push(row.text(0)?.to_owned());
                Ok(())
            })?;
            return Ok(match near_miss(&plain(instrument), known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean instrument {near}?"),
                None if known.is_empty() => "no instrument is registered".to_owned(),
                None => format!("the instruments are {}", known.join(", ")),
            });
        }
        let mut nearest = |sql: &str, values: &[Value<'_>]| {
            let mut found = None;
            database.query(sql, values, &mut |row| {
                found = Some(row.int(0)?);
                Ok(())
            })?;
            Ok::<_, RegistryError>(found)
        };
        let sql = "SELECT visit FROM visit WHERE instrument = ?1 ORDER BY ABS(visit - ?2), visit LIMIT 1";
        match nearest(sql, &[instrument, visit])? {
            None => return Ok(format!("{} has no visits yet", plain(instrument))),
            Some(found) if Value::Int(found) != visit => return Ok(format!("the nearest visit is {found}")),
            Some(_) => {}
        }
        let sql = "SELECT detector FROM visit_detector WHERE instrument = ?1 AND visit = ?2
            ORDER BY ABS(detector - ?3), detector LIMIT 1";
        Ok(match nearest(sql, &key)? {
            None => format!("visit {} has no images", plain(visit)),
            Some(found) => format!("of visit {} the nearest detector to {} is {found}", plain(visit), plain(detector)),
        })
    }

    fn finish(self) -> Result<RegionUpdateReport, RegistryError> {
        let Self { database, update, location, event, mut report, .. } = self;
        if report.missing > 0 && !update.skip_missing {
            return Err(RegistryError::NoSuchImages {
                location: location.to_owned(),
                missing: report.missing,
                rows: report.rows,
                first: report.missing_first,
            });
        }
        report.changed = event.images();
        let who = update.who.clone().unwrap_or_else(whoami);
        report.after = event.finish(database, RegionEventKind::Update, &who, &update.message, &update.source)?;
        Ok(report)
    }
}

fn value(cells: Option<&Cells>, row: usize) -> Value<'_> {
    cells.map_or(Value::Null, |cells| cells.get(row))
}

fn named(key: [Value<'_>; 3]) -> String {
    let [instrument, visit, detector] = key.map(plain);
    format!("{{instrument: {instrument}, visit: {visit}, detector: {detector}}}")
}

fn exists(
    database: &mut dyn Database,
    table: &str,
    columns: &[&str],
    values: &[Value<'_>],
) -> Result<bool, RegistryError> {
    let conditions: Vec<_> = columns.iter().enumerate().map(|(i, c)| format!("{c} = ?{}", i + 1)).collect();
    let mut found = false;
    let sql = format!("SELECT 1 FROM {table} WHERE {}", conditions.join(" AND "));
    database.query(&sql, values, &mut |_| {
        found = true;
        Ok(())
    })?;
    Ok(found)
}

//! [`RegionState`]: which regions a registry has, as two numbers; [`RegionEvent`]: what brought it there.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::temporal_conversions::timestamp_us_to_datetime;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::RegistryError;
use super::database::{Database, Value};

/// Which regions and WCSs of images a registry has.
///
/// `number` counts the changes since the registry was made, and `digest` is a hash of what they wrote, each over the one
/// before it. Equal states have equal regions; a state with the same number and another digest is of another registry, or of
/// a copy that went its own way. As text `3-00c0ffee00c0ffee`.
///
/// ```
/// let state: bunter::RegionState = "3-00c0ffee00c0ffee".parse()?;
/// assert_eq!(state.number, 3);
/// assert_eq!(state.to_string(), "3-00c0ffee00c0ffee");
/// # Ok::<(), bunter::RegistryError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegionState {
    /// Number of the last change; 0 before the first.
    pub number: u64,
    /// Hash of all changes up to it.
    pub digest: u64,
}

impl fmt::Display for RegionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.number, self.digest)
    }
}

impl FromStr for RegionState {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        let parse = || {
            let (number, digest) = text.split_once('-')?;
            let digest = (digest.len() == 16).then(|| u64::from_str_radix(digest, 16).ok())??;
            Some(Self { number: number.parse().ok()?, digest })
        };
        parse().ok_or_else(|| RegistryError::Invalid {
            what: format!("region state {text:?}"),
            reason: "it is a number, a dash and 16 hexadecimal digits, such as 3-00c0ffee00c0ffee".to_owned(),
        })
    }
}

/// How regions came to be what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegionEventKind {
    /// New images came in.
    Ingest,
    /// Images that were there got other regions or WCSs.
    Update,
}

impl RegionEventKind {
    /// The name, as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Update => "update",
        }
    }

    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Ingest => 1,
            Self::Update => 2,
        }
    }

    pub(super) fn from_code(code: i64) -> Result<Self, RegistryError> {
        match code {
            1 => Ok(Self::Ingest),
            2 => Ok(Self::Update),
            _ => Err(RegistryError::damaged(format!("there is no kind {code} of region events"))),
        }
    }
}

impl fmt::Display for RegionEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One change of regions: a transaction that wrote some, and who wanted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionEvent {
    /// The state that it led to; its number is the event's.
    pub state: RegionState,
    /// When, microseconds since 1970 UTC by the writer's clock; never less than that of the event before it.
    pub made_at_us: i64,
    /// New images, or other regions of old ones.
    pub kind: RegionEventKind,
    /// `user@host`.
    pub who: String,
    /// Why, in the words of whoever did it.
    pub message: String,
    /// What the regions were taken from.
    pub source: String,
    /// How many images it touched.
    pub images: u64,
}

impl fmt::Display for RegionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {} by {}", self.kind, self.state.number, utc(self.made_at_us), self.who)?;
        if !self.message.is_empty() {
            write!(f, ", \"{}\"", self.message)?;
        }
        write!(f, " ({} images, from {})", self.images, self.source)
    }
}

/// Microseconds since 1970 as `2026-11-22T23:05:52Z`.
pub(super) fn utc(us: i64) -> String {
    match timestamp_us_to_datetime(us) {
        Some(time) => time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        None => format!("{us} us since 1970"),
    }
}

/// The last event, as far as the next one depends on it.
pub(super) fn last(database: &mut dyn Database) -> Result<(RegionState, i64), RegistryError> {
    let mut found = (RegionState::default(), i64::MIN);
    let sql = "SELECT number, digest, made_at FROM region_event ORDER BY number DESC LIMIT 1";
    database.query(sql, &[], &mut |row| {
        found = (RegionState { number: row.int(0)?.cast_unsigned(), digest: row.int(1)?.cast_unsigned() }, row.int(2)?);
        Ok(())
    })?;
    Ok(found)
}

/// An event under way: what it writes is gathered, and it is entered only when that is something.
pub(super) struct PendingEvent {
    before: RegionState,
    last_made_at: i64,
    images: u64,
    /// Sum of the hashes of what was written: the same whatever the order of rows.
    sum: u64,
}

impl PendingEvent {
    pub(super) fn begin(database: &mut dyn Database) -> Result<Self, RegistryError> {
        let (before, last_made_at) = last(database)?;
        Ok(Self { before, last_made_at, images: 0, sum: 0 })
    }

    /// The state that it starts from.
    pub(super) const fn before(&self) -> RegionState {
        self.before
    }

    /// The number that it will have.
    pub(super) const fn number(&self) -> i64 {
        (self.before.number + 1).cast_signed()
    }

    /// Images touched so far.
    pub(super) const fn images(&self) -> u64 {
        self.images
    }

    /// Counts an image that was written. `values` are its key, its region and its WCS.
    pub(super) fn count(&mut self, values: &[Value<'_>]) {
        let mut hash = Xxh3::new();
        for value in values {
            match value {
                Value::Null => hash.update(&[0]),
                Value::Int(v) => hash.update(&v.to_le_bytes()),
                Value::Float(v) => hash.update(&v.to_le_bytes()),
                Value::Text(s) => {
                    hash.update(&(s.len() as u64).to_le_bytes());
                    hash.update(s.as_bytes());
                }
                Value::Bytes(b) => {
                    hash.update(&(b.len() as u64).to_le_bytes());
                    hash.update(b);
                }
            }
        }
        self.images += 1;
        self.sum = self.sum.wrapping_add(hash.digest());
    }

    /// Enters the event, unless nothing was written, and gives the state that the registry is in.
    pub(super) fn finish(
        self,
        database: &mut dyn Database,
        kind: RegionEventKind,
        who: &str,
        message: &str,
        source: &str,
    ) -> Result<RegionState, RegistryError> {
        if self.images == 0 {
            return Ok(self.before);
        }
        let mut hash = Xxh3::new();
        for number in [self.before.digest, self.sum, self.images] {
            hash.update(&number.to_le_bytes());
        }
        let after = RegionState { number: self.before.number + 1, digest: hash.digest() };
        database.execute(
            "INSERT INTO region_event (number, digest, made_at, kind, who, message, source, images)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            &[
                Value::Int(self.number()),
                Value::Int(after.digest.cast_signed()),
                Value::Int(now_us().max(self.last_made_at)),
                Value::Int(kind.code()),
                Value::Text(who),
                Value::Text(message),
                Value::Text(source),
                Value::Int(self.images.cast_signed()),
            ],
        )?;
        Ok(after)
    }
}

/// Microseconds since 1970 UTC.
pub(super) fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// `user@host` of this process.
pub(super) fn whoami() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).filter(|u| !u.is_empty());
    let user = user.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_back_and_nonsense_is_not() {
        for state in [RegionState::default(), RegionState { number: u64::MAX, digest: 1 }] {
            assert_eq!(state.to_string().parse::<RegionState>().unwrap(), state);
        }
        for text in ["", "3", "3-", "-1-0000000000000000", "3-c0ffee", "3-00c0ffee00c0ffe-", "3-00c0ffee00c0ffee0"] {
            assert!(text.parse::<RegionState>().unwrap_err().to_string().contains("16 hexadecimal"), "{text}");
        }
    }
}

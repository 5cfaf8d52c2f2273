//! [`RegistryError`]: why the registry cannot answer or write.

use super::RegionState;
use super::database::Value;
use crate::dataset::{CollectionNameError, CollectionSearchError, TemplateError, Timespan};
use crate::dimension::{DimensionError, did_you_mean};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a registry (or a snapshot, which answers the same questions) cannot answer or write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No dataset type has this name.
    #[error("no dataset type `{name}`{}; list them with `bunter query-dataset-types`", did_you_mean(near.as_deref()))]
    UnknownDatasetType {
        /// The name asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
    },
    /// No collection has this name.
    #[error("no collection `{name}`{}; list them with `bunter query-collections`", did_you_mean(near.as_deref()))]
    UnknownCollection {
        /// The name or pattern asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
    },
    /// No sky map has this name.
    #[error(
        "no sky map `{name}`{}; list them with `bunter query-dimension-records … skymap`",
        did_you_mean(near.as_deref())
    )]
    UnknownSkyMap {
        /// The name asked for.
        name: String,
        /// The nearest known name.
        near: Option<String>,
    },
    /// A name, a data ID or a comparison that does not fit the dimensions.
    #[error(transparent)]
    Dimension(#[from] DimensionError),
    /// A name that no collection can have.
    #[error(transparent)]
    CollectionName(#[from] CollectionNameError),
    /// The element's records are computed, not stored.
    #[error("records of `{element}` are computed from the sky map, not stored: {hint}")]
    VirtualElement {
        /// The element.
        element: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// A pattern has no search order.
    #[error("`{pattern}` is a pattern, and has no search order: name the collections, or a CHAINED collection of them")]
    PatternInSearch {
        /// The pattern.
        pattern: String,
    },
    /// Something is there already, and differs from what should be written.
    #[error("{what} exists already and differs: it has {existing}, not {new}")]
    Conflict {
        /// What it is.
        what: String,
        /// What is there.
        existing: String,
        /// What should be written.
        new: String,
    },
    /// Something that must be there first is not.
    #[error("{what} needs {missing}, which does not exist: {hint}")]
    Missing {
        /// What should be written.
        what: String,
        /// What it refers to.
        missing: String,
        /// How to bring that about.
        hint: &'static str,
    },
    /// Regions for images that the registry does not know.
    #[error(
        "{missing} of {rows} data IDs name no image of registry {location}: {}{}; nothing was written. Correct them, or \
         leave them out with --skip-missing",
        first.join("; "),
        if *missing > first.len() as u64 { "; …" } else { "" }
    )]
    NoSuchImages {
        /// The registry.
        location: String,
        /// How many data IDs name nothing.
        missing: u64,
        /// How many there were.
        rows: u64,
        /// The first of them, each with what comes near.
        first: Vec<String>,
    },
    /// Regions were worked out from regions that are no longer those of the registry, or a result was.
    #[error("{what} is of region state {from}, but the registry is in state {to} ({since}): {hint}")]
    StaleRegions {
        /// What was made of the old state.
        what: String,
        /// The state that it was made of.
        from: RegionState,
        /// The state of the registry.
        to: RegionState,
        /// What has happened since.
        since: String,
        /// What to do.
        hint: &'static str,
    },
    /// There is no such region event.
    #[error("there is no region event {asked}: {known}")]
    NoSuchRegionEvent {
        /// What was asked for.
        asked: String,
        /// Which there are.
        known: String,
    },
    /// An entry of a search path that is none.
    #[error(transparent)]
    CollectionSearch(#[from] CollectionSearchError),
    /// What is sealed, another's, or in use is not changed.
    #[error("cannot {doing}: {reason}; {hint}")]
    Refused {
        /// What was asked.
        doing: String,
        /// Who or what stands against it.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// Two datasets of a type and data ID would be valid at once.
    #[error(
        "{what} cannot be certified in `{collection}` for {validity} with {new}: {existing} is valid there for {valid}; take \
         the span from that with `bunter decertify-calibrations`, or choose another collection"
    )]
    CalibrationClash {
        /// Dataset type and data ID.
        what: String,
        /// The CALIBRATION collection.
        collection: String,
        /// The dataset that should be valid.
        new: String,
        /// When it should be.
        validity: Timespan,
        /// The dataset that is.
        existing: String,
        /// When it is.
        valid: Timespan,
    },
    /// Several datasets are valid during a time.
    #[error(
        "{what} at {time} in `{collection}` is both {first} and {second}: ask for a time in which only one is valid"
    )]
    AmbiguousCalibration {
        /// Dataset type and data ID.
        what: String,
        /// The time asked for.
        time: Timespan,
        /// The CALIBRATION collection.
        collection: String,
        /// One dataset with its validity.
        first: String,
        /// Another.
        second: String,
    },
    /// A run was begun with other configurations, schemas or versions.
    #[error(
        "run `{run}` was made otherwise; nothing was written:\n  {}\nchoose another run",
        lines.join("\n  ")
    )]
    Differs {
        /// The run.
        run: String,
        /// The differences, one each: `name: key: old → new`.
        lines: Vec<String>,
    },
    /// Something that cannot be written.
    #[error("{what} cannot be written: {reason}")]
    Invalid {
        /// What it is.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A collection is of another type than the operation wants.
    #[error("collection `{name}` is {found}, not {wanted}")]
    CollectionType {
        /// The collection.
        name: String,
        /// The type it has.
        found: crate::dataset::CollectionType,
        /// The type it should have.
        wanted: crate::dataset::CollectionType,
    },
    /// A CHAINED collection would contain itself.
    #[error("collection `{name}` would contain itself: {path}")]
    CollectionCycle {
        /// The collection.
        name: String,
        /// The way from the collection back to it.
        path: String,
    },
    /// A path template that does not fit.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The answer would be larger than an Arrow column can be.
    #[error(
        "column `{column}` of the answer would be larger than 2 GiB: ask for fewer rows, by `--where` or `--limit`"
    )]
    AnswerTooLarge {
        /// The column.
        column: String,
    },
    /// Another writer did not finish in time.
    #[error(
        "waited {waited_s:.0} s for the write lock of registry {location}, {holder}: wait for it to finish, or end it \
         (what it wrote so far is undone)"
    )]
    Busy {
        /// The registry.
        location: String,
        /// How long was waited, seconds.
        waited_s: f64,
        /// Who holds the lock.
        holder: String,
    },
    /// The registry cannot be written to.
    #[error("registry {location} is read-only, or its folder is: nothing was written")]
    ReadOnly {
        /// The registry.
        location: String,
    },
    /// No room to write.
    #[error("the disk of registry {location} is full: nothing was written; make room and repeat")]
    DiskFull {
        /// The registry.
        location: String,
    },
    /// The database server went away while something was done.
    #[error("the server of registry {location} is gone ({cause}): {outcome}")]
    ServerGone {
        /// The registry.
        location: String,
        /// What its client said.
        cause: String,
        /// What became of the work.
        outcome: &'static str,
    },
    /// The database server ended a transaction that stood in the way of another.
    #[error("registry {location} gave up a transaction in favour of another ({cause}): nothing was written; repeat")]
    Contention {
        /// The registry.
        location: String,
        /// What the server said.
        cause: String,
    },
    /// The database server lets nobody in, or not this user.
    #[error("cannot connect to registry {location}: {cause}; {hint}")]
    Connect {
        /// The registry, without a password.
        location: String,
        /// What the server or its client said.
        cause: String,
        /// What to do.
        hint: &'static str,
    },
    /// The registry exists already.
    #[error("{location} exists already: open it, or choose another place")]
    AlreadyExists {
        /// The file.
        location: String,
    },
    /// The registry was written by another version of the program.
    #[error("registry {location} has schema version {found}, this program reads version {supported}: {hint}")]
    SchemaVersion {
        /// The registry.
        location: String,
        /// The version of the file.
        found: i64,
        /// The version of this program.
        supported: i64,
        /// What to do.
        hint: &'static str,
    },
    /// The store itself failed.
    #[error("{doing}: {source}")]
    Store {
        /// What was being done, and where.
        doing: String,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The store is damaged, or was not written by this program.
    #[error("registry {location} cannot be read: {what}")]
    Damaged {
        /// The file or database.
        location: String,
        /// What is wrong with it.
        what: String,
    },
}

impl RegistryError {
    /// A stored value that is not of its type. The place is filled in by [`RegistryError::at`].
    pub(super) fn unexpected(wanted: &str, found: Value<'_>) -> Self {
        Self::damaged(format!("{} stands where {wanted} should be", found.shown()))
    }

    /// A damaged store, whose place is filled in by [`RegistryError::at`].
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { location: String::new(), what: what.into() }
    }

    /// Fills in where the damage is.
    pub(super) fn at(self, location: &str) -> Self {
        match self {
            Self::Damaged { location: place, what } if place.is_empty() => {
                Self::Damaged { location: location.to_owned(), what }
            }
            other => other,
        }
    }
}

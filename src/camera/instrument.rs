//! [`Instrument`]: detectors and filters of a camera.

use std::sync::Arc;

use serde::Deserialize;

use super::error::nearest;
use super::{CameraError, FocalPlane};

/// One detector of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detector {
    /// The number that names it in data IDs.
    pub id: i64,
    /// Its name, `S29`, `R22_S11`.
    pub name: String,
    /// The raft it sits on, and its slot there, where the camera has rafts.
    pub raft: Option<String>,
    /// See `raft`.
    pub slot: Option<String>,
    /// `SCIENCE`, `FOCUS`, `GUIDER`, `WAVEFRONT`.
    pub purpose: String,
    /// Its make (`E2V`), where the camera has several.
    pub physical_type: Option<String>,
    /// Columns and rows of its science pixels, where known.
    pub size: Option<(u32, u32)>,
}

/// One filter of a camera.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The physical filter, as it is named in data IDs.
    pub name: String,
    /// Its band, `r`.
    pub band: String,
    /// Other spellings in headers and tables.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// A camera: its detectors, its filters, where the detectors are, and the names its users give to dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Instrument {
    /// The name in data IDs.
    pub name: String,
    /// Other spellings in headers (`decam`).
    pub aliases: Vec<String>,
    /// The detectors by ascending number; empty where they are not listed, and any number is one.
    pub detectors: Vec<Detector>,
    /// The filters; empty where they are not listed, and any name is one, and its own band.
    pub filters: Vec<Filter>,
    /// Other names of dimensions, or of what is known of them: `("ccdnum", "detector")`, `("bay", "detector.raft")`.
    pub dimension_aliases: Vec<(String, String)>,
    /// Where the detectors are, where the definition says so.
    pub(super) focal_plane: Option<Arc<FocalPlane>>,
    /// What is strange about the definition, and yet no error.
    pub(super) warnings: Vec<String>,
    /// The definition, TOML.
    pub(super) source: Option<Arc<str>>,
}

impl Instrument {
    /// A camera of which nothing but the name is known: any detector number, any filter, each its own band.
    pub fn open(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            aliases: Vec::new(),
            detectors: Vec::new(),
            filters: Vec::new(),
            dimension_aliases: Vec::new(),
            focal_plane: None,
            warnings: Vec::new(),
            source: None,
        }
    }

    /// Where the detectors are, and what they see.
    ///
    /// # Errors
    /// [`CameraError::NoFocalPlane`] where the camera's definition does not say.
    pub fn focal_plane(&self) -> Result<&FocalPlane, CameraError> {
        self.focal_plane.as_deref().ok_or_else(|| CameraError::NoFocalPlane { camera: self.name.clone() })
    }

    /// What is strange about the camera's definition without being an error: detectors that lie over each other.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The definition this was read from, TOML; `None` for a camera of which only the name is known.
    pub fn definition(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The detector with that number.
    pub fn detector(&self, id: i64) -> Option<&Detector> {
        let i = self.detectors.binary_search_by_key(&id, |d| d.id).ok()?;
        self.detectors.get(i)
    }

    /// The detector with that name (any case).
    pub fn detector_named(&self, name: &str) -> Option<&Detector> {
        self.detectors.iter().find(|d| d.name.eq_ignore_ascii_case(name.trim()))
    }

    /// The filter called `name` in a header: its name or an alias, exactly, or else in any case where that is unique.
    pub fn filter(&self, name: &str) -> Option<&Filter> {
        let name = name.trim();
        let spelled =
            |f: &&Filter, same: fn(&str, &str) -> bool| same(&f.name, name) || f.aliases.iter().any(|a| same(a, name));
        self.filters.iter().find(|f| spelled(f, |a, b| a == b)).or_else(|| {
            let mut found = self.filters.iter().filter(|f| spelled(f, str::eq_ignore_ascii_case));
            found.next().filter(|_| found.next().is_none())
        })
    }

    /// Whether the camera is called `name` (any case) in a header.
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.trim();
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|a| a.eq_ignore_ascii_case(name))
    }

    /// Physical filter and band of a header's filter name, or a text that says what there is instead.
    pub(crate) fn resolve_filter(&self, name: &str) -> Result<(String, String), String> {
        if name.trim().is_empty() {
            return Err("the filter's name is empty".to_owned());
        }
        if self.filters.is_empty() {
            return Ok((name.trim().to_owned(), name.trim().to_owned()));
        }
        if let Some(filter) = self.filter(name) {
            return Ok((filter.name.clone(), filter.band.clone()));
        }
        let spellings = || self.filters.iter().flat_map(|f| std::iter::once(&f.name).chain(&f.aliases));
        let near = super::error::near(nearest(name, spellings().map(String::as_str)).as_deref());
        let known: Vec<_> = self.filters.iter().map(|f| format!("\"{}\"", f.name)).collect();
        Err(format!("{} has no filter \"{name}\"{near}; it has {}", self.name, known.join(", ")))
    }

    /// Number of a header's detector, given as a number or a name.
    pub(super) fn resolve_detector(&self, number: Option<i64>, text: &str) -> Result<i64, String> {
        if let Some(found) = self.detector_named(text) {
            return Ok(found.id);
        }
        match (number, self.detectors.first(), self.detectors.last()) {
            (Some(id), ..) if id < 0 => Err(format!("a detector's number is not negative, found {id}")),
            (Some(id), Some(first), Some(last)) => match self.detector(id) {
                Some(found) => Ok(found.id),
                None => Err(format!("{} has no detector {id}; it has {} to {}", self.name, first.id, last.id)),
            },
            (Some(id), ..) => Ok(id),
            (None, None, _) => Err(format!(
                "\"{text}\" is not a number, and no detector names are known for {}; list them in a camera definition",
                self.name
            )),
            (None, ..) => {
                let near = nearest(text, self.detectors.iter().map(|d| d.name.as_str()));
                let example = self.detectors.first().map_or("", |d| d.name.as_str());
                let near = super::error::near(near.as_deref());
                Err(format!("{} has no detector \"{text}\"{near}; names are such as \"{example}\"", self.name))
            }
        }
    }
}

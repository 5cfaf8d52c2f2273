//! The form of a camera definition, as TOML.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::detector_group::{DetectorGroup, DetectorType, FocalPlaneDefinition, distinct};
use super::expression::HeaderExpression;
use super::instrument::{Filter, Instrument};
use crate::dimension::Aliases;

/// One file: an instrument, translators, or both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    pub(super) instrument: Option<InstrumentDefinition>,
    pub(super) focal_plane: Option<FocalPlaneDefinition>,
    #[serde(default, rename = "translator")]
    pub(super) translators: Vec<TranslatorDefinition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InstrumentDefinition {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    types: BTreeMap<String, DetectorType>,
    #[serde(default)]
    detectors: Vec<DetectorGroup>,
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    dimension_aliases: BTreeMap<String, String>,
}

impl InstrumentDefinition {
    /// The instrument; `source` is the text that describes it.
    pub(super) fn build(self, plane: Option<FocalPlaneDefinition>, source: &str) -> Result<Instrument, String> {
        if self.name.trim().is_empty() {
            return Err("instrument.name: is empty".to_owned());
        }
        let mut listed = Vec::new();
        for (i, group) in self.detectors.into_iter().enumerate() {
            listed.extend(group.list(&format!("instrument.detectors[{i}]"), &self.types, plane.as_ref())?);
        }
        distinct(&mut listed)?;
        let (focal_plane, warnings) = match plane.map(|plane| plane.build(&self.name, &listed)).transpose()? {
            Some((plane, warnings)) => (Some(Arc::new(plane)), warnings),
            None => (None, Vec::new()),
        };
        for (i, filter) in self.filters.iter().enumerate() {
            if self.filters[..i].iter().any(|f| f.name == filter.name) {
                return Err(format!("instrument.filters: `{}` is there twice", filter.name));
            }
        }
        let dimension_aliases: Vec<_> = self.dimension_aliases.into_iter().collect();
        // Says what is wrong with one of them.
        Aliases::new(&self.name, &dimension_aliases).map_err(|e| format!("instrument.dimension_aliases: {e}"))?;
        Ok(Instrument {
            name: self.name,
            aliases: self.aliases,
            detectors: listed.into_iter().map(|l| l.detector).collect(),
            filters: self.filters,
            dimension_aliases,
            focal_plane,
            warnings,
            source: Some(source.into()),
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TranslatorDefinition {
    pub(super) name: String,
    /// Conditions that all hold for a file of this kind.
    pub(super) when: Vec<HeaderExpression>,
    /// Name patterns of the files that are exposures; none: all but the companions.
    #[serde(default)]
    pub(super) exposures: Vec<String>,
    /// Name patterns of files that belong to exposures (masks, weights).
    #[serde(default)]
    pub(super) companions: Vec<String>,
    pub(super) sidecar: Option<SidecarRule>,
    pub(super) instrument: HeaderExpression,
    pub(super) visit: HeaderExpression,
    pub(super) detector: HeaderExpression,
    pub(super) physical_filter: HeaderExpression,
    pub(super) mjd_begin: Option<HeaderExpression>,
    pub(super) time_scale: Option<HeaderExpression>,
    pub(super) exposure_time: Option<HeaderExpression>,
    pub(super) seeing: Option<HeaderExpression>,
    pub(super) zero_point: HeaderExpression,
    /// An expression, or `median`: measured from the pixels.
    pub(super) background: Option<HeaderExpression>,
    pub(super) saturation: Option<HeaderExpression>,
    pub(super) low: Option<HeaderExpression>,
    /// Which header-data units are images.
    #[serde(default)]
    pub(super) image: HduRule,
    /// The first that is there.
    #[serde(default)]
    pub(super) mask: Vec<MaskRule>,
    /// The first that is there.
    pub(super) variance: Vec<VarianceRule>,
    /// Header records to keep with the exposure.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, HeaderExpression>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SidecarRule {
    /// The table's file name.
    pub(super) file: String,
    /// What expressions call it.
    pub(super) name: String,
    /// Column to the value that its row must have.
    pub(super) keys: BTreeMap<String, HeaderExpression>,
}

/// A header-data unit: by index, by `EXTNAME`, or by a rule.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub(super) enum HduRule {
    Index(usize),
    /// `"first"` (the first two-dimensional image), `"each"` (each is an exposure of its own), `"same"` (as the
    /// image's; for other planes), or an `EXTNAME`.
    Name(String),
    #[default]
    Same,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaneRule {
    /// The file's name beside the exposure; absent: in the same file.
    pub(super) file: Option<HeaderExpression>,
    #[serde(default)]
    pub(super) hdu: HduRule,
}

#[derive(Debug, Deserialize)]
pub(super) struct MaskRule {
    pub(super) when: Option<HeaderExpression>,
    pub(super) file: Option<HeaderExpression>,
    #[serde(default)]
    pub(super) hdu: HduRule,
    #[serde(flatten)]
    pub(super) meaning: MeaningRule,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", tag = "meaning")]
pub(super) enum MeaningRule {
    Planes,
    Codes { codes: Vec<(i64, Vec<String>)> },
    Bits { bits: Vec<(u8, String)> },
}

#[derive(Debug, Deserialize)]
pub(super) struct VarianceRule {
    pub(super) when: Option<HeaderExpression>,
    #[serde(flatten)]
    pub(super) kind: VarianceKind,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(super) enum VarianceKind {
    Plane(PlaneRule),
    Inverse(PlaneRule),
    SkyAndGain {
        /// An expression, or `measured`: from the pixels.
        sky_variance: HeaderExpression,
        gain: HeaderExpression,
    },
}

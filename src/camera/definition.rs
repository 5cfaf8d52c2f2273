//! The form of a camera definition, as TOML.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::expression::HeaderExpression;
use super::instrument::{Detector, Filter, Instrument};

/// One file: an instrument, translators, or both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    pub(super) instrument: Option<InstrumentDefinition>,
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
    detectors: Vec<DetectorGroup>,
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    dimension_aliases: BTreeMap<String, String>,
}

/// Detectors of successive numbers that are alike.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DetectorGroup {
    first: i64,
    /// Either names, or a raft and its slots, named `raft_slot`.
    #[serde(default)]
    names: Vec<String>,
    raft: Option<String>,
    #[serde(default)]
    slots: Vec<String>,
    purpose: Option<String>,
    size: Option<(u32, u32)>,
}

impl InstrumentDefinition {
    pub(super) fn build(self) -> Result<Instrument, String> {
        let mut detectors = Vec::new();
        for group in self.detectors {
            let raft = group.raft.unwrap_or_default();
            let in_raft = group.slots.iter().map(|slot| (format!("{raft}_{slot}"), Some(slot.clone())));
            for (id, (name, slot)) in
                (group.first..).zip(group.names.into_iter().map(|name| (name, None)).chain(in_raft))
            {
                detectors.push(Detector {
                    id,
                    name,
                    raft: slot.as_ref().map(|_| raft.clone()),
                    slot,
                    purpose: group.purpose.clone().unwrap_or_else(|| "SCIENCE".to_owned()),
                    size: group.size,
                });
            }
        }
        detectors.sort_by_key(|d| d.id);
        if let Some(pair) = detectors.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(format!("detector {} is there twice, as {} and {}", pair[0].id, pair[0].name, pair[1].name));
        }
        Ok(Instrument {
            name: self.name,
            aliases: self.aliases,
            detectors,
            filters: self.filters,
            dimension_aliases: self.dimension_aliases.into_iter().collect(),
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

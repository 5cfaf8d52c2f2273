//! The layouts that surveys use: sky maps, observations, Rubin's cameras, records of catalogs.

use std::collections::BTreeMap;

use super::error::PackError;
use super::layout::{FieldLayout, IdentifierKind, IdentifierLayout, NameCodes, PackLayout};
use super::packer::Packer;
use crate::dimension::DimensionValue;

/// Bands of [`BandCodes::Default`]: the first has code 1, and 0 means that there is no band.
pub const DEFAULT_BANDS: [&str; 27] = [
    "u", "g", "r", "i", "z", "y", "U", "B", "G", "V", "R", "I", "Z", "Y", "J", "H", "K", "N387", "N515", "N656",
    "N816", "N921", "N1010", "N419", "N540", "N708", "N964",
];

/// Rubin's controllers, by code.
pub const RUBIN_CONTROLLERS: [&str; 6] = ["O", "C", "H", "P", "Q", "S"];

/// How a sky map packer writes bands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BandCodes {
    /// Not at all: tract and patch only.
    #[default]
    None,
    /// [`DEFAULT_BANDS`], with 0 for none.
    Default,
    /// These bands with codes 0, 1, 2, …, and room for at least as many as the number says.
    Listed(Vec<String>, Option<u64>),
    /// These bands with codes of their own, and room for at least as many as the number says.
    Codes(BTreeMap<String, u64>, Option<u64>),
}

/// Whether a Rubin packer knows the controllers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RubinControllers {
    /// Only `O`, the observatory's: 38 bits.
    #[default]
    Observatory,
    /// All six: 41 bits.
    All,
}

impl Packer {
    /// Tract and patch of a sky map, and perhaps band, as `lsst.skymap` packs them:
    /// `patch + patches (tract + tracts band)`.
    ///
    /// `tracts` is the number of tracts, `patches` the most patches (nx ny) that any tract has.
    ///
    /// # Errors
    /// [`PackError::Layout`] when the numbers need more than 64 bits, or bands share a code.
    pub fn sky_map(name: &str, tracts: u64, patches: u64, bands: &BandCodes) -> Result<Self, PackError> {
        Self::new(sky_map_layout(name, tracts, patches, bands))
    }

    /// Observation and detector as `lsst.pipe.base` packs them for HSC and DECam: `detector + detectors observation`.
    ///
    /// `dimension` is `visit` or `exposure`. HSC has 200 and 21474800, DECam 100 and 2^25.
    ///
    /// # Errors
    /// [`PackError::Layout`] when the numbers need more than 64 bits.
    pub fn observation(
        instrument: &str,
        dimension: &str,
        detectors: u64,
        observations: u64,
    ) -> Result<Self, PackError> {
        Self::new(PackLayout {
            name: format!("observation:{instrument}"),
            fixed: fixed("instrument", instrument),
            fields: vec![FieldLayout::digit("detector", detectors), FieldLayout::digit(dimension, observations)],
            ..PackLayout::default()
        })
    }

    /// Observation and detector of LSSTCam, LSSTComCam and LATISS as `lsst.obs.lsst` packs them: detector, sequence number,
    /// days since 2010-01-01, controller, and a flag of visits that are exposures taken over one to one.
    ///
    /// Columns are these fields, or `visit` or `exposure` in place of all but the detector.
    ///
    /// # Errors
    /// None, as it stands.
    pub fn rubin(instrument: &str, controllers: RubinControllers) -> Result<Self, PackError> {
        let letters = match controllers {
            RubinControllers::Observatory => &RUBIN_CONTROLLERS[..1],
            RubinControllers::All => &RUBIN_CONTROLLERS[..],
        };
        let more = letters.len() > 1;
        let identifier = |name: &str, kind| IdentifierLayout { name: name.to_owned(), kind };
        let output = ["visit", "detector"].into_iter().chain(more.then_some("controller"));
        Self::new(PackLayout {
            name: format!("rubin:{instrument}"),
            output: output.map(str::to_owned).collect(),
            fixed: fixed("instrument", instrument),
            identifiers: vec![
                identifier("visit", IdentifierKind::RubinVisit),
                identifier("exposure", IdentifierKind::RubinExposure),
            ],
            fields: vec![
                FieldLayout::digit("detector", 256),
                FieldLayout::digit("seq_num", 32_768),
                FieldLayout { epoch: Some(20_100_101), ..FieldLayout::digit("day_obs", 16_384) },
                FieldLayout {
                    names: Some(NameCodes::List(letters.iter().map(|l| (*l).to_owned()).collect())),
                    default: Some("O".into()),
                    ..FieldLayout::digit("controller", if more { 8 } else { 1 })
                },
                FieldLayout { default: Some(0.into()), ..FieldLayout::digit("one_to_one", 2) },
            ],
            ..PackLayout::default()
        })
    }

    /// IDs of a release's catalogs: this packer's integers, `release` above them. One release is none.
    ///
    /// # Errors
    /// [`PackError::Layout`] when that needs more than 63 bits.
    pub fn with_releases(&self, releases: u64) -> Result<Self, PackError> {
        let release_bits = self.release_bits(releases)?;
        let bits = self.bits() + release_bits;
        self.within("catalog", releases, 0, (bits <= 63).then_some(0))
    }

    /// IDs of a catalog's records, as `lsst.meas.base` makes them: a `counter` in the low bits, this packer's integers above,
    /// `release` above them, 63 bits in all. One release is none; the original's default is 64.
    ///
    /// # Errors
    /// [`PackError::Layout`] when no bits are left for the counter.
    pub fn with_records(&self, releases: u64) -> Result<Self, PackError> {
        let release_bits = self.release_bits(releases)?;
        let counter_bits = 63_u32.checked_sub(self.bits() + release_bits).filter(|bits| *bits > 0);
        self.within("record", releases, counter_bits.unwrap_or(0), counter_bits)
    }

    fn release_bits(&self, releases: u64) -> Result<u32, PackError> {
        match releases.checked_sub(1) {
            Some(most) => Ok(64 - most.leading_zeros()),
            None => Err(PackError::Layout {
                packer: self.name().to_owned(),
                problem: "with 0 releases: there must be at least one".to_owned(),
            }),
        }
    }

    fn within(&self, what: &str, releases: u64, shift: u32, room: Option<u32>) -> Result<Self, PackError> {
        let name = format!("{what}:{}", self.name());
        if room.is_none() {
            let problem =
                format!("data IDs of {} bits and {releases} releases leave no bit of 63 for a counter", self.bits());
            return Err(PackError::Layout { packer: name, problem });
        }
        let counter = (shift > 0).then(|| FieldLayout::of_bits("counter", shift));
        // The packer's own fields keep their order and move up.
        let mut inner: Vec<FieldLayout> = self.layout().fields.clone();
        if self.layout().order == super::FieldOrder::Most {
            inner.reverse();
        }
        for segment in &self.plan.segments {
            for (i, field) in inner[segment.first..segment.end].iter_mut().enumerate() {
                field.shift = (i == 0).then_some(segment.shift + shift);
            }
        }
        let release = (releases > 1).then(|| FieldLayout {
            shift: Some(shift + self.bits()),
            default: Some(0.into()),
            ..FieldLayout::digit("release", releases)
        });
        let inner_output = self.layout().output.iter().cloned();
        let output = match self.layout().output.as_slice() {
            [] => Vec::new(),
            _ => counter
                .iter()
                .map(|c| c.name.clone())
                .chain(inner_output)
                .chain(release.iter().map(|r| r.name.clone()))
                .collect(),
        };
        Self::new(PackLayout {
            name,
            order: super::FieldOrder::Least,
            bits: (shift > 0).then_some(63),
            output,
            fixed: self.layout().fixed.clone(),
            identifiers: self.layout().identifiers.clone(),
            fields: counter.into_iter().chain(inner).chain(release).collect(),
        })
    }
}

fn fixed(name: &str, value: &str) -> BTreeMap<String, DimensionValue> {
    BTreeMap::from([(name.to_owned(), DimensionValue::from(value))])
}

/// The layout of [`Packer::sky_map`].
pub(crate) fn sky_map_layout(name: &str, tracts: u64, patches: u64, bands: &BandCodes) -> PackLayout {
    let mut fields = vec![FieldLayout::digit("patch", patches), FieldLayout::digit("tract", tracts)];
    let band = |names: NameCodes, least: u64, null: Option<u64>, room: Option<u64>| FieldLayout {
        names: Some(names),
        null,
        ..FieldLayout::digit("band", room.unwrap_or(least).max(least))
    };
    match bands {
        BandCodes::None => {}
        BandCodes::Default => {
            let codes = (1..).zip(DEFAULT_BANDS).map(|(code, band)| (band.to_owned(), code)).collect();
            fields.push(band(NameCodes::Codes(codes), DEFAULT_BANDS.len() as u64 + 1, Some(0), None));
        }
        BandCodes::Listed(list, room) => {
            fields.push(band(NameCodes::List(list.clone()), list.len() as u64, None, *room));
        }
        BandCodes::Codes(codes, room) => {
            let least = codes.values().max().map_or(0, |most| most.saturating_add(1));
            fields.push(band(NameCodes::Codes(codes.clone()), least, None, *room));
        }
    }
    PackLayout { name: format!("skymap:{name}"), fixed: fixed("skymap", name), fields, ..PackLayout::default() }
}

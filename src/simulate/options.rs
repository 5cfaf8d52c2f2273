//! [`SimulateOptions`].

use std::path::PathBuf;

use serde::Serialize;

use super::SimulateError;

/// The kind of WCS of simulated exposures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SimulatedWcs {
    /// TAN with SIP distortion of order 3.
    Sip,
    /// TPV with a cubic radial distortion.
    Tpv,
    /// No distortion.
    Tan,
}

/// What survey to simulate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulateOptions {
    /// The folder to write into; made where it does not exist. Not part of `params.json`.
    #[serde(skip)]
    pub out: PathBuf,
    /// Replace a survey that is there.
    #[serde(skip)]
    pub overwrite: bool,
    /// All randomness depends on this alone.
    pub seed: u64,
    /// Centre of the field, degrees, ICRS.
    pub ra: f64,
    /// Centre of the field, degrees, ICRS.
    pub dec: f64,
    /// Number of visits; the bands take turns.
    pub visits: u32,
    /// Detectors a visit, side by side in x, then y.
    pub ccds: u32,
    /// Columns of a detector.
    pub nx: u32,
    /// Rows of a detector.
    pub ny: u32,
    /// Arcsec a pixel.
    pub scale: f64,
    /// Names of the bands.
    pub bands: Vec<String>,
    /// Number of stars; 0: 200 for each 512 x 512 pixels of sky.
    pub stars: u32,
    /// Radius of the dither, in units of a detector's shorter side.
    pub dither: f64,
    /// Largest rotation of a visit, degrees.
    pub rot: f64,
    /// The kind of WCS.
    pub wcs: SimulatedWcs,
    /// Strength of the distortion; 1 is about 1.5 pixels at the corner of a detector of 2048 x 4096.
    pub sip: f64,
    /// Cosmic rays a detector that the mask does not know.
    pub unflagged_cr: u32,
    /// An unflagged satellite trail in every fifth visit.
    pub trail: bool,
    /// Side of the target patch, pixels; 0: 1.2 times the longer side of a detector.
    pub patch: u32,
    /// Arcsec a pixel of the patch; 0: as `scale`.
    pub patch_scale: f64,
}

impl SimulateOptions {
    /// The default survey: 12 visits of two detectors of 512 x 512 pixels in the bands r and i.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            overwrite: false,
            seed: 20_261_122,
            ra: 150.1,
            dec: 2.2,
            visits: 12,
            ccds: 2,
            nx: 512,
            ny: 512,
            scale: 0.2,
            bands: vec!["r".to_owned(), "i".to_owned()],
            stars: 0,
            dither: 0.25,
            rot: 8.0,
            wcs: SimulatedWcs::Sip,
            sip: 1.0,
            unflagged_cr: 0,
            trail: false,
            patch: 0,
            patch_scale: 0.0,
        }
    }

    /// Number of exposures.
    pub fn exposures(&self) -> u64 {
        u64::from(self.visits) * u64::from(self.ccds)
    }

    /// Bytes that the exposures take on disk: three planes of four bytes and the headers.
    pub fn bytes(&self) -> u128 {
        u128::from(self.exposures()) * (u128::from(self.nx) * u128::from(self.ny) * 12 + 24 * 2880)
    }

    pub(super) fn patch_pixels(&self) -> u32 {
        match self.patch {
            0 => (1.2 * f64::from(self.nx.max(self.ny)) * self.scale / self.patch_arcsec()) as u32,
            n => n,
        }
    }

    pub(super) fn patch_arcsec(&self) -> f64 {
        if self.patch_scale == 0.0 { self.scale } else { self.patch_scale }
    }

    pub(super) fn star_count(&self) -> usize {
        match self.stars {
            0 => (200.0 * (1.5 * f64::from(self.patch_pixels())).powi(2) / (512.0 * 512.0)) as usize,
            n => n as usize,
        }
    }

    /// Checks every option.
    ///
    /// # Errors
    /// [`SimulateError::Option`] names the first that makes no sense.
    pub fn validate(&self) -> Result<(), SimulateError> {
        let fail = |option, value: &dyn std::fmt::Display, reason: &str| {
            Err(SimulateError::Option { option, value: value.to_string(), reason: reason.to_owned() })
        };
        let reals: [(&'static str, f64, f64, f64); 7] = [
            ("ra", self.ra, 0.0, 360.0),
            ("dec", self.dec, -85.0, 85.0),
            ("scale", self.scale, 0.01, 60.0),
            ("dither", self.dither, 0.0, 10.0),
            ("rot", self.rot, 0.0, 180.0),
            ("sip", self.sip, 0.0, 20.0),
            ("patch-scale", self.patch_arcsec(), 0.01, 60.0),
        ];
        for (option, value, low, high) in reals {
            if !(low..=high).contains(&value) {
                return fail(option, &value, &format!("must lie between {low} and {high}"));
            }
        }
        let counts: [(&'static str, u32, u32, u32); 6] = [
            ("visits", self.visits, 1, 99_999),
            ("ccds", self.ccds, 1, 1000),
            ("nx", self.nx, 32, 32_768),
            ("ny", self.ny, 32, 32_768),
            ("stars", self.stars, 0, 50_000_000),
            ("unflagged-cr", self.unflagged_cr, 0, 1_000_000),
        ];
        for (option, value, low, high) in counts {
            if !(low..=high).contains(&value) {
                let gb = self.bytes() as f64 / 1e9;
                return fail(option, &value, &format!("must lie between {low} and {high} (this survey: {gb:.1} GB)"));
            }
        }
        let field = f64::from(self.ccds) * f64::from(self.nx.max(self.ny)) * self.scale / 3600.0;
        if field > 40.0 {
            return fail("ccds", &self.ccds, &format!("the detectors would cover {field:.0} degrees; at most 40"));
        }
        if !(16..=100_000).contains(&self.patch_pixels()) {
            return fail("patch", &self.patch_pixels(), "must lie between 16 and 100000 pixels");
        }
        if self.star_count() > 50_000_000 {
            return fail("stars", &self.star_count(), "must lie between 0 and 50000000");
        }
        if self.bands.is_empty() {
            return fail("bands", &"", "name at least one band");
        }
        for (i, band) in self.bands.iter().enumerate() {
            let plain =
                !band.is_empty() && band.len() <= 32 && band.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !plain {
                return fail("bands", band, "a band is made of 1 to 32 letters, digits and underscores");
            }
            if self.bands[..i].contains(band) {
                return fail("bands", band, "the band is there twice");
            }
        }
        Ok(())
    }
}

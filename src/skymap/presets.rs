//! Sky maps of surveys, by name.

use super::error::nearest;
use super::{Layout, Projection, SkyMapConfig, SkyMapError, TractBuilder};

const NAMES: &[&str] = &["hsc_rings_v1", "lsst_cells_v1", "DC2"];

impl SkyMapConfig {
    /// The configuration that a survey uses: `hsc_rings_v1` (HSC-SSP), `lsst_cells_v1` (Rubin data previews), `DC2`
    /// (LSST DESC simulation).
    ///
    /// # Errors
    /// [`SkyMapError::UnknownPreset`].
    pub fn preset(name: &str) -> Result<Self, SkyMapError> {
        let (pixel_scale_arcsec, tract_builder) = match name {
            "hsc_rings_v1" => (0.168, TractBuilder::default()),
            "DC2" => (0.2, TractBuilder::default()),
            "lsst_cells_v1" => (0.2, TractBuilder::CELLS),
            _ => {
                return Err(SkyMapError::UnknownPreset {
                    name: name.to_owned(),
                    near: nearest(name, NAMES),
                    known: NAMES.to_vec(),
                });
            }
        };
        Ok(Self {
            layout: Layout::Rings { num_rings: 120, ra_start_deg: 0.0 },
            tract_overlap_deg: 1.0 / 60.0,
            pixel_scale_arcsec,
            projection: Projection::Tan,
            rotation_deg: 0.0,
            tract_builder,
        })
    }

    /// The names [`preset`](Self::preset) knows.
    pub fn presets() -> &'static [&'static str] {
        NAMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_suggested() {
        let message = |name| SkyMapConfig::preset(name).unwrap_err().to_string();
        assert_eq!(
            message("hsc_ring_v1"),
            "no sky map preset `hsc_ring_v1` (did you mean `hsc_rings_v1`?); there are `hsc_rings_v1`, `lsst_cells_v1`, `DC2`"
        );
        assert!(message("dc2").contains("did you mean `DC2`?"));
        assert!(!message("andromeda").contains("mean"));
        assert!(NAMES.iter().all(|n| SkyMapConfig::preset(n).is_ok()));
    }
}

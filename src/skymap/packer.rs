//! The sky map's packer: tract, patch and perhaps band as one integer.

use super::SkyMap;
use crate::dimension::{BandCodes, LimitBy, PackError, Packer};

impl SkyMap {
    /// The packer of this map's tracts and patches, as `lsst.skymap` has it: [`Packer::sky_map`] with the number of tracts and
    /// the most patches that any tract has.
    ///
    /// In maps whose tracts differ in size, a patch that its tract does not have is refused both ways; the original takes any
    /// patch below the largest tract's number.
    ///
    /// ```
    /// use bunter::{BandCodes, DataId, SkyMap};
    ///
    /// let packer = SkyMap::preset("hsc_rings_v1")?.packer("hsc_rings_v1", &BandCodes::None)?;
    /// assert_eq!(packer.bits(), 21);
    /// assert_eq!(packer.pack(&DataId::new().with("tract", 18937).with("patch", 80))?, 1533977);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PackError::Layout`] for bands that share a code.
    pub fn packer(&self, name: &str, bands: &BandCodes) -> Result<Packer, PackError> {
        let (nx, ny) = self.max_patches();
        let most = u64::from(nx) * u64::from(ny);
        let packer = Packer::sky_map(name, u64::from(self.len()), most, bands)?;
        let counts: Vec<u64> =
            self.records.iter().map(|r| u64::from(r.size.count[0]) * u64::from(r.size.count[1])).collect();
        if counts.iter().all(|count| *count == most) {
            return Ok(packer);
        }
        let mut layout = packer.layout().clone();
        if let Some(patch) = layout.fields.iter_mut().find(|f| f.name == "patch") {
            patch.limit_by = Some(LimitBy { field: "tract".to_owned(), counts });
        }
        Packer::new(layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dimension::DataId;
    use crate::skymap::{Layout, SkyMapConfig};

    #[test]
    fn tracts_of_different_sizes_have_patches_of_their_own() {
        let mut config = SkyMapConfig::preset("hsc_rings_v1").unwrap();
        config.layout =
            Layout::Discrete { ra_deg: vec![10.0, 50.0], dec_deg: vec![0.0, 0.0], radius_deg: vec![0.1, 0.5] };
        let map = SkyMap::new(config).unwrap();
        let packer = map.packer("two", &BandCodes::None).unwrap();
        let count = |tract| {
            let (nx, ny) = map.tract(tract).unwrap().num_patches();
            i64::from(nx) * i64::from(ny)
        };
        assert!(count(0) < count(1));
        let id = |tract: i64, patch: i64| DataId::new().with("tract", tract).with("patch", patch);
        for tract in 0..2 {
            let last = id(tract, count(tract as u32) - 1);
            let packed = packer.pack(&last).unwrap();
            assert_eq!(packer.unpack(packed).unwrap(), last.with("skymap", "two"));
            let error = packer.pack(&id(tract, count(tract as u32))).unwrap_err().to_string();
            assert!(error.contains("`patch` is"), "{error}");
        }
        // The integer of a patch that only the other tract has.
        let error = packer.unpack(count(1) - 1).unwrap_err().to_string();
        assert!(error.contains("where `tract` is 0"), "{error}");
    }
}

//! The camera's packer: observation and detector as one integer.

use super::Instrument;
use crate::dimension::{PackError, Packer, RubinControllers};

/// Cameras whose data IDs are days and sequence numbers.
const RUBIN: [&str; 4] = ["LSSTCam", "LSSTComCam", "LSSTComCamSim", "LATISS"];
/// Observations of a camera without a layout of its own: numbers of 32 bits.
const OBSERVATIONS: u64 = 1 << 32;
/// Detectors of a camera that does not list them.
const DETECTORS: u64 = 1000;

impl Instrument {
    /// The packer of this camera's observations and detectors.
    ///
    /// HSC and `DECam` have the numbers of the reference implementation, Rubin's cameras their own layout; any other camera gets
    /// `detector + detectors observation` with as many detectors as its largest number says (1000 when they are not
    /// listed) and 2^32 observations, unless `detectors` or `observations` say otherwise. `dimension` is `visit` or `exposure`.
    ///
    /// ```
    /// use bunter::camera::Cameras;
    /// use bunter::DataId;
    ///
    /// let cameras = Cameras::built_in()?;
    /// let packer = cameras.instrument("HSC")?.packer("visit", None, None)?;
    /// assert_eq!(packer.pack(&DataId::new().with("visit", 333_321).with("detector", 89))?, 66_664_289);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PackError::Layout`] when the numbers need more than 64 bits.
    pub fn packer(
        &self,
        dimension: &str,
        detectors: Option<u64>,
        observations: Option<u64>,
    ) -> Result<Packer, PackError> {
        if RUBIN.contains(&self.name.as_str()) {
            return Packer::rubin(&self.name, RubinControllers::Observatory);
        }
        let listed = self.detectors.last().and_then(|d| u64::try_from(d.id).ok()).map(|last| last + 1);
        let (detectors, observations) = match self.name.as_str() {
            "HSC" => (200, 21_474_800),
            "DECam" => (100, 1 << 25),
            _ => (detectors.or(listed).unwrap_or(DETECTORS), observations.unwrap_or(OBSERVATIONS)),
        };
        Packer::observation(&self.name, dimension, detectors, observations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::Cameras;
    use crate::dimension::DataId;

    #[test]
    fn every_built_in_camera_has_a_packer() {
        for camera in Cameras::built_in().unwrap().instruments() {
            let packer = camera.packer("visit", None, None).unwrap();
            let detector = camera.detectors.last().map_or(0, |d| d.id);
            let visit = if RUBIN.contains(&camera.name.as_str()) { 2_025_010_100_001_i64 } else { 1 };
            let id = DataId::new().with("visit", visit).with("detector", detector);
            let back = packer.unpack(packer.pack(&id).unwrap()).unwrap();
            assert_eq!(back, id.with("instrument", camera.name.as_str()));
        }
        let other = Instrument::open("MyCam").packer("exposure", Some(4), Some(1000)).unwrap();
        assert_eq!(other.bits(), 12);
    }
}

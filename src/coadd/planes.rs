//! [`CoaddPlanes`]: what the bits of a coadd's mask mean, and how the bits of each input come to be among them.

use crate::coadd::CoaddError;
use crate::dataset::MaskPlanes;

/// The mask planes of a coadd.
///
/// A coadd has the [standard planes](MaskPlanes::STANDARD), every further plane of its inputs that is not removed, and
/// LSST's planes for what happens in stacking (`AssembleCoaddTask.setRejectedMaskMapping` and `setInexactPsf`):
///
/// | plane | set where |
/// |---|---|
/// | `NO_DATA` | no input contributes |
/// | `REJECTED` | an input was left out because of a bad pixel (`BAD`, `SAT`, `CR`, not a number) |
/// | `CLIPPED` | an input was left out because it disagrees with the others |
/// | `SENSOR_EDGE` | an input, contributing or not, has `EDGE`, or its kernel was cut off by the edge of the detector |
/// | `INEXACT_PSF` | any of `REJECTED`, `CLIPPED`, `SENSOR_EDGE`: the PSF of the coadd is not that of all its inputs |
/// | `SAT` | a contributing input has it, or more than a tenth of the weight here was rejected with it |
/// | others | a contributing input has it |
///
/// `EDGE` itself says that a pixel is at the edge of its own image, and so becomes `SENSOR_EDGE` and is never set.
///
/// ```
/// use bunter::coadd::CoaddPlanes;
///
/// let planes = CoaddPlanes::default();
/// assert!(planes.names().bit("INEXACT_PSF").is_some());
/// ```
#[derive(Clone, Debug)]
pub struct CoaddPlanes {
    names: MaskPlanes,
    bad: Vec<String>,
    removed: Vec<String>,
}

impl CoaddPlanes {
    /// Planes of inputs whose pixels are never used.
    pub const BAD: [&'static str; 4] = ["BAD", "SAT", "CR", "NO_DATA"];
    /// Planes of inputs that mean nothing in a coadd, LSST's `removeMaskPlanes`.
    pub const REMOVED: [&'static str; 1] = ["NOT_DEBLENDED"];
    const STACKING: [&'static str; 4] = ["REJECTED", "CLIPPED", "SENSOR_EDGE", "INEXACT_PSF"];

    /// Planes of a coadd that leaves out input pixels with any of the planes `bad`, and drops the planes `removed`.
    pub fn new(bad: &[&str], removed: &[&str]) -> Self {
        let mut names = MaskPlanes::default();
        for plane in Self::STACKING {
            // Thirteen planes fit into 31 bits.
            let _ = names.add(plane);
        }
        let own = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Self { names, bad: own(bad), removed: own(removed) }
    }

    /// Names and bits of the coadd's mask.
    pub fn names(&self) -> &MaskPlanes {
        &self.names
    }

    /// Takes in the planes of an input, which may have other bits for the same names.
    ///
    /// Call it for every input before the first strip is stacked; bits given once stay.
    ///
    /// # Errors
    /// [`CoaddError::TooManyPlanes`] when the planes of all inputs do not fit into 31 bits.
    pub fn add_input(&mut self, input: &MaskPlanes) -> Result<InputPlanes, CoaddError> {
        let mut map = [0_i32; 31];
        for (name, bit) in input.iter() {
            if self.removed.iter().any(|removed| removed == name) {
                continue;
            }
            let ours = self.names.add(name).ok_or_else(|| CoaddError::TooManyPlanes { plane: name.to_owned() })?;
            if let Some(slot) = map.get_mut(usize::from(bit)) {
                *slot |= 1 << ours;
            }
        }
        let bad: Vec<&str> = self.bad.iter().map(String::as_str).collect();
        Ok(InputPlanes {
            bad: input.bits(&bad),
            map,
            unusable: self.names.bits(&["BAD"]),
            edge: self.names.bits(&["EDGE"]),
            no_data: self.names.bits(&["NO_DATA"]),
        })
    }

    pub(super) fn bits(&self) -> StackBits {
        let bit = |name: &str| self.names.bits(&[name]);
        let bad: Vec<&str> = self.bad.iter().map(String::as_str).filter(|name| *name != "NO_DATA").collect();
        StackBits {
            bad: self.names.bits(&bad) | bit("BAD"),
            edge: bit("EDGE"),
            no_data: bit("NO_DATA"),
            rejected: bit("REJECTED"),
            clipped: bit("CLIPPED"),
            sensor_edge: bit("SENSOR_EDGE"),
            inexact_psf: bit("INEXACT_PSF"),
            saturated: bit("SAT"),
        }
    }
}

impl Default for CoaddPlanes {
    fn default() -> Self {
        Self::new(&Self::BAD, &Self::REMOVED)
    }
}

/// How the mask of one input is read: which of its bits are bad, and which bits of the coadd each becomes.
#[derive(Clone, Debug)]
pub struct InputPlanes {
    pub(super) bad: i32,
    pub(super) unusable: i32,
    pub(super) edge: i32,
    pub(super) no_data: i32,
    map: [i32; 31],
}

impl InputPlanes {
    /// Bits of the input in the bits of the coadd.
    pub(super) fn translate(&self, bits: i32) -> i32 {
        // Bits without a name, and the sign, stay behind.
        let mut left = bits & i32::MAX;
        let mut out = 0;
        while left != 0 {
            out |= self.map[left.trailing_zeros() as usize % 31];
            left &= left - 1;
        }
        out
    }
}

/// Bits that stacking reads and sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackBits {
    pub(super) bad: i32,
    pub(super) edge: i32,
    pub(super) no_data: i32,
    pub(super) rejected: i32,
    pub(super) clipped: i32,
    pub(super) sensor_edge: i32,
    pub(super) inexact_psf: i32,
    pub(super) saturated: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_with_other_bits_meet_by_name() {
        let mut coadd = CoaddPlanes::default();
        let input = MaskPlanes::new([("SAT", 0), ("GHOST", 5), ("NOT_DEBLENDED", 6)].map(|(n, b)| (n.to_owned(), b)));
        let planes = coadd.add_input(&input).unwrap();
        assert_eq!(planes.bad, 1);
        assert_eq!(planes.translate(1), coadd.names().bits(&["SAT"]));
        assert_eq!(planes.translate(0b110_0001), coadd.names().bits(&["SAT", "GHOST"]));
        assert_eq!(planes.translate(i32::MIN | 1 << 9), 0);
    }

    #[test]
    fn a_plane_too_many_is_named() {
        let mut coadd = CoaddPlanes::default();
        let input = MaskPlanes::new((0..19).map(|i| (format!("P{i}"), i)));
        match coadd.add_input(&input) {
            Err(CoaddError::TooManyPlanes { plane }) => assert_eq!(plane, "P18"),
            other => panic!("{other:?}"),
        }
    }
}

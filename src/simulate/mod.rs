//! Give me a small survey of which I know the truth.
//!
//! [`simulate`] makes overlapping exposures of Gaussian stars in the layout of an LSST calexp, so that demonstrations need no
//! network and tests can check a coadd against the sky it was made from. Written are
//!
//! * `calexp-VVVVVV-DD.fits`, one an exposure: primary header (VISIT, DETECTOR, FILTER, MJD-OBS in TAI, EXPTIME, PHOTZP,
//!   SEEING, SKYSIG, GAIN), `IMAGE` (f32, counts, sky subtracted), `MASK` (i32, planes named by `MP_` cards), `VARIANCE`
//!   (f32, counts squared);
//! * `visits.csv`, one row an exposure, with the corners of its pixels;
//! * `truth.csv`, one row a star: position, magnitude and flux at zero point 27 by band, whether it is isolated (none other
//!   within 6 arcsec), how many exposures hold it;
//! * `target.hdr`, the header of one patch centred on the field, and `params.json`, the options.
//!
//! Masked pixels hold junk (bad columns of 5000 counts either way, cosmic rays, NaN in a dead corner), so that a leak shows
//! at once. Fluxes are counts in a pixel, not surface brightness: who warps must multiply by the area ratio.
//!
//! The bytes are the same on every machine and for every number of threads: each visit and each detector draws from a
//! `ChaCha8` stream of its own, and sines, logarithms and error functions come from `libm`.
//!
//! Left out on purpose: galaxies, real point spread functions, raw frames and calibrations.

mod error;
mod options;
mod random;
mod render;
mod sky;
mod survey;

pub use error::SimulateError;
pub use options::{SimulateOptions, SimulatedWcs};
pub use survey::{SimulateProgress, SimulatedSurvey, simulate};

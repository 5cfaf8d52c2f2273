//! Which detectors has this instrument, where are they on the sky for this pointing, which filters are which bands, and how do
//! its file headers name things?
//!
//! An [`Instrument`] lists detectors and filters. A [`Translator`] knows one kind of file: how it is recognised, which
//! expression over its headers is the visit, the zero point, …, and where its mask and variance are. Both are data, in TOML;
//! those that come with the program lie in `src/camera/instruments/`, and a user's file may add to them or replace them
//! ([`Cameras::add_toml`]). The expressions are described at [`HeaderExpression`].
//!
//! A file is handed in as headers ([`ExposureFile`]) and comes out as one [`ObservationInfo`] an image:
//!
//! ```
//! use bunter::camera::{Cameras, ExposureFile, HduInfo};
//! use bunter::Header;
//!
//! let mut header: Header = [("NAXIS", 2_i64), ("NAXIS1", 2048), ("NAXIS2", 4096), ("EXPNUM", 42), ("CCDNUM", 3)].into_iter().collect();
//! for (keyword, text) in [("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN"), ("FILTER", "r"), ("INSTRUME", "MyCam")] {
//!     header.set(keyword, text);
//! }
//! for (keyword, number) in [("CRVAL1", 150.0), ("CRVAL2", 2.0), ("CRPIX1", 1024.5), ("CRPIX2", 2048.5), ("CD1_1", -7e-5),
//!     ("CD2_2", 7e-5), ("MAGZERO", 31.4), ("GAIN", 1.6), ("EXPTIME", 30.0), ("MJD-OBS", 60800.0)] {
//!     header.set(keyword, number);
//! }
//! let hdus = [HduInfo::from_header(header)];
//! let file = ExposureFile { path: "a/exposure.fits", hdus: &hdus, sidecars: &[], siblings: None };
//! let observations = Cameras::built_in()?.translate(file)?;
//! assert_eq!(observations[0].data_id().to_string(), "{detector: 3, instrument: MyCam, visit: 42}");
//! assert!(observations[0].needs_pixels());
//! # Ok::<(), bunter::camera::CameraError>(())
//! ```
//!
//! Where the detectors lie is a [`FocalPlane`]: with a [`Pointing`] it gives their footprints on the sky and brings pixels there
//! and back, for whole columns of pointings ([`Pointings`]) or of positions.
//!
//! Left out on purpose: reading files (`datastore`).

mod cameras;
mod definition;
mod detector_group;
mod detector_index;
mod error;
mod exposure_file;
mod expression;
mod focal_plane;
mod instrument;
mod observation;
mod packer;
mod placement;
mod pointing;
mod radial;
mod sidecar;
mod time;
mod transforms;
mod translator;

pub use cameras::{Cameras, Recognition};
pub use error::CameraError;
pub use exposure_file::{ExposureFile, HduInfo};
pub use expression::{EvaluateError, HeaderExpression, ParseError, Value};
pub use focal_plane::FocalPlane;
pub use instrument::{Detector, Filter, Instrument};
pub use observation::{ObservationInfo, ToMeasure};
pub use pointing::{Pointing, Pointings};
pub use sidecar::Sidecar;
pub use transforms::Columns;
pub use translator::Translator;

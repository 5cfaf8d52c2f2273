//! Make one deep image of these.
//!
//! The room holds the way from calibrated images to a coadd: interpolation onto the common grid ([`WarpInput`], over a
//! [`Kernel`] and a [`PixelMapping`]), the statistics of many inputs ([`Stack`], [`Statistic`]), the weight of one
//! ([`clipped_mean`]), the mask planes of the result ([`CoaddPlanes`]), and what is needed to check it: photometry of stars
//! ([`aperture_flux`], [`windowed_centroid`]) and pictures ([`asinh_rgb`]). All of it is pure array work on boxes of pixels.
//!
//! It leaves out where pixels fall on the sky (`wcs`, behind the trait [`PixelMapping`]) and which images overlap which
//! patch (`skymap`, `ranks`).

#![expect(clippy::needless_pass_by_value, reason = "array views are passed by value, as they are in ndarray")]

mod combine;
mod config;
mod error;
mod inputs;
mod kernel;
mod lanes;
mod photometry;
mod planes;
mod preview;
mod quantum;
mod source;
mod stack;
mod star_check;
mod statistics;
mod strip;
mod task;
mod warp;

pub use config::CoaddConfig;
pub use error::CoaddError;
pub use kernel::Kernel;
pub use photometry::{ApertureFlux, Centroid, aperture_flux, gaussian_encircled_fraction, windowed_centroid};
pub use planes::{CoaddPlanes, InputPlanes};
pub use preview::{AsinhStretch, RgbImage, asinh_rgb};
pub use quantum::{CoaddInput, CoaddQuantum, PatchName, fingerprint};
pub use source::{InputPixels, WarpInput, WarpScratch};
pub use stack::{Stack, StackedStrip, Statistic};
pub use star_check::{KnownStar, StarAperture, StarCheck};
pub use statistics::{ClippedMean, ClippedMeanOptions, clipped_mean};
pub use strip::Strip;
pub use task::{CoaddSummary, CoaddTask};
pub use warp::{PixelMapping, WarpCounts};

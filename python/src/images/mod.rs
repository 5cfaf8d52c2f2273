//! Images: pixels as numpy arrays. What exposures and coadds share is in `pixels`.

mod coadd;
mod exposure;
mod pixels;

pub(crate) use coadd::PyCoadd;
pub(crate) use exposure::PyExposure;
pub(crate) use pixels::picture;

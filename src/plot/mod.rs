//! *What does this look like on the sky?*
//!
//! Holds [`SkyContent`], the tracts, patches and detectors of a selection; [`SkyFigure`], which draws them and their depth as SVG or
//! PNG; [`Coverage`], the same as an IVOA coverage map (MOC); and DS9 regions. Two canvases, one of text and one of pixels, take the
//! same drawing. Positions are projected, cut and counted here, in doubles; files have no time and no machine in them, so that the same
//! content gives the same bytes.
//!
//! Leaves out: images of pixels (`coadd::preview`), and where a table came from.

mod canvas;
mod clip;
mod colour;
mod content;
mod coverage;
mod coverage_file;
mod depth;
mod ds9;
mod error;
mod figure;
mod frame;
mod graticule;
mod outline;
mod output;
mod png_file;
mod projection;
mod raster;
mod svg;
mod table;
mod text;

pub use content::{Footprint, SkyContent, SkyTile};
pub use coverage::{Coverage, CoverageKind};
pub use coverage_file::CoverageFormat;
pub use ds9::ds9_regions;
pub use error::PlotError;
pub use figure::{PictureFormat, SkyFigure, SkyLayer, SkyPicture};
pub use output::write_whole;
pub use projection::SkyProjection;

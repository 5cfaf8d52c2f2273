//! `bunter plot sky`: a picture of the sky.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::CliError;
use super::select::Selection;
use crate::butler::Butler;
use crate::dimension::Expression;
use crate::plot::{PictureFormat, SkyContent, SkyFigure, SkyLayer, SkyProjection, write_whole};
use crate::skymap::SkyMap;
use crate::sphere::LonLat;

/// Draw pictures.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bunter plot sky REPO --skymap demo --where \"band = 'r'\" --output sky.svg")]
pub(crate) struct Plot {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Sky(PlotSky),
}

impl Plot {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        match &self.what {
            What::Sky(sky) => sky.run(),
        }
    }
}

/// Draw tracts, patches, detectors, and how many visits cover each place.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter plot sky REPO --skymap demo --where \"band = 'r'\" --output sky.svg\n  \
                  bunter plot sky --skymap hsc_rings_v1 --tract 9812..9814 --output tracts.png\n  \
                  bunter plot sky --table detectors.csv --skymap hsc_rings_v1 --title 'Pointings' --output depth.png")]
pub(crate) struct PlotSky {
    #[command(flatten)]
    source: SkySource,
    /// The file that is written: .svg or .png.
    #[arg(long, short)]
    output: PathBuf,
    /// Width and height, pixels [default: 1200 wide, as high as the selection wants].
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    size: Option<(u32, u32)>,
    /// Written above the picture.
    #[arg(long)]
    title: Option<String>,
    /// How the sky is laid on the page [default: by the extent].
    #[arg(long, value_enum)]
    projection: Option<ProjectionName>,
    /// What is drawn [default: all that there is and can be told apart].
    #[arg(long, value_enum, value_delimiter = ',')]
    layers: Vec<LayerName>,
    /// Right ascension and declination of the middle, degrees [default: that of the selection].
    #[arg(long, alias = "center", value_name = "RA,DEC", allow_hyphen_values = true, value_parser = position)]
    centre: Option<LonLat>,
    /// Half of the picture's shorter side, degrees [default: all of the selection].
    #[arg(long, value_name = "DEGREES", allow_hyphen_values = true)]
    radius: Option<f64>,
}

impl PlotSky {
    fn run(&self) -> Result<(), CliError> {
        let format = PictureFormat::of(&self.output)?;
        let content = self.source.content()?;
        let layer = |name: &LayerName| match name {
            LayerName::Depth => SkyLayer::Depth,
            LayerName::Detectors => SkyLayer::Detectors,
            LayerName::Patches => SkyLayer::Patches,
            LayerName::Tracts => SkyLayer::Tracts,
        };
        let figure = SkyFigure {
            size: self.size,
            title: self.title.clone(),
            projection: self.projection.map(ProjectionName::projection),
            layers: if self.layers.is_empty() { None } else { Some(self.layers.iter().map(layer).collect()) },
            centre: self.centre,
            radius: self.radius.map(f64::to_radians),
        };
        let picture = figure.draw(&content, format)?;
        write_whole(&self.output, &picture.bytes)?;
        for note in &picture.notes {
            eprintln!("note: {note}");
        }
        let depth = picture.max_depth.map_or_else(String::new, |d| format!(", depth up to {d}"));
        eprintln!(
            "picture: {} ({}, {}{depth})",
            self.output.display(),
            ProjectionName::of(picture.projection),
            contents(&content)
        );
        Ok(())
    }
}

/// `1 tract, 81 patches, 48 detector images`.
fn contents(content: &SkyContent) -> String {
    let count = |n: usize, one: &str, many: &str| (n > 0).then(|| format!("{n} {}", if n == 1 { one } else { many }));
    [
        count(content.tracts.len(), "tract", "tracts"),
        count(content.patches.len(), "patch", "patches"),
        count(content.detectors.len(), "detector image", "detector images"),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

/// Where the shapes come from.
#[derive(Debug, Args)]
pub(crate) struct SkySource {
    /// The repository; may be left out for a sky map or a table alone.
    repository: Option<PathBuf>,
    /// The sky map: its name in the repository; without one a preset (hsc_rings_v1, lsst_cells_v1, DC2) or a TOML file.
    #[arg(long, value_name = "NAME|FILE")]
    skymap: Option<String>,
    /// Tracts: 9813, 9812..9814, 1^5^9. [default: those that images touch, or all]
    #[arg(long, value_name = "NUMBERS")]
    tract: Option<String>,
    /// Polygons of a table, CSV or Parquet: a column `vertices` of `ra dec;ra dec;…`, all others name the row.
    #[arg(long, value_name = "FILE")]
    table: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

impl SkySource {
    /// Whether anything is named.
    pub(crate) fn is_given(&self) -> bool {
        self.repository.is_some() || self.skymap.is_some() || !self.table.is_empty()
    }

    /// The shapes that are meant.
    pub(crate) fn content(&self) -> Result<SkyContent, CliError> {
        if !self.is_given() {
            return Err(CliError::Usage("say what: a repository, --skymap, or --table".to_owned()));
        }
        if self.tract.is_some() && self.skymap.is_none() {
            return Err(CliError::Usage("--tract is a number of a sky map: give --skymap too".to_owned()));
        }
        let tracts = self.tract.as_ref().map(|t| Expression::parse_ids(&[&format!("tract={t}")])).transpose()?;
        let filter = match (self.selection.filter()?, tracts) {
            (Some(a), Some(b)) => Some(Expression::And(Box::new(a), Box::new(b))),
            (a, b) => a.or(b),
        };
        let mut content = match (&self.repository, &self.skymap) {
            (Some(repository), sky_map) => {
                SkyContent::from_repository(&Butler::open(repository)?, sky_map.as_deref(), filter.as_ref())?
            }
            (None, Some(name)) => Self::tiles(name, filter.as_ref())?,
            (None, None) if filter.is_some() => {
                return Err(CliError::Usage(
                    "--where and --id ask a repository: name it first, or choose the rows of the table beforehand"
                        .to_owned(),
                ));
            }
            (None, None) => SkyContent::default(),
        };
        for table in &self.table {
            content.extend(SkyContent::from_table(table)?);
        }
        Ok(content)
    }

    /// Tiles of a sky map alone: of the tracts that the filter names, or of all.
    fn tiles(name: &str, filter: Option<&Expression>) -> Result<SkyContent, CliError> {
        let path = Path::new(name);
        let is_file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) || path.is_file();
        let map = if is_file {
            let text = std::fs::read_to_string(path).map_err(|source| CliError::File {
                doing: "read",
                path: name.to_owned(),
                source,
            })?;
            SkyMap::from_toml(&text)?
        } else {
            SkyMap::preset(name)?
        };
        let tracts = match filter {
            None => None,
            Some(filter) => Some(filter.values_of("tract").ok_or_else(|| {
                CliError::Usage("without a repository only tracts can be chosen: --tract 9812..9814".to_owned())
            })?),
        };
        let out_of_range = |tract: i64| crate::skymap::SkyMapError::TractOutOfRange { tract, count: map.len() };
        let tracts = tracts
            .map(|t| {
                t.into_iter().map(|t| u32::try_from(t).map_err(|_| out_of_range(t))).collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        Ok(SkyContent::from_sky_map(&map, tracts.as_deref())?)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProjectionName {
    /// A tangent plane, for small fields.
    Gnomonic,
    /// Equal areas around a centre, for up to a hemisphere.
    Azimuthal,
    /// The whole sky, parallels straight.
    Mollweide,
    /// The whole sky, after Hammer and Aitoff.
    Hammer,
}

impl ProjectionName {
    fn projection(self) -> SkyProjection {
        match self {
            Self::Gnomonic => SkyProjection::Gnomonic,
            Self::Azimuthal => SkyProjection::Azimuthal,
            Self::Mollweide => SkyProjection::Mollweide,
            Self::Hammer => SkyProjection::Hammer,
        }
    }

    fn of(projection: SkyProjection) -> &'static str {
        match projection {
            SkyProjection::Gnomonic => "gnomonic",
            SkyProjection::Azimuthal => "azimuthal",
            SkyProjection::Mollweide => "mollweide",
            SkyProjection::Hammer => "hammer",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayerName {
    /// How many visits cover each place.
    Depth,
    /// Outlines of detectors.
    Detectors,
    /// Outlines of patches.
    Patches,
    /// Outlines of tracts.
    Tracts,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let parse = || {
        let (w, h) = text.split_once(['x', 'X'])?;
        Some((w.trim().parse().ok()?, h.trim().parse().ok()?))
    };
    parse().ok_or_else(|| "expected WIDTHxHEIGHT in pixels, such as 1600x1200".to_owned())
}

fn position(text: &str) -> Result<LonLat, String> {
    let words: Vec<&str> = text.split([',', ' ']).filter(|w| !w.is_empty()).collect();
    let numbers: Option<Vec<f64>> = words.iter().map(|w| w.parse().ok()).collect();
    match numbers.as_deref() {
        Some([lon, lat]) if lon.is_finite() && lat.abs() <= 90.0 => Ok(LonLat::from_degrees(*lon, *lat)),
        _ => Err("expected RA,DEC in degrees, such as 150.1,2.2".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_positions() {
        assert_eq!(size("1600x1200"), Ok((1600, 1200)));
        assert!(["1600", "x", "axb", "-1x5", "1e3x5"].iter().all(|t| size(t).is_err()));
        assert!((position("150.1,-2.2").unwrap().lat_deg() + 2.2).abs() < 1e-12);
        assert!(["150.1", "NaN,0", "0,91", "1,2,3", ""].iter().all(|t| position(t).is_err()));
    }
}

//! `bunter coverage`: the part of the sky that a selection covers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::CliError;
use super::output::ignore_closed_pipe;
use super::plot::SkySource;
use crate::plot::{Coverage, CoverageFormat, CoverageKind, PlotError, SkyContent, ds9_regions, write_whole};
use crate::sphere::Region;

/// Write what a selection covers as an IVOA coverage map (MOC), or as DS9 regions.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bunter coverage REPO --where \"band = 'r'\" --output r.fits\n  \
                  bunter coverage --skymap hsc_rings_v1 --tract 9813 --of patches --output tract.reg\n  \
                  bunter coverage --region 'CIRCLE 150.1 2.2 0.5' --max-depth 14 --minus masked.fits --output field.json")]
pub(crate) struct CoverageCommand {
    #[command(flatten)]
    source: SkySource,
    /// A region, degrees: 'CIRCLE ra dec radius', 'RANGE west east south north', 'POLYGON ra dec ra dec …'.
    #[arg(long, value_name = "REGION")]
    region: Vec<String>,
    /// Whose regions are covered [default: images of a repository or rows of a table; else tracts].
    #[arg(long, value_enum)]
    of: Option<Of>,
    /// The file that is written: .fits, .json, .txt (coverage maps), .reg (DS9) [default: standard output, with --as].
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// The format [default: by the ending of the output].
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// Depth (order) of the smallest cells, 0 to 29; 12 is 52 arcsec.
    #[arg(long, value_name = "DEPTH", conflicts_with = "resolution", value_parser = clap::value_parser!(u8).range(0..=29))]
    max_depth: Option<u8>,
    /// Cells no larger than this on a side, arcsec.
    #[arg(long, value_name = "ARCSEC", allow_hyphen_values = true)]
    resolution: Option<f64>,
    /// Only cells wholly inside of a region, instead of all that are touched.
    #[arg(long)]
    interior: bool,
    /// Keep what this coverage map covers too; done before --union and --minus.
    #[arg(long, value_name = "MOC")]
    intersect: Vec<PathBuf>,
    /// Add what this coverage map covers; done before --minus.
    #[arg(long, value_name = "MOC")]
    union: Vec<PathBuf>,
    /// Take away what this coverage map covers.
    #[arg(long, value_name = "MOC")]
    minus: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    Detectors,
    Patches,
    Tracts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// MOC 2.0 in FITS.
    Fits,
    /// MOC in JSON.
    Json,
    /// MOC 2.0 in ASCII.
    Ascii,
    /// Polygons and circles for SAOImage DS9, with the data IDs as text.
    Ds9,
}

/// Depth of cells when nobody says.
const DEPTH: u8 = 12;

impl CoverageCommand {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let format = self.format()?;
        let depth = match self.resolution {
            Some(arcsec) => Coverage::depth_of_resolution((arcsec / 3600.0).to_radians())?,
            None => self.max_depth.unwrap_or(DEPTH),
        };
        let named = self.regions()?;
        if format == FormatName::Ds9 {
            if !(self.intersect.is_empty() && self.union.is_empty() && self.minus.is_empty()) {
                return Err(CliError::Usage(
                    "--intersect, --union and --minus make coverage maps: write FITS, JSON or ASCII".to_owned(),
                ));
            }
            let text = ds9_regions(named.iter().map(|(name, region)| (name.as_str(), region)));
            self.write(text.as_bytes())?;
            self.told(&format!("{} region{}", named.len(), if named.len() == 1 { "" } else { "s" }));
            return Ok(());
        }
        let kind = if self.interior { CoverageKind::Interior } else { CoverageKind::Envelope };
        let regions: Vec<Region> = named.into_iter().map(|(_, region)| region).collect();
        let mut coverage = Coverage::new(&regions, depth, kind)?;
        for path in &self.intersect {
            coverage = coverage.intersection(&Coverage::read(path)?);
        }
        for path in &self.union {
            coverage = coverage.union(&Coverage::read(path)?);
        }
        for path in &self.minus {
            coverage = coverage.minus(&Coverage::read(path)?);
        }
        let format = match format {
            FormatName::Json => CoverageFormat::Json,
            FormatName::Ascii => CoverageFormat::Ascii,
            FormatName::Fits | FormatName::Ds9 => CoverageFormat::Fits,
        };
        self.write(&coverage.to_bytes(format)?)?;
        if coverage.is_empty() {
            eprintln!(
                "note: nothing is covered{}",
                if self.interior { ": no cell of this depth is inside" } else { "" }
            );
        }
        self.told(&format!(
            "{:.6} square degrees, {:.4e} of the sky, {} cells down to depth {}",
            coverage.area().to_degrees().to_degrees(),
            coverage.sky_fraction(),
            coverage.cells(),
            coverage.depth()
        ));
        Ok(())
    }

    fn format(&self) -> Result<FormatName, CliError> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let Some(path) = &self.output else {
            return Err(CliError::Usage("say where to: --output r.fits, or --as json for standard output".to_owned()));
        };
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("reg")) {
            return Ok(FormatName::Ds9);
        }
        match CoverageFormat::of(path) {
            Some(CoverageFormat::Fits) => Ok(FormatName::Fits),
            Some(CoverageFormat::Json) => Ok(FormatName::Json),
            Some(CoverageFormat::Ascii) => Ok(FormatName::Ascii),
            None => {
                let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_owned();
                let known = "fits, json, txt (coverage maps), reg (DS9); or say --as";
                Err(PlotError::UnknownFormat { path: path.clone(), ending, known }.into())
            }
        }
    }

    /// The regions that are covered, with their names.
    fn regions(&self) -> Result<Vec<(String, Region)>, CliError> {
        let mut named = Vec::new();
        for text in &self.region {
            let region: Region =
                text.parse().map_err(|error| CliError::Usage(format!("--region '{text}': {error}")))?;
            named.push((text.clone(), region));
        }
        if self.source.is_given() || self.region.is_empty() {
            let content = self.source.content()?;
            for note in &content.notes {
                eprintln!("note: {note}");
            }
            named.extend(self.chosen(content)?);
        }
        Ok(named)
    }

    fn chosen(&self, content: SkyContent) -> Result<Vec<(String, Region)>, CliError> {
        let of = self.of.unwrap_or(if !content.detectors.is_empty() {
            Of::Detectors
        } else if content.tracts.is_empty() && !content.patches.is_empty() {
            Of::Patches
        } else {
            Of::Tracts
        });
        let tiles = |tiles: Vec<crate::plot::SkyTile>| tiles.into_iter().map(|t| (t.name, t.region.into())).collect();
        let (what, named): (&str, Vec<(String, Region)>) = match of {
            Of::Detectors => {
                ("detector's image", content.detectors.into_iter().map(|d| (d.label, d.polygon.into())).collect())
            }
            Of::Patches => ("patch", tiles(content.patches)),
            Of::Tracts => ("tract", tiles(content.tracts)),
        };
        if named.is_empty() {
            let why = format!("the selection has no {what} with a region");
            return Err(PlotError::Empty { doing: "cover", why }.into());
        }
        Ok(named)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), CliError> {
        match &self.output {
            Some(path) => Ok(write_whole(path, bytes)?),
            None => ignore_closed_pipe(std::io::Write::write_all(&mut std::io::stdout().lock(), bytes)),
        }
    }

    fn told(&self, what: &str) {
        match &self.output {
            Some(path) => eprintln!("coverage: {} ({what})", path.display()),
            None => eprintln!("coverage: {what}"),
        }
    }
}

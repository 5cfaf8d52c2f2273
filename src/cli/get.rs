//! `bunter get`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::CliError;
use super::output::{OutputFormat, write_rows};
use super::select::{Collections, data_id};
use crate::butler::Butler;
use crate::datastore::{Dataset, FitsWriter, write_fits_coadd, write_fits_exposure};
use crate::dimension::DataId;
use crate::wcs::{Header, PixelBox};

/// Read a dataset, one component of it, or a box of its pixels, and write it as FITS; small things are printed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter get REPO deepCoadd skymap=demo tract=0 patch=4 band=r --as fits --output coadd.fits\n  \
                  bunter get REPO calexp.image instrument=HSC visit=1228 detector=42 --bbox 100,200,500,500 --output cut.fits\n  \
                  bunter get REPO deepCoadd.inputs skymap=demo tract=0 patch=4 band=r --format csv"
)]
pub(crate) struct Get {
    /// The repository.
    repository: PathBuf,
    /// Dataset type, with a component behind a dot: calexp, calexp.image, deepCoadd.inputs.
    dataset: String,
    /// Dimension values: visit=1228 detector=42.
    #[arg(value_name = "KEY=VALUE", required = true)]
    data_id: Vec<String>,
    #[command(flatten)]
    collections: Collections,
    /// Only these pixels of the detector or tract: x0,y0,width,height.
    #[arg(long, value_name = "BOX", allow_hyphen_values = true)]
    bbox: Option<String>,
    /// What is written.
    #[arg(long = "as", value_enum, default_value = "fits")]
    kind: FileKind,
    /// The file that is written; pixels must have one.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// How tables are printed.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileKind {
    Fits,
}

impl Get {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let FileKind::Fits = self.kind;
        let bbox = self.bbox.as_deref().map(parse_box).transpose()?;
        let butler = Butler::open(&self.repository)?;
        let names = self.collections.names(&butler)?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let id = data_id(&self.data_id)?;
        self.check_one(&butler, &id)?;
        let dataset = butler.get(&self.dataset, &id, &names, bbox)?;
        match (&dataset, &self.output) {
            (Dataset::Table(rows), None) => write_rows(rows, self.format),
            (
                Dataset::Json(_) | Dataset::Wcs(_) | Dataset::Box(_) | Dataset::Number(_) | Dataset::Metadata(_),
                None,
            ) => {
                let mut out = std::io::stdout().lock();
                super::output::ignore_closed_pipe(out.write_all(text(&dataset).as_bytes()))
            }
            (_, None) => Err(CliError::Usage(format!("{} has pixels: say where they go with --output", self.dataset))),
            (_, Some(path)) if path.exists() => {
                Err(CliError::Failed(format!("{} exists already: remove it, or write to another file", path.display())))
            }
            (_, Some(path)) => Self::write(&dataset, path, &self.pixel_header(&butler, &id, &names, bbox)?),
        }
    }

    /// Refuses a data ID that names several datasets: one is what is read.
    fn check_one(&self, butler: &Butler, id: &DataId) -> Result<(), CliError> {
        let id = &butler.standard_data_id(id)?;
        let name = self.dataset.split_once('.').map_or(self.dataset.as_str(), |(name, _)| name);
        let kind = butler.reader().dataset_type(name)?;
        let missing: Vec<&str> = kind.dimensions.iter().map(|d| &**d).filter(|d| id.get(d).is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CliError::Failed(format!(
            "get reads one dataset, but {id} may name many of `{name}`: say also {}; which there are, lists `bunter \
             query-data-ids REPO {} --dataset-type {name} --id {}`",
            missing.join(", "),
            missing.join(","),
            self.data_id.join(" ")
        )))
    }

    /// The WCS of the pixels of a component, which by themselves do not know where they lie.
    fn pixel_header(
        &self,
        butler: &Butler,
        id: &DataId,
        collections: &[&str],
        bbox: Option<PixelBox>,
    ) -> Result<Header, CliError> {
        let Some((parent, _)) = self.dataset.split_once('.') else { return Ok(Header::default()) };
        let origin = match (bbox, butler.get(&format!("{parent}.bbox"), id, collections, None)?) {
            (Some(bbox), _) | (None, Dataset::Box(bbox)) => (f64::from(bbox.x0), f64::from(bbox.y0)),
            _ => (0.0, 0.0),
        };
        match butler.get(&format!("{parent}.wcs"), id, collections, None)? {
            Dataset::Wcs(wcs) => Ok(wcs.shifted(-origin.0, -origin.1).to_header()),
            _ => Ok(Header::default()),
        }
    }

    fn write(dataset: &Dataset, path: &Path, header: &Header) -> Result<(), CliError> {
        let io = |source| CliError::File { doing: "write", path: path.display().to_string(), source };
        match dataset {
            Dataset::Exposure(exposure) => write_fits_exposure(path, exposure)?,
            Dataset::Coadd(coadd) => write_fits_coadd(path, coadd)?,
            Dataset::Image(_) | Dataset::Mask(_) | Dataset::NImage(_) => {
                let mut writer = FitsWriter::new(BufWriter::new(File::create(path).map_err(io)?));
                writer.primary(&Header::default()).map_err(io)?;
                match dataset {
                    Dataset::Image(pixels) => writer.image_f32("IMAGE", header, pixels),
                    Dataset::Mask(pixels) => writer.image_i32("MASK", header, pixels),
                    Dataset::NImage(pixels) => writer.image_u16("N_IMAGE", header, pixels),
                    _ => Ok(()),
                }
                .and_then(|()| writer.finish()?.flush())
                .map_err(io)?;
            }
            other => std::fs::write(path, text(other)).map_err(io)?,
        }
        eprintln!("wrote {}", path.display());
        Ok(())
    }
}

/// A small dataset in words.
fn text(dataset: &Dataset) -> String {
    match dataset {
        Dataset::Json(document) => format!("{document:#}\n"),
        Dataset::Wcs(wcs) => cards(&wcs.to_header()),
        Dataset::Metadata(header) => cards(header),
        Dataset::Box(bbox) => format!("{},{},{},{}\n", bbox.x0, bbox.y0, bbox.width, bbox.height),
        Dataset::Number(value) => format!("{value}\n"),
        other => format!("{}\n", other.kind()),
    }
}

fn cards(header: &Header) -> String {
    let lines: Vec<String> =
        header.cards().iter().map(|card| format!("{:8}= {}\n", card.keyword, card.value)).collect();
    lines.concat()
}

fn parse_box(text: &str) -> Result<PixelBox, CliError> {
    let wrong = || CliError::Usage(format!("`{text}` is no box: write x0,y0,width,height in whole pixels"));
    let parts: Vec<i64> = text.split(',').map(|p| p.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    let &[x0, y0, width, height] = parts.as_slice() else { return Err(wrong()) };
    let start = |v: i64| i32::try_from(v).map_err(|_| wrong());
    let side = |v: i64| u32::try_from(v).ok().filter(|v| *v > 0).ok_or_else(wrong);
    Ok(PixelBox::new(start(x0)?, start(y0)?, side(width)?, side(height)?))
}

//! `bunter query-camera`.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use clap::Args;

use super::CliError;
use super::output::{OutputFormat, write_rows};
use crate::butler::Butler;
use crate::camera::{Cameras, Instrument, Pointing};

/// List the detectors of a camera: names, sizes, where they lie in the focal plane and, for a pointing, on the sky.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter query-camera DECam\n  bunter query-camera LSSTCam --purpose GUIDER,WAVEFRONT --format json\n  \
                  bunter query-camera HSC --at 150.1,2.2,0 --format csv > detectors.csv   (what `bunter overlaps` reads)\n  \
                  bunter query-camera MyCam --camera my-camera.toml\n  bunter query-camera"
)]
pub(crate) struct QueryCamera {
    /// Name of the camera, or a TOML file that describes one; without it the cameras are listed.
    instrument: Option<String>,
    /// TOML description of a camera, taken before the built-in ones.
    #[arg(long, value_name = "FILE")]
    camera: Vec<PathBuf>,
    /// Know also the cameras that are registered in this repository.
    #[arg(long, value_name = "REPO")]
    repository: Option<PathBuf>,
    /// Only detectors of these purposes.
    #[arg(long, value_name = "PURPOSES", value_delimiter = ',')]
    purpose: Vec<String>,
    /// Where the camera looks, degrees: adds each detector's vertices on the sky.
    #[arg(long, value_name = "RA,DEC[,ROTATION]", allow_hyphen_values = true)]
    at: Option<String>,
    /// How rows are written.
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

impl QueryCamera {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        let mut cameras = match &self.repository {
            Some(root) => Butler::open(root)?.cameras()?,
            None => Cameras::built_in()?,
        };
        for path in &self.camera {
            add(&mut cameras, &path.display().to_string())?;
        }
        let pointing = self.at.as_deref().map(pointing).transpose()?;
        let Some(name) = &self.instrument else {
            return write_rows(&list(&cameras)?, self.format);
        };
        let instrument = camera(name, cameras)?;
        for warning in instrument.warnings() {
            eprintln!("warning: {warning}");
        }
        if let Ok(plane) = instrument.focal_plane()
            && let Some(note) = plane.note()
        {
            eprintln!("note: {}: {note}", instrument.name);
        }
        write_rows(&detectors(&instrument, &self.purpose, pointing.as_ref())?, self.format)
    }
}

/// A camera by its name, or from a TOML file.
pub(super) fn camera(name: &str, mut cameras: Cameras) -> Result<Instrument, CliError> {
    if std::path::Path::new(name).extension().is_none_or(|e| e != "toml") {
        return Ok(cameras.instrument(name)?.clone());
    }
    add(&mut cameras, name)?;
    // The newest definition comes first.
    let first = cameras.instruments().first().cloned();
    first.ok_or_else(|| CliError::Usage(format!("{name} describes no instrument")))
}

fn add(cameras: &mut Cameras, path: &str) -> Result<(), CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(cameras.add_toml(path, &text)?)
}

fn pointing(text: &str) -> Result<Pointing, CliError> {
    let wrong = || CliError::Usage(format!("`{text}` is no pointing: write RA,DEC or RA,DEC,ROTATION in degrees"));
    let numbers: Vec<f64> = text.split(',').map(|p| p.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    let (ra, dec, rotation) = match numbers[..] {
        [ra, dec] => (ra, dec, 0.0),
        [ra, dec, rotation] => (ra, dec, rotation),
        _ => return Err(wrong()),
    };
    Pointing::from_degrees(ra, dec, rotation).map_err(|e| CliError::Usage(e.to_string()))
}

/// All cameras.
fn list(cameras: &Cameras) -> Result<RecordBatch, CliError> {
    let all = cameras.instruments();
    let texts = |text: &dyn Fn(&Instrument) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(all.iter().map(text)))
    };
    let radius = all.iter().map(|i| i.focal_plane().ok().map(|p| p.radius().to_degrees()));
    let named =
        |i: &Instrument| i.dimension_aliases.iter().map(|(a, d)| format!("{a}={d}")).collect::<Vec<_>>().join(" ");
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("instrument", texts(&|i| i.name.clone()), false),
        ("detectors", Arc::new(Int64Array::from_iter_values(all.iter().map(|i| i.detectors.len() as i64))), false),
        ("radius_deg", Arc::new(radius.collect::<Float64Array>()), true),
        ("filters", texts(&|i| i.filters.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ")), false),
        ("aliases", texts(&named), false),
    ])?)
}

/// The detectors of a camera.
fn detectors(instrument: &Instrument, purposes: &[String], at: Option<&Pointing>) -> Result<RecordBatch, CliError> {
    let known = |p: &String| instrument.detectors.iter().any(|d| d.purpose.eq_ignore_ascii_case(p));
    if let Some(unknown) = purposes.iter().find(|p| !known(p)) {
        return Err(CliError::Usage(format!("{} has no detectors of purpose {unknown}", instrument.name)));
    }
    let wanted = |purpose: &str| purposes.is_empty() || purposes.iter().any(|p| p.eq_ignore_ascii_case(purpose));
    let all: Vec<_> = instrument.detectors.iter().filter(|d| wanted(&d.purpose)).collect();
    let texts = |text: &dyn Fn(usize) -> Option<String>| -> ArrayRef {
        Arc::new((0..all.len()).map(text).collect::<StringArray>())
    };
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("instrument", texts(&|_| Some(instrument.name.clone())), false),
        ("detector", Arc::new(Int64Array::from_iter_values(all.iter().map(|d| d.id))), false),
        ("name", texts(&|i| Some(all[i].name.clone())), false),
        ("raft", texts(&|i| all[i].raft.clone()), true),
        ("slot", texts(&|i| all[i].slot.clone()), true),
        ("purpose", texts(&|i| Some(all[i].purpose.clone())), false),
        ("type", texts(&|i| all[i].physical_type.clone()), true),
        ("nx", Arc::new(all.iter().map(|d| d.size.map(|s| i64::from(s.0))).collect::<Int64Array>()), true),
        ("ny", Arc::new(all.iter().map(|d| d.size.map(|s| i64::from(s.1))).collect::<Int64Array>()), true),
    ];
    let plane = match instrument.focal_plane() {
        Ok(plane) => plane,
        Err(error) if at.is_some() => return Err(error.into()),
        Err(error) => {
            eprintln!("note: {error}");
            return Ok(RecordBatch::try_from_iter_with_nullable(columns)?);
        }
    };
    let (mut centres, mut corners) = ((Vec::new(), Vec::new()), Vec::new());
    for detector in &all {
        let (x, y) = plane.centre_mm(detector.id)?;
        centres.0.push(x);
        centres.1.push(y);
        corners.extend(plane.corners_mm(detector.id)?);
    }
    let field = plane.focal_plane_to_field(&centres.0, &centres.1)?;
    let (cx, cy): (Vec<f64>, Vec<f64>) = corners.iter().copied().unzip();
    let field_corners = plane.focal_plane_to_field(&cx, &cy)?;
    let degrees = |radians: &[f64]| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(radians.iter().map(|v| v.to_degrees())))
    };
    let four = |i: usize, x: &[f64], y: &[f64]| {
        let pairs: Vec<String> = (4 * i..4 * i + 4).map(|k| format!("{} {}", x[k], y[k])).collect();
        Some(pairs.join(";"))
    };
    let (fx, fy): (Vec<f64>, Vec<f64>) = (
        field_corners.0.iter().map(|v| v.to_degrees()).collect(),
        field_corners.1.iter().map(|v| v.to_degrees()).collect(),
    );
    columns.push(("x_mm", Arc::new(Float64Array::from(centres.0)), false));
    columns.push(("y_mm", Arc::new(Float64Array::from(centres.1)), false));
    columns.push(("field_x_deg", degrees(&field.0), false));
    columns.push(("field_y_deg", degrees(&field.1), false));
    columns.push(("corners_mm", texts(&|i| four(i, &cx, &cy)), false));
    columns.push(("corners_deg", texts(&|i| four(i, &fx, &fy)), false));
    if let Some(pointing) = at {
        let mut vertices = Vec::with_capacity(all.len());
        for detector in &all {
            let footprint = plane.footprint(detector.id, pointing)?;
            let pairs = footprint.vertices().iter().map(|v| {
                let p = v.to_lon_lat();
                format!("{} {}", p.lon_deg(), p.lat_deg())
            });
            vertices.push(pairs.collect::<Vec<_>>().join(";"));
        }
        columns.push(("vertices", Arc::new(StringArray::from(vertices)), false));
    }
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

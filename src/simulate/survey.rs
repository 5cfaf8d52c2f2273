//! [`simulate`]: the whole survey.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::render::{Spot, render};
use super::sky::{self, Stars, Visit};
use super::{SimulateError, SimulateOptions, SimulatedWcs};
use crate::dataset::MaskPlanes;
use crate::datastore::FitsWriter;
use crate::wcs::{Header, PixelBox, Wcs};

/// How far a simulation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulateProgress {
    /// Exposures written.
    pub done: u64,
    /// Exposures in all.
    pub total: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// What was simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedSurvey {
    /// The exposures' files, by visit and detector.
    pub files: Vec<PathBuf>,
    /// Number of true stars.
    pub stars: usize,
    /// Bytes of all the exposures.
    pub bytes: u64,
}

/// Simulates a survey and writes it: see the [module](super) for the files. The bytes depend on the options alone, not on
/// the machine or the number of threads. `visits.csv` is written last: where it is, the survey is whole.
///
/// ```no_run
/// use bunter::simulate::{SimulateOptions, simulate};
///
/// let survey = simulate(&SimulateOptions::new("sim"), &|progress| eprintln!("{} of {}", progress.done, progress.total))?;
/// assert_eq!(survey.files.len(), 24);
/// # Ok::<(), bunter::simulate::SimulateError>(())
/// ```
///
/// # Errors
/// [`SimulateError::Option`], [`SimulateError::TooLarge`], [`SimulateError::Occupied`] before anything is written;
/// [`SimulateError::Write`] (full disk, read-only folder), [`SimulateError::Wcs`].
pub fn simulate(
    options: &SimulateOptions,
    progress: &(dyn Fn(SimulateProgress) + Sync),
) -> Result<SimulatedSurvey, SimulateError> {
    options.validate()?;
    prepare(options)?;
    let stars = sky::stars(options);
    let visits: Vec<Visit> = (0..options.visits).map(|v| sky::visit(options, v)).collect();
    let (done, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let jobs: Vec<(u32, u32)> = (0..options.visits).flat_map(|v| (0..options.ccds).map(move |d| (v, d))).collect();
    let rows: Result<Vec<Row>, SimulateError> = jobs
        .par_iter()
        .zip(jobs.par_iter().map(|(v, _)| &visits[*v as usize]))
        .map(|(&(v, detector), visit)| {
            let row = exposure(options, &stars, visit, v, detector)?;
            let bytes = bytes.fetch_add(row.bytes, Ordering::Relaxed) + row.bytes;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(SimulateProgress { done, total: options.exposures(), bytes });
            Ok(row)
        })
        .collect();
    let rows = rows?;
    let text = |name: &str, text: &str| {
        let path = options.out.join(name);
        whole_file(&path, |mut file| io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(|source| SimulateError::Write { path: path.clone(), source })
    };
    text("truth.csv", &truth_table(options, &stars, &rows))?;
    text("target.hdr", &target_header(options))?;
    text("params.json", &(serde_json::to_string_pretty(options).unwrap_or_default() + "\n"))?;
    text("visits.csv", &visit_table(options, &visits, &rows))?;
    Ok(SimulatedSurvey {
        files: rows.iter().map(|row| options.out.join(&row.file)).collect(),
        stars: stars.sky.len(),
        bytes: bytes.into_inner(),
    })
}

/// Writes a file under a temporary name beside it, and gives it its name when it is whole.
pub(super) fn whole_file<T>(path: &Path, write: impl FnOnce(&File) -> io::Result<T>) -> io::Result<T> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().unwrap_or(Path::new("."));
    let file = tempfile::Builder::new()
        .prefix(".simulate-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    let written = write(file.as_file())?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(written)
}

fn prepare(o: &SimulateOptions) -> Result<(), SimulateError> {
    let fail = |source| SimulateError::Write { path: o.out.clone(), source };
    std::fs::create_dir_all(&o.out).map_err(fail)?;
    for entry in std::fs::read_dir(&o.out).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "visits.csv"
            || (name.starts_with("calexp-") && Path::new(&name).extension() == Some("fits".as_ref()))
        {
            if !o.overwrite {
                return Err(SimulateError::Occupied { out: o.out.clone(), found: name });
            }
            std::fs::remove_file(entry.path()).map_err(|source| SimulateError::Write { path: entry.path(), source })?;
        }
    }
    if let Ok(disk) = rustix::fs::statvfs(&o.out) {
        let free = u128::from(disk.f_bavail) * u128::from(disk.f_frsize);
        if o.bytes() > free {
            return Err(SimulateError::TooLarge {
                exposures: o.exposures(),
                needed_gb: o.bytes() as f64 / 1e9,
                free_gb: free as f64 / 1e9,
                out: o.out.clone(),
            });
        }
    }
    Ok(())
}

/// What is remembered of an exposure that has been written.
struct Row {
    file: String,
    visit: u32,
    detector: u32,
    /// Degrees.
    corners: [(f64, f64); 4],
    /// Indices of the stars inside the pixel grid.
    inside: Vec<u32>,
    bytes: u64,
}

fn exposure(o: &SimulateOptions, stars: &Stars, visit: &Visit, v: u32, detector: u32) -> Result<Row, SimulateError> {
    let header = sky::wcs_header(o, visit, detector, o.wcs);
    let wcs = Wcs::from_header(&header)?;
    let linear = Wcs::from_header(&sky::wcs_header(o, visit, detector, SimulatedWcs::Tan))?;
    let (nx, ny) = (f64::from(o.nx), f64::from(o.ny));
    let within = |(x, y): (f64, f64), margin: f64| x > -margin && x < nx + margin && y > -margin && y < ny + margin;
    let (mut spots, mut inside) = (Vec::new(), Vec::new());
    let reach = 6.0 * visit.seeing / 2.3548 / o.scale + 2.0;
    for (i, (sky, magnitude)) in stars.sky.iter().zip(&stars.magnitudes[visit.band]).enumerate() {
        // The undistorted position first: the inverse of a polynomial means nothing far away.
        let margin = 0.02 * nx.max(ny) * (1.0 + o.sip) + reach;
        if !linear.sky_to_pixel(*sky).is_some_and(|at| within(at, margin)) {
            continue;
        }
        let Some((x, y)) = wcs.sky_to_pixel(*sky).filter(|at| within(*at, reach)) else { continue };
        spots.push(Spot { x, y, flux: sky::flux(*magnitude, visit.zero_point) });
        if x >= -0.5 && x < nx - 0.5 && y >= -0.5 && y < ny - 0.5 {
            inside.push(i as u32);
        }
    }
    let planes = render(o, visit, v, detector, &spots);
    let file = format!("calexp-{:06}-{detector:02}.fits", visit.id);
    let path = o.out.join(&file);
    let with_unit = |unit: &str| {
        let mut header = header.clone();
        header.set("BUNIT", unit);
        header
    };
    let mut mask_header = header.clone();
    for (name, bit) in MaskPlanes::default().iter() {
        mask_header.set(&format!("MP_{name}"), i64::from(bit));
    }
    let (image_header, variance_header) = (with_unit("adu"), with_unit("adu2"));
    let bytes = whole_file(&path, |file| {
        let mut writer = FitsWriter::new(io::BufWriter::with_capacity(1 << 20, file));
        writer.primary(&primary_header(o, visit, detector))?;
        writer.image_f32("IMAGE", &image_header, &planes.image)?;
        writer.image_i32("MASK", &mask_header, &planes.mask)?;
        writer.image_f32("VARIANCE", &variance_header, &planes.variance)?;
        writer.finish()?;
        Ok(file.metadata()?.len())
    })
    .map_err(|source| SimulateError::Write { path, source })?;
    let corners = wcs.corners(PixelBox::new(0, 0, o.nx, o.ny)).map(|c| c.map(|sky| (sky.lon_deg(), sky.lat_deg())));
    Ok(Row { file, visit: v, detector, corners: corners.unwrap_or([(f64::NAN, f64::NAN); 4]), inside, bytes })
}

fn primary_header(o: &SimulateOptions, visit: &Visit, detector: u32) -> Header {
    let mut h = Header::default();
    h.set("VISIT", visit.id as i64);
    h.set("DETECTOR", i64::from(detector));
    h.set("FILTER", o.bands[visit.band].as_str());
    h.set("INSTRUME", "SimCam");
    h.set("TELESCOP", "Simulated");
    h.set("TIMESYS", "TAI");
    h.set("DATE-OBS", iso_date(visit.mjd));
    h.set("MJD-OBS", visit.mjd);
    h.set_commented("EXPTIME", visit.exposure_time, "s");
    h.set_commented("PHOTZP", visit.zero_point, "mag = -2.5 log10(ADU) + PHOTZP");
    h.set_commented("SEEING", visit.seeing, "FWHM, arcsec, Gaussian");
    h.set("SKYSIG", visit.sky_sigma);
    h.set("GAIN", visit.gain);
    h.set("SEED", o.seed.to_string());
    h.set("BUNIT", "adu");
    h
}

/// ISO 8601 of a modified Julian date, to the millisecond (Fliegel and van Flandern 1968).
fn iso_date(mjd: f64) -> String {
    let ms = (mjd * 86_400_000.0).round() as i64;
    let (day, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let l = day + 2_400_001 + 68_569;
    let n = 4 * l / 146_097;
    let l = l - (146_097 * n + 3) / 4;
    let i = 4000 * (l + 1) / 1_461_001;
    let l = l - 1461 * i / 4 + 31;
    let j = 80 * l / 2447;
    let (date, l) = (l - 2447 * j / 80, j / 11);
    let (month, year) = (j + 2 - 12 * l, 100 * (n - 49) + i + l);
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

fn visit_table(o: &SimulateOptions, visits: &[Visit], rows: &[Row]) -> String {
    let mut text =
        "file,visit,detector,band,mjd,exptime,photzp,seeing,skysig,nx,ny,ra1,dec1,ra2,dec2,ra3,dec3,ra4,dec4\n"
            .to_owned();
    for row in rows {
        let v = &visits[row.visit as usize];
        let _ = write!(
            text,
            "{},{},{},{},{:.6},{:?},{:.6},{:.5},{:.5},{},{}",
            row.file,
            v.id,
            row.detector,
            o.bands[v.band],
            v.mjd,
            v.exposure_time,
            v.zero_point,
            v.seeing,
            v.sky_sigma,
            o.nx,
            o.ny
        );
        for (ra, dec) in row.corners {
            let _ = write!(text, ",{ra:.9},{dec:.9}");
        }
        text.push('\n');
    }
    text
}

fn truth_table(o: &SimulateOptions, stars: &Stars, rows: &[Row]) -> String {
    let mut exposures = vec![vec![0_u32; stars.sky.len()]; o.bands.len()];
    for row in rows {
        for &i in &row.inside {
            exposures[row.visit as usize % o.bands.len()][i as usize] += 1;
        }
    }
    let mut text = "id,ra,dec,isolated".to_owned();
    for band in &o.bands {
        let _ = write!(text, ",mag_{band},flux27_{band},nexp_{band}");
    }
    text.push('\n');
    for (i, sky) in stars.sky.iter().enumerate() {
        let _ = write!(text, "{i},{:.9},{:.9},{}", sky.lon_deg(), sky.lat_deg(), u8::from(stars.isolated[i]));
        for (magnitudes, exposures) in stars.magnitudes.iter().zip(&exposures) {
            let m = magnitudes[i];
            let _ = write!(text, ",{m:.6},{:.6},{}", sky::flux(m, 27.0), exposures[i]);
        }
        text.push('\n');
    }
    text
}

fn target_header(o: &SimulateOptions) -> String {
    let (side, s) = (o.patch_pixels(), o.patch_arcsec() / 3600.0);
    let centre = 0.5 * (f64::from(side) + 1.0);
    let mut text = String::new();
    let mut card = |keyword: &str, value: String| {
        let _ = writeln!(text, "{keyword:<8}= {value:>20}");
    };
    card("SIMPLE", "T".to_owned());
    for (keyword, value) in [("BITPIX", -32), ("NAXIS", 2), ("NAXIS1", i64::from(side)), ("NAXIS2", i64::from(side))] {
        card(keyword, value.to_string());
    }
    card("CTYPE1", "'RA---TAN'".to_owned());
    card("CTYPE2", "'DEC--TAN'".to_owned());
    let numbers =
        [("CRVAL1", o.ra), ("CRVAL2", o.dec), ("CRPIX1", centre), ("CRPIX2", centre), ("CD1_1", -s), ("CD1_2", 0.0)];
    for (keyword, value) in numbers.into_iter().chain([("CD2_1", 0.0), ("CD2_2", s), ("EQUINOX", 2000.0)]) {
        card(keyword, format!("{value:?}").replace('e', "E"));
    }
    card("RADESYS", "'ICRS'".to_owned());
    text.push_str("END\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(iso_date(51544.5), "2000-01-01T12:00:00.000");
        assert_eq!(iso_date(60800.25), "2025-05-05T06:00:00.000");
    }
}

//! Pictures of coadds: colour by the asinh stretch, written as PNG.

use std::fs::Permissions;
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ndarray::{Array2, ArrayView2};

use crate::coadd::CoaddError;
use crate::coadd::statistics::quantile;
use crate::wcs::PixelBox;

/// How counts become brightness: `f(I) = asinh(softening (I - minimum) / stretch) / asinh(softening)`.
///
/// Linear for faint pixels, logarithmic for bright ones; `f` is 1, full brightness, at `minimum + stretch`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AsinhStretch {
    /// Counts that are black.
    pub minimum: f64,
    /// Counts above `minimum` that are white.
    pub stretch: f64,
    /// Lupton's Q: how much of the range is logarithmic.
    pub softening: f64,
}

impl AsinhStretch {
    /// A stretch for an image of faint sources: black half a standard deviation under the median, white 100 above, with the
    /// deviation from the quartiles. Values that are not finite are left out.
    pub fn for_image(image: ArrayView2<'_, f32>) -> Self {
        let mut values: Vec<f32> = image.iter().copied().filter(|v| v.is_finite()).collect();
        let median = quantile(&mut values, 0.5);
        let sigma = 0.741_301_1 * (quantile(&mut values, 0.75) - quantile(&mut values, 0.25));
        let sigma = if sigma > 0.0 { sigma } else { 1.0 };
        Self { minimum: median - 0.5 * sigma, stretch: 100.0 * sigma, softening: 30.0 }
    }

    /// `f(I) / (I - minimum)`: the factor for the colours of a pixel.
    fn factor(self, intensity: f64) -> f64 {
        let x = self.softening * intensity / self.stretch;
        // The limit for faint pixels, where the quotient is 0/0.
        let quotient = if x.abs() < 1e-6 { 1.0 } else { x.asinh() / x };
        quotient * self.softening / (self.stretch * self.softening.asinh())
    }
}

/// A picture of 8 bits a colour; the first row is the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row from the top.
    pub pixels: Vec<u8>,
}

/// A colour picture of one, two or three bands, by the asinh stretch of Lupton et al. 2004 (PASP 116, 133).
///
/// `bands` are `[y, x]` of one shape, from the bluest to the reddest, in counts of one zero point each scaled as it
/// should look. One band gives grey; of two, the redder is red, the bluer blue, and green their mean. The intensity of a
/// pixel is the mean of the three colours, and all three are multiplied by `f(I)/I`, so that colours do not depend on
/// brightness; a pixel brighter than white is scaled down as a whole, keeping its colour.
///
/// The picture is reduced by means over square blocks until neither side exceeds `max_size`. Rows are turned so that
/// `y` points up: north up, east left, as in any tract. Pixels without data (NaN) are black; one that lacks some bands has
/// the minimum in them.
///
/// # Errors
/// [`CoaddError::NoUsablePixels`] for no bands, more than three, or arrays without pixels; [`CoaddError::Shape`] when bands
/// differ in shape; [`CoaddError::NotPositive`] for the stretch, its softening, or a size of zero.
///
/// ```
/// use bunter::coadd::{AsinhStretch, asinh_rgb};
/// use ndarray::Array2;
///
/// let (g, i) = (Array2::from_elem((30, 50), 1.0), Array2::from_elem((30, 50), 3.0));
/// let stretch = AsinhStretch { minimum: 0.0, stretch: 10.0, softening: 8.0 };
/// let picture = asinh_rgb(&[g.view(), i.view()], stretch, 25).unwrap();
/// assert_eq!((picture.width, picture.height), (25, 15));
/// assert!(picture.pixels[0] > picture.pixels[1] && picture.pixels[1] > picture.pixels[2]);
/// ```
pub fn asinh_rgb(bands: &[ArrayView2<'_, f32>], stretch: AsinhStretch, max_size: u32) -> Result<RgbImage, CoaddError> {
    let [first, others @ ..] = bands else {
        return Err(CoaddError::NoUsablePixels { what: "a picture of no bands".to_owned() });
    };
    if bands.len() > 3 {
        return Err(CoaddError::NoUsablePixels { what: format!("{} bands: give one to three", bands.len()) });
    }
    let bbox = PixelBox::from_shape(first.dim());
    if bbox.is_empty() {
        return Err(CoaddError::NoUsablePixels { what: format!("a picture of {bbox}") });
    }
    if let Some(odd) = others.iter().find(|band| band.dim() != first.dim()) {
        return Err(CoaddError::Shape { array: "band", shape: odd.dim(), bbox });
    }
    for (what, value) in
        [("stretch", stretch.stretch), ("softening", stretch.softening), ("picture size", f64::from(max_size))]
    {
        if !(value > 0.0 && value.is_finite()) {
            return Err(CoaddError::NotPositive { what, value });
        }
    }
    let block = bbox.width.max(bbox.height).div_ceil(max_size) as usize;
    let small: Vec<Array2<f32>> = bands.iter().map(|band| block_mean(*band, block)).collect();
    let (height, width) = small[0].dim();
    let mut pixels = Vec::with_capacity(3 * height * width);
    for row in (0..height).rev() {
        for column in 0..width {
            let counts = |band: usize| {
                let value = f64::from(small[band][[row, column]]) - stretch.minimum;
                if value.is_finite() { value.max(0.0) } else { 0.0 }
            };
            let rgb = match bands.len() {
                1 => [counts(0); 3],
                2 => [counts(1), 0.5 * (counts(0) + counts(1)), counts(0)],
                _ => [counts(2), counts(1), counts(0)],
            };
            let factor = stretch.factor((rgb[0] + rgb[1] + rgb[2]) / 3.0);
            let brightest = factor * rgb[0].max(rgb[1]).max(rgb[2]);
            let scale = 255.0 * factor / brightest.max(1.0);
            // Saturates at both ends.
            pixels.extend(rgb.map(|v| (scale * v + 0.5) as u8));
        }
    }
    Ok(RgbImage { width: width as u32, height: height as u32, pixels })
}

impl RgbImage {
    /// Writes the picture as PNG: under a temporary name in the same folder, then renamed.
    ///
    /// # Errors
    /// [`CoaddError::Preview`] when the file cannot be written; nothing is left behind.
    pub fn write_png(&self, path: &Path) -> Result<(), CoaddError> {
        self.try_write(path).map_err(|source| CoaddError::Preview { path: path.to_owned(), source })
    }

    fn try_write(&self, path: &Path) -> std::io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Readable as the umask says: a temporary file by itself is its owner's alone.
        let file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
        let mut encoder = png::Encoder::new(BufWriter::new(file.as_file()), self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

/// Means over blocks of `block` by `block` pixels, of the finite ones; NaN for none. Blocks at the far edges are smaller.
fn block_mean(image: ArrayView2<'_, f32>, block: usize) -> Array2<f32> {
    let (rows, columns) = image.dim();
    let mut out = Array2::zeros((rows.div_ceil(block), columns.div_ceil(block)));
    let mut sums = vec![(0.0_f64, 0_u32); columns.div_ceil(block)];
    for (block_row, mut out) in out.outer_iter_mut().enumerate() {
        sums.fill((0.0, 0));
        for row in image.outer_iter().skip(block_row * block).take(block) {
            for (column, value) in row.iter().enumerate() {
                if value.is_finite() {
                    let sum = &mut sums[column / block];
                    *sum = (sum.0 + f64::from(*value), sum.1 + 1);
                }
            }
        }
        for (out, (sum, n)) in out.iter_mut().zip(&sums) {
            *out = if *n > 0 { (sum / f64::from(*n)) as f32 } else { f32::NAN };
        }
    }
    out
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact results are meant")]
mod tests {
    use super::*;

    const STRETCH: AsinhStretch = AsinhStretch { minimum: 0.0, stretch: 100.0, softening: 8.0 };

    #[test]
    fn grey_follows_the_formula_and_north_is_up() {
        let band = Array2::from_shape_vec((2, 3), vec![0.0, 10.0, 100.0, -5.0, f32::NAN, 1e6]).unwrap();
        let picture = asinh_rgb(&[band.view()], STRETCH, 100).unwrap();
        let grey: Vec<u8> = picture.pixels.chunks(3).map(|p| p[0]).collect();
        let ten = (255.0 * 0.8_f64.asinh() / 8.0_f64.asinh()).round() as u8;
        // The second row of the array is the top of the picture.
        assert_eq!(grey, [0, 0, 255, 0, ten, 255]);
    }

    #[test]
    fn bright_pixels_keep_their_colour() {
        let band = |v: f32| Array2::from_elem((1, 1), v);
        let (g, r, i) = (band(1e5), band(2e5), band(4e5));
        let picture = asinh_rgb(&[g.view(), r.view(), i.view()], STRETCH, 1).unwrap();
        assert_eq!(picture.pixels, [255, 128, 64]);
    }

    #[test]
    fn blocks_average_what_is_there() {
        let mut image = Array2::from_elem((5, 4), 2.0);
        image[[0, 0]] = f32::NAN;
        image[[1, 1]] = 5.0;
        let small = block_mean(image.view(), 2);
        assert_eq!(small.dim(), (3, 2));
        assert_eq!(small[[0, 0]], 3.0);
        assert_eq!(small[[2, 1]], 2.0);
    }

    #[test]
    fn png_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coadd.png");
        let picture = RgbImage { width: 2, height: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        picture.write_png(&path).unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; 6];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, picture.pixels);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = picture.write_png(&folder.path().join("absent/coadd.png")).unwrap_err();
        assert!(error.to_string().contains("absent"));
    }

    #[test]
    fn hostile_calls() {
        let (a, b) = (Array2::zeros((2, 2)), Array2::zeros((2, 3)));
        assert!(asinh_rgb(&[], STRETCH, 10).is_err());
        assert!(asinh_rgb(&[a.view(), b.view()], STRETCH, 10).is_err());
        assert!(asinh_rgb(&[a.view()], STRETCH, 0).is_err());
        assert!(asinh_rgb(&[a.view(), a.view(), a.view(), a.view()], STRETCH, 10).is_err());
        let nothing = Array2::from_elem((3, 3), f32::NAN);
        let stretch = AsinhStretch::for_image(nothing.view());
        assert!(asinh_rgb(&[nothing.view()], stretch, 10).unwrap().pixels.iter().all(|p| *p == 0));
    }
}

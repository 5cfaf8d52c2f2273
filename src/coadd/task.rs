//! [`CoaddTask`]: from a list of images to a coadd. The one file of the room that knows where pixels come from.

use ndarray::{Array2, s};

use super::inputs::{InputRow, table};
use super::{
    ClippedMeanOptions, CoaddConfig, CoaddError, CoaddInput, CoaddPlanes, CoaddQuantum, InputPixels, InputPlanes,
    PixelMapping, Stack, StackedStrip, Strip, WarpInput, WarpScratch, clipped_mean,
};
use crate::dataset::{Coadd, Exposure, StorageClass};
use crate::datastore::{Dataset, Datastore};
use crate::skymap::SkyMap;
use crate::wcs::{GridMapping, Header, PixelBox, Wcs};

/// Bytes that the sums and warped strips of one coadd may take. With the pixels of one input, a rank stays well under a
/// gigabyte whatever the number of inputs.
const STRIP_MEMORY: u64 = 256 << 20;
/// Rows of a strip at least, unless the patch is lower: thinner strips read the inputs' margins too often.
const LEAST_ROWS: u64 = 32;
/// About so many pixels of an input decide its weight.
const WEIGHT_SAMPLES: f64 = 1e6;

impl PixelMapping for GridMapping {
    fn row(&self, y: i32, x0: i32, xs: &mut [f64], ys: &mut [f64]) {
        Self::row(self, y, x0, xs, ys);
    }

    fn area_ratio_row(&self, y: i32, x0: i32, out: &mut [f64]) {
        Self::area_ratio_row(self, y, x0, out);
    }
}

/// What was done for one coadd.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoaddSummary {
    /// Images that contribute.
    pub inputs: u32,
    /// Output pixels with a value, summed over the images.
    pub warped_pixels: u64,
    /// Images that touch the patch but do not contribute, and why.
    pub warnings: Vec<String>,
}

/// Builds coadds, one patch and band at a time, in memory that does not grow with the number of images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CoaddTask {
    /// How.
    pub config: CoaddConfig,
}

/// One image of a coadd while it is being built.
struct Contribution<'a> {
    input: &'a CoaddInput,
    mapping: GridMapping,
    /// The pixels that the patch needs of the image.
    reach: PixelBox,
    /// What the first look at the pixels tells.
    known: Option<Known>,
    good_pixels: u64,
}

/// What must be known of an image before it is stacked.
struct Known {
    planes: InputPlanes,
    flux_scale: f64,
    zero_point: f64,
    /// 1 / variance at the common zero point; `None` for an image without a usable pixel here.
    weight: Option<f64>,
}

impl CoaddTask {
    /// Builds the coadd of a patch from the pixels of its inputs that overlap it, and no others.
    ///
    /// The patch is cut into strips of rows that fit into the memory; each strip reads of each image what it needs. No
    /// pixel depends on the cut. Images are summed in the order given, so the result is the same to the bit wherever and
    /// however often it is built.
    ///
    /// # Errors
    /// [`CoaddError::Datastore`] for an image that is absent or damaged: a coadd without one of its inputs is another
    /// coadd, so none is made. [`CoaddError::SkyMap`] for a patch that is not in the sky map;
    /// [`CoaddError::NoUsablePixels`] when no image has a usable pixel.
    pub fn run(
        &self,
        datastore: &Datastore,
        sky_map: &SkyMap,
        quantum: &CoaddQuantum,
    ) -> Result<(Coadd, CoaddSummary), CoaddError> {
        let tract = sky_map.tract(quantum.tract)?;
        let bbox = tract.patch(quantum.patch)?.outer_bbox();
        let wcs = tract.wcs()?;
        let bad: Vec<&str> = self.config.bad_planes.iter().map(String::as_str).collect();
        let mut planes = CoaddPlanes::new(&bad, &CoaddPlanes::REMOVED);
        let mut contributions = self.contributions(&quantum.inputs, &wcs, bbox)?;
        let mut summary = CoaddSummary::default();

        let strips = self.strips(bbox, contributions.len());
        let whole = strips.len() == 1;
        if !whole {
            for contribution in &mut contributions {
                let exposure = read(datastore, contribution.input, contribution.reach)?;
                contribution.known = Some(self.look(&exposure, &mut planes)?);
            }
        }
        let mut coadd = Canvas::new(bbox);
        let mut stack = Stack::new(strips[0], &planes);
        let mut stacked = StackedStrip::default();
        let mut buffers: Vec<Strip> = Vec::new();
        let mut scratch = WarpScratch::default();
        for strip in strips {
            stack.reset(strip);
            let mut filled = 0;
            let mut weights = Vec::with_capacity(contributions.len());
            for contribution in &mut contributions {
                if contribution.known.as_ref().is_some_and(|known| known.weight.is_none()) {
                    continue;
                }
                let Some(reach) = reach(&contribution.mapping, strip, contribution.input.bbox, self.half_width())
                else {
                    continue;
                };
                let exposure = read(datastore, contribution.input, reach)?;
                if contribution.known.is_none() {
                    contribution.known = Some(self.look(&exposure, &mut planes)?);
                }
                let Some(known) = &contribution.known else { continue };
                let Some(weight) = known.weight else { continue };
                // What is added at once needs only the part of the strip that the image reaches.
                let streaming = self.config.statistic.is_streaming();
                let part = if streaming { contribution.mapping.domain().intersection(strip) } else { Some(strip) };
                let Some(part) = part else { continue };
                if buffers.len() == filled {
                    buffers.push(Strip::new(part));
                }
                let buffer = &mut buffers[filled];
                buffer.reset(part);
                let pixels = InputPixels {
                    bbox: reach,
                    detector: contribution.input.bbox,
                    image: exposure.image.view(),
                    mask: exposure.mask.view(),
                    variance: exposure.variance.view(),
                };
                let warp = WarpInput::new(&pixels, self.config.kernel, &known.planes, &mut scratch)?;
                let counts = warp.warp(&contribution.mapping, known.flux_scale, buffer)?;
                contribution.good_pixels += counts.with_data;
                if streaming {
                    stack.add(buffer, weight)?;
                } else {
                    weights.push(weight);
                    filled += 1;
                }
            }
            if self.config.statistic.is_streaming() {
                stack.finish(&mut stacked);
            } else {
                let strips: Vec<&Strip> = buffers[..filled].iter().collect();
                stack.combine(self.config.statistic, &strips, &weights, &mut stacked)?;
            }
            coadd.paste(&stacked);
        }

        let rows: Vec<InputRow<'_>> = contributions.iter().filter_map(|c| c.row(&mut summary)).collect();
        if summary.inputs == 0 {
            return Err(CoaddError::NoUsablePixels {
                what: format!("any of the {} images that touch the patch", quantum.inputs.len()),
            });
        }
        let metadata = self.metadata(quantum, &summary, &contributions);
        let zero_point = self.config.zero_point;
        let coadd = coadd.finish(planes, wcs, zero_point, table(&rows)?, metadata);
        Ok((coadd, summary))
    }

    fn half_width(&self) -> i32 {
        self.config.kernel.half_width() as i32
    }

    /// The images that reach into the patch at all, by their WCS: regions are a little larger than the pixels.
    fn contributions<'a>(
        &self,
        inputs: &'a [CoaddInput],
        wcs: &Wcs,
        bbox: PixelBox,
    ) -> Result<Vec<Contribution<'a>>, CoaddError> {
        let mut contributions = Vec::with_capacity(inputs.len());
        for input in inputs {
            let Some(output) = GridMapping::output_box(&input.wcs, input.bbox, wcs, bbox) else { continue };
            let mapping = GridMapping::new(wcs, output, &input.wcs, self.config.mapping_tolerance_px)?;
            if let Some(reach) = reach(&mapping, bbox, input.bbox, self.half_width()) {
                contributions.push(Contribution { input, mapping, reach, known: None, good_pixels: 0 });
            }
        }
        Ok(contributions)
    }

    /// The patch in strips of full rows whose sums, and where they must all be kept the warped images, fit the memory.
    fn strips(&self, bbox: PixelBox, inputs: usize) -> Vec<PixelBox> {
        // A stack takes 44 bytes a pixel, its result 20, a warped image 12.
        let kept = if self.config.statistic.is_streaming() { 1 } else { inputs.max(1) as u64 };
        let row = u64::from(bbox.width).max(1) * (64 + 12 * kept);
        let rows = (STRIP_MEMORY / row).max(LEAST_ROWS).min(u64::from(bbox.height).max(1)) as u32;
        // As even as they can be: no last strip of one row.
        let count = bbox.height.div_ceil(rows).max(1);
        let rows = bbox.height.div_ceil(count);
        (0..count)
            .map(|i| {
                let first = i * rows;
                PixelBox::new(bbox.x0, bbox.y0 + first as i32, bbox.width, rows.min(bbox.height - first))
            })
            .collect()
    }

    /// Planes, zero point and weight of an image, from its pixels in the patch.
    fn look(&self, exposure: &Exposure, planes: &mut CoaddPlanes) -> Result<Known, CoaddError> {
        let bad: Vec<&str> = self.config.bad_planes.iter().map(String::as_str).collect();
        let flux_scale = 10_f64.powf(0.4 * (self.config.zero_point - exposure.zero_point));
        let options = ClippedMeanOptions {
            stride: ((exposure.variance.len() as f64 / WEIGHT_SAMPLES).sqrt() as usize).max(1),
            bad: exposure.mask_planes.bits(&bad),
            ..ClippedMeanOptions::default()
        };
        let weight = match clipped_mean(exposure.variance.view(), exposure.mask.view(), &options) {
            Ok(variance) => Some(1.0 / (variance.mean * flux_scale * flux_scale)),
            Err(CoaddError::NoUsablePixels { .. }) => None,
            Err(other) => return Err(other),
        };
        Ok(Known {
            planes: planes.add_input(&exposure.mask_planes)?,
            flux_scale,
            zero_point: exposure.zero_point,
            weight: weight.filter(|w| w.is_finite() && *w > 0.0),
        })
    }

    fn metadata(&self, quantum: &CoaddQuantum, summary: &CoaddSummary, contributions: &[Contribution<'_>]) -> Header {
        let mut header = Header::default();
        header.set_commented("SKYMAP", &*quantum.sky_map, "name of the sky map");
        header.set_commented("TRACT", i64::from(quantum.tract), "");
        header.set_commented("PATCH", i64::from(quantum.patch), "sequential number in the tract");
        header.set_commented("BAND", &*quantum.band, "");
        header.set_commented("PHOTZP", self.config.zero_point, "mag = -2.5 log10(counts) + PHOTZP");
        header.set_commented("KERNEL", format!("{:?}", self.config.kernel).to_lowercase(), "interpolation");
        header.set_commented("STATISTC", self.config.statistic.to_string(), "how inputs were combined");
        header.set_commented("BADPLANE", self.config.bad_planes.join(","), "never used");
        header.set_commented("NINPUTS", i64::from(summary.inputs), "images that contribute");
        let (ratio, weight) = contributions
            .iter()
            .filter_map(|c| Some((c.area_ratio()?, c.known.as_ref()?.weight?)))
            .fold((0.0, 0.0), |(sum, total), (ratio, weight)| (sum + ratio * weight, total + weight));
        if weight > 0.0 {
            header.set_commented("AREARAT", ratio / weight, "mean input pixels in an output pixel");
            let correlation = self.config.kernel.noise_correlation(ratio / weight);
            header.set_commented("NOISECOR", correlation, "variance of large sums / sum of variances");
        }
        header.set_commented("SOFTWARE", concat!("bunter ", env!("CARGO_PKG_VERSION")), "");
        header
    }
}

impl Contribution<'_> {
    /// The row of the `inputs` table; `None`, and a warning, for an image that does not contribute.
    fn row(&self, summary: &mut CoaddSummary) -> Option<InputRow<'_>> {
        let known = self.known.as_ref()?;
        if known.weight.is_none() {
            summary.warnings.push(format!(
                "{} ({}): no usable pixel in {}, left out",
                self.input.data_id(),
                self.input.file.path,
                self.reach
            ));
        }
        if self.good_pixels > 0 {
            summary.inputs += 1;
            summary.warped_pixels += self.good_pixels;
        }
        Some(InputRow {
            input: self.input,
            weight: known.weight.unwrap_or_default(),
            good_pixels: self.good_pixels,
            zero_point: known.zero_point,
            bbox: self.reach,
        })
    }

    /// Area of an output pixel in the middle of the image's part of the patch, in input pixels.
    fn area_ratio(&self) -> Option<f64> {
        let domain = self.mapping.domain();
        let mut ratio = [f64::NAN];
        let middle = |start: i32, side: u32| start.saturating_add((side / 2) as i32);
        self.mapping.area_ratio_row(middle(domain.y0, domain.height), middle(domain.x0, domain.width), &mut ratio);
        Some(ratio[0]).filter(|r| r.is_finite() && *r > 0.0)
    }
}

/// The pixels of a detector that a kernel needs for the positions of an output box; `None` when there are none.
fn reach(mapping: &GridMapping, output: PixelBox, detector: PixelBox, half_width: i32) -> Option<PixelBox> {
    mapping.input_box(output)?.grown(half_width + 1).intersection(detector)
}

fn read(datastore: &Datastore, input: &CoaddInput, bbox: PixelBox) -> Result<Exposure, CoaddError> {
    match datastore.get(&input.file, StorageClass::Exposure, None, Some(bbox))? {
        Dataset::Exposure(exposure) => Ok(*exposure),
        other => Err(CoaddError::NotAnExposure { path: input.file.path.clone(), found: other.kind() }),
    }
}

/// The arrays of a coadd while strips are pasted in.
struct Canvas {
    bbox: PixelBox,
    image: Array2<f32>,
    mask: Array2<i32>,
    variance: Array2<f32>,
    n_image: Array2<u16>,
    weight: Array2<f32>,
}

impl Canvas {
    fn new(bbox: PixelBox) -> Self {
        let shape = bbox.shape();
        Self {
            bbox,
            image: Array2::zeros(shape),
            mask: Array2::zeros(shape),
            variance: Array2::zeros(shape),
            n_image: Array2::zeros(shape),
            weight: Array2::zeros(shape),
        }
    }

    fn paste(&mut self, strip: &StackedStrip) {
        let bbox = strip.bbox();
        let first = (bbox.y0 - self.bbox.y0) as usize;
        let rows = s![first..first + bbox.height as usize, ..];
        self.image.slice_mut(rows).assign(&strip.image());
        self.mask.slice_mut(rows).assign(&strip.mask());
        self.variance.slice_mut(rows).assign(&strip.variance());
        self.weight.slice_mut(rows).assign(&strip.weight());
        self.n_image
            .slice_mut(rows)
            .zip_mut_with(&strip.n_image(), |to, from| *to = u16::try_from(*from).unwrap_or(u16::MAX));
    }

    fn finish(
        self,
        planes: CoaddPlanes,
        wcs: Wcs,
        zero_point: f64,
        inputs: arrow::record_batch::RecordBatch,
        metadata: Header,
    ) -> Coadd {
        Coadd {
            bbox: self.bbox,
            image: self.image,
            mask: self.mask,
            variance: self.variance,
            n_image: self.n_image,
            weight: self.weight,
            mask_planes: planes.names().clone(),
            wcs,
            zero_point,
            inputs,
            metadata,
        }
    }
}

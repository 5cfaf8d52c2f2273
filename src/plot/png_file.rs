//! Pixels as PNG, by the `png` crate: the same bytes for the same pixels.

use png::{BitDepth, ColorType, Compression, Encoder, Filter};

use super::PlotError;
use super::canvas::IndexedImage;

fn failed(error: &png::EncodingError) -> PlotError {
    PlotError::Encode { what: "PNG", problem: error.to_string() }
}

/// Red, green, blue bytes as PNG.
pub(super) fn rgb(width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>, PlotError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    let mut writer = encoder.write_header().map_err(|e| failed(&e))?;
    writer.write_image_data(pixels).map_err(|e| failed(&e))?;
    writer.finish().map_err(|e| failed(&e))?;
    Ok(bytes)
}

/// An image of a palette as PNG, its first colour transparent.
pub(super) fn indexed(image: &IndexedImage) -> Result<Vec<u8>, PlotError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.width, image.height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(image.palette.iter().flat_map(|c| c.0).collect::<Vec<u8>>());
    encoder.set_trns(vec![0]);
    encoder.set_compression(Compression::High);
    encoder.set_filter(Filter::NoFilter);
    let mut writer = encoder.write_header().map_err(|e| failed(&e))?;
    writer.write_image_data(&image.pixels).map_err(|e| failed(&e))?;
    writer.finish().map_err(|e| failed(&e))?;
    Ok(bytes)
}

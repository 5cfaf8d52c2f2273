//! Colours of pictures: told apart by everybody, and in print.

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Colour(pub(super) [u8; 3]);

impl Colour {
    pub(super) const WHITE: Self = Self([255; 3]);
    /// Text and frame.
    pub(super) const INK: Self = Self([33, 37, 41]);
    /// The graticule.
    pub(super) const GRATICULE: Self = Self([190, 196, 204]);
    pub(super) const TRACT: Self = Self([20, 24, 28]);
    pub(super) const PATCH: Self = Self([120, 128, 138]);
    /// Vermillion, of the eight colours of M. Okabe and K. Ito ("Color Universal Design", 2008).
    pub(super) const DETECTOR: Self = Self([213, 94, 0]);

    /// `#rrggbb`.
    pub(super) fn hex(self) -> String {
        let [r, g, b] = self.0;
        format!("#{r:02x}{g:02x}{b:02x}")
    }

    /// Depth as colour, `t` from 0 to 1: pale yellow over green and blue to a dark violet.
    ///
    /// A line through the Oklab space (B. Ottosson, 2020) whose lightness falls evenly, so that equal steps of depth are equal
    /// steps to the eye, without colours too.
    pub(super) fn of_depth(t: f64) -> Self {
        let t = t.clamp(0.0, 1.0);
        let lightness = 0.95 - 0.70 * t;
        // The hue goes from yellow (105 deg) the short way to violet (295 deg); the chroma is what sRGB holds everywhere.
        let hue = (105.0 + 190.0 * t).to_radians();
        let chroma = 0.055 + 0.32 * t * (1.0 - t) * (1.0 - 0.25 * t) + 0.045 * t;
        oklab(lightness, chroma * libm::cos(hue), chroma * libm::sin(hue))
    }
}

/// Into sRGB; what is outside of it loses chroma until it fits.
fn oklab(l: f64, a: f64, b: f64) -> Colour {
    let mut scale = 1.0;
    loop {
        let rgb = linear(l, a * scale, b * scale);
        if scale < 0.02 || rgb.iter().all(|c| (-0.0005..=1.0005).contains(c)) {
            return Colour(rgb.map(|c| {
                let c = c.clamp(0.0, 1.0);
                let encoded = if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * libm::pow(c, 1.0 / 2.4) - 0.055 };
                (255.0 * encoded).round() as u8
            }));
        }
        scale -= 0.001;
    }
}

fn linear(lightness: f64, a: f64, b: f64) -> [f64; 3] {
    let l = lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b;
    let m = lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b;
    let s = lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b;
    let (l, m, s) = (l * l * l, m * m * m, s * s * s);
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of sRGB.
    fn luminance(colour: Colour) -> f64 {
        let linear = colour.0.map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { libm::pow((c + 0.055) / 1.055, 2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn depth_darkens_evenly_without_jumps() {
        let ramp: Vec<Colour> = (0..=255).map(|i| Colour::of_depth(f64::from(i) / 255.0)).collect();
        for pair in ramp.windows(2) {
            assert!(luminance(pair[1]) < luminance(pair[0]) + 1e-3, "{pair:?}");
            let step = (0..3).map(|c| (i32::from(pair[1].0[c]) - i32::from(pair[0].0[c])).abs()).max().unwrap();
            // sRGB is steep where a channel comes to zero.
            assert!(step <= 16, "{pair:?}");
        }
        assert!(luminance(ramp[0]) > 0.75 && luminance(ramp[255]) < 0.05);
    }

    #[test]
    fn white_is_white() {
        assert_eq!(oklab(1.0, 0.0, 0.0), Colour::WHITE);
        assert_eq!(Colour::of_depth(f64::NAN.max(0.0)).hex().len(), 7);
    }
}

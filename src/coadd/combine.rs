//! One pixel of many inputs: the clipped mean and the median, with their variances.

/// The value of one input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) value: f64,
    pub(super) variance: f64,
    pub(super) weight: f64,
    pub(super) input: usize,
}

/// Weighted mean and its variance; NaN for no samples.
pub(super) fn weighted_mean(samples: &[Sample]) -> (f64, f64) {
    let (mut value, mut square, mut total) = (0.0, 0.0, 0.0);
    for s in samples {
        value += s.weight * s.value;
        square += s.weight * s.weight * s.variance;
        total += s.weight;
    }
    (value / total, square / (total * total))
}

/// Removes the samples that disagree, keeping order, and returns the weighted mean of the others and its variance.
pub(super) fn clip(
    samples: &mut Vec<Sample>,
    sorted: &mut Vec<f64>,
    sigma: f64,
    rounds: u32,
    amplitude: f64,
) -> (f64, f64) {
    let mut centre = if samples.len() < 3 { f64::NAN } else { median_value(samples, sorted) };
    for _ in 0..rounds {
        if samples.len() < 3 {
            break;
        }
        let agrees = |s: &Sample| (s.value - centre).abs() <= sigma * s.variance.sqrt() + amplitude * centre.abs();
        let kept = samples.iter().filter(|s| agrees(s)).count();
        // Nothing agrees with the centre (two groups): the centre is no better than any of them.
        if kept == 0 || kept == samples.len() {
            break;
        }
        samples.retain(agrees);
        centre = weighted_mean(samples).0;
    }
    weighted_mean(samples)
}

/// Median of the values and its variance; NaN for no samples.
pub(super) fn median(samples: &[Sample], sorted: &mut Vec<f64>) -> (f64, f64) {
    let n = samples.len() as f64;
    let mean_variance = samples.iter().map(|s| s.variance).sum::<f64>() / n;
    (median_value(samples, sorted), mean_variance / n * median_factor(samples.len()))
}

fn median_value(samples: &[Sample], sorted: &mut Vec<f64>) -> f64 {
    sorted.clear();
    sorted.extend(samples.iter().map(|s| s.value));
    let Some(middle) = sorted.len().checked_sub(1).map(|last| last / 2) else { return f64::NAN };
    let even = sorted.len().is_multiple_of(2);
    let (_, low, above) = sorted.select_nth_unstable_by(middle, f64::total_cmp);
    if even { 0.5 * (*low + above.iter().copied().fold(f64::INFINITY, f64::min)) } else { *low }
}

/// Variance of the median of `n` Gaussian values in units of the variance of their mean.
///
/// Up to 32 by numerical integration of the order statistics (good to 1e-6); above, `π/2 / (1 + c/n)` with `c` fitted,
/// good to 4e-4.
fn median_factor(n: usize) -> f64 {
    const EXACT: [f64; 33] = [
        1.0, 1.0, 1.0, 1.346_013, 1.192_798, 1.434_168, 1.288_456, 1.473_128, 1.345_447, 1.494_912, 1.383_264,
        1.508_787, 1.410_194, 1.518_387, 1.430_35, 1.525_42, 1.446_003, 1.530_792, 1.458_513, 1.535_029, 1.468_741,
        1.538_455, 1.477_258, 1.541_283, 1.484_463, 1.543_656, 1.490_635, 1.545_677, 1.495_984, 1.547_418, 1.500_663,
        1.548_933, 1.504_79,
    ];
    EXACT.get(n).copied().unwrap_or_else(|| {
        let c = if n % 2 == 1 { 0.434 } else { 1.41 };
        std::f64::consts::FRAC_PI_2 / (1.0 + c / n as f64)
    })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact results are meant")]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Vec<Sample> {
        let sample = |(input, value): (usize, &f64)| Sample { value: *value, variance: 1.0, weight: 1.0, input };
        values.iter().enumerate().map(sample).collect()
    }

    fn clipped(values: &[f64], amplitude: f64) -> (f64, Vec<usize>) {
        let mut list = samples(values);
        let (mean, _) = clip(&mut list, &mut Vec::new(), 3.0, 2, amplitude);
        (mean, list.iter().map(|s| s.input).collect())
    }

    #[test]
    fn one_cosmic_ray_in_three_goes() {
        assert_eq!(clipped(&[0.0, 500.0, 1.0], 0.3), (0.5, vec![0, 2]));
        // Two values do not tell which is wrong, and neither does one.
        assert_eq!(clipped(&[0.0, 500.0], 0.3), (250.0, vec![0, 1]));
        assert_eq!(clipped(&[500.0], 0.3), (500.0, vec![0]));
        assert!(clipped(&[], 0.3).0.is_nan());
    }

    #[test]
    fn star_cores_survive_seeing() {
        // Peaks of one star in three seeings, 20 per cent apart: 100 sigma, and no outlier.
        let peaks = [800.0, 1000.0, 1200.0];
        assert_eq!(clipped(&peaks, 0.3).1, vec![0, 1, 2]);
        assert_eq!(clipped(&peaks, 0.0).1, vec![1]);
    }

    #[test]
    fn second_round_is_about_the_mean() {
        // 4.5 is 3.0 from the median and stays; then it is too far from the mean of the rest.
        let values = [0.0, 0.0, 1.5, 1.4, 1.6, 4.4, 90.0];
        assert_eq!(clipped(&values, 0.0).1, vec![0, 1, 2, 3, 4, 5]);
        let values = [-1.0, -1.0, -1.0, -1.0, 1.6, 1.7, 1.8, 4.5, 90.0];
        assert_eq!(clipped(&values, 0.0).1, vec![0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn medians_and_their_factors() {
        assert_eq!(median(&samples(&[3.0, -1.0, 7.0]), &mut Vec::new()).0, 3.0);
        assert_eq!(median(&samples(&[3.0, -1.0, 7.0, 4.0]), &mut Vec::new()).0, 3.5);
        let (value, variance) = median(&samples(&[3.0, 1.0]), &mut Vec::new());
        assert_eq!((value, variance), (2.0, 0.5));
        // Known variance of the median of three: 1 - sqrt(3)/π, in units of the variance of one.
        assert!((median_factor(3) / 3.0 - (1.0 - 3_f64.sqrt() / std::f64::consts::PI)).abs() < 1e-6);
        for (n, exact) in [(33, 1.550_264), (63, 1.560_065), (301, 1.568_555), (34, 1.508_459), (100, 1.548_794)] {
            assert!((median_factor(n) - exact).abs() < 4e-4, "{n}: {} against {exact}", median_factor(n));
        }
    }
}

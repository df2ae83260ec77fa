//! Distributions of sizes and choices, as repositories have them.

use rand::Rng as _;
use rand::rngs::StdRng;

/// Chooses one of so many, the first ones most often: few packages are required by many.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts are far below 2^52, and the product is from 0 to the count"
)]
pub(crate) fn skewed(count: usize, random: &mut StdRng) -> usize {
    (count as f64 * random.r#gen::<f64>().powi(3)) as usize
}

/// Number of a log-normal distribution: half of them are below the median, a few are far above.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sizes are far below 2^52 and positive"
)]
pub(crate) fn log_normal(median: usize, sigma: f64, random: &mut StdRng) -> usize {
    // Irwin-Hall: the sum of twelve uniform numbers is nearly normal, with a variance of one.
    let normal = (0..12).map(|_| random.r#gen::<f64>()).sum::<f64>() - 6.0;
    (median as f64 * (normal * sigma).exp()) as usize
}

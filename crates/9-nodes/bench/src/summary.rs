//! Summary statistics of several runs.

use serde::Serialize;

/// Median and range of measured values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Median; for an even number of values, the mean of the middle two.
    pub median: f64,
    /// Smallest value.
    pub least: f64,
    /// Largest value.
    pub most: f64,
}

/// Summarizes values; all zero when there are none.
pub fn summarize(values: impl IntoIterator<Item = f64>) -> Summary {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    Summary {
        // Of an odd number of values, both are the one in the middle.
        median: f64::midpoint(at(values.len().saturating_sub(1) / 2), at(values.len() / 2)),
        least: values.first().copied().unwrap_or_default(),
        most: values.last().copied().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let sum = |values: &[f64]| summarize(values.iter().copied());
        assert_eq!(sum(&[3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(
            sum(&[4.0, 1.0]),
            Summary {
                median: 2.5,
                least: 1.0,
                most: 4.0
            }
        );
        assert_eq!(sum(&[]).median, 0.0);
    }
}

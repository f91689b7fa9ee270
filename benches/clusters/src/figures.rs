//! What is made of many measurements.

use std::time::Duration;

/// The value that `share` of 100 do not exceed. There must be some.
pub fn percentile<T: Copy + PartialOrd>(values: &[T], share: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("figures can be compared"));
    sorted[(sorted.len() * share).div_ceil(100).max(1) - 1]
}

pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    percentile(values, 50)
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!([50, 90, 99, 100].map(|share| percentile(&hundred, share)), [50, 90, 99, 100]);
        assert_eq!([1, 50, 100].map(|share| percentile(&[7], share)), [7, 7, 7]);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }
}

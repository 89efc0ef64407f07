//! How long something took, many times.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_mins(1);

/// A histogram of times, in nanoseconds with three significant digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// An empty one, of a fixed size of some hundred kilobytes.
    ///
    /// # Panics
    /// Never: the bounds are valid.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, nanos(LONGEST), 3);
        Self(histogram.expect("the bounds are valid"))
    }

    /// Adds one time; longer than a minute counts as a minute.
    pub fn record(&mut self, took: Duration) {
        self.0.saturating_record(nanos(took).max(1));
    }

    /// The quantiles, in milliseconds.
    #[must_use]
    pub fn quantiles(&self) -> Quantiles {
        let at = |quantile| millis(self.0.value_at_quantile(quantile));
        Quantiles {
            count: self.0.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: millis(self.0.max()),
        }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

/// What is told of many times.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Quantiles {
    /// How many there were.
    pub count: u64,
    /// Half of them were not longer.
    pub p50_ms: f64,
    /// Nine of ten were not longer.
    pub p90_ms: f64,
    /// Ninety-nine of a hundred were not longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::Latencies;
    use std::time::Duration;

    #[test]
    fn quantiles_are_in_milliseconds_and_the_longest_is_kept() {
        let mut latencies = Latencies::new();
        for millis in 1..=100 {
            latencies.record(Duration::from_millis(millis));
        }
        latencies.record(Duration::from_hours(1));
        let quantiles = latencies.quantiles();
        assert_eq!(quantiles.count, 101);
        assert!((quantiles.p50_ms - 51.0).abs() < 0.1, "{quantiles:?}");
        assert!((quantiles.max_ms - 60_000.0).abs() < 100.0, "{quantiles:?}");
    }
}

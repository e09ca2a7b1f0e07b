//! Latencies in buckets of 10 µs up to 2 s: recording one costs an addition.

use std::time::Duration;

const STEP_US: usize = 10;
const BUCKETS: usize = 200_000;

/// How often each latency was seen. What is longer than 2 s counts as 2 s.
pub struct Histogram {
    buckets: Vec<u32>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }

    /// Counts one latency.
    #[inline]
    pub fn record(&mut self, latency: Duration) {
        let bucket = latency.subsec_micros() as usize / STEP_US
            + usize::try_from(latency.as_secs()).unwrap_or(BUCKETS) * (1_000_000 / STEP_US);
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.count += 1;
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.buckets.fill(0);
        self.count = 0;
    }

    /// The latency in milliseconds that `per_cent` of those seen do not exceed.
    pub fn percentile_ms(&self, per_cent: u64) -> f64 {
        let rank = (self.count * per_cent).div_ceil(100);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|&n| {
            seen += u64::from(n);
            seen >= rank
        });
        bucket.map_or(f64::NAN, |bucket| ((bucket + 1) * STEP_US) as f64 / 1000.0)
    }
}

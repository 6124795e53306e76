//! Percentiles of times.

use std::time::Duration;

use serde::Serialize;

/// Times of many runs of one thing, sorted.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of the runs took at most this.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// Nineteen of twenty.
    pub p95: f64,
    /// Ninety-nine of a hundred.
    pub p99: f64,
}

impl Times {
    /// Of these runs.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that this share of the runs took at most (nearest rank); zero without runs.
    pub fn percentile(&self, share: f64) -> Duration {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.max(1) - 1).or(self.0.last()).copied().unwrap_or_default()
    }

    /// The usual ones.
    pub fn percentiles(&self) -> Percentiles {
        let micros = |share| self.percentile(share).as_secs_f64() * 1e6;
        Percentiles { p50: micros(0.50), p90: micros(0.90), p95: micros(0.95), p99: micros(0.99) }
    }
}

/// Runs something many times; `run` gets the number of the run.
pub fn timed<E>(runs: usize, mut run: impl FnMut(usize) -> Result<(), E>) -> Result<Times, E> {
    let mut times = Vec::with_capacity(runs);
    for index in 0..runs {
        let begin = std::time::Instant::now();
        run(index)?;
        times.push(begin.elapsed());
    }
    Ok(Times::new(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_nearest_rank() {
        let times = Times::new((1..=100).rev().map(Duration::from_micros).collect());
        let of = times.percentiles();
        assert_eq!([of.p50, of.p90, of.p95, of.p99].map(f64::round), [50.0, 90.0, 95.0, 99.0]);
        assert_eq!(Times::default().percentile(0.5), Duration::ZERO);
    }
}

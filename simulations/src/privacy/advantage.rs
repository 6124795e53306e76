//! What a classifier gained over guessing, and how sure that is.

use rand::RngExt;
use rand_chacha::ChaCha20Rng;

/// Resamplings of the bootstrap.
const RESAMPLES: usize = 1000;
/// The normal distribution's quantile for a 95 % interval.
const QUANTILE: f64 = 1.96;

/// 2 × accuracy − 1 over balanced pairs, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advantage {
    /// Pairs.
    pub samples: usize,
    /// 0: guessing; 1: always right.
    pub advantage: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Answers about one account: how many were right, of how many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Right ones.
    pub right: usize,
    /// All.
    pub all: usize,
}

impl Score {
    /// Counts an answer.
    pub fn count(&mut self, right: bool) {
        self.right += usize::from(right);
        self.all += 1;
    }
}

impl Advantage {
    /// From the answers, by account. Pairs of one account may err together, so the interval is the
    /// wider one of two: the binomial one, and that of a bootstrap over whole accounts.
    ///
    /// # Panics
    ///
    /// Without answers.
    pub fn of(scores: &[Score], rng: &mut ChaCha20Rng) -> Self {
        let sum = |scores: &mut dyn Iterator<Item = Score>| {
            let (mut right, mut all) = (0, 0);
            for score in scores {
                right += score.right;
                all += score.all;
            }
            (right, all)
        };
        let (right, all) = sum(&mut scores.iter().copied());
        assert!(all > 0, "somebody answered");
        let gain = |right: usize, all: usize| 2.0 * right as f64 / all.max(1) as f64 - 1.0;
        let advantage = gain(right, all);
        let mut resampled: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let mut picked = scores.iter().map(|_| scores[rng.random_range(0..scores.len())]);
                let (right, all) = sum(&mut picked);
                gain(right, all)
            })
            .collect();
        resampled.sort_by(f64::total_cmp);
        let at = |part: f64| resampled[((RESAMPLES - 1) as f64 * part).round() as usize];
        let accuracy = right as f64 / all as f64;
        // never nothing: nobody is sure after so many answers
        let variance = (accuracy * (1.0 - accuracy)).max(1.0 / all as f64);
        let binomial = 2.0 * QUANTILE * (variance / all as f64).sqrt();
        Self {
            samples: all,
            advantage,
            low: (advantage - binomial).min(at(0.025)),
            high: (advantage + binomial).max(at(0.975)).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn of(scores: &[Score]) -> Advantage {
        Advantage::of(scores, &mut ChaCha20Rng::seed_from_u64(1))
    }

    #[test]
    fn guessing_gains_nothing_and_knowing_all() {
        let half = of(&[Score { right: 50, all: 100 }; 100]);
        assert_eq!((half.samples, half.advantage), (10_000, 0.0));
        assert!((half.high - 0.0196).abs() < 1e-3 && (half.low + 0.0196).abs() < 1e-3, "{half:?}");
        let all = of(&[Score { right: 100, all: 100 }; 100]);
        assert_eq!((all.advantage, all.high), (1.0, 1.0));
        assert!(all.low < 1.0, "{all:?}");
    }

    #[test]
    fn accounts_that_err_together_make_the_interval_wider() {
        let scores: Vec<_> = (0..100).map(|n| Score { right: n % 2 * 100, all: 100 }).collect();
        let wide = of(&scores);
        assert_eq!(wide.advantage, 0.0);
        assert!(wide.high > 0.15, "{wide:?}");
    }
}

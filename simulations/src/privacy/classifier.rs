//! A classifier: one hidden layer, trained by Adam (Kingma and Ba, 2015) on the logistic loss.
//!
//! Inputs are standardised by the training set. One that would tell everything by one number, as a
//! planted tag does, is linear in it; the hidden layer finds what only several tell together.

use rand::RngExt;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha20Rng;

/// An example: its numbers, and whether it is one of those that are looked for.
pub type Example = (Vec<f32>, bool);

const HIDDEN: usize = 24;
const BATCH: usize = 64;
const RATE: f32 = 0.002;
/// Keeps weights small that say nothing.
const DECAY: f32 = 0.01;
const BETA: (f32, f32) = (0.9, 0.999);
/// Standardised numbers are cut here: one that is far off must not drown the others.
const FARTHEST: f32 = 8.0;

/// A trained classifier.
pub struct Classifier {
    mean: Vec<f32>,
    scale: Vec<f32>,
    /// Hidden layer, row by row with its bias last; then the output, its bias last.
    weights: Vec<f32>,
}

impl Classifier {
    /// Trains one, over the examples `epochs` times.
    ///
    /// # Panics
    ///
    /// Without examples, or if they have different numbers of numbers.
    pub fn train(examples: &[Example], epochs: usize, rng: &mut ChaCha20Rng) -> Self {
        let (mean, scale) = standard(examples);
        let inputs = mean.len();
        let count = HIDDEN * (inputs + 1) + HIDDEN + 1;
        let width = (2.0 / inputs as f32).sqrt();
        let weights = (0..count).map(|_| rng.random_range(-width..width)).collect();
        let mut classifier = Self { mean, scale, weights };
        let mut moments = (vec![0.0; count], vec![0.0; count]);
        let inputs: Vec<_> = examples.iter().map(|(x, _)| classifier.standardised(x)).collect();
        let mut order: Vec<usize> = (0..examples.len()).collect();
        let mut step = 0;
        for _ in 0..epochs {
            order.shuffle(rng);
            for batch in order.chunks(BATCH) {
                let mut gradient = vec![0.0; count];
                for &n in batch {
                    classifier.add_gradient(&inputs[n], examples[n].1, &mut gradient);
                }
                step += 1;
                classifier.descend(&gradient, batch.len(), step, &mut moments);
            }
        }
        classifier
    }

    /// Whether it takes this for one of those that are looked for.
    pub fn says(&self, numbers: &[f32]) -> bool {
        let inputs = self.standardised(numbers);
        let mut hidden = [0.0; HIDDEN];
        self.forward(&inputs, &mut hidden) > 0.0
    }

    fn standardised(&self, numbers: &[f32]) -> Vec<f32> {
        let all = numbers.iter().zip(self.mean.iter().zip(&self.scale));
        all.map(|(x, (mean, scale))| ((x - mean) * scale).clamp(-FARTHEST, FARTHEST)).collect()
    }

    /// The hidden layer's values, and the output.
    fn forward(&self, inputs: &[f32], hidden: &mut [f32; HIDDEN]) -> f32 {
        let row = inputs.len() + 1;
        for (value, weights) in hidden.iter_mut().zip(self.weights.chunks_exact(row)) {
            let sum: f32 = inputs.iter().zip(weights).map(|(x, w)| x * w).sum();
            *value = (sum + weights[row - 1]).max(0.0);
        }
        let output = &self.weights[HIDDEN * row..];
        hidden.iter().zip(output).map(|(h, w)| h * w).sum::<f32>() + output[HIDDEN]
    }

    fn add_gradient(&self, inputs: &[f32], is: bool, gradient: &mut [f32]) {
        let mut hidden = [0.0; HIDDEN];
        let output = self.forward(inputs, &mut hidden);
        let error = 1.0 / (1.0 + (-output).exp()) - f32::from(u8::from(is));
        let row = inputs.len() + 1;
        let last = HIDDEN * row;
        for n in 0..HIDDEN {
            gradient[last + n] += error * hidden[n];
            if hidden[n] > 0.0 {
                let back = error * self.weights[last + n];
                let gradient = &mut gradient[n * row..(n + 1) * row];
                gradient.iter_mut().zip(inputs).for_each(|(g, x)| *g += back * x);
                gradient[row - 1] += back;
            }
        }
        gradient[last + HIDDEN] += error;
    }

    fn descend(
        &mut self,
        gradient: &[f32],
        batch: usize,
        step: i32,
        (first, second): &mut (Vec<f32>, Vec<f32>),
    ) {
        let (left, squares) = (1.0 - BETA.0.powi(step), 1.0 - BETA.1.powi(step));
        for (n, weight) in self.weights.iter_mut().enumerate() {
            let slope = gradient[n] / batch as f32 + DECAY * *weight;
            first[n] = BETA.0 * first[n] + (1.0 - BETA.0) * slope;
            second[n] = BETA.1 * second[n] + (1.0 - BETA.1) * slope * slope;
            *weight -= RATE * (first[n] / left) / ((second[n] / squares).sqrt() + 1e-8);
        }
    }
}

/// Mean of each number, and one over its standard deviation; 0 where it never changes.
fn standard(examples: &[Example]) -> (Vec<f32>, Vec<f32>) {
    let count = examples.len() as f64;
    let inputs = examples[0].0.len();
    let mut sums = vec![(0.0_f64, 0.0_f64); inputs];
    for (numbers, _) in examples {
        assert_eq!(numbers.len(), inputs);
        for (sum, x) in sums.iter_mut().zip(numbers) {
            sum.0 += f64::from(*x);
            sum.1 += f64::from(*x).powi(2);
        }
    }
    sums.into_iter()
        .map(|(sum, squares)| {
            let mean = sum / count;
            let deviation = (squares / count - mean * mean).max(0.0).sqrt();
            let scale = if deviation > 1e-9 { 1.0 / deviation } else { 0.0 };
            (mean as f32, scale as f32)
        })
        .unzip()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn accuracy(truth: impl Fn(&[f32]) -> bool) -> f64 {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut examples = |count: usize| -> Vec<Example> {
            (0..count)
                .map(|_| {
                    let x: Vec<f32> = (0..6).map(|_| rng.random_range(-1.0..1.0)).collect();
                    let is = truth(&x);
                    (x, is)
                })
                .collect()
        };
        let (train, test) = (examples(2000), examples(1000));
        let classifier = Classifier::train(&train, 20, &mut ChaCha20Rng::seed_from_u64(2));
        let right = test.iter().filter(|(x, is)| classifier.says(x) == *is).count();
        right as f64 / test.len() as f64
    }

    #[test]
    fn it_learns_what_one_number_tells_and_what_two_tell_together() {
        let one = accuracy(|x| x[3] > 0.2);
        assert!(one > 0.95, "{one}");
        let two = accuracy(|x| (x[0] > 0.0) == (x[1] > 0.0));
        assert!(two > 0.9, "{two}");
    }

    #[test]
    fn it_finds_nothing_where_there_is_nothing() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let mut example = |_| ((0..6).map(|_| rng.random_range(-1.0..1.0)).collect(), rng.random());
        let examples: Vec<Example> = (0..6000).map(&mut example).collect();
        let classifier =
            Classifier::train(&examples[..3000], 5, &mut ChaCha20Rng::seed_from_u64(4));
        let right = examples[3000..].iter().filter(|(x, is)| classifier.says(x) == *is).count();
        assert!((1380..1620).contains(&right), "{right} of 3000");
    }
}

//! Which of two records is of an account with many installations?

use rand::RngExt;
use rand_chacha::ChaCha20Rng;

use super::advantage::{Advantage, Score};
use super::classifier::{Classifier, Example};
use super::features::{Profile, between};

/// Accounts with fewer installations than this are few, those with as many as this or more are many.
pub const FEW: usize = 4;
/// See [`FEW`].
pub const MANY: usize = 15;

/// Pairs of records of two accounts, one with few installations and one with many. The account of
/// the first one stands beside it.
pub type Pairs = Vec<(usize, Profile, Profile)>;

/// Trains on pairs of some accounts and asks about pairs of others.
///
/// # Panics
///
/// Without pairs.
pub fn attack(train: &Pairs, test: &Pairs, epochs: usize, rng: &mut ChaCha20Rng) -> Advantage {
    let mut example = |(_, few, many): &(usize, Profile, Profile)| -> Example {
        let swapped: bool = rng.random();
        (if swapped { between(many, few) } else { between(few, many) }, swapped)
    };
    let examples: Vec<_> = train.iter().map(&mut example).collect();
    let questions: Vec<_> = test.iter().map(|pair| (pair.0, example(pair))).collect();
    let classifier = Classifier::train(&examples, epochs, rng);
    let accounts = questions.iter().map(|(account, _)| account + 1).max().unwrap_or_default();
    let mut scores = vec![Score::default(); accounts];
    for (account, (numbers, swapped)) in &questions {
        scores[*account].count(classifier.says(numbers) == *swapped);
    }
    scores.retain(|score| score.all > 0);
    Advantage::of(&scores, rng)
}

//! Are two records of one account?

use rand::RngExt;
use rand_chacha::ChaCha20Rng;

use super::advantage::{Advantage, Score};
use super::classifier::{Classifier, Example};
use super::features::{Profile, of_two};

/// An account's records, by day.
pub type Days = Vec<Profile>;

/// Two records: which ones, by account and day, and whether they are of one account.
type Pair = ([(usize, usize); 2], bool);

/// Trains on some accounts and asks about others.
///
/// # Panics
///
/// With fewer than two accounts on either side.
pub fn attack(train: &[Days], test: &[Days], epochs: usize, rng: &mut ChaCha20Rng) -> Advantage {
    let examples: Vec<Example> =
        pairs(train, rng).into_iter().map(|pair| (numbers(train, pair), pair.1)).collect();
    let classifier = Classifier::train(&examples, epochs, rng);
    drop(examples);
    let mut scores = vec![Score::default(); test.len()];
    for pair in pairs(test, rng) {
        let [(account, _), _] = pair.0;
        scores[account].count(classifier.says(&numbers(test, pair)) == pair.1);
    }
    Advantage::of(&scores, rng)
}

fn numbers(accounts: &[Days], (pair, _): Pair) -> Vec<f32> {
    let [one, other] = pair.map(|(account, day)| &accounts[account][day]);
    of_two(one, other)
}

/// For each two days of each account a pair of its own, and one with another account's: every record
/// is in as many pairs of either kind.
fn pairs(accounts: &[Days], rng: &mut ChaCha20Rng) -> Vec<Pair> {
    assert!(accounts.len() > 1, "two accounts");
    let days = accounts.iter().map(Vec::len).min().unwrap_or_default();
    let mut pairs = Vec::new();
    for one in 0..days {
        for other in one + 1..days {
            let shift = rng.random_range(1..accounts.len());
            for account in 0..accounts.len() {
                let another = (account + shift) % accounts.len();
                pairs.push(([(account, one), (account, other)], true));
                pairs.push(([(account, one), (another, other)], false));
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;

    use super::*;
    use crate::privacy::maker::Maker;

    #[test]
    fn every_record_is_in_as_many_pairs_of_either_kind() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let maker = Maker::new(0, 1, &mut rng);
        let profile = Profile::of(&maker.record(0, &mut rng));
        let accounts = vec![vec![profile; 4]; 5];
        let mut counts: BTreeMap<(usize, usize), [usize; 2]> = BTreeMap::new();
        for (pair, one) in pairs(&accounts, &mut rng) {
            assert_eq!(one, pair[0].0 == pair[1].0);
            for record in pair {
                counts.entry(record).or_default()[usize::from(one)] += 1;
            }
        }
        assert_eq!(counts.len(), 20);
        assert!(counts.values().all(|[not, one]| not == one && *one == 3), "{counts:?}");
    }
}

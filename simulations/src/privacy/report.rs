//! What was measured, for programs: `docs/reports/privacy.json`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::advantage::Advantage;
use super::recurring::Within;

/// The highest upper bound that an attack may have.
pub const BOUND: f64 = 0.02;
/// The least that a planted leak has to give.
pub const PLANTED: f64 = 0.9;

/// A classifier's score. Names say what it was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Attack {
    /// What was asked.
    pub name: String,
    /// Balanced test pairs.
    pub samples: usize,
    /// 2 × accuracy − 1.
    pub advantage: f64,
    /// Lower end of the 95 % interval.
    pub ci_low: f64,
    /// Upper end of the 95 % interval.
    pub ci_high: f64,
    /// Whether there was something to be found, put there to see that it is.
    pub planted: bool,
}

impl Attack {
    /// One without anything planted.
    pub fn new(name: &str, score: Advantage) -> Self {
        Self {
            name: name.to_owned(),
            samples: score.samples,
            advantage: score.advantage,
            ci_low: score.low,
            ci_high: score.high,
            planted: false,
        }
    }

    /// Whether it is as it has to be.
    pub fn holds(&self) -> bool {
        if self.planted { self.advantage >= PLANTED } else { self.ci_high <= BOUND }
    }
}

/// What accounts with so many installations publish a day.
#[derive(Clone, Debug, Serialize)]
pub struct Parts {
    /// Live installations.
    pub installations: usize,
    /// Records looked at.
    pub records: usize,
    /// Fewest publishes of one.
    pub fewest: usize,
    /// Most publishes of one.
    pub most: usize,
    /// Every size of a payload, in bytes.
    pub sizes: Vec<usize>,
}

/// Strings of 8 bytes that are in more than one record.
#[derive(Clone, Debug, Serialize)]
pub struct Strings {
    /// Records looked at.
    pub records: usize,
    /// Strings in payloads of several records.
    pub in_payloads: usize,
    /// Of those, strings that only one account's records have.
    pub in_payloads_of_one_account: usize,
    /// Strings anywhere in messages of several records.
    pub in_messages: usize,
    /// Of those, what only one account's records have.
    pub in_messages_of_one_account: Within,
    /// How often records were dealt out to accounts anew, one a day: what chance gives.
    pub deals: usize,
    /// Strings that only one account's records have, on average over the deals.
    pub in_messages_of_one_dealt_account: f64,
    /// The most of each over the deals.
    pub most_of_one_dealt_account: Within,
    /// As `in_payloads_of_one_account`, where one account's records had a tag planted.
    pub found_when_planted: usize,
    /// As `in_messages_of_one_account`, where one account's topics had 8 letters planted.
    pub found_when_planted_in_topics: Within,
}

/// Everything. Keys are in snake case.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of all that was drawn.
    pub seed: u64,
    /// Accounts of real cores.
    pub accounts: usize,
    /// Days that they lived.
    pub days: u64,
    /// Most installations of one.
    pub most_installations: usize,
    /// Records that they published.
    pub records: usize,
    /// Installations that were linked.
    pub linked: usize,
    /// Installations that were revoked; the card changed with each.
    pub revoked: usize,
    /// Cards that were changed by hand.
    pub rotated: usize,
    /// Accounts that lost all installations and came back by their phrase.
    pub recovered: usize,
    /// What a record is from outside.
    pub parts: Vec<Parts>,
    /// What it is on the days on which a phrase brought an account back, and on those after: how many
    /// records of how many publishes.
    pub recovery_days: BTreeMap<usize, usize>,
    /// Publishes of linking: how many of which size.
    pub link_publishes: BTreeMap<usize, usize>,
    /// Strings that recur.
    pub strings: Strings,
    /// What has to hold.
    pub attacks: Vec<Attack>,
    /// What is not promised, measured all the same.
    pub beyond: Vec<Attack>,
}

impl Report {
    /// What does not hold.
    pub fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self
            .attacks
            .iter()
            .filter(|attack| !attack.holds())
            .map(|a| {
                format!("{}: {:.4} ({:.4} to {:.4})", a.name, a.advantage, a.ci_low, a.ci_high)
            })
            .collect();
        failures.extend(self.shape_failures());
        failures
    }

    /// What does not hold of numbers, sizes and strings, for which no large sample is needed.
    pub fn shape_failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        let first = self.parts.first();
        for parts in &self.parts {
            let same = first.is_some_and(|first| {
                (parts.fewest, parts.most, &parts.sizes)
                    == (first.fewest, first.fewest, &first.sizes)
            });
            if !same || parts.sizes.len() != 1 {
                failures.push(format!("{} installations: {parts:?}", parts.installations));
            }
        }
        if self.strings.in_payloads > 0 {
            failures.push(format!("{} strings recur in payloads", self.strings.in_payloads));
        }
        let beyond = |found: Within| {
            let chance = self.strings.most_of_one_dealt_account;
            found.strings > chance.strings || found.records > chance.records
        };
        if beyond(self.strings.in_messages_of_one_account) {
            failures.push(format!("strings recur in one account's messages: {:?}", self.strings));
        }
        let planted = self.strings.found_when_planted_in_topics;
        if self.strings.found_when_planted == 0 || !beyond(planted) {
            failures.push(format!("a planted string is not found: {planted:?}"));
        }
        failures
    }
}

//! Every string of 8 bytes that is in more than one record, wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use super::sight::{Record, TAG};

/// Most strings that are looked through in one go, which bounds the memory.
const AT_ONCE: usize = 1 << 27;
/// Bits of a filter for each string.
const BITS: usize = 16;
/// Odd, without structure: spreads strings over the parts and the filter.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What recurs, by string: the records, by their place, that have it.
pub type Recurring = BTreeMap<u64, BTreeSet<usize>>;

/// Which bytes of a publish are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The payload.
    Payload,
    /// All that is sent: payload, topic, timestamp.
    Message,
}

/// Finds them.
pub fn find(records: &[&Record], of: Of) -> Recurring {
    let texts: Vec<Vec<Vec<u8>>> = records.iter().map(|record| texts(record, of)).collect();
    let all: usize = texts.iter().flatten().map(Vec::len).sum();
    let parts = all.div_ceil(AT_ONCE).next_power_of_two();
    let mut found = Recurring::new();
    for part in 0..parts {
        find_part(&texts, (part, parts), all / parts, &mut found);
    }
    found
}

/// Two passes over the strings of a part: the first one marks what may have been there before, the
/// second one takes that out to be compared.
fn find_part(texts: &[Vec<Vec<u8>>], part: (usize, usize), count: usize, found: &mut Recurring) {
    let (mut seen, mut again) = (Filter::for_strings(count), Filter::for_strings(count));
    for text in texts.iter().flatten() {
        each(text, part, |string| {
            if seen.set(string) {
                again.set(string);
            }
        });
    }
    let mut all: Vec<(u64, usize)> = Vec::new();
    for (place, texts) in texts.iter().enumerate() {
        for text in texts {
            each(text, part, |string| {
                if again.has(string) {
                    all.push((string, place));
                }
            });
        }
    }
    all.sort_unstable();
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        if group.first().map(|g| g.1) != group.last().map(|g| g.1) {
            found.insert(group[0].0, group.iter().map(|(_, place)| *place).collect());
        }
    }
}

/// Every string of a part in a text.
fn each(text: &[u8], (part, parts): (usize, usize), mut with: impl FnMut(u64)) {
    let mut string = 0_u64;
    for (at, byte) in text.iter().enumerate() {
        string = string << 8 | u64::from(*byte);
        if at + 1 >= TAG && (string.wrapping_mul(SPREAD) >> 32) as usize % parts == part {
            with(string);
        }
    }
}

/// Whether a string may have been put in before: sometimes wrong, never about one that was.
struct Filter {
    bits: Vec<u64>,
    shift: u32,
}

impl Filter {
    fn for_strings(count: usize) -> Self {
        let bits = (count.max(64) * BITS).next_power_of_two();
        Self { bits: vec![0; bits / 64], shift: 64 - bits.trailing_zeros() }
    }

    fn place(&self, string: u64) -> (usize, u64) {
        let bit = string.wrapping_mul(SPREAD) >> self.shift;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    /// Puts it in; whether it may have been there.
    fn set(&mut self, string: u64) -> bool {
        let (word, bit) = self.place(string);
        let was = self.bits[word] & bit != 0;
        self.bits[word] |= bit;
        was
    }

    fn has(&self, string: u64) -> bool {
        let (word, bit) = self.place(string);
        self.bits[word] & bit != 0
    }
}

fn texts(record: &Record, of: Of) -> Vec<Vec<u8>> {
    let sights = record.sights.iter();
    match of {
        Of::Payload => sights.map(|sight| sight.message.payload.to_vec()).collect(),
        Of::Message => sights.map(|sight| sight.message.encode()).collect(),
    }
}

/// What recurs in records of one account and in nobody else's: what would link them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Within {
    /// How many strings.
    pub strings: usize,
    /// The most records in which one of them is: one day's with each other's, if an account has a
    /// string of its own all the time.
    pub records: usize,
}

/// Looks for it. `owner` says whose a record is.
pub fn within(found: &Recurring, owner: impl Fn(usize) -> usize) -> Within {
    let mut within = Within::default();
    for places in found.values() {
        let mut owners = places.iter().map(|place| owner(*place));
        let first = owners.next();
        if owners.all(|other| Some(other) == first) {
            within.strings += 1;
            within.records = within.records.max(places.len());
        }
    }
    within
}

/// For each record, the strings in it that are also in others, sorted.
pub fn by_record(found: &Recurring, records: usize) -> Vec<Vec<u64>> {
    let mut by = vec![Vec::new(); records];
    for (string, places) in found {
        for place in places {
            by[*place].push(*string);
        }
    }
    by
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng};
    use rand_chacha::ChaCha20Rng;

    use super::*;

    /// Against comparing everything with everything.
    #[test]
    fn what_recurs_is_found_wherever_it_stands() {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut texts: Vec<Vec<Vec<u8>>> = (0..20)
            .map(|_| {
                let mut text = vec![0; 300];
                rng.fill_bytes(&mut text);
                vec![text]
            })
            .collect();
        let planted = *b"recurs!!";
        texts[3][0][292..].copy_from_slice(&planted);
        texts[17][0][..8].copy_from_slice(&planted);
        // twice in one record is not in several
        let twice = texts[5][0][..50].to_vec();
        texts[5][0][100..150].copy_from_slice(&twice);
        for parts in [1, 4] {
            let mut found = Recurring::new();
            for part in 0..parts {
                find_part(&texts, (part, parts), 20 * 300 / parts, &mut found);
            }
            let expected =
                Recurring::from([(u64::from_be_bytes(planted), BTreeSet::from([3, 17]))]);
            assert_eq!(found, expected, "{parts} parts");
            assert_eq!(within(&found, |place| place), Within::default());
            assert_eq!(within(&found, |_| 0), Within { strings: 1, records: 2 });
            let by = by_record(&found, 20);
            assert_eq!((by[3].len(), by[17].len(), by[5].len()), (1, 1, 0));
        }
    }
}

//! The whole measurement.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::accounts::{Life, Lives, live_all};
use super::advantage::Advantage;
use super::counting::{self, FEW, MANY, Pairs};
use super::features::Profile;
use super::linking::{self, Days};
use super::maker::Maker;
use super::recurring::{self, Of, Recurring, Within};
use super::report::{Attack, Parts, Report, Strings};
use super::sight::{Record, TAG};

/// How often records are dealt out anew. What is found of real accounts may not be more than in any of
/// these, which happens by chance once in a thousand measurements.
const DEALS: usize = 999;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Of all that is drawn.
    pub seed: u64,
    /// Accounts of real cores whose records the classifier is trained on.
    pub train: usize,
    /// Accounts of real cores that it is asked about.
    pub test: usize,
    /// Days that they live.
    pub days: u64,
    /// Most installations of an account.
    pub most: usize,
    /// Pairs of made records that the other classifier is trained on.
    pub train_pairs: usize,
    /// Pairs of made records that it is asked about.
    pub test_pairs: usize,
    /// Times that a classifier goes over its examples.
    pub epochs: usize,
    /// By how many seconds clocks are off in the question what that shows; 0: it is not asked.
    pub clock_off: i64,
}

impl Extent {
    /// What `make report` measures.
    pub const WHOLE: Self = Self {
        seed: 20_261_123,
        train: 60,
        test: 200,
        days: 24,
        most: 20,
        train_pairs: 12_000,
        test_pairs: 102_000,
        epochs: 6,
        clock_off: 2,
    };
    /// What the tests do, which takes seconds.
    pub const SMALL: Self = Self {
        seed: 1,
        train: 20,
        test: 10,
        days: 7,
        most: 4,
        train_pairs: 400,
        test_pairs: 240,
        epochs: 40,
        clock_off: 0,
    };
}

/// Measures, and says what is being done.
///
/// # Panics
///
/// If a core refuses what accounts do.
pub fn measure(extent: &Extent, tell: &mut dyn FnMut(&str)) -> Report {
    let Extent { seed, days, most, train, test, .. } = *extent;
    let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0x7072_6976);
    tell("accounts live");
    let lives = live_all(&Lives { seed, days, most, clock_off: 0 }, train + test);
    let (train_records, test_records) = split(&lives, train, days);
    tell("strings that recur are looked for");
    let (strings, found) = strings(&test_records, &mut rng);
    let mut attacks = Vec::new();
    tell("a classifier learns to link records");
    let train_days = days_of(&train_records, None);
    let test_days = days_of(&test_records, Some(&found));
    let honest = linking::attack(&train_days, &test_days, extent.epochs, &mut rng);
    drop((train_days, test_days));
    attacks.push(Attack::new("link-records-of-one-account", honest));
    tell("and with a tag planted");
    let planted = planted(extent, [&train_records, &test_records], &mut rng);
    drop((train_records, test_records));
    tell("records are made, and a classifier learns to tell many installations from few");
    let count = made(extent, Leak::None, [extent.train_pairs, extent.test_pairs], &mut rng);
    attacks.push(Attack::new("tell-many-installations-from-few", count));
    let some = [extent.train_pairs.min(2_000), extent.test_pairs.min(10_000)];
    let sized = made(extent, Leak::Size, some, &mut rng);
    let mut controls = vec![
        Attack::new("link-records-with-a-planted-tag-of-8-bytes", planted),
        Attack::new("tell-installations-from-a-planted-size", sized),
    ];
    controls.iter_mut().for_each(|attack| attack.planted = true);
    let beyond = if extent.clock_off > 0 {
        tell("accounts live whose clocks are off");
        clocks(extent, &mut rng)
    } else {
        Vec::new()
    };
    Report {
        seed,
        accounts: train + test,
        days,
        most_installations: most,
        records: lives.iter().map(|life| life.records.len()).sum(),
        linked: lives.iter().map(|life| life.linked).sum(),
        revoked: lives.iter().map(|life| life.revoked).sum(),
        rotated: lives.iter().map(|life| life.rotated).sum(),
        recovered: lives.iter().map(|life| life.recovered).sum(),
        parts: parts(&lives),
        recovery_days: recovery_days(&lives),
        link_publishes: link_publishes(&lives),
        strings,
        attacks: attacks.into_iter().chain(controls).collect(),
        beyond,
    }
}

/// Records by account, with as many days of each; those of the first `train` accounts apart.
fn split(lives: &[Life], train: usize, days: u64) -> (Vec<Vec<Record>>, Vec<Vec<Record>>) {
    // the first day is the one on which accounts were made
    let of = |lives: &[Life]| -> Vec<Vec<Record>> {
        lives
            .iter()
            .map(|life| {
                life.records.iter().filter(|r| r.day > 0 && r.day < days).cloned().collect()
            })
            .collect()
    };
    (of(&lives[..train]), of(&lives[train..]))
}

fn profiles(records: &[Vec<Record>], found: &[Vec<u64>]) -> Vec<Days> {
    let mut found = found.iter();
    let mut profile = |record: &Record| {
        let mut profile = Profile::of(record);
        profile.recurring = found.next().cloned().unwrap_or_default();
        profile
    };
    records.iter().map(|days| days.iter().map(&mut profile).collect()).collect()
}

/// Trains and asks, on what recurs in each side's own records.
fn link(extent: &Extent, sides: [&[Vec<Record>]; 2], rng: &mut ChaCha20Rng) -> Advantage {
    let [train, test] = sides.map(|records| days_of(records, None));
    linking::attack(&train, &test, extent.epochs, rng)
}

/// What a classifier gets of these accounts, with what recurs in their payloads.
fn days_of(records: &[Vec<Record>], found: Option<&Recurring>) -> Vec<Days> {
    let all: Vec<&Record> = records.iter().flatten().collect();
    let by_record = match found {
        Some(found) => recurring::by_record(found, all.len()),
        None => recurring::by_record(&recurring::find(&all, Of::Payload), all.len()),
    };
    profiles(records, &by_record)
}

/// The same with 8 bytes of its account's in each record.
fn planted(extent: &Extent, sides: [&[Vec<Record>]; 2], rng: &mut ChaCha20Rng) -> Advantage {
    let [train, test] = sides.map(|records| {
        let tagged = records.iter().map(|days| {
            let tag: [u8; TAG] = rng.random();
            days.iter().map(|record| record.tagged(tag, rng.random_range(0..60_000))).collect()
        });
        tagged.collect::<Vec<Vec<Record>>>()
    });
    link(extent, [&train, &test], rng)
}

/// What recurs, beside what recurs where records are dealt out to accounts anew; and what of it is in
/// payloads.
fn strings(records: &[Vec<Record>], rng: &mut ChaCha20Rng) -> (Strings, Recurring) {
    let all: Vec<&Record> = records.iter().flatten().collect();
    let payload = recurring::find(&all, Of::Payload);
    let message = recurring::find(&all, Of::Message);
    let deals: Vec<Within> = (0..DEALS)
        .map(|_| {
            let dealt = dealt(records, rng);
            recurring::within(&message, |place| dealt[place])
        })
        .collect();
    let of_owners = |found| recurring::within(found, |place| all[place].account);
    let [in_payloads, in_topics] = planted_strings(records, rng);
    let strings = Strings {
        records: all.len(),
        in_payloads: payload.len(),
        in_payloads_of_one_account: of_owners(&payload).strings,
        in_messages: message.len(),
        in_messages_of_one_account: of_owners(&message),
        deals: DEALS,
        in_messages_of_one_dealt_account: deals.iter().map(|w| w.strings as f64).sum::<f64>()
            / DEALS as f64,
        most_of_one_dealt_account: Within {
            strings: deals.iter().map(|within| within.strings).max().unwrap_or_default(),
            records: deals.iter().map(|within| within.records).max().unwrap_or_default(),
        },
        found_when_planted: in_payloads.strings,
        found_when_planted_in_topics: in_topics,
    };
    (strings, payload)
}

/// What is found where one account of ten has 8 bytes of its own in its payloads, and where it has 8
/// letters of its own in its topics.
fn planted_strings(records: &[Vec<Record>], rng: &mut ChaCha20Rng) -> [Within; 2] {
    let tag: [u8; TAG] = rng.random();
    let letters: String = (0..TAG)
        .map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[rng.random_range(0..32)]))
        .collect();
    let find = |of, plant: &dyn Fn(&Record) -> Record| {
        let mut some: Vec<Vec<Record>> = records.iter().take(10).cloned().collect();
        some[0].iter_mut().for_each(|record| *record = plant(record));
        let all: Vec<&Record> = some.iter().flatten().collect();
        recurring::within(&recurring::find(&all, of), |place| all[place].account)
    };
    [
        find(Of::Payload, &|record| record.tagged(tag, 77)),
        find(Of::Message, &|record| record.renamed(&letters)),
    ]
}

/// Accounts for all records such that each account gets others' records, one a day.
fn dealt(records: &[Vec<Record>], rng: &mut ChaCha20Rng) -> Vec<usize> {
    let days = records.iter().flatten().map(|record| record.day).max().unwrap_or_default() + 1;
    let shifts: Vec<usize> = (0..days).map(|_| rng.random_range(0..records.len())).collect();
    let dealt = records.iter().enumerate().flat_map(|(account, records)| {
        let shifts = &shifts;
        records.iter().map(move |record| account + shifts[record.day as usize])
    });
    dealt.map(|account| account % records.len()).collect()
}

/// What is put into made records, to be found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leak {
    None,
    /// A byte more for each installation.
    Size,
}

/// Records of a hundred accounts with few installations and a hundred with many; a third of them
/// for training.
fn made(
    extent: &Extent,
    leak: Leak,
    [train_pairs, test_pairs]: [usize; 2],
    rng: &mut ChaCha20Rng,
) -> Advantage {
    const ACCOUNTS: usize = 120;
    const TRAIN: usize = 40;
    let most = extent.most.max(MANY);
    let seed: u64 = rng.random();
    let pairs: Vec<Pairs> = in_parallel(ACCOUNTS, |account| {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        rng.set_stream(account as u64);
        let few = Maker::new(account, rng.random_range(1..FEW), &mut rng);
        let many = Maker::new(account, rng.random_range(MANY..=most), &mut rng);
        let all = if account < TRAIN {
            train_pairs.div_ceil(TRAIN)
        } else {
            test_pairs.div_ceil(ACCOUNTS - TRAIN)
        };
        (0..all as u64)
            .map(|day| {
                let [few, many] = [&few, &many].map(|maker| {
                    let mut record = maker.record(day, &mut rng);
                    if leak == Leak::Size {
                        lengthen(&mut record);
                    }
                    Profile::of(&record)
                });
                (account, few, many)
            })
            .collect()
    });
    let mut pairs = pairs.into_iter();
    let train: Pairs = pairs.by_ref().take(TRAIN).flatten().collect();
    let test: Pairs = pairs.flatten().collect();
    counting::attack(&train, &test, extent.epochs, rng)
}

fn lengthen(record: &mut Record) {
    let more = record.installations;
    if let Some(sight) = record.sights.first_mut() {
        let message = std::sync::Arc::make_mut(&mut sight.message);
        let mut payload = message.payload.to_vec();
        payload.resize(payload.len() + more, 0x5a);
        message.payload = payload;
    }
}

/// Linking, where each account's clocks are off by its own number of seconds.
fn clocks(extent: &Extent, rng: &mut ChaCha20Rng) -> Vec<Attack> {
    let Extent { train, test, days, clock_off, .. } = *extent;
    let lives = Lives { seed: extent.seed + 1, days, most: 2, clock_off };
    let lives = live_all(&lives, train + test);
    let (train, test) = split(&lives, train, days);
    let name = format!("link-records-where-clocks-are-off-by-up-to-{clock_off}-s");
    vec![Attack::new(&name, link(extent, [&train, &test], rng))]
}

/// How many publishes records have of the days on which a phrase brought an account back, and of those
/// after.
fn recovery_days(lives: &[Life]) -> BTreeMap<usize, usize> {
    let mut by = BTreeMap::new();
    for record in lives.iter().flat_map(|life| &life.records).filter(|record| record.recovery) {
        *by.entry(record.sights.len()).or_default() += 1;
    }
    by
}

/// How many publishes a record has, and of which size, by the number of installations.
fn parts(lives: &[Life]) -> Vec<Parts> {
    let mut by: BTreeMap<usize, Parts> = BTreeMap::new();
    for record in lives.iter().flat_map(|life| &life.records).filter(|record| !record.recovery) {
        let parts = by.entry(record.installations).or_insert_with(|| Parts {
            installations: record.installations,
            records: 0,
            fewest: usize::MAX,
            most: 0,
            sizes: Vec::new(),
        });
        parts.records += 1;
        parts.fewest = parts.fewest.min(record.sights.len());
        parts.most = parts.most.max(record.sights.len());
        for sight in &record.sights {
            let size = sight.message.payload.len();
            if !parts.sizes.contains(&size) {
                parts.sizes.push(size);
            }
        }
    }
    by.into_values().collect()
}

/// Publishes of linking, by size.
fn link_publishes(lives: &[Life]) -> BTreeMap<usize, usize> {
    let mut by = BTreeMap::new();
    for size in lives.iter().flat_map(|life| &life.linking) {
        *by.entry(*size).or_default() += 1;
    }
    by
}

/// The same for each of `count`, on as many threads as there are processors, in order.
pub(super) fn in_parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let run = || {
            let mut done = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return done;
                }
                done.push((n, work(n)));
            }
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        handles.into_iter().flat_map(|h| h.join().expect("no panic")).collect()
    });
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, value)| value).collect()
}

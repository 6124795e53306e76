//! Numbers that a classifier gets of a record, and of two: from bytes, sizes, times and counts.

use super::accounts::seconds;
use super::sight::{Record, Sight};

/// Publishes that are looked at one by one; both records of a day together have eight.
const SIGHTS: usize = 8;
/// Bytes at either end of a payload that are looked at one by one.
const ENDS: usize = 8;
const DAY: f64 = 86_400.0;

/// What is computed once of a record.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Numbers of the record alone; all records have as many.
    pub own: Vec<f32>,
    /// How often each byte occurs in its payloads, less what is expected, in standard deviations.
    histogram: Vec<f32>,
    /// The beginnings and ends of its payloads.
    ends: Vec<[u8; 2 * ENDS]>,
    /// Its topics' names.
    topics: Vec<String>,
    /// Time of day at which it began, in days.
    began: f64,
    /// How much later than its timestamps it came, in seconds, on average.
    late: f64,
    /// Strings of 8 bytes in it that are also in other records, sorted.
    pub recurring: Vec<u64>,
}

impl Profile {
    /// Looks at a record.
    pub fn of(record: &Record) -> Self {
        let sights = &record.sights;
        let mut histogram = vec![0_u32; 256];
        for sight in sights {
            sight.message.payload.iter().for_each(|byte| histogram[usize::from(*byte)] += 1);
        }
        let histogram = deviations(&histogram);
        let began = sights.first().map_or(0.0, |sight| seconds(sight.came).rem_euclid(DAY) / DAY);
        let lates: Vec<f64> = sights.iter().map(lateness).collect();
        let late = lates.iter().sum::<f64>() / lates.len().max(1) as f64;
        let mut own = Vec::with_capacity(160);
        counts(&mut own, sights);
        times(&mut own, sights, began, &lates);
        content(&mut own, sights, &histogram);
        Self {
            own,
            histogram,
            ends: sights.iter().map(ends).collect(),
            topics: sights.iter().map(|s| s.message.content_topic.as_str().to_owned()).collect(),
            began,
            late,
            recurring: Vec::new(),
        }
    }
}

/// How late a publish came after its timestamp, in seconds.
fn lateness(sight: &Sight) -> f64 {
    let stamped = sight.message.timestamp.unwrap_or_default();
    (sight.came.as_nanos() as f64 - stamped as f64) / 1e9
}

fn ends(sight: &Sight) -> [u8; 2 * ENDS] {
    let payload = &sight.message.payload;
    let mut ends = [0; 2 * ENDS];
    for (at, end) in ends.iter_mut().enumerate() {
        let place = if at < ENDS { Some(at) } else { payload.len().checked_sub(2 * ENDS - at) };
        *end = place.and_then(|place| payload.get(place)).copied().unwrap_or_default();
    }
    ends
}

fn deviations(histogram: &[u32]) -> Vec<f32> {
    let total: u32 = histogram.iter().sum();
    let expected = f64::from(total) / histogram.len() as f64;
    let deviation = |count: &u32| (f64::from(*count) - expected) / expected.sqrt().max(1.0);
    histogram.iter().map(|count| deviation(count) as f32).collect()
}

/// How many there are, and how large.
fn counts(own: &mut Vec<f32>, sights: &[Sight]) {
    let sizes: Vec<f32> = sights.iter().map(|s| s.message.encode().len() as f32 / 1024.0).collect();
    own.push(sights.len() as f32);
    own.push(sizes.iter().sum());
    own.push(sizes.iter().copied().fold(f32::MAX, f32::min));
    own.push(sizes.iter().copied().fold(0.0, f32::max));
    own.push(sights.iter().map(|s| s.message.payload.len() as f32 / 1024.0).sum());
}

/// When they came, how far apart, in which order, and what their timestamps say.
fn times(own: &mut Vec<f32>, sights: &[Sight], began: f64, lates: &[f64]) {
    own.push(began as f32);
    let mut names: Vec<&str> = sights.iter().map(|s| s.message.content_topic.as_str()).collect();
    names.sort_unstable();
    for n in 0..SIGHTS {
        let sight = sights.get(n);
        let gap = n.checked_sub(1).and_then(|b| Some((sights.get(b)?, sight?)));
        let gap = gap.map_or(0.0, |(b, s)| s.came.since(b.came).as_secs_f64());
        let stamped = sight.and_then(|s| s.message.timestamp).unwrap_or_default();
        let rank = sight.and_then(|s| {
            let name = s.message.content_topic.as_str();
            names.iter().position(|other| *other == name)
        });
        own.extend([
            (gap / 1800.0) as f32,
            lates.get(n).copied().unwrap_or_default() as f32,
            stamped.rem_euclid(60_000_000_000) as f32 / 6e10,
            stamped.rem_euclid(5_000_000_000) as f32 / 5e9,
            stamped.rem_euclid(1_000) as f32 / 1e3,
            rank.unwrap_or_default() as f32,
        ]);
    }
    let mean = lates.iter().sum::<f64>() / lates.len().max(1) as f64;
    let spread = lates.iter().map(|late| (late - mean).powi(2)).sum::<f64>();
    own.extend([mean as f32, spread.sqrt() as f32]);
}

/// What the bytes are like.
fn content(own: &mut Vec<f32>, sights: &[Sight], histogram: &[f32]) {
    own.push(histogram.iter().map(|d| d * d).sum::<f32>() / 256.0);
    // by halves of bytes, which show text and structure
    for shift in [0, 4] {
        let mut halves = [0.0; 16];
        for (byte, deviation) in histogram.iter().enumerate() {
            halves[(byte >> shift) & 15] += deviation / 4.0;
        }
        own.extend(halves);
    }
    for n in 0..SIGHTS {
        let payload = sights.get(n).map_or(&[][..], |s| &s.message.payload[..]);
        let (mut same, mut zeros, mut longest, mut product) = (0_u32, 0_u32, 0_u32, 0_i64);
        for (one, next) in payload.iter().zip(payload.iter().skip(1)) {
            same += u32::from(one == next);
            zeros = if *next == 0 { zeros + 1 } else { 0 };
            longest = longest.max(zeros);
            product += i64::from((2 * i32::from(*one) - 255) * (2 * i32::from(*next) - 255));
        }
        let length = payload.len().max(1) as f64;
        let product = product as f64 / 4.0;
        own.push(((f64::from(same) - length / 256.0) / (length / 256.0).sqrt().max(1.0)) as f32);
        own.push(longest as f32);
        own.push((product / length.sqrt() / 5461.0) as f32);
        let ends = sights.get(n).map_or([0; 2 * ENDS], ends);
        own.extend(ends.map(|byte| f32::from(byte) / 128.0 - 1.0));
        let name = sights.get(n).map_or("", |s| s.message.content_topic.as_str());
        let letters = name.bytes().skip("/wgc/1/".len()).take(6);
        own.extend(letters.chain([0; 6]).take(6).map(|byte| f32::from(byte) / 128.0));
    }
}

/// Numbers of two records: how far apart what each shows is, and what they have in common.
pub fn of_two(one: &Profile, other: &Profile) -> Vec<f32> {
    let mut numbers: Vec<f32> =
        one.own.iter().zip(&other.own).map(|(a, b)| (a - b).abs()).collect();
    let products = one.histogram.iter().zip(&other.histogram);
    numbers.push(products.map(|(a, b)| a * b).sum::<f32>() / 16.0);
    let mut shared = [0, 0];
    for (a, b) in one.ends.iter().flat_map(|a| other.ends.iter().map(move |b| (a, b))) {
        for (half, most) in shared.iter_mut().enumerate() {
            let range = half * ENDS..(half + 1) * ENDS;
            let same = a[range.clone()].iter().zip(&b[range]).filter(|(a, b)| a == b).count();
            *most = (*most).max(same);
        }
    }
    numbers.extend(shared.map(|count| count as f32));
    let names = one.topics.iter().flat_map(|a| other.topics.iter().map(move |b| (a, b)));
    let alike =
        |(a, b): (&String, &String)| a.bytes().zip(b.bytes()).filter(|(a, b)| a == b).count();
    numbers.push(names.map(alike).max().unwrap_or_default() as f32);
    let apart = (one.began - other.began).abs();
    numbers.push(apart.min(1.0 - apart) as f32);
    numbers.push((one.late - other.late).abs() as f32);
    numbers.push(((one.late + other.late) / 2.0) as f32);
    numbers.push(common(&one.recurring, &other.recurring) as f32);
    numbers
}

/// Which of two has more: how far apart what each shows is, with the sign.
pub fn between(one: &Profile, other: &Profile) -> Vec<f32> {
    one.own.iter().zip(&other.own).map(|(a, b)| a - b).collect()
}

/// How many are in both.
fn common(mut one: &[u64], mut other: &[u64]) -> usize {
    let mut count = 0;
    while let (Some((a, behind_a)), Some((b, behind_b))) = (one.split_first(), other.split_first())
    {
        if a == b {
            count += 1;
        }
        if a <= b {
            one = behind_a;
        }
        if b <= a {
            other = behind_b;
        }
    }
    count
}

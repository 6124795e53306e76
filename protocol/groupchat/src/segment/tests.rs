//! Random wholes, losses, orders, repetitions and changes, from a seed that is printed; and the code
//! against its definition.

use prost::Message as _;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::mls::StateId;
use crate::{GroupId, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
const PLACE: Place = Place::Invitations;

fn rng() -> ChaCha20Rng {
    let seed: u64 = std::env::var("SEED").map_or(7, |seed| seed.parse().expect("SEED is a number"));
    println!("SEED={seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

fn random(rng: &mut ChaCha20Rng, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    rng.fill_bytes(&mut content);
    content
}

fn group(n: u8) -> Place {
    Place::Group(GroupId::from_bytes([n; GroupId::LEN]), StateId::from_bytes([n; 32]))
}

fn sound(segment: &pb::Segment) -> Segment {
    Segment::parse(segment.clone()).expect("a sound segment")
}

/// The whole that these give, in this order.
fn assembled<'s>(segments: impl IntoIterator<Item = &'s pb::Segment>) -> Option<Vec<u8>> {
    let mut assembler = Assembler::default();
    segments.into_iter().find_map(|segment| match assembler.push(PLACE, sound(segment), NOW) {
        Outcome::Whole(whole) => Some(whole),
        Outcome::Taken | Outcome::Duplicate => None,
        Outcome::Refused => panic!("an honest whole"),
    })
}

#[test]
fn every_segment_fits_a_message() {
    for (length, data, repair) in [
        (SHARE_BYTES + 1, 2, 1),
        (8 * SHARE_BYTES, 8, 1),
        (8 * SHARE_BYTES + 1, 9, 2),
        (WHOLE_BYTES, 33, 5),
    ] {
        let split = split(&vec![1; length]).expect("a whole");
        let shape = Shape::of(length).expect("a whole");
        assert_eq!((shape.data, shape.repair), (data, repair), "{length} bytes");
        assert_eq!(split.segments.len(), data + repair);
        for segment in split.segments {
            let frame =
                pb::Frame { body: Some(pb::frame::Body::Segment(segment)), mark: Vec::new() };
            let bytes = frame.encoded_len();
            assert!(bytes <= CLASS.capacity(), "{bytes} bytes of {length}");
        }
    }
    for length in [0, SHARE_BYTES, WHOLE_BYTES + 1] {
        assert_eq!(split(&vec![1; length]).err(), Some(WrongLength { got: length }));
    }
    assert!(SHARE_BYTES < CLASS.capacity(), "what fits no message goes in segments");
}

/// Any loss of as many segments as repair is survived, in any order and with repetitions; a further
/// loss is not, and gives nothing wrong.
#[test]
fn losses_orders_and_repetitions() {
    let mut rng = rng();
    for round in 0..24 {
        let most = if round % 8 == 0 { WHOLE_BYTES } else { 6 * SHARE_BYTES };
        let length = rng.random_range(SHARE_BYTES + 1..=most);
        let content = random(&mut rng, length);
        let Split { segments, .. } = split(&content).expect("a whole");
        let shape = Shape::of(length).expect("a whole");
        let mut order: Vec<&pb::Segment> = segments.iter().collect();
        order.shuffle(&mut rng);
        let kept = &order[..shape.data];
        assert_eq!(assembled(kept.iter().copied()).as_ref(), Some(&content), "{length} bytes");
        let mut twice: Vec<&pb::Segment> = kept.iter().chain(kept).copied().collect();
        twice.shuffle(&mut rng);
        assert_eq!(assembled(twice).as_ref(), Some(&content), "{length} bytes, repeated");
        let too_few = kept[1..].iter().chain(&kept[1..]).copied();
        assert_eq!(assembled(too_few), None, "{length} bytes, one too few");
    }
}

#[test]
fn the_loss_of_each_single_segment_is_survived() {
    let content = random(&mut rng(), 3 * SHARE_BYTES - 5);
    let Split { segments, .. } = split(&content).expect("a whole");
    for lost in 0..segments.len() {
        let kept = segments.iter().enumerate().filter(|(i, _)| *i != lost).map(|(_, s)| s);
        assert_eq!(assembled(kept).as_ref(), Some(&content), "without segment {lost}");
    }
}

/// A changed segment is none, or one of another whole: the true one is made of the true ones.
#[test]
fn changed_segments_spoil_nothing() {
    let mut rng = rng();
    let content = random(&mut rng, 4 * SHARE_BYTES - 1000);
    let Split { name, segments } = split(&content).expect("a whole");
    let mut assembler = Assembler::default();
    let (mut whole, mut refused) = (None, 0);
    for round in 0..200 {
        let mut segment = segments[rng.random_range(0..segments.len())].clone();
        match round % 5 {
            0 => {
                let at = rng.random_range(0..segment.share.len());
                segment.share[at] ^= 1 << rng.random_range(0..8);
            }
            1 => {
                let at = rng.random_range(0..segment.hashes.len());
                segment.hashes[at] ^= 1 << rng.random_range(0..8);
            }
            2 => segment.length = segment.length.wrapping_add_signed(rng.random_range(1..9) - 20),
            3 => segment.index = (segment.index + rng.random_range(1..4)) % 9,
            _ => {
                segment.version = rng.random_range(2..5);
            }
        }
        match Segment::parse(segment) {
            None => refused += 1,
            Some(segment) => {
                assert!(segment.name != name, "the name stands for the true segments alone");
                assembler.push(PLACE, segment, NOW);
            }
        }
    }
    assert!(refused >= 120, "{refused} of 200");
    for segment in &segments[1..] {
        if let Outcome::Whole(assembled) = assembler.push(PLACE, sound(segment), NOW) {
            whole = Some(assembled);
        }
    }
    assert_eq!(whole.as_ref(), Some(&content));
}

/// Whoever makes a whole can make false repair: then those with data count, in any order.
#[test]
fn false_repair_of_the_maker_does_not_hide_the_data() {
    let mut rng = rng();
    let content = random(&mut rng, 3 * SHARE_BYTES - 5);
    let Split { mut segments, .. } = split(&content).expect("a whole");
    let last = segments.len() - 1;
    segments[last].share = random(&mut rng, segments[last].share.len());
    let hash = share_hash(&segments[last].share);
    for segment in &mut segments {
        segment.hashes[last * HASH_BYTES..].copy_from_slice(&hash);
    }
    segments.reverse();
    assert_eq!(assembled(&segments).as_ref(), Some(&content));
    let mut assembler = Assembler::default();
    for segment in &segments[..last] {
        assert!(assembler.push(PLACE, sound(segment), NOW) == Outcome::Taken);
    }
    assert!(assembler.push(PLACE, sound(&segments[0]), NOW) == Outcome::Duplicate);
}

#[test]
fn a_whole_filled_up_with_anything_but_zeros_is_refused() {
    let content = vec![1; 2 * SHARE_BYTES];
    let Split { mut segments, .. } = split(&content).expect("a whole");
    // shorter by one: the last byte is not to be there
    segments.iter_mut().for_each(|segment| segment.length -= 1);
    let mut assembler = Assembler::default();
    assert!(assembler.push(PLACE, sound(&segments[0]), NOW) == Outcome::Taken);
    assert!(assembler.push(PLACE, sound(&segments[1]), NOW) == Outcome::Refused);
    assert_eq!(assembler.held(), (0, 0));
}

/// A flood of first segments by a member of one group pushes out nothing of another, and a whole
/// of its own group that goes on.
#[test]
fn a_flood_is_bounded_and_keeps_to_its_group() {
    let mut rng = rng();
    let content = random(&mut rng, 2 * SHARE_BYTES);
    let Split { segments: own, .. } = split(&content).expect("a whole");
    let mut assembler = Assembler::default();
    assert!(assembler.push(group(1), sound(&own[0]), NOW) == Outcome::Taken);
    for n in 0..100_u8 {
        let other = split(&vec![n; SHARE_BYTES + 1 + usize::from(n)]).expect("a whole");
        assert!(assembler.push(group(2), sound(&other.segments[0]), NOW) == Outcome::Taken);
    }
    assert_eq!(assembler.held().0, 1 + 8);
    let bytes = WHOLE_BYTES;
    for n in 0..12 {
        let other = split(&vec![n; bytes]).expect("a whole");
        for segment in &other.segments[..30] {
            assembler.push(group(3 + n % 6), sound(segment), NOW);
        }
    }
    let (_, held) = assembler.held();
    assert!(held <= 48 * 1024 * 1024, "{held} bytes are held");
    assert!(assembler.push(group(1), sound(&own[1]), NOW) == Outcome::Whole(content));
}

#[test]
fn segments_of_one_whole_from_different_places_do_not_mix() {
    let Split { segments, .. } = split(&vec![1; 2 * SHARE_BYTES]).expect("a whole");
    let mut assembler = Assembler::default();
    for (place, index) in [(group(1), 0), (group(2), 1), (PLACE, 2)] {
        assert!(assembler.push(place, sound(&segments[index]), NOW) == Outcome::Taken);
    }
    assembler.expire(NOW + std::time::Duration::from_secs(86_401));
    assert_eq!(assembler.held(), (0, 0));
}

/// GF(2^16) as `code` says it, without tables.
mod field {
    const CANTOR: [u16; 16] = [
        0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012, 0x6C98, 0x10D8, 0x6A72,
        0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E,
    ];

    /// From the Cantor basis to the powers of x.
    fn plain(element: u16) -> u16 {
        let set = |bit: &usize| element >> bit & 1 == 1;
        (0..16).filter(set).fold(0, |sum, bit| sum ^ CANTOR[bit])
    }

    fn product(a: u16, b: u16) -> u16 {
        let (mut a, mut sum) = (u32::from(a), 0);
        for bit in 0..16 {
            sum ^= if b >> bit & 1 == 1 { a } else { 0 };
            a = (a << 1) ^ if a >> 15 == 1 { 0x1_002D } else { 0 };
        }
        sum as u16
    }

    fn inverse(a: u16) -> u16 {
        // a^(2^16 - 2)
        (1..16)
            .fold((1, a), |(all, power), _| {
                let power = product(power, power);
                (product(all, power), power)
            })
            .0
    }

    /// Whether the polynomial through `points`, by Lagrange, has this value there; all in the Cantor
    /// basis.
    pub(super) fn passes(points: &[(u16, u16)], at: u16, value: u16) -> bool {
        let at = plain(at);
        let points: Vec<_> = points.iter().map(|&(x, y)| (plain(x), plain(y))).collect();
        let sum = points.iter().fold(0, |sum, &(x, y)| {
            let others = points.iter().map(|p| p.0).filter(|other| *other != x);
            let factor = others
                .fold(y, |factor, other| product(factor, product(at ^ other, inverse(x ^ other))));
            sum ^ factor
        });
        sum == plain(value)
    }
}

#[test]
fn the_code_is_the_one_that_is_defined() {
    let mut rng = rng();
    let element = |share: &[u8], at: usize| {
        let block = at / 32 * 64 + at % 32;
        u16::from_le_bytes([share[block], share[block + 32]])
    };
    for (data, count) in [(2_usize, 1), (5, 1), (9, 2), (33, 5)] {
        let shares: Vec<Vec<u8>> = (0..data).map(|_| random(&mut rng, 128)).collect();
        let repair = code::repair(&shares, count, 128).expect("equal shares");
        let width = data.next_power_of_two();
        for at in [0, 31, 32, 63] {
            let points: Vec<(u16, u16)> = (0..width)
                .map(|i| (i as u16, shares.get(i).map_or(0, |share| element(share, at))))
                .collect();
            for (j, share) in repair.iter().enumerate() {
                let there = (width + j) as u16;
                assert!(field::passes(&points, there, element(share, at)), "{data}, {j}, {at}");
            }
        }
    }
}

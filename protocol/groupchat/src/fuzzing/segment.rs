//! What is over one message and travels in segments.

use crate::Timestamp;
use crate::kdf::{self, label};
use crate::proto::group as pb;
use crate::segment::{Assembler, Outcome, Place, SHARE_BYTES, Segment, split};

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A whole of a length that the first two bytes say, and its segments as the next ones say, three
/// bytes each: which, what is changed in it, and to what.
pub(super) fn segments(data: &[u8]) -> bool {
    let Some((more, steps)) = data.split_first_chunk::<2>() else { return false };
    let content = vec![more[0]; SHARE_BYTES + 1 + usize::from(u16::from_be_bytes(*more))];
    let honest = split(&content).expect("longer than one share");
    let (mut assembler, mut given) = (Assembler::default(), false);
    let (steps, _) = steps.as_chunks::<3>();
    for [which, what, value] in steps.iter().take(16) {
        let mut segment = honest.segments[usize::from(*which) % honest.segments.len()].clone();
        change(&mut segment, *what, *value);
        let Some(segment) = Segment::parse(segment) else { continue };
        let name = segment.name;
        match assembler.push(Place::Invitations, segment, NOW) {
            Outcome::Whole(whole) => {
                assert_eq!(split(&whole).expect("a whole").name, name, "what its name stands for");
                assert!(name != honest.name || whole == content);
                given = true;
            }
            Outcome::Refused => assert!(name != honest.name, "an honest whole"),
            Outcome::Taken | Outcome::Duplicate => {}
        }
    }
    given
}

fn change(segment: &mut pb::Segment, what: u8, value: u8) {
    let number = usize::from(value);
    match what {
        0 => {}
        1 => segment.version = value.into(),
        2 => segment.length ^= 1 << (value % 32),
        3 => segment.hashes.truncate(segment.hashes.len() - number.min(segment.hashes.len())),
        4 => segment.share[number] ^= 1,
        5 => segment.share.truncate(segment.share.len() - number),
        6 => segment.index = value.into(),
        7 => segment.hashes[number % 32] ^= 1,
        // Whoever makes a whole can name any share in it.
        _ => {
            segment.share[number] ^= 1;
            let at = segment.index as usize * 32;
            let hash = kdf::hash(label::SEGMENT_HASH, &[&segment.share]);
            segment.hashes[at..at + 32].copy_from_slice(&hash);
        }
    }
}

/// Good values: target, file, content.
#[cfg(test)]
pub(super) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("group_segments", "without-the-first", vec![1, 0, 1, 0, 0, 2, 0, 0]),
        ("group_segments", "all", vec![200, 9, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0]),
        ("group_segments", "beside-others", vec![0, 0, 0, 8, 3, 0, 0, 0, 1, 4, 9, 1, 0, 0]),
    ]
}

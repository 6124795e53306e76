//! Segments: content over the largest size class, in pieces of one class.
//!
//! ```text
//! length     = bytes of the whole                  129,536 < length <= 4 MiB
//! data       = ceil(length / 129,536)              segments with data: 2 to 33
//! repair     = ceil(data / 8)                      segments that repair: 1 to 5
//! share      = ceil(length / data / 64) * 64       bytes of every segment's share
//! name       = hash(1 ‖ length ‖ hashes of all shares)
//! ```
//!
//! The data shares are the whole, filled with zeros; the repair shares are made of them ([`code`]),
//! so that any `data` of all segments give the whole. Every segment names all others by their
//! hashes. A wrong one is therefore refused by itself, segments of different wholes never mix, and
//! who sends false segments spoils nothing that another sent ([`Assembler`]).

mod assembler;
pub(crate) mod code;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::kdf::{self, label};
use crate::proto::group as pb;
use crate::seal::SizeClass;

pub(crate) use assembler::{Assembler, Outcome, Place};

/// Size class of every segment.
pub(crate) const CLASS: SizeClass = SizeClass::K128;
/// Most bytes of a share: with all hashes it fits [`CLASS`].
pub(crate) const SHARE_BYTES: usize = 2024 * SHARE_STEP;
/// Most bytes of a whole.
pub(crate) const WHOLE_BYTES: usize = 4 * 1024 * 1024;
/// Shares are multiples of this: one block of the code.
const SHARE_STEP: usize = 64;
/// One segment that repairs for this many with data, or a part of them.
const DATA_A_REPAIR: usize = 8;
const VERSION: u32 = 1;
const HASH_BYTES: usize = 32;

type Hash = [u8; HASH_BYTES];

/// Names a whole: a hash over its length and the hashes of its shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct WholeName(Hash);

impl WholeName {
    /// As one travels.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) const fn as_bytes(&self) -> &Hash {
        &self.0
    }
}

/// Content that is not to travel in segments: at most [`SHARE_BYTES`], or over [`WHOLE_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got} bytes cannot go in segments")]
pub(crate) struct WrongLength {
    pub(crate) got: usize,
}

/// How a whole is divided: a function of its length alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    length: u32,
    /// Number of segments with data.
    data: usize,
    /// Number of segments that repair.
    repair: usize,
    /// Bytes of each share.
    share: usize,
}

impl Shape {
    /// None for what fits one message, and for what is too long.
    fn of(length: usize) -> Option<Self> {
        if !(SHARE_BYTES + 1..=WHOLE_BYTES).contains(&length) {
            return None;
        }
        let data = length.div_ceil(SHARE_BYTES);
        Some(Self {
            length: u32::try_from(length).ok()?,
            data,
            repair: data.div_ceil(DATA_A_REPAIR),
            share: length.div_ceil(data).next_multiple_of(SHARE_STEP),
        })
    }

    fn segments(&self) -> usize {
        self.data + self.repair
    }

    fn name(&self, hashes: &[Hash]) -> WholeName {
        let length = self.length.to_be_bytes();
        WholeName(kdf::hash(label::WHOLE_HASH, &[&[VERSION as u8], &length, hashes.as_flattened()]))
    }
}

/// A whole in segments.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    pub(crate) name: WholeName,
    /// Those with data, then those that repair. Each fits [`CLASS`] in a frame.
    pub(crate) segments: Vec<pb::Segment>,
}

/// Divides what is over one message. The same content gives the same segments.
pub(crate) fn split(content: &[u8]) -> Result<Split, WrongLength> {
    let wrong = WrongLength { got: content.len() };
    let shape = Shape::of(content.len()).ok_or(wrong)?;
    let mut shares: Vec<Vec<u8>> = content.chunks(shape.share).map(<[u8]>::to_vec).collect();
    shares.iter_mut().for_each(|share| share.resize(shape.share, 0));
    let repair = code::repair(&shares, shape.repair, shape.share).ok_or(wrong)?;
    shares.extend(repair);
    let hashes: Vec<Hash> = shares.iter().map(|share| share_hash(share)).collect();
    let segment = |(index, share)| pb::Segment {
        version: VERSION,
        length: shape.length,
        hashes: hashes.as_flattened().to_vec(),
        index: index as u32,
        share,
    };
    let name = shape.name(&hashes);
    Ok(Split { name, segments: shares.into_iter().enumerate().map(segment).collect() })
}

fn share_hash(share: &[u8]) -> Hash {
    kdf::hash(label::SEGMENT_HASH, &[share])
}

/// A segment that is sound by itself: its share is the one that its whole's name stands for.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: WholeName,
    shape: Shape,
    hashes: Vec<Hash>,
    index: usize,
    share: Vec<u8>,
}

impl Segment {
    /// None if it is not one. Everything is bounded by the message that it came in.
    pub(crate) fn parse(segment: pb::Segment) -> Option<Self> {
        let shape = Shape::of(segment.length as usize)?;
        let index = segment.index as usize;
        let (hashes, rest) = segment.hashes.as_chunks::<HASH_BYTES>();
        let fits = segment.version == VERSION
            && rest.is_empty()
            && hashes.len() == shape.segments()
            && segment.share.len() == shape.share
            && hashes.get(index).is_some_and(|hash| *hash == share_hash(&segment.share));
        fits.then(|| Self {
            name: shape.name(hashes),
            shape,
            hashes: hashes.to_vec(),
            index,
            share: segment.share,
        })
    }
}

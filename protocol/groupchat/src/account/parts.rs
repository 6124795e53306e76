//! Parcels: bytes that travel in up to four sealed parts of one size class.
//!
//! ```text
//! chunk i    = bytes [i * 16128, (i + 1) * 16128) of the parcel, one to four of them
//! part i     = hashes of all chunks ‖ chunk i, or no chunk at a place that is not needed
//! parcel id  = hash over the hashes
//! ```
//!
//! Each place has a topic and a key of its own. Because every part names all chunks by hash, parts of
//! different parcels never mix, and nobody with the keys can spoil a parcel that another sent. All
//! parts have the same size; inside the seal an unneeded one is all padding.

use std::collections::VecDeque;
use std::fmt;

use prost::Message as _;
use rand::CryptoRng;
use waku_groupchat_waku::{ContentTopic, WakuMessage};
use zeroize::Zeroizing;

use super::proto;
use crate::Timestamp;
use crate::kdf::{self, Label, label};
use crate::seal::{OpenError, SealError, SealKey, SizeClass, open_message_of, seal_message};

/// Number of places.
pub const PARTS: usize = 4;
/// Size class of every part.
pub const PART_CLASS: SizeClass = SizeClass::K16;
/// Bytes of every chunk but the last, which has 1 to this many. With four hashes and protobuf's own
/// bytes it fits [`PART_CLASS`].
pub const CHUNK_BYTES: usize = 16_128;
/// Most bytes of a parcel.
pub const PARCEL_BYTES: usize = PARTS * CHUNK_BYTES;
/// Parcels that are put together at a time in one assembler; a further one pushes out the oldest.
const PARCELS: usize = 8;

/// Topics and keys of the places of one parcel.
#[derive(Clone)]
pub(super) struct PartPlaces {
    topics: [ContentTopic; PARTS],
    keys: [SealKey; PARTS],
}

impl PartPlaces {
    /// Derived from `secret`; the place, one byte, follows `context`.
    pub(super) fn derive(secret: &[u8; 32], topic: Label, key: Label, context: &[u8]) -> Self {
        let context = |place: usize| [context, &[place as u8]].concat();
        Self {
            topics: std::array::from_fn(|p| kdf::derive_topic(secret, topic, &context(p))),
            keys: std::array::from_fn(|p| kdf::derive_key(secret, key, &context(p))),
        }
    }

    pub(super) fn topics(&self) -> &[ContentTopic; PARTS] {
        &self.topics
    }

    /// The key of a place.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn key(&self, place: usize) -> &SealKey {
        &self.keys[place]
    }

    /// Seals a parcel for all places, whether they are needed or not, in their order.
    pub(super) fn seal_all(
        &self,
        parcel: &[u8],
        timestamps: [Timestamp; PARTS],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<[WakuMessage; PARTS], SealError> {
        let hashes = chunk_hashes(parcel)?;
        let mut messages = Vec::with_capacity(PARTS);
        for (place, timestamp) in timestamps.into_iter().enumerate() {
            messages.push(self.seal(parcel, &hashes, place, timestamp, rng)?);
        }
        Ok(messages.try_into().expect("one a timestamp"))
    }

    /// Seals a parcel for those places that it needs, in their order.
    pub(super) fn seal_needed(
        &self,
        parcel: &[u8],
        timestamp: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<WakuMessage>, SealError> {
        let hashes = chunk_hashes(parcel)?;
        (0..hashes.len()).map(|p| self.seal(parcel, &hashes, p, timestamp, rng)).collect()
    }

    fn seal(
        &self,
        parcel: &[u8],
        hashes: &[[u8; 32]],
        place: usize,
        timestamp: Timestamp,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<WakuMessage, SealError> {
        let part = proto::Part {
            chunk_hashes: hashes.iter().map(|h| h.to_vec()).collect(),
            chunk: parcel.chunks(CHUNK_BYTES).nth(place).unwrap_or_default().to_vec(),
        };
        let content = Zeroizing::new(part.encode_to_vec());
        let _wiped = Zeroizing::new(part.chunk);
        let topic = self.topics[place].clone();
        seal_message(&self.keys[place], topic, timestamp, &content, PART_CLASS, rng)
    }
}

fn chunk_hashes(parcel: &[u8]) -> Result<Vec<[u8; 32]>, SealError> {
    if parcel.len() > PARCEL_BYTES {
        return Err(SealError::TooLong { got: parcel.len(), max: PARCEL_BYTES });
    }
    Ok(parcel.chunks(CHUNK_BYTES).map(|chunk| kdf::hash(label::CHUNK_HASH, &[chunk])).collect())
}

/// What became of a message that may be a part.
#[derive(Clone, PartialEq, Eq)]
pub enum PartOutcome {
    /// On none of the topics.
    NotOurs,
    /// Taken; its parcel is not whole yet, or the part is an unneeded one.
    Taken,
    /// It was here before.
    Duplicate,
    /// With it a parcel is whole.
    Whole(Zeroizing<Vec<u8>>),
    /// It is not a part.
    Refused(PartRefused),
}

impl fmt::Debug for PartOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => f.write_str("NotOurs"),
            Self::Taken => f.write_str("Taken"),
            Self::Duplicate => f.write_str("Duplicate"),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Refused(reason) => write!(f, "Refused({reason:?})"),
        }
    }
}

/// Why a message is not a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartRefused {
    /// Its seal does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is inside is not a part for its place.
    #[error("what is inside is not a part for its place")]
    Malformed,
}

/// Puts parcels together from parts in any order.
pub(super) struct Assembler {
    places: PartPlaces,
    parcels: VecDeque<Parcel>,
}

struct Parcel {
    id: [u8; 32],
    /// By place; none where it is missing. Emptied when the parcel was given out.
    chunks: Vec<Option<Zeroizing<Vec<u8>>>>,
}

impl Assembler {
    pub(super) fn new(places: PartPlaces) -> Self {
        Self { places, parcels: VecDeque::new() }
    }

    pub(super) fn topics(&self) -> &[ContentTopic; PARTS] {
        self.places.topics()
    }

    pub(super) fn push(&mut self, message: &WakuMessage) -> PartOutcome {
        let topics = self.places.topics().iter();
        let Some(place) = topics.clone().position(|t| *t == message.content_topic) else {
            return PartOutcome::NotOurs;
        };
        match open_part(&self.places.keys[place], place, message) {
            Ok((hashes, Some(chunk))) => self.take(&hashes, place, chunk),
            Ok((_, None)) => PartOutcome::Taken,
            Err(reason) => PartOutcome::Refused(reason),
        }
    }

    fn take(
        &mut self,
        hashes: &[[u8; 32]],
        place: usize,
        chunk: Zeroizing<Vec<u8>>,
    ) -> PartOutcome {
        let id = kdf::hash(label::PARCEL_HASH, &[hashes.as_flattened()]);
        let parcel = match self.parcels.iter().position(|p| p.id == id) {
            Some(index) => &mut self.parcels[index],
            None => {
                if self.parcels.len() >= PARCELS {
                    self.parcels.pop_front();
                }
                self.parcels.push_back(Parcel { id, chunks: vec![None; hashes.len()] });
                self.parcels.back_mut().expect("just pushed")
            }
        };
        match parcel.chunks.get_mut(place) {
            Some(empty @ None) => *empty = Some(chunk),
            _ => return PartOutcome::Duplicate,
        }
        if parcel.chunks.iter().any(Option::is_none) {
            return PartOutcome::Taken;
        }
        let mut whole = Zeroizing::new(Vec::with_capacity(hashes.len() * CHUNK_BYTES));
        for chunk in parcel.chunks.drain(..).flatten() {
            whole.extend_from_slice(&chunk);
        }
        PartOutcome::Whole(whole)
    }
}

type OpenedPart = (Vec<[u8; 32]>, Option<Zeroizing<Vec<u8>>>);

fn open_part(
    key: &SealKey,
    place: usize,
    message: &WakuMessage,
) -> Result<OpenedPart, PartRefused> {
    let content = open_message_of(PART_CLASS, key, message)?;
    let part = proto::Part::decode(content.as_slice()).map_err(|_| PartRefused::Malformed)?;
    let chunk = Zeroizing::new(part.chunk);
    let hashes = part
        .chunk_hashes
        .iter()
        .map(|hash| hash.as_slice().try_into().map_err(|_| PartRefused::Malformed))
        .collect::<Result<Vec<[u8; 32]>, _>>()?;
    let fits = match hashes.get(place) {
        _ if !(1..=PARTS).contains(&hashes.len()) => false,
        None => chunk.is_empty(),
        Some(hash) => {
            let last = place + 1 == hashes.len();
            (chunk.len() == CHUNK_BYTES || last && (1..CHUNK_BYTES).contains(&chunk.len()))
                && kdf::hash(label::CHUNK_HASH, &[&chunk]) == *hash
        }
    };
    if !fits {
        return Err(PartRefused::Malformed);
    }
    let needed = place < hashes.len();
    Ok((hashes, needed.then_some(chunk)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
    use proptest::strategy::Strategy as _;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const NOW: [Timestamp; PARTS] = [Timestamp::from_secs(5); PARTS];

    fn places() -> PartPlaces {
        PartPlaces::derive(&[3; 32], label::LINK_TOPIC, label::LINK_KEY, b"test")
    }

    fn parcel(bytes: usize, fill: u8) -> Vec<u8> {
        (0..bytes).map(|i| fill.wrapping_add((i / 7) as u8)).collect()
    }

    fn seal(bytes: &[u8]) -> [WakuMessage; PARTS] {
        places().seal_all(bytes, NOW, &mut ChaCha20Rng::from_seed([1; 32])).expect("fits")
    }

    #[test]
    fn all_parts_look_alike() {
        let full = seal(&parcel(PARCEL_BYTES, 0));
        let short = seal(b"short");
        for message in full.iter().chain(&short) {
            assert_eq!(message.payload.len(), 16_384);
            assert!(message.meta.is_empty() && !message.ephemeral);
        }
        let mut assembler = Assembler::new(places());
        assert_eq!(assembler.push(&short[3]), PartOutcome::Taken);
        let whole = PartOutcome::Whole(Zeroizing::new(b"short".to_vec()));
        assert_eq!(assembler.push(&short[0]), whole);
        assert_eq!(assembler.push(&short[0]), PartOutcome::Duplicate);
    }

    #[test]
    fn a_flood_of_other_parcels_is_bounded() {
        let mut assembler = Assembler::new(places());
        for fill in 0..100 {
            let messages = seal(&parcel(CHUNK_BYTES + 1, fill));
            assert_eq!(assembler.push(&messages[0]), PartOutcome::Taken);
        }
        assert_eq!(assembler.parcels.len(), PARCELS);
    }

    #[test]
    fn what_is_no_part_is_refused() {
        let part = |hashes: usize, chunk: &[u8], place: usize| {
            let hash = kdf::hash(label::CHUNK_HASH, &[chunk]);
            let part =
                proto::Part { chunk_hashes: vec![hash.to_vec(); hashes], chunk: chunk.to_vec() };
            let places = places();
            let rng = &mut ChaCha20Rng::from_seed([1; 32]);
            let topic = places.topics[place].clone();
            let content = part.encode_to_vec();
            let sealed =
                seal_message(&places.keys[place], topic, NOW[0], &content, PART_CLASS, rng);
            Assembler::new(places).push(&sealed.expect("fits"))
        };
        let malformed = PartOutcome::Refused(PartRefused::Malformed);
        assert_eq!(part(1, b"chunk", 0), PartOutcome::Whole(Zeroizing::new(b"chunk".to_vec())));
        assert_eq!(part(0, b"", 0), malformed);
        assert_eq!(part(5, b"chunk", 0), malformed);
        assert_eq!(part(1, b"", 0), malformed);
        assert_eq!(part(2, b"not last, so too short", 0), malformed);
        assert_eq!(part(1, b"not needed", 1), malformed);
        assert_eq!(part(1, &[0; CHUNK_BYTES + 1], 0), malformed);
        let too_long =
            places().seal_all(&[0; PARCEL_BYTES + 1], NOW, &mut ChaCha20Rng::from_seed([1; 32]));
        assert!(too_long.is_err());
    }

    proptest! {
        // Each moves half a megabyte.
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn parts_of_two_parcels_in_any_order_give_both(
            sizes in [1..=PARCEL_BYTES, 1..=PARCEL_BYTES],
            order in proptest::sample::subsequence((0..8_usize).collect::<Vec<_>>(), 8)
                .prop_shuffle(),
        ) {
            let parcels = [parcel(sizes[0], 0), parcel(sizes[1], 100)];
            let messages = [seal(&parcels[0]), seal(&parcels[1])].concat();
            let mut assembler = Assembler::new(places());
            let mut whole = Vec::new();
            for index in order {
                match assembler.push(&messages[index]) {
                    PartOutcome::Whole(bytes) => whole.push(bytes.to_vec()),
                    PartOutcome::Taken | PartOutcome::Duplicate => {}
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            whole.sort();
            let mut expected = parcels.to_vec();
            expected.sort();
            prop_assert_eq!(whole, expected);
        }

        #[test]
        fn random_content_never_panics(content in proptest::collection::vec(any::<u8>(), 0..200)) {
            let places = places();
            let rng = &mut ChaCha20Rng::from_seed([1; 32]);
            let topic = places.topics[0].clone();
            let message =
                seal_message(&places.keys[0], topic, NOW[0], &content, PART_CLASS, rng);
            Assembler::new(places).push(&message.expect("fits"));
        }
    }
}

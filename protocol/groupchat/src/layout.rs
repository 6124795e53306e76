//! Which parts of the core's keys say something to who reads a stolen disk.
//!
//! A store that hides what it holds also has to hide names of groups, accounts and installations,
//! which stand in keys, and still has to scan by prefix and in order. This says of each kind of
//! record where its key can be cut: what may stay as it is (numbers and times, which are scanned in
//! order, and names that were made here and stand nowhere else), and what is to be hidden.

/// A part of a key behind its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// So many bytes that may stay as they are.
    Clear(usize),
    /// So many bytes that are to be hidden.
    Blind(usize),
}

/// How a key, or the beginning of one, is made up. What comes behind the fields is to be hidden as
/// one part, however long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Length of the word that names the kind of record; it stays as it is.
    pub word: usize,
    /// What follows.
    pub fields: &'static [Field],
}

const GROUP: Field = Field::Blind(16);
/// An account, an installation, a hash or an exported name.
const NAME: Field = Field::Blind(32);
/// The first half of a hash of sealed content.
const HALF_HASH: Field = Field::Clear(16);
/// A state, by its random name in this store alone.
const STATE: Field = Field::Clear(32);
/// A number or a time, big-endian.
const NUMBER: Field = Field::Clear(8);

/// Kinds whose keys have parts; the others are a word, or a word and one part.
const KINDS: &[(&[u8], &[Field])] = &[
    (b"group/", &[GROUP]),
    (b"state/", &[GROUP, STATE]),
    (b"commit/", &[GROUP, STATE]),
    (b"leaf/", &[GROUP, NAME]),
    (b"entry/", &[GROUP, NAME]),
    (b"change/", &[GROUP, NUMBER]),
    (b"rejoin/", &[GROUP, NAME]),
    (b"chain/", &[GROUP, NAME]),
    (b"asking/", &[GROUP]),
    (b"heard/", &[GROUP, NAME]),
    (b"split/", &[GROUP, NAME]),
    (b"welcome/", &[GROUP, STATE]),
    (b"inviter/", &[GROUP]),
    (b"sealed/", &[GROUP, STATE, NUMBER]),
    (b"send/", &[GROUP]),
    (b"sender/", &[GROUP, NAME]),
    (b"gap/", &[GROUP, NAME, NUMBER]),
    (b"handed/", &[GROUP, NAME]),
    (b"message/", &[GROUP, NUMBER, NAME, NUMBER]),
    (b"place/", &[GROUP, NAME, NUMBER]),
    (b"seen/", &[GROUP, HALF_HASH]),
    (b"made/", &[GROUP, HALF_HASH]),
    (b"out/", &[NUMBER]),
    (b"intent/", &[GROUP, NAME]),
    (b"declined/", &[GROUP]),
    (b"event/", &[NUMBER]),
    (b"mls/1/g/", &[]),
    (b"mls/2/b/", &[GROUP, STATE]),
    (b"mls/2/m/", &[GROUP, STATE]),
    (b"mls/2/l/", &[GROUP, STATE]),
    (b"mls/2/c/", &[GROUP]),
];

/// How a key, or a prefix of keys, is made up. A key of an unknown kind is its word, up to and with
/// the first `/`, and one part to be hidden; one without `/` is a word. No key of a kind has a word
/// that begins otherwise than the word found for its prefix.
pub fn shape(key: &[u8]) -> Shape {
    if let Some((word, fields)) = KINDS.iter().find(|(word, _)| key.starts_with(word)) {
        return Shape { word: word.len(), fields };
    }
    let word = key.iter().position(|byte| *byte == b'/').map_or(key.len(), |at| at + 1);
    Shape { word, fields: &[] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_the_beginning_of_another() {
        for (n, (word, _)) in KINDS.iter().enumerate() {
            let others = KINDS.iter().enumerate().filter(|(m, _)| *m != n);
            assert!(others.into_iter().all(|(_, (other, _))| !other.starts_with(word)));
        }
    }

    #[test]
    fn unknown_kinds_are_hidden_behind_their_word() {
        assert_eq!(shape(b"account"), Shape { word: 7, fields: &[] });
        assert_eq!(shape(b"new/name"), Shape { word: 4, fields: &[] });
        assert_eq!(shape(b"mls/2/x/"), Shape { word: 4, fields: &[] });
        assert_eq!(shape(b"mls/2/c/name").word, 8);
    }
}

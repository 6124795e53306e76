//! What a commit brings as evidence, bound into it.
//!
//! Words of members that leave and requests of members whose leaves are swapped decide how a commit
//! is judged, so every member has to judge it with the same ones: their hash is the commit's
//! authenticated data, which its author signs and which is a part of the state after it. A commit
//! that is shown with other evidence is refused, and with the right one later it is taken.

use crate::kdf::{self, label};
use crate::proto::group as pb;

/// The authenticated data of a commit that brings these; empty if it brings nothing.
pub(super) fn bound(words: &[pb::SignedWord], requests: &[pb::SignedRequest]) -> Vec<u8> {
    if words.is_empty() && requests.is_empty() {
        return Vec::new();
    }
    let words = words.iter().map(|word| (&word.core, &word.signature));
    let requests = requests.iter().map(|request| (&request.request, &request.signature));
    let mut content = Vec::new();
    list(&mut content, words);
    list(&mut content, requests);
    kdf::hash(label::COMMIT_EVIDENCE, &[&content]).to_vec()
}

/// How many, and both parts of each with their lengths: all numbers as u32.
fn list<'a>(
    content: &mut Vec<u8>,
    signed: impl ExactSizeIterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>,
) {
    content.extend(number(signed.len()));
    for part in signed.flat_map(|(body, signature)| [body, signature]) {
        content.extend(number(part.len()));
        content.extend_from_slice(part);
    }
}

/// All of it travels in one message, which is far shorter than 2^32 bytes.
fn number(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(core: &[u8], signature: &[u8]) -> pb::SignedWord {
        pb::SignedWord { core: core.to_vec(), signature: signature.to_vec() }
    }

    fn request(request: &[u8], signature: &[u8]) -> pb::SignedRequest {
        pb::SignedRequest { request: request.to_vec(), signature: signature.to_vec() }
    }

    #[test]
    fn no_two_lists_are_bound_alike() {
        let words = [
            vec![],
            vec![word(b"a", b"b")],
            vec![word(b"ab", b"")],
            vec![word(b"", b"ab")],
            vec![word(b"a", b"b"), word(b"a", b"b")],
            vec![word(b"", b""), word(b"", b"")],
        ];
        let requests =
            [vec![], vec![request(b"a", b"b")], vec![request(b"a", b"b"), request(b"", b"")]];
        let mut seen = std::collections::BTreeSet::new();
        for words in &words {
            for requests in &requests {
                assert!(seen.insert(bound(words, requests)), "{words:?} {requests:?}");
            }
        }
        assert!(seen.contains(&Vec::new()), "nothing is bound by nothing");
    }
}

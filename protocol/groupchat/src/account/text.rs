//! Bech32m text (BIP-350) for what people hand to each other: cards and link requests.
//!
//! The 90 characters of BIP-173 are an address's limit, not the code's: up to 1,023 characters any
//! three wrong ones are noticed for sure, and more with a chance of one in 2^30 to slip through.
//! Upper case is accepted whole, as QR codes prefer it.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use zeroize::Zeroizing;

/// Longest text that is looked at, in characters.
const MAX_TEXT: usize = 1023;

/// Why a text does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextError {
    /// It does not start with the prefix and `1`.
    Prefix,
    /// Wrong characters, wrong checksum, or too long.
    Mistyped,
}

/// `bytes` under the prefix `hrp`, in lower case.
pub(super) fn encode(hrp: &'static str, bytes: &[u8]) -> Zeroizing<String> {
    let encoded = bech32::encode::<Bech32m>(Hrp::parse_unchecked(hrp), bytes);
    Zeroizing::new(encoded.expect("short, and the prefix is a constant"))
}

/// What [`encode`] was given. White space around the text is ignored.
pub(super) fn decode(hrp: &'static str, text: &str) -> Result<Zeroizing<Vec<u8>>, TextError> {
    let text = text.trim();
    let (prefix, rest) = text.split_at_checked(hrp.len()).ok_or(TextError::Prefix)?;
    if !prefix.eq_ignore_ascii_case(hrp) || !rest.starts_with('1') {
        return Err(TextError::Prefix);
    }
    if text.len() > MAX_TEXT {
        return Err(TextError::Mistyped);
    }
    let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| TextError::Mistyped)?;
    // A separator later in the text would make the prefix longer.
    if checked.hrp() != Hrp::parse_unchecked(hrp) || checked.validate_segwit_padding().is_err() {
        return Err(TextError::Mistyped);
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(checked.byte_iter().len()));
    bytes.extend(checked.byte_iter());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn other_texts_are_told_apart() {
        let text = encode("wgc", b"content").to_string();
        assert_eq!(
            decode("wgc", &format!(" {}\n", text.to_uppercase())).as_deref(),
            Ok(&b"content".to_vec())
        );
        assert_eq!(decode("wgcl", &text), Err(TextError::Prefix));
        assert_eq!(decode("wgc", "wgc"), Err(TextError::Prefix));
        assert_eq!(decode("wgc", "wgc1"), Err(TextError::Mistyped));
        assert_eq!(decode("wgc", "é"), Err(TextError::Prefix));
        assert_eq!(decode("wgc", &text.replacen('w', "W", 1)), Err(TextError::Mistyped));
        let bech32 = bech32::encode::<bech32::Bech32>(Hrp::parse_unchecked("wgc"), b"content");
        assert_eq!(decode("wgc", &bech32.expect("short")), Err(TextError::Mistyped));
        assert_eq!(decode("wgc", &format!("wgc1{}", "q".repeat(5000))), Err(TextError::Mistyped));
    }

    proptest! {
        #[test]
        fn round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let decoded = decode("wgc", &encode("wgc", &bytes)).map(|b| b.to_vec());
            prop_assert_eq!(decoded, Ok(bytes));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}", tail in "wgc1[a-z0-9]{0,200}") {
            let _ = decode("wgc", &text);
            let _ = decode("wgc", &tail);
        }
    }
}

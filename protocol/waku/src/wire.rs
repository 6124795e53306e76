//! A look over protobuf bytes before they are decoded: an element of two bytes becomes a struct of
//! hundreds, so lists are counted first.

use crate::DecodeError;

/// How often `field` occurs at the top level. Malformed bytes end the count: the decoder that runs
/// next names the fault.
fn count(mut bytes: &[u8], field: u64) -> usize {
    let mut count = 0;
    while let Some(key) = varint(&mut bytes) {
        if key >> 3 == field {
            count += 1;
        }
        let skipped = match key & 7 {
            0 => varint(&mut bytes).map(|_| ()),
            1 => skip(&mut bytes, 8),
            2 => varint(&mut bytes).and_then(|len| skip(&mut bytes, len)),
            5 => skip(&mut bytes, 4),
            _ => None,
        };
        if skipped.is_none() {
            break;
        }
    }
    count
}

/// Refuses bytes in which `field` occurs more than `max` times.
pub(crate) fn check_count(
    what: &'static str,
    bytes: &[u8],
    field: u64,
    max: usize,
) -> Result<(), DecodeError> {
    match count(bytes, field) {
        len if len > max => Err(DecodeError::TooMany { what, len, max }),
        _ => Ok(()),
    }
}

/// Reads a varint of at most ten bytes; higher bits than 64 are dropped, as decoders do.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for index in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(7 * index).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn skip(bytes: &mut &[u8], len: u64) -> Option<()> {
    *bytes = bytes.get(usize::try_from(len).ok()?..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_top_level_fields_only() {
        // Field 20 (key 162, 1) twice, once empty and once holding a nested field 20; field 1
        // between them; groups end the count.
        let bytes = [0xa2, 1, 0, 0x08, 5, 0xa2, 1, 3, 0xa2, 1, 0, 0x0b, 0xa2, 1, 0];
        assert_eq!(count(&bytes, 20), 2);
        assert_eq!(count(&bytes, 1), 2);
        assert_eq!(count(&[0xa2, 1, 0xff], 20), 1);
        assert!(check_count("entries", &bytes, 20, 1).is_err());
    }
}

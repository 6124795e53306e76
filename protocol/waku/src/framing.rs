//! Length-prefixed frames: an unsigned varint (LEB128) and that many bytes, as all of Waku's
//! request/response protocols send them (multiformats unsigned-varint).

use crate::DecodeError;

/// Most bytes of a length prefix: lengths below 2^28 need no more than four; five are read.
pub const MAX_PREFIX_LEN: usize = 5;

/// The payload with its length before it.
pub fn encode_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + MAX_PREFIX_LEN);
    let mut rest = payload.len();
    while rest >= 0x80 {
        frame.push(low_bits(rest) | 0x80);
        rest >>= 7;
    }
    frame.push(low_bits(rest));
    frame.extend_from_slice(payload);
    frame
}

/// The lowest seven bits.
fn low_bits(value: usize) -> u8 {
    (value & 0x7f) as u8
}

/// The length in the prefix at the start of `bytes`, and how many bytes the prefix has. `None`
/// while the prefix is incomplete.
///
/// # Errors
///
/// [`DecodeError::LengthPrefix`] if it is longer than [`MAX_PREFIX_LEN`] or not canonical,
/// [`DecodeError::TooLarge`] if the length exceeds `max`: before anything is read or allocated.
pub fn decode_prefix(bytes: &[u8], max: usize) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut len = 0u64;
    for (index, byte) in bytes.iter().take(MAX_PREFIX_LEN).enumerate() {
        len |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 != 0 {
            continue;
        }
        if *byte == 0 && index > 0 {
            return Err(DecodeError::LengthPrefix);
        }
        let len = usize::try_from(len).map_err(|_| DecodeError::LengthPrefix)?;
        crate::error::check_len("frame", len, max)?;
        return Ok(Some((len, index + 1)));
    }
    if bytes.len() >= MAX_PREFIX_LEN { Err(DecodeError::LengthPrefix) } else { Ok(None) }
}

/// The first frame's payload at the start of `bytes`, and how many bytes the frame has. `None`
/// while it is incomplete.
///
/// # Errors
///
/// As [`decode_prefix`].
pub fn decode_frame(bytes: &[u8], max: usize) -> Result<Option<(&[u8], usize)>, DecodeError> {
    let Some((len, start)) = decode_prefix(bytes, max)? else { return Ok(None) };
    let end = start + len;
    Ok(bytes.get(start..end).map(|payload| (payload, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        assert_eq!(encode_frame(b""), [0]);
        assert_eq!(encode_frame(b"ab"), [2, b'a', b'b']);
        let long = encode_frame(&[7; 300]);
        assert_eq!(long[..2], [0xac, 0x02]);
        assert_eq!(decode_frame(&long, 300), Ok(Some((&[7; 300][..], 302))));
        assert_eq!(decode_frame(&long[..301], 300), Ok(None));
        assert_eq!(decode_frame(&[0x80], 300), Ok(None));
        assert!(matches!(decode_frame(&long, 299), Err(DecodeError::TooLarge { .. })));
        assert_eq!(decode_frame(&[0x80, 0x00], 300), Err(DecodeError::LengthPrefix));
        assert_eq!(decode_frame(&[0xff; 9], 300), Err(DecodeError::LengthPrefix));
    }
}

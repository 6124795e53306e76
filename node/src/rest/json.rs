//! Bodies in JSON, and bytes in base64.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::DeserializeOwned;

use super::error::RestError;

/// Standard alphabet; padding may be there or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Base64 with padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// From base64 with padding or without.
pub(super) fn from_base64(field: &'static str, text: &str) -> Result<Vec<u8>, RestError> {
    LENIENT
        .decode(text)
        .map_err(|error| RestError::Field { field, reason: format!("not base64: {error}") })
}

/// Most bytes of a body, for messages of at most this many: base64 is longer by a third, and 16 KiB
/// are for the fields around the payload.
pub(super) fn body_limit(max_msg_size: usize) -> usize {
    max_msg_size.div_ceil(3).saturating_mul(4).saturating_add(16 * 1024)
}

/// A body in JSON. nwaku takes it as `application/json` and as `text/plain`; here it may also come
/// without a type.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = RestError;

    async fn from_request(request: Request, state: &S) -> Result<Self, RestError> {
        if let Some(kind) = request.headers().get(CONTENT_TYPE) {
            let kind = kind.to_str().map_err(|_| RestError::ContentType)?;
            let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            if media != "application/json" && media != "text/plain" {
                return Err(RestError::ContentType);
            }
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| RestError::Body(rejection.body_text()))?;
        decode(&bytes).map(Self)
    }
}

/// What a body says.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RestError> {
    if bytes.is_empty() {
        return Err(RestError::NoBody);
    }
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::{body_limit, from_base64, to_base64};

    #[test]
    fn base64_with_and_without_padding() {
        for (text, bytes) in [("", &b""[..]), ("Zg==", b"f"), ("Zm8=", b"fo"), ("Zm9v", b"foo")] {
            assert_eq!(to_base64(bytes), text);
            for text in [text, text.trim_end_matches('=')] {
                assert_eq!(from_base64("payload", text).expect("base64"), bytes);
            }
        }
        for text in ["Z", "Zg===", "Z g==", "Zg==\n", "_-==", "Zh=="] {
            assert!(from_base64("payload", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_largest_message_fits_a_body() {
        for size in [0, 1, 1024, 150 * 1024, 1 << 20] {
            assert!(body_limit(size) > to_base64(&vec![0; size]).len());
        }
    }
}

//! QR codes of what people pass on: contact cards and link requests.
//!
//! Both are bech32m texts, which may be written in upper case: then a code holds them in its
//! alphanumeric mode (ISO/IEC 18004, section 7.4.4), five and a half bits a character.

use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

/// Pixels a side that the image has at least.
const PIXELS: u32 = 320;

/// The code of a text that is longer than a code can hold, which no card and no request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long for a QR code")]
pub(crate) struct TooLong;

/// As an SVG image, dark on light, with its quiet zone.
pub(crate) fn image(text: &str) -> Result<String, TooLong> {
    let colours = (svg::Color("#000000"), svg::Color("#ffffff"));
    let code = code(text)?;
    let mut renderer = code.render::<svg::Color<'_>>();
    renderer.min_dimensions(PIXELS, PIXELS).dark_color(colours.0).light_color(colours.1);
    Ok(renderer.build())
}

/// For a terminal that writes light on dark: two rows of the code a line, a line break at the end.
pub(crate) fn terminal(text: &str) -> Result<String, TooLong> {
    let code = code(text)?;
    let mut renderer = code.render::<unicode::Dense1x2>();
    // `Dark` is what the terminal writes, `Light` what it leaves.
    renderer.dark_color(unicode::Dense1x2::Light).light_color(unicode::Dense1x2::Dark);
    Ok(renderer.build() + "\n")
}

fn code(text: &str) -> Result<QrCode, TooLong> {
    let upper = text.to_ascii_uppercase();
    QrCode::with_error_correction_level(upper, EcLevel::M).map_err(|_| TooLong)
}

#[cfg(test)]
mod tests {
    use qrcode::Version;

    use super::*;

    #[test]
    fn a_card_fits_a_code_that_a_phone_reads() {
        let code = code(&format!("wgc1{}", "q".repeat(162))).expect("short");
        assert_eq!(code.version(), Version::Normal(7));
        assert_eq!(code.error_correction_level(), EcLevel::M);
    }

    #[test]
    fn image_and_terminal_show_the_same_modules() {
        let text = format!("wgcl1{}", "q".repeat(110));
        let width = code(&text).expect("short").width() + 8;
        let lines: Vec<String> =
            terminal(&text).expect("short").lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(lines.iter().all(|line| line.chars().count() == width));
        // the quiet zone is light: full blocks
        assert!(lines[0].chars().all(|c| c == '█'));
        let image = image(&text).expect("short");
        assert!(image.starts_with("<?xml") && image.trim_end().ends_with("</svg>"), "{image}");
        assert!(!image.contains(&text), "the text itself is not in the image");
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert_eq!(image(&"q".repeat(10_000)), Err(TooLong));
        assert_eq!(terminal(&"q".repeat(10_000)), Err(TooLong));
    }
}

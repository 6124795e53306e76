//! How the value of an option is read from text, and which TOML type it is written as.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use libp2p::Multiaddr;

use super::error::Reason;

/// The TOML type of a value; on the command line and in the environment all are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A string.
    String,
}

impl Shape {
    /// With its article, for messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::String => "a string",
        }
    }
}

/// What kind of value an option takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// TOML type of a value, or of each element.
    pub shape: Shape,
    /// Whether it is a list: an array in TOML, given several times on the command line, separated
    /// by commas in the environment.
    pub list: bool,
    /// What it takes, for messages and documentation, after "must be".
    pub expected: &'static str,
}

/// The texts of a setting: one, or those of a list.
pub(crate) type Texts = [String];

/// The type of an option's value.
pub(crate) trait OptionValue: Sized {
    /// What it takes.
    const KIND: Kind;

    /// Reads it from its texts; an option that is not set and has no default has none.
    fn read(texts: &Texts) -> Result<Self, Reason>;
}

/// A value that one text gives.
pub(crate) trait Scalar: Sized {
    /// Its TOML type.
    const SHAPE: Shape = Shape::String;
    /// Whether it is a secret: an error does not repeat it.
    const SECRET: bool = false;
    /// What it takes, after "must be".
    const EXPECTED: &'static str;

    /// Reads it; `None` if it is not [`Self::EXPECTED`].
    fn from_text(text: &str) -> Option<Self>;
}

impl<T: Scalar> OptionValue for T {
    const KIND: Kind = Kind { shape: T::SHAPE, list: false, expected: T::EXPECTED };

    fn read(texts: &Texts) -> Result<Self, Reason> {
        match texts {
            [text] => read_one(text),
            _ => Err(Reason::Value { expected: T::EXPECTED, got: None }),
        }
    }
}

impl<T: Scalar> OptionValue for Option<T> {
    const KIND: Kind = T::KIND;

    fn read(texts: &Texts) -> Result<Self, Reason> {
        if texts.is_empty() { Ok(None) } else { T::read(texts).map(Some) }
    }
}

impl<T: Scalar> OptionValue for Vec<T> {
    const KIND: Kind = Kind { list: true, ..T::KIND };

    fn read(texts: &Texts) -> Result<Self, Reason> {
        for (i, text) in texts.iter().enumerate() {
            if texts[..i].contains(text) {
                return Err(Reason::Twice(Some(text.clone())));
            }
        }
        texts.iter().map(|text| read_one(text)).collect()
    }
}

fn read_one<T: Scalar>(text: &str) -> Result<T, Reason> {
    T::from_text(text).ok_or_else(|| Reason::Value {
        expected: T::EXPECTED,
        got: (!T::SECRET).then(|| text.to_owned()),
    })
}

macro_rules! number {
    ($Type:ty, $expected:literal) => {
        impl Scalar for $Type {
            const SHAPE: Shape = Shape::Integer;
            const EXPECTED: &'static str = $expected;
            fn from_text(text: &str) -> Option<Self> {
                // `FromStr` would also take a leading plus.
                text.starts_with(|c: char| c.is_ascii_digit()).then(|| text.parse().ok())?
            }
        }
    };
}

number!(u16, "a whole number from 0 to 65535");
number!(u32, "a whole number from 0 to 4294967295");
number!(NonZeroU32, "a whole number from 1 to 4294967295");
number!(NonZeroUsize, "a whole number from 1");

impl Scalar for bool {
    const SHAPE: Shape = Shape::Boolean;
    const EXPECTED: &'static str = "true or false";
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for IpAddr {
    const EXPECTED: &'static str = "an IPv4 or IPv6 address without port";
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Scalar for PathBuf {
    const EXPECTED: &'static str = "a path, not empty";
    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains('\0')).then(|| Self::from(text))
    }
}

impl Scalar for Multiaddr {
    const EXPECTED: &'static str = "a multiaddress";
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{OptionValue, Reason};

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|t| (*t).to_owned()).collect()
    }

    #[test]
    fn numbers_are_plain_digits() {
        assert_eq!(u16::read(&texts(&["65535"])), Ok(65535));
        for bad in ["65536", "-1", "+1", "", " 1", "1 ", "0x10", "1.0", "1_000"] {
            assert!(u16::read(&texts(&[bad])).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lists_keep_their_order_and_refuse_repeats() {
        assert_eq!(Vec::<u16>::read(&texts(&["3", "1"])), Ok(vec![3, 1]));
        assert_eq!(Vec::<u16>::read(&[]), Ok(vec![]));
        assert_eq!(
            Vec::<u16>::read(&texts(&["1", "2", "1"])),
            Err(Reason::Twice(Some("1".into())))
        );
    }

    #[test]
    fn what_is_not_set_is_none() {
        assert_eq!(Option::<u16>::read(&[]), Ok(None));
        assert_eq!(Option::<u16>::read(&texts(&["1"])), Ok(Some(1)));
        assert!(u16::read(&[]).is_err());
    }
}

//! Why the options stop the start: one line that names place, key and reason.

use std::fmt;
use std::path::PathBuf;

/// A setting that stops the start. Shown on one line: `place: key: reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {}: {reason}", Plain(key))]
pub struct OptionError {
    /// Where it was set.
    pub place: Place,
    /// The key as it was written there.
    pub key: String,
    /// What is wrong with it.
    pub reason: Reason,
}

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the command line.
    CommandLine,
    /// In the environment.
    Environment,
    /// In a TOML file.
    File {
        /// Which file, as it was given.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Environment => f.write_str("environment"),
            Self::File { path, line } => write!(f, "{}:{line}", Plain(&path.to_string_lossy())),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// No option has this name.
    #[error("there is no such option{}", Hint(.0))]
    Unknown(Option<String>),
    /// One of nwaku's options that this node does not have yet.
    #[error("this option of nwaku is not carried out yet")]
    NotCarriedOut,
    /// A value outside what the option takes. Secrets are not repeated.
    #[error("must be {expected}{}", Got(.got))]
    Value {
        /// What the option takes.
        expected: &'static str,
        /// What was given.
        got: Option<String>,
    },
    /// A TOML value of another type.
    #[error("must be {expected}, written in TOML as {wanted}, got {got}")]
    Type {
        /// What the option takes.
        expected: &'static str,
        /// The TOML type it takes.
        wanted: &'static str,
        /// The TOML type that was given.
        got: &'static str,
    },
    /// No value after the name.
    #[error("needs a value: {0}")]
    NoValue(&'static str),
    /// Set twice in one place, or one element twice in a list.
    #[error("is given twice{}", Got(.0))]
    Twice(Option<String>),
    /// An argument that is not `--name`.
    #[error("is not an option: options are written --name=value")]
    NotAnOption,
    /// Set where it cannot be.
    #[error("can only be set on the command line or in the environment")]
    NotHere,
    /// A file that cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// Not TOML.
    #[error("is not TOML: {}", Plain(.0))]
    Syntax(String),
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8")]
    Encoding,
    /// It does not go together with other settings.
    #[error("{0}")]
    Conflict(&'static str),
}

/// Text on one line: control characters escaped, cut after 120 characters.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 120;
        for c in self.0.chars().take(SHOWN) {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        if self.0.chars().nth(SHOWN).is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// `: did you mean …`, or nothing.
struct Hint<'a>(&'a Option<String>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(hint) => write!(f, ": {hint}"),
            None => Ok(()),
        }
    }
}

/// `, got "…"`, or nothing.
struct Got<'a>(&'a Option<String>);

impl fmt::Display for Got<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(got) => write!(f, ", got `{}`", Plain(got)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OptionError, Place, Reason};

    #[test]
    fn is_one_line_whatever_was_given() {
        let error = OptionError {
            place: Place::File { path: "a\nb.toml".into(), line: 3 },
            key: "k\r\ney".into(),
            reason: Reason::Value {
                expected: "a whole number",
                got: Some(format!("x\ny{}", "z".repeat(500))),
            },
        };
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1);
        assert!(text.starts_with(r"a\nb.toml:3: k\r\ney: must be a whole number, got `x\ny"));
        assert!(text.len() < 300);
    }
}

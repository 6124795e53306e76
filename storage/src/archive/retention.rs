//! How much an archive keeps.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::keys::Totals;

/// What an archive keeps; the oldest messages go first. The default keeps everything.
///
/// As text, nwaku's `store-message-retention-policy`: `time:<seconds>`, `capacity:<messages>` and
/// `size:<number>MB` or `GB` (powers of 1024), each at most once, joined with `;`; or `none`.
/// nwaku lets each limit be passed by 10 to 30 per cent before it deletes; here it deletes at once.
///
/// ```
/// use waku_groupchat_storage::RetentionPolicy;
///
/// let policy: RetentionPolicy = "time:86400;size:1.5GB".parse()?;
/// assert_eq!(policy.max_bytes, Some(1_610_612_736));
/// # Ok::<(), waku_groupchat_storage::ParseRetentionError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Messages with a timestamp further back than this go.
    pub max_age: Option<Duration>,
    /// More messages than this go.
    pub max_messages: Option<u64>,
    /// Messages over this many bytes go. Counted are encoded messages and their index entries
    /// before compression. On disk it may be a little more for a while, until compaction.
    pub max_bytes: Option<u64>,
}

impl RetentionPolicy {
    /// The timestamp from which on messages are young enough at this time.
    pub(super) fn keeps_from(&self, now_ns: i64) -> Option<i64> {
        let age = i64::try_from(self.max_age?.as_nanos()).unwrap_or(i64::MAX);
        Some(now_ns.saturating_sub(age))
    }

    /// Whether an archive with these totals has to lose its oldest message.
    pub(super) fn removes(&self, keeps_from: Option<i64>, oldest: i64, totals: &Totals) -> bool {
        keeps_from.is_some_and(|from| oldest < from)
            || self.max_messages.is_some_and(|max| totals.messages > max)
            || self.max_bytes.is_some_and(|max| totals.bytes > max)
    }
}

/// A text that is not a retention policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRetentionError {
    /// A part that is none of the three.
    #[error("`{0}` is not time:<seconds>, capacity:<messages> or size:<number>MB or GB")]
    Unknown(String),
    /// A value that is not a number above zero.
    #[error("`{0}` needs a number above zero")]
    Value(String),
    /// A size without a unit.
    #[error("`{0}` needs the unit MB or GB")]
    Unit(String),
    /// A part that stands twice.
    #[error("`{0}` stands twice")]
    Repeated(&'static str),
}

impl FromStr for RetentionPolicy {
    type Err = ParseRetentionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut policy = Self::default();
        if matches!(text.trim(), "" | "none") {
            return Ok(policy);
        }
        for part in text.split(';').map(str::trim) {
            let (name, value) = part
                .split_once(':')
                .ok_or_else(|| ParseRetentionError::Unknown(part.to_owned()))?;
            match name {
                "time" => {
                    let age = Duration::from_secs(whole(value, part)?);
                    set(&mut policy.max_age, age, "time")?;
                }
                "capacity" => set(&mut policy.max_messages, whole(value, part)?, "capacity")?,
                "size" => set(&mut policy.max_bytes, size(value, part)?, "size")?,
                _ => return Err(ParseRetentionError::Unknown(part.to_owned())),
            }
        }
        Ok(policy)
    }
}

fn set<T>(field: &mut Option<T>, value: T, name: &'static str) -> Result<(), ParseRetentionError> {
    if field.replace(value).is_some() {
        return Err(ParseRetentionError::Repeated(name));
    }
    Ok(())
}

fn whole(value: &str, part: &str) -> Result<u64, ParseRetentionError> {
    digits(value, false)
        .and_then(|v| v.parse().ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| ParseRetentionError::Value(part.to_owned()))
}

fn size(value: &str, part: &str) -> Result<u64, ParseRetentionError> {
    let unit_at = value.len().checked_sub(2).filter(|at| value.is_char_boundary(*at));
    let (number, unit) = value.split_at(unit_at.unwrap_or(0));
    let unit = match unit.to_ascii_uppercase().as_str() {
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(ParseRetentionError::Unit(part.to_owned())),
    };
    // Beyond u64 the conversion saturates: sixteen exabytes are as good as no limit.
    digits(number, true)
        .and_then(|n| n.parse::<f64>().ok())
        .map(|number| (number * unit) as u64)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| ParseRetentionError::Value(part.to_owned()))
}

/// Only what is written in digits: Rust's parsers take signs, exponents and `inf` as well.
fn digits(text: &str, decimal: bool) -> Option<&str> {
    text.chars().all(|c| c.is_ascii_digit() || (decimal && c == '.')).then_some(text)
}

impl fmt::Display for RetentionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = [
            self.max_age.map(|age| format!("time:{}", age.as_secs())),
            self.max_messages.map(|messages| format!("capacity:{messages}")),
            self.max_bytes.map(|bytes| format!("size:{}MB", bytes as f64 / (1024.0 * 1024.0))),
        ]
        .into_iter()
        .flatten()
        .collect();
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(";"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nwaku_policies_parse_and_print() {
        let all = RetentionPolicy {
            max_age: Some(Duration::from_secs(3600)),
            max_messages: Some(100),
            max_bytes: Some(1 << 30),
        };
        assert_eq!("time:3600;capacity:100;size:1GB".parse(), Ok(all));
        assert_eq!("size:1024Mb ; capacity:100;time:3600".parse(), Ok(all));
        assert_eq!(all.to_string().parse(), Ok(all));
        for text in ["none", "", " none "] {
            assert_eq!(text.parse(), Ok(RetentionPolicy::default()), "{text:?}");
        }
        assert_eq!(RetentionPolicy::default().to_string(), "none");
        assert_eq!(
            "size:0.5gb".parse(),
            Ok(RetentionPolicy { max_bytes: Some(512 << 20), ..RetentionPolicy::default() })
        );
    }

    #[test]
    fn other_texts_are_refused_by_what_is_wrong() {
        let unknown = |t: &str| ParseRetentionError::Unknown(t.to_owned());
        let value = |t: &str| ParseRetentionError::Value(t.to_owned());
        let unit = |t: &str| ParseRetentionError::Unit(t.to_owned());
        for (text, error) in [
            ("forever", unknown("forever")),
            ("time:1;", unknown("")),
            ("age:3", unknown("age:3")),
            ("time:0", value("time:0")),
            ("time:", value("time:")),
            ("time:-1", value("time:-1")),
            ("time:+1", value("time:+1")),
            ("time:1.5", value("time:1.5")),
            ("capacity:many", value("capacity:many")),
            ("capacity:99999999999999999999", value("capacity:99999999999999999999")),
            ("size:0GB", value("size:0GB")),
            ("size:infGB", value("size:infGB")),
            ("size:1e3MB", value("size:1e3MB")),
            ("size:1.2.3MB", value("size:1.2.3MB")),
            ("size:MB", value("size:MB")),
            ("size:100", unit("size:100")),
            ("size:1", unit("size:1")),
            ("size:1€", unit("size:1€")),
            ("time:1;time:2", ParseRetentionError::Repeated("time")),
        ] {
            assert_eq!(text.parse::<RetentionPolicy>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn extreme_times_saturate() {
        let policy: RetentionPolicy = "time:18446744073709551615".parse().expect("a policy");
        assert_eq!(policy.keeps_from(0), Some(-i64::MAX));
        assert_eq!(policy.keeps_from(i64::MIN), Some(i64::MIN));
    }
}

//! Plain text for people: times, aligned columns, and no control characters from others.

use std::fmt::Write;

use time::OffsetDateTime;
use unicode_width::UnicodeWidthStr;
use waku_groupchat_core::Timestamp;

/// Text of others for a terminal: characters that could move the cursor, recolour, or turn the
/// direction of what follows are shown as `�`. Line breaks and tabs stay.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            // Bidirectional embeddings, overrides and isolates (Unicode TR 9).
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Like [`clean`], on one line.
pub(super) fn clean_line(text: &str) -> String {
    clean(text).replace(['\n', '\t'], " ")
}

/// `2025-11-23`, in UTC.
pub(super) fn date(at: Timestamp) -> String {
    let at = utc(at);
    format!("{:04}-{:02}-{:02}", at.year(), u8::from(at.month()), at.day())
}

/// `01:22:33`, in UTC.
pub(super) fn clock(at: Timestamp) -> String {
    let (hour, minute, second) = utc(at).to_hms();
    format!("{hour:02}:{minute:02}:{second:02}")
}

/// `2025-11-23 01:22:33Z`.
pub(super) fn date_time(at: Timestamp) -> String {
    format!("{} {}Z", date(at), clock(at))
}

fn utc(at: Timestamp) -> OffsetDateTime {
    // Nanoseconds in 64 bits end in the year 2554, well inside what this type holds.
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_nanos()))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// `text`, filled with spaces up to `width` columns of the terminal.
pub(super) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Names and values, one a line, the values aligned.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.width()).max().unwrap_or(0) + 2;
    fields.iter().fold(String::new(), |mut out, (name, value)| {
        let _ = writeln!(out, "{}{value}", pad(name, width));
        out
    })
}

/// Rows under a head, each column as wide as its widest cell; the last one is not filled.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = head.map(UnicodeWidthStr::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.as_str().width());
        }
    }
    let mut out = String::new();
    let head = head.map(str::to_owned);
    for row in std::iter::once(&head).chain(rows) {
        let line: String =
            row.iter().zip(widths).map(|(cell, width)| pad(cell, width + 2)).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Puts `text` behind `lead`; further lines are set in to the same column.
pub(super) fn hang(lead: &str, text: &str) -> String {
    let indent = " ".repeat(lead.width());
    let mut out = String::new();
    for (n, line) in text.split('\n').enumerate() {
        let line = format!("{}{line}", if n == 0 { lead } else { &indent });
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(date_time(Timestamp::from_secs(1_763_860_953)), "2025-11-23 01:22:33Z");
        assert_eq!(date_time(Timestamp::from_nanos(u64::MAX)), "2554-07-21 23:34:33Z");
    }

    #[test]
    fn wide_characters_keep_columns_straight() {
        let rows = [["会議".to_owned(), "1".to_owned()], ["lunch".to_owned(), "22".to_owned()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME   N\n会議   1\nlunch  22\n");
    }

    #[test]
    fn nothing_of_others_reaches_the_terminal_raw() {
        assert_eq!(clean("a\u{1b}[31mb\r\u{202e}c\nd"), "a\u{fffd}[31mb\u{fffd}\u{fffd}c\nd");
        assert_eq!(clean_line("a\nb\tc"), "a b c");
        assert_eq!(clean("שלום 👩‍👩‍👧"), "שלום 👩‍👩‍👧");
    }

    #[test]
    fn lines_hang_behind_their_lead() {
        assert_eq!(hang("ab  ", "x\n\ny"), "ab  x\n\n    y\n");
    }
}

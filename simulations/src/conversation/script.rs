//! The text file that is carried: `name: line`, one a line.
//!
//! Empty lines and lines that begin with `#` are skipped. A name is what stands before the first
//! colon; the text is the rest, less one leading space, and is sent byte for byte.
//!
//! A text that begins with `/name ` is not said: the speaker gives the group that name. Two such
//! lines by two speakers, one right after the other, are made at the same time, on two sides of a
//! network that is cut in half.

use std::path::{Path, PathBuf};

use waku_groupchat_core::limits::{NAME_BYTES as GROUP_NAME_BYTES, TEXT_BYTES};

/// Fewest speakers a script may have: one is heard by another, and somebody claims the line that
/// is lost.
pub const MIN_SPEAKERS: usize = 2;
/// Most speakers a script may have: with a second installation and the store node, each node then
/// has five peers at one address, the most that peer scoring takes.
pub const MAX_SPEAKERS: usize = 4;
/// Most bytes of a name.
pub const NAME_BYTES: usize = 64;
/// What a text begins with that names the group.
const RENAME: &str = "/name ";

/// A conversation to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Names, in the order of their first line.
    pub speakers: Vec<String>,
    /// What is said, in order.
    pub lines: Vec<Line>,
    /// Names that the group is given, in order.
    pub renames: Vec<Rename>,
}

/// A name that somebody gives the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Index into [`Script::speakers`].
    pub speaker: usize,
    /// The name.
    pub name: String,
    /// Index into [`Script::lines`] of the line it stands before.
    pub before: usize,
    /// Where it stands in the file, from 1.
    pub file_line: usize,
}

/// One thing that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Index into [`Script::speakers`].
    pub speaker: usize,
    /// What is said.
    pub text: String,
    /// Where it stands in the file, from 1.
    pub file_line: usize,
}

/// A script that cannot be carried. Names the file, and the line where there is one.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file cannot be read.
    #[error("{}: cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is not of the form `name: line`, or outside the bounds.
    #[error("{}:{line}: {problem}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// Too few or too many names.
    #[error(
        "{}: {got} speakers; a script needs {MIN_SPEAKERS} to {MAX_SPEAKERS} of them", file.display()
    )]
    Speakers {
        /// The file.
        file: PathBuf,
        /// How many it has.
        got: usize,
    },
    /// Nothing is said before the line that gets lost, so that no gap can be shown.
    #[error(
        "{}: two lines at least must come before the last change of speaker, {got} found; \
         the lines before it are those that a node misses", file.display()
    )]
    TooShort {
        /// The file.
        file: PathBuf,
        /// How many lines there are.
        got: usize,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineProblem {
    /// Not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// No colon.
    #[error("expected `name: line`, found no colon")]
    NoColon,
    /// A colon with nothing before it.
    #[error("expected `name: line`, found no name before the colon")]
    NoName,
    /// A name that is too long.
    #[error("the name has {got} bytes, at most {NAME_BYTES}")]
    LongName {
        /// How many bytes it has.
        got: usize,
    },
    /// Nothing is said.
    #[error("{name} says nothing")]
    NoText {
        /// Who.
        name: String,
    },
    /// A name that a group cannot have.
    #[error("a group's name has 1 to {GROUP_NAME_BYTES} bytes, this one {got}")]
    GroupName {
        /// How many bytes it has.
        got: usize,
    },
    /// More is said than a message holds.
    #[error("the text has {got} bytes, at most {TEXT_BYTES} fit in a message")]
    LongText {
        /// How many bytes it has.
        got: usize,
    },
}

impl Script {
    /// Reads and parses a file.
    pub fn read(file: &Path) -> Result<Self, ScriptError> {
        let bytes = std::fs::read(file)
            .map_err(|source| ScriptError::Read { file: file.to_owned(), source })?;
        Self::parse(file, &bytes)
    }

    /// Parses what was read from `file`, which errors name.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, ScriptError> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let mut script = Self { speakers: Vec::new(), lines: Vec::new(), renames: Vec::new() };
        for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = index + 1;
            script.take(raw, line).map_err(|problem| ScriptError::Line {
                file: file.to_owned(),
                line,
                problem,
            })?;
        }
        let got = script.speakers.len();
        if !(MIN_SPEAKERS..=MAX_SPEAKERS).contains(&got) {
            return Err(ScriptError::Speakers { file: file.to_owned(), got });
        }
        if script.lost_line() < 2 {
            return Err(ScriptError::TooShort { file: file.to_owned(), got: script.lost_line() });
        }
        Ok(script)
    }

    /// The line that reaches a single other node: the last one by somebody else than the speaker
    /// of the final line, so that the final speaker hears it and goes on.
    pub fn lost_line(&self) -> usize {
        let last = self.lines.last().map(|line| line.speaker);
        self.lines.iter().rposition(|line| Some(line.speaker) != last).unwrap_or(0)
    }

    fn take(&mut self, raw: &[u8], file_line: usize) -> Result<(), LineProblem> {
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let text = std::str::from_utf8(raw).map_err(|_| LineProblem::Utf8)?;
        if text.trim().is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let (name, text) = text.split_once(':').ok_or(LineProblem::NoColon)?;
        let (name, text) = (name.trim(), text.strip_prefix(' ').unwrap_or(text));
        if name.is_empty() {
            return Err(LineProblem::NoName);
        }
        if name.len() > NAME_BYTES {
            return Err(LineProblem::LongName { got: name.len() });
        }
        if text.trim().is_empty() {
            return Err(LineProblem::NoText { name: name.to_owned() });
        }
        if let Some(called) = text.strip_prefix(RENAME) {
            return self.take_rename(name, called.trim(), file_line);
        }
        if text.len() > TEXT_BYTES {
            return Err(LineProblem::LongText { got: text.len() });
        }
        let speaker = self.speaker(name);
        self.lines.push(Line { speaker, text: text.to_owned(), file_line });
        Ok(())
    }

    fn take_rename(
        &mut self,
        speaker: &str,
        name: &str,
        file_line: usize,
    ) -> Result<(), LineProblem> {
        let got = name.len();
        if !(1..=GROUP_NAME_BYTES).contains(&got) {
            return Err(LineProblem::GroupName { got });
        }
        let (speaker, before) = (self.speaker(speaker), self.lines.len());
        self.renames.push(Rename { speaker, name: name.to_owned(), before, file_line });
        Ok(())
    }

    fn speaker(&mut self, name: &str) -> usize {
        self.speakers.iter().position(|known| known == name).unwrap_or_else(|| {
            self.speakers.push(name.to_owned());
            self.speakers.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn parse(text: &str) -> Result<Script, ScriptError> {
        Script::parse(Path::new("talk.txt"), text.as_bytes())
    }

    fn message(text: &str) -> String {
        parse(text).expect_err("refused").to_string()
    }

    #[test]
    fn names_lines_and_comments() {
        let script = parse("# a talk\n\na: one\nb:two: three \r\na:  spaced\nb: end").expect("ok");
        assert_eq!(script.speakers, ["a", "b"]);
        let said: Vec<_> =
            script.lines.iter().map(|l| (l.speaker, l.text.as_str(), l.file_line)).collect();
        assert_eq!(said, [(0, "one", 3), (1, "two: three ", 4), (0, " spaced", 5), (1, "end", 6)]);
        assert_eq!(script.lost_line(), 2);
    }

    #[test]
    fn names_of_the_group_are_not_said() {
        let script = parse("a: one\nb: /name  The hut \na: two\nb: /names\na: end").expect("ok");
        let said: Vec<_> = script.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(said, ["one", "two", "/names", "end"]);
        let rename = Rename { speaker: 1, name: "The hut".to_owned(), before: 1, file_line: 2 };
        assert_eq!(script.renames, [rename]);
        let long = format!("a: x\nb: /name {}", "y".repeat(GROUP_NAME_BYTES + 1));
        assert_eq!(message(&long), "talk.txt:2: a group's name has 1 to 128 bytes, this one 129");
        assert_eq!(
            message("a: /name \n"),
            "talk.txt:1: a group's name has 1 to 128 bytes, this one 0"
        );
    }

    #[test]
    fn errors_name_file_and_line() {
        assert_eq!(
            message("a: one\nno colon here"),
            "talk.txt:2: expected `name: line`, found no colon"
        );
        assert_eq!(
            message(": x"),
            "talk.txt:1: expected `name: line`, found no name before the colon"
        );
        assert_eq!(message("a: x\n\na:  "), "talk.txt:3: a says nothing");
        let long = format!("a: x\nb: {}", "y".repeat(TEXT_BYTES + 1));
        assert!(message(&long).starts_with("talk.txt:2: the text has "));
        let name = format!("{}: x", "n".repeat(65));
        assert_eq!(message(&name), "talk.txt:1: the name has 65 bytes, at most 64");
        let bytes = Script::parse(Path::new("t"), b"a: x\nb: \xff").expect_err("refused");
        assert_eq!(bytes.to_string(), "t:2: not UTF-8");
    }

    #[test]
    fn too_few_too_many_too_short() {
        assert!(message("a: 1\na: 2\na: 3").contains("1 speakers"));
        assert!(message("a: 1\nb: 2\nc: 3\nd: 4\ne: 5").contains("5 speakers"));
        assert!(message("a: 1\nb: 2\na: 3").contains("two lines at least"));
        assert!(parse("a: 1\nb: 2\nc: 3\na: 4").is_ok());
        let gone = Script::read(Path::new("/nonexistent/talk.txt")).expect_err("no such file");
        assert_eq!(gone.to_string(), "/nonexistent/talk.txt: cannot be read");
    }

    #[test]
    fn the_shipped_script_is_a_real_conversation() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/conversation.txt"));
        let script = Script::read(file).expect("the shipped script parses");
        assert!(script.lines.len() >= 40);
        assert_eq!(script.speakers.len(), 3);
        let sizes: BTreeSet<usize> = script.lines.iter().map(|line| line.text.len()).collect();
        assert!(*sizes.first().expect("lines") <= 4, "a very short line");
        assert!(*sizes.last().expect("lines") >= 4096, "a very long line");
        let all: String = script.lines.iter().map(|line| line.text.as_str()).collect();
        let has = |low: char, high: char| all.chars().any(|c| (low..=high).contains(&c));
        assert!(has('α', 'ω') && has('ぁ', 'ん') && has('一', '龠') && has('а', 'я'));
        assert!(has('ا', 'ي') && has('अ', 'ह') && has('가', '힣') && has('🌀', '🧿'));
        let makers: BTreeSet<usize> = script.renames.iter().map(|r| r.speaker).collect();
        assert!(makers.len() >= 2, "two speakers name the group");
        let before = &script.lines[..script.lost_line()];
        assert!(before.len() >= 30, "enough is said before the lost line");
    }
}

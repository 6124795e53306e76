//! A TOML file: flat keys, and a table for each extension.

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::options::error::{OptionError, Place, Reason};
use crate::options::settings::Setting;
use crate::options::table::{self, Spec};
use crate::options::value::Shape;

/// A configuration file is refused if it is larger, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// Reads a file's text. `refuse` makes the error where the file was named.
pub(crate) fn load(
    path: &Path,
    refuse: impl Fn(Reason) -> OptionError,
) -> Result<String, OptionError> {
    let read = || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| refuse(Reason::Unreadable(error.kind())))?;
    String::from_utf8(bytes).map_err(|_| refuse(Reason::Encoding))
}

/// Reads the text of a file; the first thing wrong, by line, is the error.
pub(crate) fn read(path: &Path, text: &str) -> Result<Vec<Setting>, OptionError> {
    let reader = Reader { path, text };
    let document = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        reader.refuse(offset, "file", Reason::Syntax(error.message().to_owned()))
    })?;
    let mut entries = Vec::new();
    reader.collect("", document.get_ref(), &mut entries)?;
    entries.sort_by_key(|entry| entry.offset);
    entries.iter().map(|entry| reader.setting(entry)).collect()
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

/// A key with its value, wherever it stands.
struct Entry<'a> {
    table: &'a str,
    key: &'a str,
    offset: usize,
    value: &'a Spanned<DeValue<'a>>,
}

impl Entry<'_> {
    /// As people write it: `table.key`.
    fn shown(&self) -> String {
        if self.table.is_empty() {
            self.key.to_owned()
        } else {
            format!("{}.{}", self.table, self.key)
        }
    }
}

impl Reader<'_> {
    /// Lists the keys of a table, and those of the tables in it that options can stand in.
    fn collect<'a>(
        &self,
        name: &'a str,
        table: &'a DeTable<'a>,
        into: &mut Vec<Entry<'a>>,
    ) -> Result<(), OptionError> {
        for (key, value) in table {
            let offset = key.span().start;
            let key: &str = key.get_ref();
            let is_table = name.is_empty() && table::specs().any(|spec| spec.table == key);
            match value.get_ref() {
                DeValue::Table(inner) if is_table => self.collect(key, inner, into)?,
                other if is_table && !key.is_empty() => {
                    let reason = Reason::Type {
                        expected: "a table of options",
                        wanted: "a table",
                        got: type_name(other),
                    };
                    return Err(self.refuse(offset, key, reason));
                }
                _ => into.push(Entry { table: name, key, offset, value }),
            }
        }
        Ok(())
    }

    fn setting(&self, entry: &Entry<'_>) -> Result<Setting, OptionError> {
        let place = self.place(entry.offset);
        let shown = entry.shown();
        let spec = table::specs().find(|spec| spec.table == entry.table && spec.key == entry.key);
        let Some(spec) = spec else {
            return Err(match table::find(&shown, &shown, &place) {
                Err(error) => error,
                Ok(meant) => OptionError {
                    place,
                    key: shown,
                    reason: Reason::Unknown(Some(format!(
                        "write it as {} in the table [{}]",
                        meant.key, meant.table
                    ))),
                },
            });
        };
        if spec.name == "config-file" {
            return Err(OptionError { place, key: shown, reason: Reason::NotHere });
        }
        let texts = texts(spec, entry.value.get_ref()).map_err(|reason| OptionError {
            place: place.clone(),
            key: shown.clone(),
            reason,
        })?;
        Ok(Setting { spec, key: shown, place, texts })
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.as_bytes().iter().take(offset);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Place::File { path: self.path.to_owned(), line }
    }

    fn refuse(&self, offset: usize, key: &str, reason: Reason) -> OptionError {
        OptionError { place: self.place(offset), key: key.to_owned(), reason }
    }
}

/// The texts of a value that has the option's TOML type.
fn texts(spec: &Spec, value: &DeValue<'_>) -> Result<Vec<String>, Reason> {
    let expected = spec.kind.expected;
    if !spec.kind.list {
        let wanted = spec.kind.shape.name();
        let got = type_name(value);
        return Ok(vec![text(spec.kind.shape, value).ok_or(Reason::Type {
            expected,
            wanted,
            got,
        })?]);
    }
    let wanted = "an array";
    let DeValue::Array(elements) = value else {
        return Err(Reason::Type { expected, wanted, got: type_name(value) });
    };
    let wanted = spec.kind.shape.name();
    elements
        .iter()
        .map(|element| {
            let element = element.get_ref();
            let got = type_name(element);
            text(spec.kind.shape, element).ok_or(Reason::Type { expected, wanted, got })
        })
        .collect()
}

fn text(shape: Shape, value: &DeValue<'_>) -> Option<String> {
    match (shape, value) {
        (Shape::Boolean, DeValue::Boolean(value)) => Some(value.to_string()),
        (Shape::Integer, DeValue::Integer(value)) => Some(decimal(value)),
        (Shape::String, DeValue::String(value)) => Some(value.to_string()),
        _ => None,
    }
}

/// An integer in base ten, as the command line has it; what no option could take stays as it is.
fn decimal(value: &DeInteger<'_>) -> String {
    i128::from_str_radix(value.as_str(), value.radix())
        .map_or_else(|_| value.as_str().to_owned(), |value| value.to_string())
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

//! `--name=value`, `--name value`, and `--name` alone for `true`.

use std::ffi::OsString;

use crate::options::error::{OptionError, Place, Reason};
use crate::options::settings::Setting;
use crate::options::table;
use crate::options::value::Shape;

/// Reads the arguments after `run`. An option that takes a list may be given several times.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Vec<Setting>, OptionError> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        let argument = utf8(argument)?;
        let Some(option) = argument.strip_prefix("--").filter(|option| !option.is_empty()) else {
            return Err(refuse(&argument, Reason::NotAnOption));
        };
        let (name, inline) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (option, None),
        };
        let spec = table::find(name, name, &Place::CommandLine)?;
        let text = match inline {
            Some(text) => text,
            None => {
                let flag = spec.kind.shape == Shape::Boolean;
                let next = arguments.next_if(|next| match next.to_str() {
                    Some(next) if flag => matches!(next, "true" | "false"),
                    Some(next) => !next.starts_with("--"),
                    None => true,
                });
                match next {
                    Some(text) => utf8(text)?,
                    None if flag => "true".to_owned(),
                    None => return Err(refuse(name, Reason::NoValue(spec.kind.expected))),
                }
            }
        };
        match settings.iter_mut().find(|setting| setting.spec.name == spec.name) {
            Some(setting) if spec.kind.list => setting.texts.push(text),
            Some(_) => return Err(refuse(name, Reason::Twice(None))),
            None => settings.push(Setting {
                spec,
                key: name.to_owned(),
                place: Place::CommandLine,
                texts: vec![text],
            }),
        }
    }
    Ok(settings)
}

fn utf8(text: OsString) -> Result<String, OptionError> {
    text.into_string().map_err(|text| refuse(&text.to_string_lossy(), Reason::Encoding))
}

fn refuse(key: &str, reason: Reason) -> OptionError {
    OptionError { place: Place::CommandLine, key: key.to_owned(), reason }
}

//! Tests of the options as a whole.

mod places;
mod refusals;
mod shipped;

use std::ffi::OsString;
use std::io::Write as _;

use super::{OptionError, Options};

/// Loads from arguments, an environment and, if it is not empty, the text of a file, which is at
/// [`path`].
fn load(
    arguments: &[&str],
    environment: &[(&str, &str)],
    file: &str,
) -> Result<Options, OptionError> {
    let mut arguments: Vec<OsString> = arguments.iter().map(Into::into).collect();
    let environment: Vec<(OsString, OsString)> =
        environment.iter().map(|(name, text)| (name.into(), text.into())).collect();
    let mut held = tempfile::NamedTempFile::new().expect("a file");
    if !file.is_empty() {
        held.write_all(file.as_bytes()).expect("written");
        arguments.push(format!("--config-file={}", held.path().display()).into());
    }
    Options::load(arguments, environment).map_err(|mut error| {
        // The file's name changes with each run.
        if let super::Place::File { path, .. } = &mut error.place {
            *path = "node.toml".into();
        }
        error
    })
}

/// The line that a refused start shows.
fn refusal(arguments: &[&str], environment: &[(&str, &str)], file: &str) -> String {
    let line = load(arguments, environment, file).expect_err("refused").to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

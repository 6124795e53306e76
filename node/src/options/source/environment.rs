//! `WAKU_GROUPCHAT_<NAME>` in upper snake case; lists are separated by commas.

use std::ffi::OsString;

use crate::options::error::{OptionError, Place, Reason};
use crate::options::settings::Setting;
use crate::options::table::{self, ENVIRONMENT_PREFIX, Spec};

/// Variables with the prefix that are not options: the clock, the crash points and the failing writes
/// of tests, the passphrase of the chat's database, which stands on no command line, and what the
/// other commands read.
const OTHERS: &[&str] = &[
    crate::clock::VARIABLE,
    crate::crash::VARIABLE,
    crate::faults::VARIABLE,
    crate::chat::unlock::PASSPHRASE,
    "WAKU_GROUPCHAT_BINDINGS_ENGINE",
    "WAKU_GROUPCHAT_NODE",
    "WAKU_GROUPCHAT_TOKEN_FILE",
];

/// Picks the options out of an environment. What does not begin with the prefix is not looked at.
pub(crate) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<Setting>, OptionError> {
    let mut settings = Vec::new();
    for (variable, text) in variables {
        let Some(variable) = variable.to_str() else { continue };
        let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        if OTHERS.contains(&variable) {
            continue;
        }
        let spec = find(variable, rest)?;
        let refuse =
            |reason| OptionError { place: Place::Environment, key: variable.to_owned(), reason };
        let text = text.into_string().map_err(|_| refuse(Reason::Encoding))?;
        let texts = match (spec.kind.list, text.is_empty()) {
            (true, true) => Vec::new(),
            (true, false) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            (false, _) => vec![text],
        };
        settings.push(Setting { spec, key: variable.to_owned(), place: Place::Environment, texts });
    }
    Ok(settings)
}

/// The option of a variable. Case counts: `a` and `A` are two variables.
fn find(variable: &str, rest: &str) -> Result<&'static Spec, OptionError> {
    if let Some(spec) = table::specs().find(|spec| spec.variable() == variable) {
        return Ok(spec);
    }
    let name = rest.replace('_', "-").to_ascii_lowercase();
    let error =
        |reason| OptionError { place: Place::Environment, key: variable.to_owned(), reason };
    Err(match table::find(&name, variable, &Place::Environment) {
        Ok(meant) => error(Reason::Unknown(Some(format!("did you mean {}?", meant.variable())))),
        Err(other) => other,
    })
}

#[cfg(test)]
mod tests {
    use super::OTHERS;
    use crate::options::table::specs;

    #[test]
    fn no_option_has_the_name_of_another_variable() {
        assert!(specs().all(|spec| !OTHERS.contains(&spec.variable().as_str())));
    }
}

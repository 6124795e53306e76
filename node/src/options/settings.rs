//! What was set, by name, with the place that wins.

use std::collections::BTreeMap;

use super::error::{OptionError, Place, Reason};
use super::table::{self, Spec};
use super::value::OptionValue;

/// An option that was set somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Which option.
    pub spec: &'static Spec,
    /// Its name as written there.
    pub key: String,
    /// Where.
    pub place: Place,
    /// The value's text, or those of a list.
    pub texts: Vec<String>,
}

/// All that was set.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    by_name: BTreeMap<&'static str, Setting>,
}

impl Settings {
    /// Adds settings of a place that loses against those added before.
    pub(crate) fn add_below(&mut self, settings: Vec<Setting>) {
        for setting in settings {
            self.by_name.entry(setting.spec.name).or_insert(setting);
        }
    }

    /// The value of an option: what was set, or its default.
    pub(crate) fn value<T: OptionValue>(&self, name: &'static str) -> Result<T, OptionError> {
        match self.by_name.get(name) {
            Some(setting) => {
                T::read(&setting.texts).map_err(|reason| table::refuse(setting, reason))
            }
            None => {
                let spec = table::find(name, name, &Place::Default)?;
                T::read(&spec.default_texts()).map_err(|reason| self.refuse(name, reason))
            }
        }
    }

    /// An error about an option, at the place where it was set.
    pub(crate) fn refuse(&self, name: &'static str, reason: Reason) -> OptionError {
        match self.by_name.get(name) {
            Some(setting) => table::refuse(setting, reason),
            None => OptionError { place: Place::Default, key: name.to_owned(), reason },
        }
    }

    /// An error about options that do not go together, at the first of them that was set.
    pub(crate) fn conflict(&self, names: &[&'static str], why: &'static str) -> OptionError {
        let set = names.iter().find(|name| self.by_name.contains_key(**name));
        self.refuse(set.or(names.first()).copied().unwrap_or_default(), Reason::Conflict(why))
    }
}

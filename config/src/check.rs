//! What checking carries along: the layers, the profile, and every problem found so far.

use figment::Figment;
use serde::de::DeserializeOwned;

use crate::layer::Profile;
use crate::problem::{Origin, Problem};

/// Collects problems, so that an operator hears of all of them at once.
pub(crate) struct Checker<'f> {
    figment: &'f Figment,
    pub(crate) profile: Profile,
    pub(crate) problems: Vec<Problem>,
}

impl<'f> Checker<'f> {
    pub(crate) fn new(figment: &'f Figment, profile: Profile) -> Self {
        Self { figment, profile, problems: Vec::new() }
    }

    /// Reads one table. None where a value in it cannot be read: the problem is noted.
    pub(crate) fn section<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        match self.figment.extract_inner::<T>(key) {
            Ok(section) => Some(section),
            Err(errors) => {
                self.problems.extend(errors.into_iter().map(|error| Problem::of_figment(&error, key)));
                None
            }
        }
    }

    /// Notes that the value of a key cannot stand.
    pub(crate) fn refuse(&mut self, key: &str, what: impl Into<String>, instead: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), origin: self.origin(key), what: what.into(), instead: instead.into() });
    }

    /// Notes a problem where `holds` is false.
    pub(crate) fn hold(&mut self, holds: bool, key: &str, what: impl FnOnce() -> String, instead: impl FnOnce() -> String) {
        if !holds {
            self.refuse(key, what(), instead());
        }
    }

    /// Where a key was said; for a key inside a list, where the list was.
    fn origin(&self, key: &str) -> Origin {
        let mut key = key;
        loop {
            if let Some(metadata) = self.figment.find_metadata(key) {
                return Origin::of(Some(metadata));
            }
            match key.rsplit_once('.') {
                Some((outer, _)) => key = outer,
                None => return Origin::Default,
            }
        }
    }
}

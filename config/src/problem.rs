//! What is wrong with a configuration, as sentences.
//!
//! A [`Problem`] names the key, where its value was said (file, environment, flag, default), what is wrong with it and what to write
//! instead. A [`ConfigError`] has all of them, so that an operator mends a file once.

use std::fmt;

use figment::Metadata;
use figment::error::{Actual, Kind};

/// Keys whose values are never printed.
pub(crate) const SECRETS: &[&str] = &["url", "secret", "pem"];

/// Where a value was said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// In the defaults that the binary embeds.
    Default,
    /// In the embedded words of a profile.
    Profile(String),
    /// In a file.
    File(String),
    /// In a variable of the environment.
    Environment(String),
    /// On the command line.
    Flag(String),
}

impl Origin {
    /// Reads back what `layer` wrote into figment's metadata.
    pub(crate) fn of(metadata: Option<&Metadata>) -> Self {
        let Some(metadata) = metadata else { return Self::Default };
        let source = metadata.source.as_ref().and_then(figment::Source::custom).unwrap_or_default().to_owned();
        match metadata.name.as_ref() {
            "profile" => Self::Profile(source),
            "file" => Self::File(source),
            "environment" => Self::Environment(source),
            "flag" => Self::Flag(source),
            _ => Self::Default,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, with dots.
    pub key: String,
    /// Where it was said.
    pub origin: Origin,
    /// What is wrong, and what would follow from it.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return write!(f, "{} ({}): {}", self.what, self.origin, self.instead);
        }
        write!(f, "{} ({}) {}: {}", self.key, self.origin, self.what, self.instead)
    }
}

/// The configuration cannot be used; every problem found is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration cannot be used:{}", .problems.iter().map(|p| format!("\n  {p}")).collect::<String>())]
pub struct ConfigError {
    /// What is wrong, in the order of the manual.
    pub problems: Vec<Problem>,
}

impl Problem {
    /// Puts figment's error into words. `section` is where extraction began; figment puts it behind the inner path.
    pub(crate) fn of_figment(error: &figment::Error, section: &str) -> Self {
        let outer: Vec<&str> = section.split('.').filter(|part| !part.is_empty()).collect();
        let inner = &error.path[..error.path.len().saturating_sub(outer.len())];
        let path: Vec<&str> = outer.into_iter().chain(inner.iter().map(String::as_str)).collect();
        let origin = Origin::of(error.metadata.as_ref());
        let (key, what, instead) = words(&error.kind, path);
        Self { key, origin, what, instead }
    }
}

/// What is wrong and what to write, for each way in which a value can be wrong.
fn words<'a>(kind: &'a Kind, mut path: Vec<&'a str>) -> (String, String, String) {
    match kind {
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            let what = if path.last().is_some_and(|key| SECRETS.contains(key)) {
                "cannot be read".to_owned()
            } else {
                format!("is {}", said(actual))
            };
            (path.join("."), what, format!("write {expected}"))
        }
        Kind::UnknownVariant(variant, expected) => (path.join("."), format!("is \"{variant}\""), format!("write {}", one_of(expected))),
        Kind::UnknownField(field, expected) => {
            if path.last() != Some(&field.as_str()) {
                path.push(field);
            }
            (path.join("."), "is no key".to_owned(), meant(field, expected))
        }
        Kind::MissingField(field) => {
            path.push(field);
            (path.join("."), "is missing".to_owned(), "write it".to_owned())
        }
        other => (path.join("."), "cannot be read".to_owned(), other.to_string()),
    }
}

/// The value as its author knows it. Text is quoted and cut: a secret in the wrong place is not printed whole.
fn said(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(text) if text.chars().count() > 24 => format!("\"{}…\"", text.chars().take(24).collect::<String>()),
        Actual::Str(text) => format!("\"{text}\""),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// Names the key that a misspelled one comes nearest to, or all that there are.
pub(crate) fn meant(wrong: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (strsim::damerau_levenshtein(wrong, known), *known)).min();
    match nearest {
        Some((distance, known)) if distance <= 1 + wrong.len() / 4 => format!("did you mean `{known}`?"),
        _ if known.is_empty() => "remove it".to_owned(),
        _ => format!("the keys here are {}", known.join(", ")),
    }
}

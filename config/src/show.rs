//! Every effective value with where it was said, secrets masked: what `spotter config show` prints.

use figment::Figment;
use figment::value::Value;

use crate::layer::{self, Sources};
use crate::problem::{ConfigError, Origin, SECRETS};

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Key with dots; items of lists by number.
    pub key: String,
    /// The value as TOML, or a mask.
    pub value: String,
    /// Where it was said.
    pub origin: Origin,
}

/// Lists all effective values, also of a configuration that does not check.
///
/// # Errors
/// Only where a layer cannot be read at all.
pub fn show(sources: &Sources) -> Result<Vec<Shown>, ConfigError> {
    let (figment, _) = layer::stack(sources).map_err(|problems| ConfigError { problems })?;
    let mut shown = Vec::new();
    if let Ok(values) = figment.extract::<figment::value::Dict>() {
        // Extracted values lose their tags; the ones found by path keep them.
        for key in values.keys() {
            if let Ok(value) = figment.find_value(key) {
                walk(&figment, key, &value, &mut shown);
            }
        }
    }
    Ok(shown)
}

fn walk(figment: &Figment, key: &str, value: &Value, shown: &mut Vec<Shown>) {
    match value {
        Value::Dict(_, dict) => dict.iter().for_each(|(name, value)| walk(figment, &format!("{key}.{name}"), value, shown)),
        Value::Array(_, items) if items.iter().any(|item| item.as_dict().is_some()) => {
            items.iter().enumerate().for_each(|(index, item)| walk(figment, &format!("{key}.{index}"), item, shown));
        }
        leaf => {
            let origin = Origin::of(figment.get_metadata(leaf.tag()));
            shown.push(Shown { key: key.to_owned(), value: printed(key, leaf), origin });
        }
    }
}

fn printed(key: &str, value: &Value) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    match value {
        Value::String(_, text) if SECRETS.contains(&name) => masked(text),
        _ if SECRETS.contains(&name) => "\"***\"".to_owned(),
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, value) => value.to_string(),
        Value::Num(_, number) => number.to_actual().to_string().split('`').nth(1).unwrap_or_default().to_owned(),
        Value::Array(_, items) => format!("[{}]", items.iter().map(|item| printed("", item)).collect::<Vec<_>>().join(", ")),
        Value::Char(..) | Value::Empty(..) | Value::Dict(..) => String::new(),
    }
}

/// A file's name may be seen; of a URL only scheme and host; of anything else nothing.
fn masked(text: &str) -> String {
    if text.starts_with("sqlite:") {
        return format!("{text:?}");
    }
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.starts_with("postgres") => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            let host = host.split(['?', '#']).next().unwrap_or_default();
            let who = if rest.contains('@') { "***@" } else { "" };
            format!("\"{scheme}://{who}{host}\"")
        }
        _ => "\"***\"".to_owned(),
    }
}

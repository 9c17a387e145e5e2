//! `spotter ftms decode`: values to JSON objects, for people who write gateways.

use serde_json::Value;

use super::names::{error_to_json, parts_to_json};
use super::{Characteristic, Decoded, Quirks, Record};
use crate::text::unhex;

/// The arguments cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CliError {
    /// No such characteristic.
    #[error("`{0}` is no characteristic: write a UUID such as 0x2AD2, or one of {names}", names = names())]
    Characteristic(String),
    /// Not hexadecimal.
    #[error("argument {at}, `{text}`, is not hexadecimal: write two digits a byte, such as 44020000")]
    Hex {
        /// Which argument, from 1.
        at: usize,
        /// What was written.
        text: String,
    },
}

fn names() -> String {
    Characteristic::ALL.iter().map(|characteristic| characteristic.name()).collect::<Vec<_>>().join(", ")
}

/// One readable object for each value; with `merge`, one for each record that the values are parts of, in any order.
///
/// `device` selects quirks as [`Quirks::of_device`] does. Digits may be grouped by spaces, colons or hyphens and begin with `0x`.
///
/// # Errors
/// [`CliError`] where an argument cannot be read. A value that means nothing is an object with `error`.
pub fn decode(characteristic: &str, hexes: &[String], merge: bool, device: Option<&str>) -> Result<Vec<Value>, CliError> {
    let known = Characteristic::parse(characteristic).ok_or_else(|| CliError::Characteristic(characteristic.to_owned()))?;
    let quirks = device.map_or(Quirks::NONE, Quirks::of_device);
    let values = hexes.iter().enumerate().map(|(at, text)| bytes(at + 1, text)).collect::<Result<Vec<_>, _>>()?;
    if merge && known.comes_in_parts() {
        return Ok(merged(known, &values, quirks));
    }
    let readable = |bytes: &Vec<u8>| Decoded::decode(known, bytes, quirks).map_or_else(error_to_json, |decoded| decoded.to_json());
    Ok(values.iter().map(readable).collect())
}

fn bytes(at: usize, text: &str) -> Result<Vec<u8>, CliError> {
    let digits: String = text.chars().filter(|character| !matches!(character, ' ' | ':' | '-')).collect();
    let digits = digits.strip_prefix("0x").or(digits.strip_prefix("0X")).unwrap_or(&digits);
    unhex(digits).ok_or_else(|| CliError::Hex { at, text: text.to_owned() })
}

/// Values as the parts of one record, or of several where a field repeats.
fn merged(characteristic: Characteristic, values: &[Vec<u8>], quirks: Quirks) -> Vec<Value> {
    let mut groups: Vec<Vec<Record>> = Vec::new();
    for record in values.iter().filter_map(|bytes| Record::decode(characteristic, bytes, quirks)) {
        match groups.last_mut() {
            Some(group) if group.iter().all(|part| !part.repeats(&record)) => group.push(record),
            _ => groups.push(vec![record]),
        }
    }
    groups.iter().map(parts_to_json).collect()
}

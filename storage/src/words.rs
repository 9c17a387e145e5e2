//! Enums and small values of `protocol` as the text of a column, by the same words as on the wire.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The word of a plain enum, as in JSON frames.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a plain enum serializes as a word, not {other:?}"),
    }
}

/// The enum of a word.
pub(crate) fn unword<T: DeserializeOwned>(word: String) -> Result<T, serde_json::Error> {
    serde_json::from_value(serde_json::Value::String(word))
}

/// JSON text of a value that has no maps with odd keys and so cannot fail.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("structs of the protocol have text keys only")
}

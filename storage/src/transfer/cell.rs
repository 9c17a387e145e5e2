//! One value of one row, the same from either database.

use uuid::Uuid;

use crate::db::{Row, Value};
use crate::error::StoreError;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Real,
    Text,
    Uuid,
    Bytes,
    Bool,
}

impl Kind {
    /// Of a type of Postgres.
    pub(super) fn of_postgres(name: &str) -> Option<Self> {
        Some(match name {
            "bigint" | "integer" | "smallint" => Self::Int,
            "double precision" | "real" => Self::Real,
            "text" | "character varying" => Self::Text,
            "uuid" => Self::Uuid,
            "bytea" => Self::Bytes,
            "boolean" => Self::Bool,
            _ => return None,
        })
    }

    /// Of a declared type of SQLite, where ids are bytes like others.
    pub(super) fn of_sqlite(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "integer" | "bigint" => Self::Int,
            "real" => Self::Real,
            "text" => Self::Text,
            "blob" => Self::Bytes,
            "boolean" => Self::Bool,
            _ => return None,
        })
    }

    /// The column in a query of Postgres, in the width that is read here.
    pub(super) fn in_postgres(self, column: &str) -> String {
        match self {
            Self::Int => format!("{column}::bigint"),
            Self::Real => format!("{column}::double precision"),
            Self::Text => format!("{column}::text"),
            Self::Uuid | Self::Bytes | Self::Bool => column.to_owned(),
        }
    }

    pub(super) fn read(self, row: &Row, operation: &'static str, column: usize) -> Result<Value, StoreError> {
        Ok(match self {
            Self::Int => Value::Int(row.get(operation, column)?),
            Self::Real => Value::Real(row.get(operation, column)?),
            Self::Text => Value::Text(row.get(operation, column)?),
            Self::Uuid => Value::Uuid(row.get(operation, column)?),
            Self::Bytes => Value::Bytes(row.get(operation, column)?),
            Self::Bool => Value::Bool(row.get(operation, column)?),
        })
    }

    /// A value of a key from its text.
    pub(super) fn parse(self, text: &str) -> Option<Value> {
        Some(match self {
            Self::Int => Value::Int(Some(text.parse().ok()?)),
            Self::Real => return None,
            Self::Text => Value::Text(Some(text.to_owned())),
            Self::Uuid => Value::Uuid(Some(text.parse().ok()?)),
            Self::Bytes => Value::Bytes(Some(bytes_of(text)?)),
            Self::Bool => Value::Bool(Some(text == "true")),
        })
    }
}

/// A value of a key as text.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Int(value) => value.unwrap_or_default().to_string(),
        Value::Text(value) => value.clone().unwrap_or_default(),
        Value::Uuid(value) => value.unwrap_or_default().to_string(),
        Value::Bytes(value) => protocol::text::hex(value.as_deref().unwrap_or_default()),
        Value::Bool(value) => value.unwrap_or_default().to_string(),
        Value::Real(_) | Value::Ints(_) | Value::Blobs(_) | Value::Texts(_) => String::new(),
    }
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().as_chunks::<2>().0;
    digits.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Bytes that are the same for the same value in both databases: one that says whether there is any, the length, the value.
pub(super) fn canonical(value: &Value, out: &mut Vec<u8>) {
    let mut say = |bytes: Option<&[u8]>| match bytes {
        None => out.push(0),
        Some(bytes) => {
            out.push(1);
            out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            out.extend_from_slice(bytes);
        }
    };
    match value {
        Value::Int(value) => say(value.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)),
        Value::Real(value) => say(value.map(f64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)),
        Value::Text(value) => say(value.as_deref().map(str::as_bytes)),
        Value::Uuid(value) => say(value.as_ref().map(Uuid::as_bytes).map(<[u8; 16]>::as_slice)),
        Value::Bytes(value) => say(value.as_deref()),
        Value::Bool(value) => say(value.map(|value| [u8::from(value)]).as_ref().map(<[u8; 1]>::as_slice)),
        Value::Ints(_) | Value::Blobs(_) | Value::Texts(_) => say(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text() {
        let id = Uuid::from_u128(0x1234_5678);
        let keys = [
            (Kind::Int, Value::Int(Some(-7))),
            (Kind::Text, Value::Text(Some("strap:8C\u{fc}".to_owned()))),
            (Kind::Uuid, Value::Uuid(Some(id))),
            (Kind::Bytes, Value::Bytes(Some(vec![0, 255, 16]))),
        ];
        for (kind, value) in keys {
            let again = kind.parse(&text_of(&value)).unwrap();
            let (mut a, mut b) = (Vec::new(), Vec::new());
            canonical(&value, &mut a);
            canonical(&again, &mut b);
            assert_eq!(a, b, "{value:?}");
        }
    }
}

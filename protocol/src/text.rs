//! Text with a bound in its type, so that no frame carries more than its field says.

use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// UTF-8 text of at most `MAX` bytes; longer text does not decode.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Default)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(String);

/// The text was longer than its field allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text of {len} bytes where at most {max} are allowed")]
pub struct TextTooLong {
    /// Bytes given.
    pub len: usize,
    /// Bytes allowed.
    pub max: usize,
}

impl<const MAX: usize> Text<MAX> {
    /// Wraps text of at most `MAX` bytes.
    ///
    /// # Errors
    /// [`TextTooLong`] with both lengths; the caller shortens it.
    pub fn new(text: impl Into<String>) -> Result<Self, TextTooLong> {
        let text = text.into();
        if text.len() > MAX { Err(TextTooLong { len: text.len(), max: MAX }) } else { Ok(Self(text)) }
    }

    /// Wraps text, cutting it at the last whole character within `MAX` bytes.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        Self(text[..text.floor_char_boundary(MAX)].to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Text{MAX}").into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX })
    }
}

/// Bytes: hexadecimal text in JSON, `bin` in MessagePack; at most `MAX`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Blob<const MAX: usize>(pub smallvec::SmallVec<[u8; 24]>);

impl<const MAX: usize> Blob<MAX> {
    /// Wraps at most `MAX` bytes.
    ///
    /// # Errors
    /// [`TextTooLong`] with both lengths.
    pub fn new(bytes: &[u8]) -> Result<Self, TextTooLong> {
        if bytes.len() > MAX { Err(TextTooLong { len: bytes.len(), max: MAX }) } else { Ok(Self(bytes.into())) }
    }
}

impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({})", hex(&self.0))
    }
}

/// Lower-case hexadecimal digits of `bytes`, two a byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Bytes of hexadecimal text of either case; `None` where a digit is missing or wrong.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    digits.chunks(2).map(|pair| Some((char::from(pair[0]).to_digit(16)? * 16 + char::from(pair[1]).to_digit(16)?) as u8)).collect()
}

impl<const MAX: usize> Serialize for Blob<MAX> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.serialize_str(&hex(&self.0)) } else { serializer.serialize_bytes(&self.0) }
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Blob<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlobVisitor<const MAX: usize>;
        impl<const MAX: usize> de::Visitor<'_> for BlobVisitor<MAX> {
            type Value = Blob<MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MAX} bytes, as binary or as hexadecimal text")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Blob::new(bytes).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text.len() > MAX * 2 {
                    return Err(E::custom(TextTooLong { len: text.len() / 2, max: MAX }));
                }
                Blob::new(&unhex(text).ok_or_else(|| E::custom("hexadecimal digits in pairs, such as 44020000"))?).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(BlobVisitor::<MAX>)
    }
}

impl<const MAX: usize> JsonSchema for Blob<MAX> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Blob{MAX}").into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9a-fA-F]{2})*$", "maxLength": MAX * 2 })
    }
}

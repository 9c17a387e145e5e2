//! Frames as JSON objects with `t`.

use serde::Deserialize;

use super::{DecodeError, Frame};

pub(super) fn encode<F: Frame>(frame: &F, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"t\":\"");
    out.extend_from_slice(frame.name().as_bytes());
    out.push(b'"');
    let start = out.len();
    frame.serialize_fields(&mut serde_json::Serializer::new(&mut *out)).expect("frames have string keys and write to memory");
    // The fields are an object of their own: its brace becomes our comma, or goes where it is empty.
    if out[start + 1] == b'}' {
        out.remove(start);
    } else {
        out[start] = b',';
    }
}

pub(super) fn decode<F: Frame>(bytes: &[u8]) -> Result<F, DecodeError> {
    #[derive(Deserialize)]
    struct Tag<'a> {
        #[serde(borrow)]
        t: std::borrow::Cow<'a, str>,
    }
    let malformed = |error: serde_json::Error| DecodeError::Malformed(error.to_string());
    let Tag { t } = serde_json::from_slice(bytes).map_err(malformed)?;
    let unknown = || DecodeError::Unknown(t.chars().take(32).collect());
    let kind = F::kind_of(&t).ok_or_else(unknown)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    F::deserialize_fields(kind, &mut deserializer).map_err(malformed)?.ok_or_else(unknown)
}

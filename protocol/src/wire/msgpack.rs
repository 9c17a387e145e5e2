//! Frames as MessagePack arrays `[kind, fields...]`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Deserializer as _, IgnoredAny, SeqAccess, Visitor};

use smallvec::SmallVec;

use super::{DecodeError, Frame, guard};

pub(super) fn encode<F: Frame>(frame: &F, out: &mut Vec<u8>) {
    // rmp-serde writes the fields as an array; its header is rewritten to one item more, with the kind first.
    let start = out.len();
    frame.serialize_fields(&mut rmp_serde::Serializer::new(&mut *out)).expect("frames have known lengths and write to memory");
    let (items, header_bytes) = guard::array_header(&out[start..]).expect("fields are written as an array");
    let [a, b, c, d] = (items + 1).to_be_bytes();
    let mut head: SmallVec<[u8; 8]> = match items + 1 {
        0..=15 => SmallVec::from_slice(&[0x90 | d]),
        16..=0xffff => SmallVec::from_slice(&[0xdc, c, d]),
        _ => SmallVec::from_slice(&[0xdd, a, b, c, d]),
    };
    // Kinds are below 128: one byte.
    head.push(frame.kind());
    out.splice(start..start + header_bytes, head);
}

pub(super) fn decode<F: Frame>(bytes: &[u8]) -> Result<F, DecodeError> {
    guard::check(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
    match (&mut deserializer).deserialize_any(FrameVisitor::<F>(PhantomData)) {
        Ok((_, Some(frame))) => Ok(frame),
        Ok((kind, None)) => Err(DecodeError::Unknown(kind.to_string())),
        Err(error) => Err(DecodeError::Malformed(error.to_string())),
    }
}

struct FrameVisitor<F>(PhantomData<F>);

impl<'de, F: Frame> Visitor<'de> for FrameVisitor<F> {
    type Value = (u64, Option<F>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array [kind, fields...]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let kind: u64 = seq.next_element()?.ok_or_else(|| de::Error::custom("an empty array has no kind"))?;
        let frame = match u8::try_from(kind) {
            Ok(known) => F::deserialize_fields(known, SeqAccessDeserializer::new(&mut seq))?,
            Err(_) => None,
        };
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok((kind, frame))
    }
}

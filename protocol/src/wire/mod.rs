//! Frames to bytes and back, in both encodings.
//!
//! Enters: one WebSocket message. Leaves: one typed frame, or a [`DecodeError`] that names what is wrong. Before serde sees a
//! MessagePack message, [`guard`] has walked it: nesting, lengths and item counts are bounded by the message's own size, so that
//! decoding allocates no more than a small multiple of it. JSON is bounded by serde_json's recursion limit and its text.

pub mod guard;
mod json;
mod msgpack;
mod sample;

use std::fmt;

use crate::frame::{ClientFrame, ServerFrame};

/// How frames are written on one connection, chosen by the WebSocket subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encoding {
    /// `spotter.v1.msgpack`: binary messages, arrays `[kind, fields...]`.
    MessagePack,
    /// `spotter.v1.json`: text messages, objects with `t`.
    Json,
}

impl Encoding {
    /// All encodings, the preferred first.
    pub const ALL: [Self; 2] = [Self::MessagePack, Self::Json];

    /// The subprotocol in `Sec-WebSocket-Protocol`.
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::MessagePack => "spotter.v1.msgpack",
            Self::Json => "spotter.v1.json",
        }
    }

    /// The encoding of a subprotocol.
    #[must_use]
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.subprotocol() == name)
    }
}

/// The message is not a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not MessagePack or JSON, or past the bounds, or fields missing or of the wrong type.
    #[error("{0}")]
    Malformed(String),
    /// Well-formed, and of no kind that is known in this direction.
    #[error("no frame `{0}` in this direction")]
    Unknown(String),
}

/// A table of frames, as the `frames!` macro makes it.
pub(crate) trait Frame: Sized + fmt::Debug {
    fn kind_of(name: &str) -> Option<u8>;
    fn kind(&self) -> u8;
    fn name(&self) -> &'static str;
    fn serialize_fields<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    fn deserialize_fields<'de, D: serde::Deserializer<'de>>(kind: u8, deserializer: D) -> Result<Option<Self>, D::Error>;
}

macro_rules! codec {
    ($frame:ident, $shortcut:expr) => {
        impl $frame {
            /// Appends the frame to `out`.
            pub fn encode(&self, encoding: Encoding, out: &mut Vec<u8>) {
                match encoding {
                    Encoding::MessagePack => msgpack::encode(self, out),
                    Encoding::Json => json::encode(self, out),
                }
            }

            /// The frame as bytes of its own.
            #[must_use]
            pub fn to_bytes(&self, encoding: Encoding) -> Vec<u8> {
                let mut out = Vec::with_capacity(64);
                self.encode(encoding, &mut out);
                out
            }

            /// Reads one frame. Fields after the known ones are ignored.
            ///
            /// # Errors
            /// [`DecodeError::Unknown`] for a kind of a later version: answer with an error frame and go on.
            /// [`DecodeError::Malformed`] otherwise: close the session.
            pub fn decode(encoding: Encoding, bytes: &[u8]) -> Result<Self, DecodeError> {
                match encoding {
                    Encoding::MessagePack => match $shortcut(bytes) {
                        Some(frame) => Ok(Self::from(frame)),
                        None => msgpack::decode(bytes),
                    },
                    Encoding::Json => json::decode(bytes),
                }
            }
        }
    };
}

codec!(ClientFrame, sample::decode);
// What the hub sends is read by clients, each a little.
codec!(ServerFrame, |_: &[u8]| None::<ServerFrame>);

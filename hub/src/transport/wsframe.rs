//! WebSocket frames as the hub writes them (RFC 6455 section 5.2).
//!
//! In: a server frame, or a control payload. Out: bytes with their header, the same for every receiver: what a server sends is not
//! masked, so one prepared frame is shared by a whole room. Never fragments. tungstenite is the oracle in the tests.

use std::cell::RefCell;

use bytes::Bytes;
use protocol::wire::Encoding;
use protocol::{CloseReason, ServerFrame};

/// Longest header of an unmasked frame: two bytes and a 64-bit length.
const HEADER_BYTES_MAX: usize = 10;
/// A control frame carries at most this much (section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// A scratch buffer that grew past this is given back.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

/// What a frame is, in its first byte with FIN set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// UTF-8 text.
    Text = 0x81,
    /// Bytes.
    Binary = 0x82,
    /// Goodbye.
    Close = 0x88,
    /// Are you there?
    Ping = 0x89,
    /// Yes.
    Pong = 0x8a,
}

/// A ping without payload, ready to be shared.
pub const PING: Bytes = Bytes::from_static(&[Opcode::Ping as u8, 0]);

impl Opcode {
    /// The kind of message that an encoding travels in.
    #[must_use]
    pub const fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::MessagePack => Self::Binary,
            Encoding::Json => Self::Text,
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One server frame with its WebSocket header, in one allocation of its exact size.
#[must_use]
pub fn prepare(frame: &ServerFrame, encoding: Encoding) -> Bytes {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        scratch.resize(HEADER_BYTES_MAX, 0);
        frame.encode(encoding, scratch);
        let bytes = finish(scratch, Opcode::of(encoding));
        if scratch.capacity() > SCRATCH_BYTES_MAX {
            *scratch = Vec::new();
        }
        bytes
    })
}

/// A message of any kind with its header.
#[must_use]
pub fn message(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut whole = Vec::with_capacity(HEADER_BYTES_MAX + payload.len());
    whole.resize(HEADER_BYTES_MAX, 0);
    whole.extend_from_slice(payload);
    finish(&mut whole, opcode)
}

/// The close frame of a reason: its number, its name and what to do.
#[must_use]
pub fn close(reason: CloseReason, detail: Option<&str>) -> Bytes {
    let text = match detail {
        Some(detail) => format!("{}: {detail}", reason.name()),
        None => format!("{}: {}", reason.name(), reason.text()),
    };
    close_code(reason.code(), &text)
}

/// A close frame of any code; the text is cut to what a control frame holds.
#[must_use]
pub fn close_code(code: u16, text: &str) -> Bytes {
    let text = &text[..text.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    let mut payload = Vec::with_capacity(CONTROL_BYTES_MAX);
    payload.extend_from_slice(&code.to_be_bytes());
    payload.extend_from_slice(text.as_bytes());
    message(Opcode::Close, &payload)
}

/// Writes the header in front of the payload, which begins at `HEADER_BYTES_MAX`, and copies both out.
fn finish(whole: &mut [u8], opcode: Opcode) -> Bytes {
    let len = whole.len() - HEADER_BYTES_MAX;
    let mut header = [0_u8; HEADER_BYTES_MAX];
    header[0] = opcode as u8;
    let header_bytes = match len {
        0..=125 => {
            header[1] = len as u8;
            2
        }
        126..=0xffff => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            10
        }
    };
    let start = HEADER_BYTES_MAX - header_bytes;
    whole[start..HEADER_BYTES_MAX].copy_from_slice(&header[..header_bytes]);
    Bytes::copy_from_slice(&whole[start..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocket};

    use super::*;

    fn oracle(frame: Frame) -> Vec<u8> {
        let mut socket = WebSocket::from_raw_socket(std::io::Cursor::new(Vec::new()), Role::Server, None);
        socket.send(tokio_tungstenite::tungstenite::Message::Frame(frame)).unwrap();
        socket.get_ref().get_ref().clone()
    }

    proptest! {
        #[test]
        fn our_frames_are_tungstenites(payload in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let expected = oracle(Frame::message(payload.clone(), OpCode::Data(Data::Binary), true));
            prop_assert_eq!(&message(Opcode::Binary, &payload)[..], &expected[..]);
        }

        #[test]
        fn our_close_frames_are_tungstenites(code in 4000_u16..4999, text in "[a-zé]{0,60}") {
            let expected = oracle(Frame::close(Some(CloseFrame { code: CloseCode::from(code), reason: text.clone().into() })));
            prop_assert_eq!(&close_code(code, &text)[..], &expected[..]);
        }
    }

    #[test]
    fn every_length_field_is_exact_at_its_edges() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let payload = vec![7_u8; len];
            assert_eq!(message(Opcode::Binary, &payload), oracle(Frame::message(payload, OpCode::Data(Data::Binary), true)), "{len}");
        }
    }

    #[test]
    fn a_prepared_frame_is_its_encoding_in_a_message() {
        let pong = ServerFrame::from(protocol::frame::Pong { n: 7, server_at_ms: 12 });
        for encoding in Encoding::ALL {
            assert_eq!(prepare(&pong, encoding), message(Opcode::of(encoding), &pong.to_bytes(encoding)));
        }
    }

    #[test]
    fn every_close_reason_fits_a_control_frame() {
        for &reason in CloseReason::ALL {
            assert!(close(reason, None).len() <= 2 + CONTROL_BYTES_MAX);
        }
    }
}

//! Our WebSocket writer against tungstenite's reader: any messages, prepared by us, are read as they were written.
//!
//! Input: messages as `[kind, length, bytes...]`.

#![no_main]

use std::io::Cursor;

use hub::transport::wsframe::{self, Opcode};
use libfuzzer_sys::fuzz_target;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

fuzz_target!(|bytes: &[u8]| {
    let (mut rest, mut wire, mut written) = (bytes, Vec::new(), Vec::new());
    while let [kind, length, tail @ ..] = rest {
        // Lengths around the edges of the header's three forms come often.
        let wanted = [usize::from(*length), 125, 126, 127, 65_535, 65_536][usize::from(*kind >> 4) % 6];
        let (payload, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        let mut payload = payload.to_vec();
        payload.resize(wanted.max(payload.len()), 0);
        match kind % 4 {
            0 => {
                wire.extend_from_slice(&wsframe::message(Opcode::Binary, &payload));
                written.push(Message::binary(payload));
            }
            1 => {
                let text = String::from_utf8_lossy(&payload).into_owned();
                wire.extend_from_slice(&wsframe::message(Opcode::Text, text.as_bytes()));
                written.push(Message::text(text));
            }
            2 => {
                payload.truncate(125);
                wire.extend_from_slice(&wsframe::message(Opcode::Ping, &payload));
                written.push(Message::Ping(payload.into()));
            }
            _ => {
                payload.truncate(125);
                wire.extend_from_slice(&wsframe::message(Opcode::Pong, &payload));
                written.push(Message::Pong(payload.into()));
            }
        }
    }
    let text = String::from_utf8_lossy(bytes);
    wire.extend_from_slice(&wsframe::close_code(4200, &text));
    let mut socket = WebSocket::from_raw_socket(Half(Cursor::new(wire)), Role::Client, None);
    for expected in written {
        assert_eq!(socket.read().expect("our frame is read"), expected);
    }
    match socket.read() {
        Ok(Message::Close(Some(close))) => assert_eq!((u16::from(close.code), text.starts_with(close.reason.as_str())), (4200, true)),
        other => panic!("a close frame is read as {other:?}"),
    }
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed | Error::Protocol(_))));
});

/// Reads what we wrote; what the client answers goes nowhere.
struct Half(Cursor<Vec<u8>>);

impl std::io::Read for Half {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl std::io::Write for Half {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

//! Frames in MessagePack, both directions: nothing panics, what is read is written and read again as the same, and the fast path for samples
//! agrees with the general one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::wire::{DecodeError, Encoding, guard};
use protocol::{ClientFrame, ServerFrame};

fuzz_target!(|bytes: &[u8]| {
    let sound = guard::check(bytes);
    match ClientFrame::decode(Encoding::MessagePack, bytes) {
        Ok(frame) => {
            assert_eq!(sound, Ok(()), "a frame was read that the guard refuses");
            let again = ClientFrame::decode(Encoding::MessagePack, &frame.to_bytes(Encoding::MessagePack));
            // Not a number is not equal to itself; no frame holds one.
            assert_eq!(again.as_ref(), Ok(&frame));
            assert_eq!(ClientFrame::decode(Encoding::Json, &frame.to_bytes(Encoding::Json)), Ok(frame), "JSON says something else");
        }
        Err(DecodeError::Malformed(place)) => assert!(place.len() < 4096, "an error as long as a message"),
        Err(DecodeError::Unknown(kind)) => assert!(kind.len() <= 64),
    }
    if let Ok(frame) = ServerFrame::decode(Encoding::MessagePack, bytes) {
        assert_eq!(ServerFrame::decode(Encoding::MessagePack, &frame.to_bytes(Encoding::MessagePack)), Ok(frame));
    }
});

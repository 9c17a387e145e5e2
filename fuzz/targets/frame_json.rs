//! Frames in JSON, both directions: nothing panics, and what is read is written and read again as the same in either encoding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::wire::{DecodeError, Encoding};
use protocol::{ClientFrame, ServerFrame};

fuzz_target!(|bytes: &[u8]| {
    match ClientFrame::decode(Encoding::Json, bytes) {
        Ok(frame) => {
            for encoding in Encoding::ALL {
                assert_eq!(ClientFrame::decode(encoding, &frame.to_bytes(encoding)).as_ref(), Ok(&frame), "{encoding:?}");
            }
        }
        Err(DecodeError::Malformed(place)) => assert!(place.len() < 4096, "an error as long as a message"),
        Err(DecodeError::Unknown(kind)) => assert!(kind.chars().count() <= 32),
    }
    if let Ok(frame) = ServerFrame::decode(Encoding::Json, bytes) {
        assert_eq!(ServerFrame::decode(Encoding::Json, &frame.to_bytes(Encoding::Json)), Ok(frame));
    }
});

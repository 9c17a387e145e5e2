//! FTMS and sensors: every characteristic, every quirk, the control point both ways, and whole streams whose records come in parts.
//!
//! Input: `[characteristic, quirks, flags, ...]` and then notifications as `[length, bytes...]`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::ftms::{Characteristic, ControlPoint, Decoded, Quirks, Stream};

const DEVICES: [&str; 6] = ["", "Concept2 PM5", "KICKR", "Schwinn IC4", "Tacx", "HRM-Dual"];

fuzz_target!(|bytes: &[u8]| {
    let [which, device, step, rest @ ..] = bytes else { return };
    let characteristic = Characteristic::ALL[usize::from(*which) % Characteristic::ALL.len()];
    let quirks = Quirks::of_device(DEVICES[usize::from(*device) % DEVICES.len()]);
    if let Ok(decoded) = Decoded::decode(characteristic, rest, quirks) {
        // What was written by us is read as it was meant.
        let written = decoded.encode();
        let again = Decoded::decode(characteristic, &written, quirks).expect("our own bytes are read");
        assert_eq!(again.encode(), written, "{decoded:?}");
        let _issues = decoded.issues();
    }
    let _either_way = ControlPoint::decode(rest);
    stream(rest, quirks, i64::from(*step));
});

/// Seqs of the rows rise, and none comes twice.
fn stream(mut rest: &[u8], quirks: Quirks, step: i64) {
    let (mut stream, mut rows, mut seq) = (Stream::new(quirks), Vec::new(), 0_u32);
    stream.pass(1, 0, &mut rows);
    while let [which, length, tail @ ..] = rest {
        let (value, tail) = tail.split_at(usize::from(*length % 32).min(tail.len()));
        rest = tail;
        seq += 1 + u32::from(*length >> 6 == 3);
        let dev_ms = i64::from(seq).wrapping_mul(step * 37);
        let uuid = Characteristic::ALL[usize::from(*which) % Characteristic::ALL.len()].uuid();
        // Characteristics without readings are refused.
        stream.push(seq, dev_ms, uuid, value, &mut rows).ok();
        if which & 0x80 != 0 {
            stream.tick(dev_ms + 400, &mut rows);
        }
    }
    stream.close(&mut rows);
    assert!(stream.open_from().is_none());
    let mut seen: Vec<u32> = rows.iter().flat_map(|row| std::iter::once(row.seq).chain(row.absorbed.iter().copied())).collect();
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "a seq went into two rows");
}

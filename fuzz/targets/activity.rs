//! Somebody's FIT or TCX file: bounded, in order of time, and never a panic.
//!
//! Input: a byte that chooses, then a whole file, or the records of a FIT file that gets a header and checksums here.

#![no_main]

use activity::{READINGS_MAX, read};
use libfuzzer_sys::fuzz_target;

/// FIT protocol, section 3.3.2: CRC-16 by nibbles.
const CRC: [u16; 16] =
    [0x0000, 0xcc01, 0xd801, 0x1400, 0xf001, 0x3c00, 0x2800, 0xe401, 0xa001, 0x6c00, 0x7800, 0xb401, 0x5000, 0x9c01, 0x8801, 0x4400];

fuzz_target!(|bytes: &[u8]| {
    let [way, rest @ ..] = bytes else { return };
    let framed;
    let file = if way & 1 == 0 {
        rest
    } else {
        framed = fit(rest);
        &framed
    };
    let Ok(recorded) = read(file) else { return };
    assert!(recorded.readings.len() <= READINGS_MAX);
    assert!(recorded.started_at_ms <= recorded.ended_at_ms);
    assert!(recorded.readings.is_sorted_by_key(|(at_ms, _)| *at_ms) && recorded.sets.is_sorted_by_key(|(at_ms, _)| *at_ms));
    let span_ms = recorded.ended_at_ms - recorded.started_at_ms;
    assert!(recorded.readings.iter().all(|(at_ms, reading)| (0..=span_ms).contains(at_ms) && !reading.is_empty()));
});

/// A FIT file of these records.
fn fit(records: &[u8]) -> Vec<u8> {
    let mut file = vec![14, 0x20, 0x5c, 0x08];
    file.extend_from_slice(&(records.len() as u32).to_le_bytes());
    file.extend_from_slice(b".FIT");
    file.extend_from_slice(&crc(&file).to_le_bytes());
    file.extend_from_slice(records);
    let sum = crc(&file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

fn crc(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .flat_map(|byte| [byte & 0x0f, byte >> 4])
        .fold(0, |crc, nibble| (crc >> 4) ^ CRC[usize::from(crc & 0x0f)] ^ CRC[usize::from(nibble)])
}

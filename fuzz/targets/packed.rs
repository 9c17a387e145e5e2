//! Packed readings and minutes: any bytes are an answer within its bounds, and whatever was packed comes back to the bit.
//!
//! Input: a byte that chooses, then the body of a chunk, the body of minutes, or rows of a few bytes each that are packed here.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::limits::RR_MAX;
use protocol::{Field, Reading};
use sha2::{Digest as _, Sha256};
use storage::packed::{Chunk, PackedRow, ROWS_MAX, decode, decode_body, encode, minutes_decode, minutes_encode, minutes_of};

/// Bytes that make a row.
const ROW_BYTES: usize = 9;
/// Fields and intervals of a reading.
const VALUES_MAX: usize = 31 + RR_MAX;

fuzz_target!(|bytes: &[u8]| {
    let [way, rest @ ..] = bytes else { return };
    match way % 3 {
        0 => bounded(decode_body(rest).ok()),
        1 => {
            bounded(decode(rest).ok());
            if let Ok(minutes) = minutes_decode(&checked(rest)) {
                assert!(minutes.len() <= ROWS_MAX);
                assert_eq!(minutes_decode(&minutes_encode(&minutes)).as_ref(), Ok(&minutes));
            }
        }
        _ => packed(rest),
    }
});

fn checked(body: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(&Sha256::digest(body)[..4]);
    bytes
}

/// What is read has bounds, and where it is a chunk at all it is written and read again as the same.
fn bounded(chunk: Option<Chunk>) {
    let Some(chunk) = chunk else { return };
    assert!(chunk.rows.len() <= ROWS_MAX);
    assert!(chunk.rows.iter().all(|row| row.reading.values().len() <= VALUES_MAX));
    if let Ok(bytes) = encode(chunk.anchor_at_ms, &chunk.rows) {
        assert_eq!(decode(&bytes), Ok(chunk));
    }
}

fn packed(bytes: &[u8]) {
    let mut seq = 0_u32;
    let rows: Vec<PackedRow> = bytes
        .chunks_exact(ROW_BYTES)
        .take(ROWS_MAX)
        .map(|row| {
            seq += 1 + u32::from(row[0] % 5);
            let (dev_ms, at_ms) = (i64::from(seq) * 1_000 + i64::from(row[1]), i64::from(row[2]) << (row[0] % 50));
            let mut reading = Reading::new();
            for (bit, field) in Field::ALL.into_iter().enumerate().filter(|(bit, _)| (row[3] >> (bit % 8)) & 1 == 1) {
                reading.set(field, (i32::from(row[4]) << (row[5] % 24)).wrapping_sub(bit as i32));
            }
            reading.set_rr(&vec![u16::from(row[6]) * 7; usize::from(row[7]) % (RR_MAX + 1)]);
            let fingerprint = (row[8] & 3 == 3).then_some(at_ms ^ dev_ms);
            PackedRow { seq, dev_ms, received_at_ms: at_ms, corrected_at_ms: at_ms + dev_ms, reading, derived: u32::from(row[8] >> 6), fingerprint }
        })
        .collect();
    let Ok(chunk) = encode(7, &rows) else { return assert!(rows.is_empty()) };
    let minutes = minutes_of(rows.iter().map(|row| (row.corrected_at_ms, &row.reading)));
    assert_eq!(decode(&chunk), Ok(Chunk { anchor_at_ms: 7, rows }));
    assert_eq!(minutes_decode(&minutes_encode(&minutes)), Ok(minutes));
}

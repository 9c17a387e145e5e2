//! Any readings come back to the bit; any bytes are an answer.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::field::RR_BIT;
use protocol::limits::RR_MAX;
use protocol::{Field, Reading};

use super::*;

fn any_reading() -> impl Strategy<Value = Reading> {
    (any::<u32>(), vec(any::<i32>(), 31), vec(any::<i32>(), 0..=RR_MAX)).prop_map(|(mask, values, rr)| {
        let fields = (mask & !RR_BIT).count_ones() as usize;
        let rr = if mask & RR_BIT == 0 { Vec::new() } else { rr };
        Reading::from_parts(mask, values[..fields].iter().chain(&rr).copied().collect()).expect("as many values as bits")
    })
}

fn any_row() -> impl Strategy<Value = PackedRow> {
    let times = (any::<i64>(), any::<i64>(), any::<i64>());
    (times, any_reading(), any::<u32>(), any::<Option<i64>>()).prop_map(
        |((dev_ms, received_at_ms, corrected_at_ms), reading, derived, fingerprint)| PackedRow {
            seq: 0,
            dev_ms,
            received_at_ms,
            corrected_at_ms,
            reading,
            derived,
            fingerprint,
        },
    )
}

/// What a bike says in a second: small steps, some fields missing now and then.
fn tame_row() -> impl Strategy<Value = PackedRow> {
    (-20..20_i32, 100..130_i32, 0..50_i64, any::<bool>()).prop_map(|(power, bpm, jitter, whole)| {
        let mut reading = Reading::new();
        reading.set(Field::Power, 200 + power);
        reading.set(Field::Speed, 3_000 - power);
        if whole {
            reading.set(Field::HeartRate, bpm);
            reading.set_rr(&[600, 610]);
        }
        PackedRow { seq: 0, dev_ms: jitter, received_at_ms: jitter * 2, corrected_at_ms: 7, reading, derived: 0, fingerprint: None }
    })
}

fn numbered(mut rows: Vec<PackedRow>, steps: &[u32]) -> Vec<PackedRow> {
    let mut seq = 0;
    for (row, step) in rows.iter_mut().zip(steps.iter().cycle()) {
        seq += 1 + step % 3;
        row.seq = seq;
    }
    rows
}

fn paced(mut rows: Vec<PackedRow>) -> Vec<PackedRow> {
    for (place, row) in rows.iter_mut().enumerate() {
        row.seq = place as u32 + 1;
        row.dev_ms += place as i64 * 1_000;
        row.received_at_ms += row.dev_ms + 1_795_262_400_000;
        row.corrected_at_ms += row.dev_ms + 1_795_262_400_000;
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_readings_come_back(anchor in any::<i64>(), rows in vec(any_row(), 1..60), steps in vec(any::<u32>(), 1..9)) {
        let rows = numbered(rows, &steps);
        let bytes = encode(anchor, &rows).unwrap();
        prop_assert_eq!(decode(&bytes).unwrap(), Chunk { anchor_at_ms: anchor, rows });
    }

    #[test]
    fn tame_readings_come_back_and_are_small(rows in vec(tame_row(), 300..700)) {
        let rows = paced(rows);
        let bytes = encode(1_795_262_400_000, &rows).unwrap();
        prop_assert!(bytes.len() < rows.len() * 10, "{} bytes for {} rows", bytes.len(), rows.len());
        prop_assert_eq!(decode(&bytes).unwrap().rows, rows);
    }

    #[test]
    fn any_bytes_are_an_answer(bytes in vec(any::<u8>(), 0..400)) {
        drop(decode(&bytes));
        if let Ok(chunk) = decode_body(&[&[1][..], &bytes].concat()) {
            prop_assert!(chunk.rows.len() <= ROWS_MAX);
        }
    }

    #[test]
    fn damage_is_seen_and_never_a_panic(rows in vec(tame_row(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut bytes = encode(5, &paced(rows)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&bytes).is_err());
        drop(decode_body(&bytes[..bytes.len() - 4]));
        drop(decode_body(&bytes[..at]));
    }

    #[test]
    fn minutes_come_back_and_put_together_are_the_same_as_all_at_once(rows in vec(tame_row(), 2..400), cut in any::<prop::sample::Index>()) {
        let rows = paced(rows);
        let of = |rows: &[PackedRow]| minutes_of(rows.iter().map(|row| (row.dev_ms, &row.reading)));
        let whole = of(&rows);
        prop_assert_eq!(&minutes_decode(&minutes_encode(&whole)).unwrap(), &whole);
        let (head, tail) = rows.split_at(cut.index(rows.len()));
        let mut joined = of(tail);
        for (at_ms, minute) in of(head) {
            joined.entry(at_ms).or_default().join(&minute);
        }
        prop_assert_eq!(joined, whole);
    }
}

#[test]
fn what_is_no_chunk_is_refused() {
    let row =
        |seq| PackedRow { seq, dev_ms: 0, received_at_ms: 0, corrected_at_ms: 0, reading: Reading::new(), derived: 0, fingerprint: None };
    assert_eq!(encode(0, &[]), Err(NotAChunk));
    assert_eq!(encode(0, &[row(2), row(2)]), Err(NotAChunk));
    assert_eq!(encode(0, &(0..=ROWS_MAX as u32).map(row).collect::<Vec<_>>()), Err(NotAChunk));
    assert_eq!(decode(&[]), Err(Damaged::Short));
    assert_eq!(decode_body(&[9]), Err(Damaged::Version(9)));
}

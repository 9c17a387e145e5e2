//! Rows to store.

use std::sync::Arc;

use protocol::text::Text;
use protocol::{Field, MachineId, Reading};
use storage::{Row, RowWhat, SourceKey};
use uuid::Uuid;

/// 2026-11-21, noon.
pub(crate) const ANCHOR_AT_MS: i64 = 1_795_262_400_000;

pub(crate) fn machine(number: u128) -> MachineId {
    MachineId(Uuid::from_u128(0x3ac0_0000 + number))
}

pub(crate) fn source(number: u128) -> Arc<SourceKey> {
    Arc::new(SourceKey::Machine(machine(number), Text::cut("ftms")))
}

/// A plausible reading that differs from seq to seq.
pub(crate) fn reading(seq: u32) -> Reading {
    let mut reading = Reading::new();
    let value = i32::try_from(seq).unwrap();
    reading.set(Field::Speed, 800 + value % 400);
    reading.set(Field::Distance, value * 3);
    reading.set(Field::Power, 150 + value % 90);
    reading.set(Field::HeartRate, 100 + value % 80);
    if seq.is_multiple_of(7) {
        reading.set_rr(&[800, (seq % 60_000) as u16]);
    }
    reading
}

pub(crate) fn row(source: &Arc<SourceKey>, boot: u32, seq: u32) -> Row {
    keep(source, boot, seq, RowWhat::Reading(reading(seq)))
}

pub(crate) fn keep(source: &Arc<SourceKey>, boot: u32, seq: u32, what: RowWhat) -> Row {
    let dev_ms = i64::from(seq) * 1_000;
    Row {
        source: Arc::clone(source),
        boot,
        nonce: 0x5eed_0000_u32.wrapping_add(boot),
        seq,
        absorbed: Vec::new(),
        dev_ms,
        received_at_ms: ANCHOR_AT_MS + dev_ms + 20,
        corrected_at_ms: ANCHOR_AT_MS + dev_ms + 3,
        anchor_at_ms: ANCHOR_AT_MS,
        what,
        derived: 0,
    }
}

pub(crate) fn rows(source: &Arc<SourceKey>, boot: u32, seqs: std::ops::RangeInclusive<u32>) -> Vec<Row> {
    seqs.map(|seq| row(source, boot, seq)).collect()
}

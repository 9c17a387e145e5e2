//! Canonical bytes: what makes two rows the same, on every back end and in every tool. `docs/STORAGE.md` defines them.
//!
//! A reading is `boot u32, seq u32, dev_ms i64, mask u32`, then its values as i32 in order of the bits (RR intervals last, each
//! an i32 too), all big-endian. Reps, sets and strokes have a letter and their fields. Receive time and corrected time are
//! circumstances and not part of it.

use protocol::Reading;
use protocol::frame::{RepDetail, SetDetail, StrokeDetail};
use sha2::{Digest as _, Sha256};

use crate::model::{Checksum, Row, RowWhat};

/// Appends the canonical bytes of a reading.
pub fn reading(boot: u32, seq: u32, dev_ms: i64, reading: &Reading, out: &mut Vec<u8>) {
    head(boot, seq, dev_ms, out);
    out.extend_from_slice(&reading.mask().to_be_bytes());
    for value in reading.values() {
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn head(boot: u32, seq: u32, dev_ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&boot.to_be_bytes());
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(&dev_ms.to_be_bytes());
}

/// Canonical bytes of anything that can be kept; empty for what is lost.
pub(crate) fn row(boot: u32, seq: u32, dev_ms: i64, what: &RowWhat, out: &mut Vec<u8>) {
    match what {
        RowWhat::Reading(value) => return reading(boot, seq, dev_ms, value, out),
        RowWhat::Poison { bytes, .. } => return out.extend_from_slice(bytes),
        RowWhat::Lost { .. } => return,
        RowWhat::Rep(_) | RowWhat::Set(_) | RowWhat::Stroke(_) => head(boot, seq, dev_ms, out),
    }
    match what {
        RowWhat::Rep(detail) => rep(detail, out),
        RowWhat::Set(detail) => set(detail, out),
        RowWhat::Stroke(detail) => stroke(detail, out),
        RowWhat::Reading(_) | RowWhat::Poison { .. } | RowWhat::Lost { .. } => {}
    }
}

fn rep(rep: &RepDetail, out: &mut Vec<u8>) {
    out.push(b'r');
    numbers(
        &[
            rep.set.into(),
            rep.rep.into(),
            rep.load_hg,
            rep.range_mm.into(),
            rep.mean_mm_s.into(),
            rep.peak_mm_s.into(),
            rep.peak_power_w.into(),
            rep.concentric_ms.into(),
            rep.eccentric_ms.into(),
        ],
        out,
    );
}

fn set(set: &SetDetail, out: &mut Vec<u8>) {
    out.push(b's');
    numbers(&[set.set.into(), set.target_reps.into(), set.reps.into(), set.load_hg, set.seconds.into(), set.rest_s.into()], out);
    text(set.exercise.as_deref(), out);
    text(set.tempo.as_deref(), out);
    text(set.note.as_deref(), out);
}

fn stroke(stroke: &StrokeDetail, out: &mut Vec<u8>) {
    out.push(b't');
    let StrokeDetail { stroke, drive_ms, recovery_ms, length_cm, peak_force_n, work_j } = *stroke;
    numbers(&[stroke, drive_ms.into(), recovery_ms.into(), length_cm.into(), peak_force_n.into(), work_j.into()], out);
}

fn numbers(numbers: &[u32], out: &mut Vec<u8>) {
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// No text is `u32::MAX`; text is its length and its bytes.
fn text(text: Option<&str>, out: &mut Vec<u8>) {
    let Some(text) = text else { return out.extend_from_slice(&u32::MAX.to_be_bytes()) };
    out.extend_from_slice(&u32::try_from(text.len()).expect("texts of a set are a few hundred bytes").to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// The fingerprint of a row: of its canonical bytes without what was derived, so that the same reading with and without is one.
pub(crate) fn fingerprint_of(of: &Row) -> i64 {
    let mut bytes = Vec::with_capacity(96);
    match &of.what {
        RowWhat::Reading(value) if of.derived != 0 => reading(of.boot, of.seq, of.dev_ms, &value.only(!of.derived), &mut bytes),
        what => row(of.boot, of.seq, of.dev_ms, what, &mut bytes),
    }
    fingerprint(&bytes)
}

/// The first eight bytes of SHA-256: kept beside each row so that a duplicate is told from a conflict without reading it all.
pub(crate) fn fingerprint(bytes: &[u8]) -> i64 {
    let digest = Sha256::digest(bytes);
    let (head, _) = digest.split_first_chunk::<8>().expect("SHA-256 has 32 bytes");
    i64::from_be_bytes(*head)
}

/// Adds rows up to a [`Checksum`]; the caller keeps the order `(source, boot, seq)`.
#[derive(Default, Clone)]
pub struct Checksummer {
    hash: Sha256,
    rows: u64,
    bytes: Vec<u8>,
}

impl Checksummer {
    /// Takes the next reading.
    pub fn add(&mut self, boot: u32, seq: u32, dev_ms: i64, value: &Reading) {
        self.bytes.clear();
        reading(boot, seq, dev_ms, value, &mut self.bytes);
        self.hash.update(&self.bytes);
        self.rows += 1;
    }

    /// Count and digest.
    #[must_use]
    pub fn finish(self) -> Checksum {
        Checksum { rows: self.rows, sha256: self.hash.finalize().into() }
    }
}

#[cfg(test)]
mod tests {
    use protocol::Field;

    use super::*;

    #[test]
    fn a_reading_is_these_bytes() {
        let mut value = Reading::new();
        value.set(Field::Power, -2);
        value.set_rr(&[1024]);
        let mut out = Vec::new();
        reading(1, 2, 3, &value, &mut out);
        assert_eq!(protocol::text::hex(&out), "0000000100000002000000000000000380000004fffffffe00000400");
    }
}

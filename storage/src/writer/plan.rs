//! What to do with each row of a batch, given what is stored of its boot. No IO: this is the rule of exactly once.
//!
//! Fresh rows are written; rows whose seq lies in the ranges are suspects, to be compared with what is stored; rows that mean nothing
//! possible go to quarantine. The ranges are widened for all of them, except under a foreign nonce: those numbers belong to the device
//! that came first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use protocol::{ErrorCode, SeqRanges};

use super::months::AT_MS;
use crate::canonical;
use crate::model::{Rejection, Report, Row, RowWhat, SourceKey};

/// `(source, boot)` with the source's number in the database.
pub(crate) type Key = (i64, u32);

/// The row of `boots`.
#[derive(Debug, Clone)]
pub(crate) struct Boot {
    pub(crate) nonce: u32,
    pub(crate) anchor_at_ms: i64,
    pub(crate) stored: SeqRanges,
    pub(crate) lost: SeqRanges,
    pub(crate) conflict: bool,
    pub(crate) changed: bool,
}

/// A row with what the database needs besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned<'r> {
    pub(crate) row: &'r Row,
    pub(crate) source: i64,
    pub(crate) at_ms: i64,
    pub(crate) fingerprint: i64,
}

impl Planned<'_> {
    pub(crate) const fn key(&self) -> Key {
        (self.source, self.row.boot)
    }
}

/// A row for quarantine, and why.
pub(crate) struct Quarantined<'r> {
    pub(crate) planned: Planned<'r>,
    pub(crate) code: ErrorCode,
    pub(crate) detail: String,
}

/// Rows by what happens to them.
#[derive(Default)]
pub(crate) struct Plan<'r> {
    pub(crate) fresh: Vec<Planned<'r>>,
    pub(crate) suspects: Vec<Planned<'r>>,
    pub(crate) quarantine: Vec<Quarantined<'r>>,
    pub(crate) outcome: Outcome,
    in_batch: HashMap<(Key, u32), i64>,
}

/// What is told after the commit.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) stored: u64,
    pub(crate) duplicates: u64,
    pub(crate) lost: u64,
    pub(crate) quarantined: u64,
    boots: BTreeMap<Key, BootNews>,
    /// Of members who were erased: their sources have no numbers.
    erased: HashMap<(Arc<SourceKey>, u32, u32), SeqRanges>,
    conflicts: BTreeMap<(Key, u32), (Arc<SourceKey>, SeqRanges)>,
}

struct BootNews {
    source: Arc<SourceKey>,
    nonce: u32,
    seqs: SeqRanges,
    rejected: Vec<Rejection>,
}

impl<'r> Plan<'r> {
    /// Sorts one row in; `boot` is its locked state.
    pub(crate) fn take(&mut self, row: &'r Row, source: i64, boot: &mut Boot) {
        let key = (source, row.boot);
        let at_ms = boot.anchor_at_ms.checked_add(row.dev_ms).filter(|at_ms| AT_MS.contains(at_ms));
        let planned = Planned { row, source, at_ms: at_ms.unwrap_or(boot.anchor_at_ms), fingerprint: canonical::fingerprint_of(row) };
        if row.nonce != boot.nonce {
            return self.foreign(planned, boot);
        }
        if let RowWhat::Lost { to } = row.what {
            return self.lost(row, key, to, boot);
        }
        if row.seq == 0 {
            // Not a number that ranges can hold: kept aside, and nobody hears that it is stored.
            return self.quarantine.push(Quarantined {
                planned,
                code: ErrorCode::ReadingPoison,
                detail: "seq 0: numbers begin at 1".to_owned(),
            });
        }
        let news = self.outcome.news(key, row);
        news.seqs.insert(row.seq, row.seq);
        // Declared lost, and found again: it is stored like any other.
        let found = boot.lost.remove(row.seq, row.seq) > 0;
        for &seq in row.absorbed.iter().filter(|&&seq| seq > 0) {
            news.seqs.insert(seq, seq);
            boot.changed |= boot.lost.remove(seq, seq) > 0;
            boot.changed |= boot.stored.insert(seq, seq) > 0;
        }
        if boot.stored.insert(row.seq, row.seq) == 0 && !found && !row.absorbed.contains(&row.seq) {
            return self.suspect(planned);
        }
        boot.changed = true;
        match poison(row, at_ms) {
            Some((code, detail)) => self.quarantine(planned, code, detail),
            None => self.fresh.push(planned),
        }
        self.in_batch.insert((key, row.seq), planned.fingerprint);
    }

    /// The number is taken: by this batch, where the comparison is made at once, or by the database.
    fn suspect(&mut self, planned: Planned<'r>) {
        match self.in_batch.get(&(planned.key(), planned.row.seq)) {
            Some(&fingerprint) => self.compared(planned, &[fingerprint]),
            None => self.suspects.push(planned),
        }
    }

    /// Decides a suspect by the fingerprints found under its number; none means that the row is gone and was the same.
    pub(crate) fn compared(&mut self, planned: Planned<'r>, found: &[i64]) {
        if found.is_empty() || found.contains(&planned.fingerprint) {
            self.outcome.duplicates += 1;
            return;
        }
        let detail = format!("seq {} of boot {} is stored with other content", planned.row.seq, planned.row.boot);
        self.quarantine(planned, ErrorCode::SeqConflict, detail);
    }

    /// Puts a row aside; its number counts as stored.
    pub(crate) fn quarantine(&mut self, planned: Planned<'r>, code: ErrorCode, detail: String) {
        let news = self.outcome.news(planned.key(), planned.row);
        news.rejected.push(Rejection { seq: planned.row.seq, code: code_of(planned.row, code), detail: detail.clone() });
        self.quarantine.push(Quarantined { planned, code, detail });
    }

    /// Of a member who was erased: told as stored, so that its source forgets it, and never written.
    pub(crate) fn erased(&mut self, row: &'r Row) {
        let seqs = self.outcome.erased.entry((Arc::clone(&row.source), row.boot, row.nonce)).or_default();
        let to = if let RowWhat::Lost { to } = row.what { to } else { row.seq };
        for (from, to) in row.absorbed.iter().map(|&seq| (seq, seq)).chain([(row.seq, to)]).filter(|(from, to)| *from > 0 && from <= to) {
            seqs.insert(from, to);
        }
    }

    fn foreign(&mut self, planned: Planned<'r>, boot: &mut Boot) {
        boot.changed |= !boot.conflict;
        boot.conflict = true;
        let row = planned.row;
        let entry = self.outcome.conflicts.entry((planned.key(), row.nonce));
        let (_, seqs) = entry.or_insert_with(|| (Arc::clone(&row.source), SeqRanges::new()));
        seqs.insert(row.seq, row.seq);
        let detail = format!("boot {} came with nonce {:08x}; the stored one is {:08x}", row.boot, row.nonce, boot.nonce);
        self.quarantine.push(Quarantined { planned, code: ErrorCode::SourceConflict, detail });
    }

    fn lost(&mut self, row: &'r Row, key: Key, to: u32, boot: &mut Boot) {
        let from = row.seq.max(1);
        let gone = boot.stored.missing(from, to);
        self.outcome.news(key, row).seqs.insert(from, to);
        self.outcome.lost += gone.count();
        boot.lost.union(&gone);
        boot.changed |= boot.stored.insert(from, to) > 0;
    }

    /// Numbers for metrics, once everything is decided.
    pub(crate) fn finish(mut self) -> Outcome {
        self.outcome.stored = self.fresh.len() as u64;
        self.outcome.quarantined = self.quarantine.len() as u64;
        self.outcome
    }
}

impl Outcome {
    fn news(&mut self, key: Key, row: &Row) -> &mut BootNews {
        let (nonce, seqs, rejected) = (row.nonce, SeqRanges::new(), Vec::new());
        self.boots.entry(key).or_insert_with(|| BootNews { source: Arc::clone(&row.source), nonce, seqs, rejected })
    }

    pub(crate) fn into_reports(self) -> impl Iterator<Item = Report> {
        let conflicts =
            self.conflicts.into_iter().map(|(((_, boot), nonce), (source, seqs))| Report::SourceConflict { source, boot, nonce, seqs });
        let stored = self.boots.into_iter().map(|((_, boot), news)| Report::Stored {
            source: news.source,
            boot,
            nonce: news.nonce,
            seqs: news.seqs,
            rejected: news.rejected,
        });
        let erased = self.erased.into_iter();
        let erased = erased.map(|((source, boot, nonce), seqs)| Report::Stored { source, boot, nonce, seqs, rejected: Vec::new() });
        stored.chain(erased).chain(conflicts)
    }
}

/// A row that cannot be what it says: outside the bounds of its fields, of the calendar, or unreadable from the start.
fn poison(row: &Row, at_ms: Option<i64>) -> Option<(ErrorCode, String)> {
    if at_ms.is_none() {
        return Some((ErrorCode::ReadingPoison, format!("device time {} ms leads out of the years 1970 to 2199", row.dev_ms)));
    }
    match &row.what {
        RowWhat::Reading(reading) => {
            let odd = reading.out_of_bounds();
            odd.map(|(field, value)| (ErrorCode::ReadingPoison, format!("{field} is {value}, which no machine can mean")))
        }
        RowWhat::Poison { code, .. } => {
            let known = ErrorCode::from_code(*code).unwrap_or(ErrorCode::ReadingPoison);
            Some((known, known.text().to_owned()))
        }
        RowWhat::Set(set) => {
            let texts = [set.exercise.as_deref(), set.tempo.as_deref(), set.note.as_deref()];
            let odd = texts.into_iter().flatten().any(|text| text.contains('\0'));
            odd.then(|| (ErrorCode::ReadingPoison, "a text of the set holds a NUL, which Postgres takes nowhere".to_owned()))
        }
        RowWhat::Rep(_) | RowWhat::Stroke(_) | RowWhat::Lost { .. } => None,
    }
}

/// The number that the producer hears: for poison the one that it came with.
const fn code_of(row: &Row, code: ErrorCode) -> u16 {
    match (&row.what, code) {
        (RowWhat::Poison { code, .. }, ErrorCode::ReadingPoison) => *code,
        _ => code.code(),
    }
}

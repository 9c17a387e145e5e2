//! Raw notifications of one source to rows: [`protocol::ftms::Stream`] with the time that it is not told.
//!
//! In: `ftms.raw` as it comes, and ticks. Out: rows, each once, parts merged. A record closes when its parts are known to be all, or
//! when none came for a second of the hub's time: what is asked for again from a buffer comes with old device times, so
//! device time alone cannot close what another stretch of the same source has open. A source that decodes for itself costs nothing here.

use std::collections::VecDeque;

use protocol::ErrorCode;
use protocol::ftms::{Quirks, Row, Stream, StreamError, WINDOW_MS};

use crate::input::Now;

/// An open record that gets no part for this long is closed as it is.
const PATIENCE_MS: i64 = 1_000;

/// The oldest open record: since when it is that, and the device time then.
#[derive(Debug, Clone, Copy)]
struct Open {
    from: u32,
    since_mono_ms: i64,
    dev_ms: i64,
}

/// The decoder of one source; made when the first raw notification comes.
#[derive(Debug, Clone)]
pub(crate) struct Decoder {
    quirks: Quirks,
    stream: Option<Box<Stream>>,
    open: Option<Open>,
    out: Vec<Row>,
    rows: VecDeque<Row>,
}

impl Decoder {
    pub(crate) fn new(quirks: Quirks) -> Self {
        Self { quirks, stream: None, open: None, out: Vec::new(), rows: VecDeque::new() }
    }

    /// Takes one notification.
    pub(crate) fn raw(&mut self, seq: u32, dev_ms: i64, uuid: u16, bytes: &[u8], now: Now) -> Result<(), ErrorCode> {
        let stream = self.stream.get_or_insert_with(|| Box::new(Stream::new(self.quirks)));
        let pushed = stream.push(seq, dev_ms, uuid, bytes, &mut self.out);
        let from = stream.open_from();
        if self.open.map(|open| open.from) != from {
            self.open = from.map(|from| Open { from, since_mono_ms: now.mono_ms, dev_ms });
        }
        self.rows.extend(self.out.drain(..));
        pushed.map_err(|error| match error {
            StreamError::Unknown(_) | StreamError::NotAReading(_) => ErrorCode::CharacteristicUnknown,
        })
    }

    /// These seqs hold no parts.
    pub(crate) fn pass(&mut self, from: u32, to: u32) {
        if let Some(stream) = &mut self.stream {
            stream.pass(from, to, &mut self.out);
            self.rows.extend(self.out.drain(..));
        }
    }

    /// What this seq made was refused: it will come again.
    pub(crate) fn again(&mut self, seq: u32) {
        if let Some(stream) = &mut self.stream {
            stream.again(seq);
        }
    }

    /// Closes what waited long enough. Returns whether there may be rows.
    pub(crate) fn tick(&mut self, now: Now) -> bool {
        let (Some(stream), Some(open)) = (&mut self.stream, self.open) else { return false };
        if now.mono_ms - open.since_mono_ms < PATIENCE_MS {
            return false;
        }
        stream.tick(open.dev_ms.saturating_add(WINDOW_MS), &mut self.out);
        let from = stream.open_from();
        self.open = from.map(|from| Open { from, since_mono_ms: now.mono_ms, dev_ms: open.dev_ms });
        if from == Some(open.from) {
            // Device time runs backwards within the boot: nothing but closing all helps.
            self.close();
        }
        self.rows.extend(self.out.drain(..));
        true
    }

    /// Closes everything.
    pub(crate) fn close(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.close(&mut self.out);
            self.rows.extend(self.out.drain(..));
            self.open = None;
        }
    }

    /// The next row.
    pub(crate) fn row(&mut self) -> Option<Row> {
        self.rows.pop_front()
    }

    /// The lowest seq of a record that is still open.
    pub(crate) fn open_from(&self) -> Option<u32> {
        self.stream.as_ref().and_then(|stream| stream.open_from())
    }
}

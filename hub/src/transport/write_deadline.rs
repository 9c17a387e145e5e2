//! The deadline of writes before there is a session.
//!
//! In: what each write and flush of a connection came to. Out: the same, or `TimedOut` where the socket took nothing for a whole
//! `write_timeout`. HTTP keeps no time for an answer that nobody reads, and whoever reads slowly is not late: each byte that the socket takes
//! starts the time anew. It takes more only once about a third of its buffer is free: who reads less than that in the whole time, some
//! 40 KiB, is taken for one who reads nothing. Costs nothing while nothing waits. A session keeps its own time, on the wheel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

/// How long the socket has taken nothing.
pub(super) struct WriteDeadline {
    within: Duration,
    waiting: Option<Waiting>,
}

struct Waiting {
    /// Bytes that the socket had taken when the time began.
    taken: u64,
    until: Pin<Box<Sleep>>,
}

impl WriteDeadline {
    /// A deadline of this length for each write.
    pub(super) const fn of(within: Duration) -> Self {
        Self { within, waiting: None }
    }

    /// Takes note of one attempt; `taken` counts the bytes that the socket took so far, where more than the attempt's own result can tell.
    pub(super) fn keep<T>(&mut self, cx: &mut Context<'_>, taken: u64, tried: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if tried.is_ready() {
            self.waiting = None;
            return tried;
        }
        if self.waiting.as_ref().is_some_and(|waiting| waiting.taken != taken) {
            self.waiting = None;
        }
        let within = self.within;
        let waiting = self.waiting.get_or_insert_with(|| Waiting { taken, until: Box::pin(tokio::time::sleep(within)) });
        waiting.until.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

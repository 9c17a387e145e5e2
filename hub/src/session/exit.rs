//! How a session ends: always for a named reason, told to the peer under a deadline.
//!
//! In: the reason, what is half written, the socket. Out: the close frame (number, name, what to do), then the peer's own goodbye or two seconds,
//! whichever is first: closing a socket with unread bytes makes the kernel reset it, and the peer would lose the reason.

use std::time::Duration;

use bytes::Bytes;
use protocol::CloseReason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::writer::Writer;
use crate::transport::stream::Stream;
use crate::transport::wsframe;

/// The close frame must be written, and the peer's goodbye heard, within this time.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// A peer that goes on sending after the close frame is read this far and no further.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The hub ends it; the detail goes into the close frame instead of the catalogue's text.
    Close(CloseReason, Option<String>),
    /// The peer said goodbye; this is the answer it is owed.
    Goodbye(Bytes),
    /// The connection is gone: nothing can be told.
    Lost,
}

impl Exit {
    /// The reason for metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> CloseReason {
        match self {
            Self::Close(reason, _) => *reason,
            Self::Goodbye(_) => CloseReason::Normal,
            Self::Lost => CloseReason::Gone,
        }
    }

    /// The last frame, if one can still be said.
    fn last_frame(&self) -> Option<Bytes> {
        match self {
            Self::Close(reason, detail) => Some(wsframe::close(*reason, detail.as_deref())),
            Self::Goodbye(answer) => Some(answer.clone()),
            Self::Lost => None,
        }
    }
}

/// Says goodbye and lets the socket go, within two seconds. A peer that takes nothing is reset.
pub async fn say_goodbye(mut stream: Stream, writer: Writer, exit: &Exit) {
    let Some(last) = exit.last_frame() else { return };
    // What stood still for the whole deadline does not move now.
    if exit.reason() == CloseReason::WriteTimeout {
        return stream.abort();
    }
    let owed = writer.ending(last);
    let told = async {
        for bytes in owed {
            stream.write_all(&bytes).await?;
        }
        stream.flush().await?;
        stream.shutdown().await
    };
    let deadline = Instant::now() + GOODBYE_WITHIN;
    // A peer that is gone, or does not read, learns the reason no more: nothing is owed beyond the deadline.
    if !matches!(timeout_at(deadline, told).await, Ok(Ok(()))) {
        return stream.abort();
    }
    let heard = async {
        let (mut sink, mut heard) = ([0_u8; 1024], 0);
        while heard < LINGER_BYTES_MAX {
            match stream.read(&mut sink).await? {
                0 => break,
                bytes => heard += bytes,
            }
        }
        std::io::Result::Ok(())
    };
    drop(timeout_at(deadline, heard).await);
}

//! The writing half of a socket: it alone owns the sink.
//!
//! In: frames taken from the outbox, which carry their headers. Out: one write of all that was taken, as far as the kernel takes it. Keeps
//! what is half written, so that no frame is ever cut in the middle of another; tells the peer since when a write waits.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::AsyncWrite as _;

use super::Peer;
use super::outbox::TAKE_FRAMES_MAX;
use crate::transport::stream::Stream;

/// A vector of frames that grew past this gives its memory back when the socket idles.
const IDLE_FRAMES_MAX: usize = 8;

/// Frames on their way into the socket.
#[derive(Default)]
pub struct Writer {
    writing: VecDeque<Bytes>,
    /// Bytes of the first frame that the kernel already has.
    begun: bool,
    unflushed: bool,
}

impl Writer {
    /// Writes until the outbox is empty or the kernel takes no more.
    ///
    /// # Errors
    /// The socket's: the connection is lost.
    pub fn poll(&mut self, peer: &Peer, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.writing.is_empty() {
                peer.lock().take(&mut self.writing);
                if self.writing.is_empty() {
                    return self.rest(peer, stream, cx);
                }
            }
            match self.write(stream, cx) {
                Poll::Ready(Ok(())) => peer.blocked(None),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if !peer.is_blocked() {
                        peer.blocked(Some(crate::clock::mono_ms()));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Queues a frame of a connection that has no outbox yet.
    pub fn queue(&mut self, frame: Bytes) {
        self.begun = true;
        self.writing.push_back(frame);
    }

    /// What must still go out so that the frame in the middle is whole, then `last`. Everything else is dropped.
    #[must_use]
    pub fn ending(mut self, last: Bytes) -> VecDeque<Bytes> {
        self.writing.truncate(usize::from(self.begun));
        self.writing.push_back(last);
        self.writing
    }

    /// Nothing waits: flush what TLS keeps, and give memory back.
    fn rest(&mut self, peer: &Peer, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writing.capacity() > IDLE_FRAMES_MAX {
            self.writing = VecDeque::new();
        }
        if self.unflushed {
            match Pin::new(stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => {
                    self.unflushed = false;
                    peer.blocked(None);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    if !peer.is_blocked() {
                        peer.blocked(Some(crate::clock::mono_ms()));
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// One write of all that was taken.
    fn write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let write = match (self.writing.front(), self.writing.len()) {
            // Most often one frame gathered: a plain send spares the kernel the reading of a list.
            (Some(only), 1) => Pin::new(&mut *stream).poll_write(cx, only),
            _ => self.write_many(stream, cx),
        };
        let mut written = match write {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        self.unflushed = matches!(stream, Stream::Tls(_));
        while let Some(first) = self.writing.front_mut() {
            if written < first.len() {
                first.advance(written);
                self.begun |= written > 0;
                break;
            }
            written -= first.len();
            self.begun = false;
            self.writing.pop_front();
        }
        Poll::Ready(Ok(()))
    }

    fn write_many(&self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); TAKE_FRAMES_MAX];
        let mut count = 0;
        for (slice, frame) in slices.iter_mut().zip(&self.writing) {
            *slice = IoSlice::new(frame);
            count += 1;
        }
        Pin::new(stream).poll_write_vectored(cx, &slices[..count])
    }
}

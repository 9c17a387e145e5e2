//! The reading half of a WebSocket, over tungstenite.
//!
//! In: a stream's readiness. Out: whole messages, and the answers (pong, close) that RFC 6455 owes to what was read. The reader never
//! writes to the socket: its answers are handed to the session's outbox, because the write loop alone owns the sink.
//! Buffers are small while idle: tungstenite clears its whole read buffer at every attempt, so a large one costs CPU too.
//! It counts the bytes of a message and not those of its fragments' headers: a message of empty fragments would never end, so what is on the
//! wire between two messages has a bound of its own.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::stream::Stream;

/// Bytes asked of the socket at a time.
const READ_BYTES: usize = 1024;
/// Answers are a pong and a close, 127 bytes each at most: more means a fault of ours.
const ANSWER_BYTES_MAX: usize = 512;

/// Bytes on the wire for each byte that a message may have: headers of small fragments, and pings between them.
const WIRE_BYTES_PER_BYTE: usize = 2;

/// What came.
#[derive(Debug)]
pub enum Heard {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A ping, or part of a message: a sign of life.
    Sign,
    /// A pong: a sign of life, and what it carries.
    Pong(Bytes),
    /// The peer said goodbye, with this code.
    Goodbye(Option<u16>),
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The peer broke RFC 6455.
    #[error("the peer broke the WebSocket protocol: {0}")]
    Protocol(ProtocolError),
    /// Text that is not UTF-8.
    #[error("a text message that is not UTF-8")]
    NotUtf8,
    /// A message past the limit.
    #[error("a message of {size} bytes where at most {max} are allowed")]
    TooBig {
        /// Bytes announced.
        size: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The connection is gone.
    #[error("the connection was lost")]
    Gone,
}

/// Reads messages of one socket.
pub struct Reader {
    ws: WebSocketContext,
    /// Bytes given to it so far.
    fed: usize,
    /// Of these, until the last thing was heard.
    fed_before: usize,
    message_bytes_max: usize,
}

impl Reader {
    /// A reader that begins with the bytes that came with the upgrade request.
    #[must_use]
    pub fn new(begun: &[u8], message_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(ANSWER_BYTES_MAX)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let ws = if begun.is_empty() {
            WebSocketContext::new(Role::Server, Some(config))
        } else {
            WebSocketContext::from_partially_read(begun.to_vec(), Role::Server, Some(config))
        };
        Self { ws, fed: begun.len(), fed_before: 0, message_bytes_max }
    }

    /// The reader of the session, after one message of so many bytes was heard: larger messages are allowed.
    ///
    /// A buffer that grew for a long token is left behind where nothing but that message was read; tungstenite would keep it for good.
    #[must_use]
    pub fn after_hello(mut self, hello_bytes: usize, message_bytes_max: usize) -> Self {
        if self.fed == masked_frame_bytes(hello_bytes) {
            return Self::new(&[], message_bytes_max);
        }
        self.message_bytes_max = message_bytes_max;
        self.ws.set_config(|config| {
            config.max_message_size = Some(message_bytes_max);
            config.max_frame_size = Some(message_bytes_max);
        });
        self
    }

    /// The next thing heard. Appends to `answers` what must be written for it.
    ///
    /// # Errors
    /// [`ReadError`] once; the socket is then closed by the caller with what the error asks for.
    pub fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>, answers: &mut Vec<u8>) -> Poll<Result<Heard, ReadError>> {
        let wire_bytes_max = (WIRE_BYTES_PER_BYTE * self.message_bytes_max).saturating_add(READ_BYTES);
        let fed_max = self.fed_before.saturating_add(wire_bytes_max);
        let mut half = Half { stream, cx, answers, fed: &mut self.fed, fed_max };
        let heard = match self.ws.read(&mut half) {
            Ok(Message::Text(text)) => Heard::Text(text),
            Ok(Message::Binary(bytes)) => Heard::Binary(bytes),
            Ok(Message::Ping(_)) => {
                // The pong goes out with the next write, not with the next read.
                if let Err(error) = self.ws.flush(&mut half) {
                    return Poll::Ready(Err(cause(error)));
                }
                Heard::Sign
            }
            Ok(Message::Pong(bytes)) => Heard::Pong(bytes),
            Ok(Message::Frame(_)) => Heard::Sign,
            Ok(Message::Close(frame)) => {
                // Writes the reply into `answers` and reports the closed connection, which the caller learns from `Goodbye`.
                drop(self.ws.flush(&mut half));
                Heard::Goodbye(frame.map(|frame| frame.code.into()))
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Poll::Ready(Err(ReadError::TooBig { size: wire_bytes_max, max: self.message_bytes_max }));
            }
            Err(error) => return Poll::Ready(Err(cause(error))),
        };
        self.fed_before = self.fed;
        Poll::Ready(Ok(heard))
    }
}

/// Bytes of one whole masked frame (RFC 6455 section 5.2).
const fn masked_frame_bytes(payload: usize) -> usize {
    let length = match payload {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    2 + length + 4 + payload
}

fn cause(error: Error) -> ReadError {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => ReadError::TooBig { size, max: max_size },
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => ReadError::Gone,
        Error::Protocol(error) => ReadError::Protocol(error),
        Error::Utf8(_) => ReadError::NotUtf8,
        _ => ReadError::Gone,
    }
}

/// A stream as tungstenite wants it: reads that may not be ready, writes that are only collected.
struct Half<'a, 'b> {
    stream: &'a mut Stream,
    cx: &'a mut Context<'b>,
    answers: &'a mut Vec<u8>,
    fed: &'a mut usize,
    fed_max: usize,
}

impl Read for Half<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if *self.fed > self.fed_max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut buffer = ReadBuf::new(into);
        match Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                *self.fed = self.fed.saturating_add(buffer.filled().len());
                Ok(buffer.filled().len())
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Half<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! The raw echo route of the `dev` profile: for conformance suites, through the same reader and writer as every session.
//!
//! In: any WebSocket message up to 16 MiB. Out: the same. Closes with the codes of RFC 6455 rather than with the catalogue's. Reads only when everything
//! was written, so that a flood waits in the sender's kernel.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use protocol::frame::Role;
use protocol::wire::Encoding;
use protocol::{SessionId, TenantId};
use room::{Lane, Viewer};
use uuid::Uuid;

use super::reader::{Heard, ReadError, Reader};
use super::stream::Stream;
use super::wsframe::{self, Opcode};
use crate::session::{Exit, Peer, Writer, say_goodbye};

/// Largest message that is sent back.
const ECHO_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A connection to this route is over after this time.
const ECHO_LIFE: Duration = Duration::from_secs(600);

/// Sends back what comes until the peer says goodbye.
pub async fn echo(stream: Stream, begun: Bytes) {
    let viewer = Viewer { tenant: TenantId(Uuid::nil()), role: Role::Display, subject: Uuid::nil(), gyms: vec![], teams: vec![] };
    let peer = Peer::new(SessionId(Uuid::now_v7()), Encoding::Json, Arc::new(viewer), i64::MAX, 2 * ECHO_BYTES_MAX);
    let reader = Reader::new(&begun, ECHO_BYTES_MAX);
    let mut echo = Echo { stream, reader, writer: Writer::default(), peer, answers: Vec::new() };
    let exit = tokio::time::timeout(ECHO_LIFE, std::future::poll_fn(|cx| echo.poll(cx))).await;
    let exit = exit.unwrap_or_else(|_elapsed| Exit::Goodbye(wsframe::close_code(1001, "this route is for conformance suites")));
    let Echo { stream, writer, .. } = echo;
    say_goodbye(stream, writer, &exit).await;
}

struct Echo {
    stream: Stream,
    reader: Reader,
    writer: Writer,
    peer: Peer,
    answers: Vec<u8>,
}

impl Echo {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        loop {
            match self.writer.poll(&self.peer, &mut self.stream, cx) {
                Poll::Ready(Ok(())) => (),
                Poll::Ready(Err(_gone)) => return Poll::Ready(Exit::Lost),
                Poll::Pending => return Poll::Pending,
            }
            let heard = std::task::ready!(self.reader.poll(&mut self.stream, cx, &mut self.answers));
            let frame = match heard {
                Ok(Heard::Text(text)) => wsframe::message(Opcode::Text, text.as_bytes()),
                Ok(Heard::Binary(bytes)) => wsframe::message(Opcode::Binary, &bytes),
                Ok(Heard::Sign | Heard::Pong(_)) => Bytes::from(std::mem::take(&mut self.answers)),
                Ok(Heard::Goodbye(_)) => return Poll::Ready(Exit::Goodbye(Bytes::from(std::mem::take(&mut self.answers)))),
                Err(ReadError::Gone) => return Poll::Ready(Exit::Lost),
                Err(error) => return Poll::Ready(Exit::Goodbye(wsframe::close_code(rfc_code(&error), &error.to_string()))),
            };
            if !frame.is_empty() {
                self.peer.push(Lane::Event, frame);
            }
        }
    }
}

/// The close code of RFC 6455 section 7.4.1.
const fn rfc_code(error: &ReadError) -> u16 {
    match error {
        ReadError::NotUtf8 => 1007,
        ReadError::TooBig { .. } => 1009,
        ReadError::Protocol(_) | ReadError::Gone => 1002,
    }
}

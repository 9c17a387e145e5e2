//! A peer for thousands in one process and for very fast senders: raw TCP, WebSocket framing by hand, MessagePack only.
//!
//! In: message bytes to send as they are. Out: message payloads as slices, undecoded. It keeps no buffer but the rest of a
//! half-received message; reads go through one scratch buffer a thread. Client frames are masked with a key of zeros,
//! which leaves the payload as it is: legal (RFC 6455 section 5.3 asks for unpredictable keys to shield proxies from scripts in
//! browsers), and what lets a load be encoded once. Pings are answered, closes are told.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::Welcome;
use protocol::wire::Encoding;
use protocol::{ClientFrame, ServerFrame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;

use super::socket::{address_of, dial_tcp};
use super::{Options, PeerError};

const SCRATCH_BYTES: usize = 128 * 1024;
const UPGRADE_BYTES_MAX: usize = 4 * 1024;
const WAIT: Duration = Duration::from_secs(15);
/// Longest header of a client frame: two bytes, a 64-bit length, a mask key.
const MASK_FREE_HEAD_MAX: usize = 14;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Appends `payload` to `out` as one masked client frame of the opcode (2 binary, 9 ping, 10 pong).
pub fn masked_frame(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// Opcode, header length and payload length of the server frame that `bytes` begin with; none while the header is not whole.
fn server_head(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (head, length) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, usize::from(length)),
    };
    Some((first & 0x0f, head, length))
}

/// The hub said goodbye: what a closed [`Light`] reports as the cause of its `ConnectionAborted`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("closed with {code} {text}")]
pub struct HungUp {
    /// Close code.
    pub code: u16,
    /// Text of the close frame.
    pub text: String,
}

/// Close code and text of an error of [`Light::read`]; 1006 where the hub said nothing.
pub(super) fn ending(error: &io::Error) -> (u16, String) {
    let said = error.get_ref().and_then(|cause| cause.downcast_ref::<HungUp>());
    said.map_or_else(|| (1006, error.to_string()), |said| (said.code, said.text.clone()))
}

/// One cheap connection.
pub struct Light {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Light {
    /// Connects, says hello and waits for `welcome`. Frames that come with it are handed to `on_message`.
    ///
    /// # Errors
    /// [`PeerError`] as [`super::Peer::connect`]; the encoding is MessagePack whatever the options say.
    pub async fn connect(url: &str, options: &Options, mut on_message: impl FnMut(&[u8])) -> Result<(Self, Welcome), PeerError> {
        let mut light = Self::open(url, Some(Encoding::MessagePack.subprotocol()), options).await?;
        let hello = ClientFrame::from(options.hello()).to_bytes(Encoding::MessagePack);
        light.send(&hello).await.map_err(|error| PeerError::Send { frame: "hello", source: Some(Box::new(error.into())) })?;
        let mut welcome = None;
        let wait = async {
            while welcome.is_none() {
                light
                    .read(|message| match ServerFrame::decode(Encoding::MessagePack, message) {
                        Ok(ServerFrame::Welcome(heard)) => welcome = Some(heard),
                        _ => on_message(message),
                    })
                    .await?;
            }
            Ok::<(), io::Error>(())
        };
        let closed = |(code, text)| PeerError::Closed { code, text, what: "welcome".to_owned() };
        match tokio::time::timeout(WAIT, wait).await {
            Ok(Ok(())) => welcome.map(|welcome| (light, welcome)).ok_or_else(|| closed((1006, "no welcome".to_owned()))),
            Ok(Err(error)) => Err(closed(ending(&error))),
            Err(_elapsed) => Err(PeerError::Deadline { what: "welcome".to_owned(), waited: WAIT, passed: String::new() }),
        }
    }

    /// Connects and upgrades, and says nothing yet: also for servers that are no hub.
    ///
    /// # Errors
    /// [`PeerError`] as [`super::Peer::connect`].
    pub async fn open(url: &str, subprotocol: Option<&str>, options: &Options) -> Result<Self, PeerError> {
        let address = address_of(url)?;
        let mut stream = dial_tcp(url, options).await?;
        let path = url.trim_start_matches("ws://").split_once('/').map_or(String::new(), |(_, path)| path.to_owned());
        let offer = subprotocol.map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: bGlnaHR3ZWlnaHQgcGVlcg==\r\n{offer}\r\n"
        );
        let failed = |error: io::Error| PeerError::Upgrade(Box::new(error.into()));
        let answer = async {
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::with_capacity(512);
            loop {
                if stream.read_buf(&mut answer).await? == 0 || answer.len() > UPGRADE_BYTES_MAX {
                    return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
                }
                if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
                    return if answer.starts_with(b"HTTP/1.1 101") {
                        Ok(answer.split_off(end + 4))
                    } else {
                        Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned()))
                    };
                }
            }
        };
        match tokio::time::timeout(WAIT, answer).await {
            Ok(Ok(rest)) => Ok(Self { stream, rest }),
            Ok(Err(error)) => Err(failed(error)),
            Err(_elapsed) => Err(failed(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The socket's; also when the hub did not take it within 15 s.
    pub async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut framed = Vec::with_capacity(payload.len() + MASK_FREE_HEAD_MAX);
        masked_frame(2, payload, &mut framed);
        self.send_framed(&framed).await
    }

    /// Sends bytes that [`masked_frame`] made: any number of messages at once.
    ///
    /// # Errors
    /// As [`Light::send`].
    pub async fn send_framed(&mut self, framed: &[u8]) -> io::Result<()> {
        tokio::time::timeout(WAIT, self.stream.write_all(framed)).await?
    }

    /// Waits for bytes and hands every whole message to `on_message`. Safe to drop at await.
    ///
    /// # Errors
    /// The socket's; a close of the hub is `ConnectionAborted` with code and text.
    pub async fn read(&mut self, mut on_message: impl FnMut(&[u8])) -> io::Result<()> {
        let mut pong = Vec::new();
        while self.rest.is_empty() || !take_messages(&mut self.rest, &mut on_message, &mut pong)? {
            self.stream.readable().await?;
            let (stream, rest) = (&self.stream, &mut self.rest);
            let took = SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) if rest.is_empty() => take_from(&scratch[..read], rest, &mut on_message, &mut pong),
                Ok(read) => {
                    rest.extend_from_slice(&scratch[..read]);
                    take_messages(rest, &mut on_message, &mut pong)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
                Err(error) => Err(error),
            })?;
            if took {
                break;
            }
        }
        if !pong.is_empty() {
            self.send_framed(&pong).await?;
        }
        Ok(())
    }

    /// Cuts the connection without a word (TCP reset), as a lost link does.
    pub fn cut(self) {
        // Linger of zero makes the close a reset; where the kernel refuses it, it is an ordinary close.
        if self.stream.set_zero_linger().is_err() {
            drop(self.stream);
        }
    }

    /// The port of this side, by which the kernel's tables name the connection.
    ///
    /// # Errors
    /// Where the socket is gone.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    /// Halves for a sender and a reader of their own.
    #[must_use]
    pub fn into_split(self) -> (LightReader, LightWriter) {
        let (read, write) = self.stream.into_split();
        let writer = LightWriter(Arc::new(Mutex::new(write)));
        (LightReader { read, rest: self.rest, writer: writer.clone() }, writer)
    }
}

/// The writing half of a [`Light`], shared by whoever has something to say.
#[derive(Debug, Clone)]
pub struct LightWriter(Arc<Mutex<OwnedWriteHalf>>);

impl LightWriter {
    /// As [`Light::send_framed`].
    ///
    /// # Errors
    /// As [`Light::send`].
    pub async fn send_framed(&self, framed: &[u8]) -> io::Result<()> {
        let write = async { self.0.lock().await.write_all(framed).await };
        tokio::time::timeout(WAIT, write).await?
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// As [`Light::send`].
    pub async fn send(&self, frame: &ClientFrame) -> io::Result<()> {
        let payload = frame.to_bytes(Encoding::MessagePack);
        let mut framed = Vec::with_capacity(payload.len() + MASK_FREE_HEAD_MAX);
        masked_frame(2, &payload, &mut framed);
        self.send_framed(&framed).await
    }
}

/// The reading half of a [`Light`].
pub struct LightReader {
    read: OwnedReadHalf,
    rest: Vec<u8>,
    writer: LightWriter,
}

impl LightReader {
    /// As [`Light::read`].
    ///
    /// # Errors
    /// As [`Light::read`].
    pub async fn read(&mut self, mut on_message: impl FnMut(&[u8])) -> io::Result<()> {
        let mut pong = Vec::new();
        if self.rest.is_empty() || !take_messages(&mut self.rest, &mut on_message, &mut pong)? {
            if self.read.read_buf(&mut self.rest).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            take_messages(&mut self.rest, &mut on_message, &mut pong)?;
        }
        if !pong.is_empty() {
            self.writer.send_framed(&pong).await?;
        }
        Ok(())
    }
}

/// Takes whole messages from the front of `rest`; whether there was one.
fn take_messages(rest: &mut Vec<u8>, on_message: &mut impl FnMut(&[u8]), pong: &mut Vec<u8>) -> io::Result<bool> {
    let (taken, any) = walk(rest, on_message, pong)?;
    rest.drain(..taken);
    if rest.is_empty() {
        // An idle peer holds nothing.
        *rest = Vec::new();
    }
    Ok(any)
}

fn take_from(bytes: &[u8], rest: &mut Vec<u8>, on_message: &mut impl FnMut(&[u8]), pong: &mut Vec<u8>) -> io::Result<bool> {
    let (taken, any) = walk(bytes, on_message, pong)?;
    rest.extend_from_slice(&bytes[taken..]);
    Ok(any)
}

fn walk(bytes: &[u8], on_message: &mut impl FnMut(&[u8]), pong: &mut Vec<u8>) -> io::Result<(usize, bool)> {
    let (mut at, mut any) = (0, false);
    while let Some((opcode, head, length)) = server_head(&bytes[at..]) {
        let Some(payload) = bytes[at + head..].get(..length) else { break };
        at += head + length;
        match opcode {
            1 | 2 => {
                any = true;
                on_message(payload);
            }
            8 => {
                let code = payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                let text = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, HungUp { code, text }));
            }
            9 => masked_frame(10, payload, pong),
            _ => (),
        }
    }
    // A ping alone also ends the wait, so that it is answered.
    Ok((at, any || !pong.is_empty()))
}

/// The kind of a MessagePack frame, read without decoding the rest.
#[must_use]
pub fn kind_of(message: &[u8]) -> Option<u8> {
    let at = match *message.first()? {
        0x90..=0x9f => 1,
        0xdc => 3,
        _ => return None,
    };
    message.get(at).copied()
}

/// The numbers at the front of a `live` frame in MessagePack, read without decoding the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveHead {
    /// Short number of the room.
    pub handle: u32,
    /// Index of the source.
    pub source: u32,
    /// Number of the reading.
    pub seq: u32,
    /// Age told by the hub.
    pub age_ms: u32,
}

impl LiveHead {
    /// Reads `[69, handle, source, seq, age_ms, ..]`; none for anything else.
    #[must_use]
    pub fn read(message: &[u8]) -> Option<Self> {
        const LIVE: u8 = 69;
        let mut at = match *message.first()? {
            0x90..=0x9f => 1,
            0xdc => 3,
            _ => return None,
        };
        if *message.get(at)? != LIVE {
            return None;
        }
        at += 1;
        let mut number = || {
            let (value, width) = match *message.get(at)? {
                small @ 0..=0x7f => (u32::from(small), 1),
                0xcc => (u32::from(*message.get(at + 1)?), 2),
                0xcd => (u32::from(u16::from_be_bytes(message.get(at + 1..at + 3)?.try_into().ok()?)), 3),
                0xce => (u32::from_be_bytes(message.get(at + 1..at + 5)?.try_into().ok()?), 5),
                _ => return None,
            };
            at += width;
            Some(value)
        };
        Some(Self { handle: number()?, source: number()?, seq: number()?, age_ms: number()? })
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::Live;
    use protocol::{Field, Reading};

    use super::*;

    #[test]
    fn the_head_of_a_live_frame_reads_as_its_decoder_does() {
        let mut reading = Reading::new();
        reading.set(Field::Power, 250);
        for (handle, source, seq, age_ms) in [(1, 0, 1, 0), (300, 200, 70_000, 127), (70_000, 65_535, u32::MAX, 128)] {
            let frame = ServerFrame::from(Live { handle, source, seq, age_ms, reading: reading.clone() });
            let head = LiveHead::read(&frame.to_bytes(Encoding::MessagePack)).unwrap();
            assert_eq!(head, LiveHead { handle, source: u32::from(source), seq, age_ms });
        }
        assert_eq!(LiveHead::read(&[0x92, 70, 1]), None);
    }

    #[test]
    fn messages_cut_anywhere_come_out_whole() {
        let mut wire = vec![0x82, 3, 1, 2, 3, 0x89, 1, 7, 0x82, 126, 0, 200];
        wire.extend([9; 200]);
        for cut in 0..wire.len() {
            let (mut rest, mut heard, mut pong) = (Vec::new(), Vec::new(), Vec::new());
            for part in [&wire[..cut], &wire[cut..]] {
                rest.extend_from_slice(part);
                take_messages(&mut rest, &mut |message: &[u8]| heard.push(message.to_vec()), &mut pong).unwrap();
            }
            assert_eq!(heard, [vec![1, 2, 3], vec![9; 200]], "cut at {cut}");
            assert_eq!((pong, rest.len()), (vec![0x8a, 0x81, 0, 0, 0, 0, 7], 0));
        }
    }
}

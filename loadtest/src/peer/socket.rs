//! A peer's WebSocket: dial, one frame out, one message in, close.
//!
//! Every write has a deadline. Buffers are small, so that thousands fit in one process.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::wire::{DecodeError, Encoding};
use protocol::{ClientFrame, ServerFrame};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Options, PeerError};

/// A write that takes longer means that the hub does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connect and upgrade together.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Small: thousands of peers in one process.
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// Frames of one `send_all` gather up to here; every send ends with a flush.
const WRITE_BUFFER_BYTES: usize = 32 * 1024;

/// What a peer counted on its socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Frames received.
    pub frames: u64,
    /// Their bytes, without WebSocket headers.
    pub bytes: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
}

/// One thing that came.
pub(super) enum Incoming {
    Frame(Box<ServerFrame>),
    Strange(DecodeError),
    Closed { code: u16, text: String },
}

pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
    heard: Heard,
}

/// Splits `ws://host:port/path` into the address to dial; port 80 where none is named.
pub(super) fn address_of(url: &str) -> Result<String, PeerError> {
    let rest = url.strip_prefix("ws://").ok_or_else(|| PeerError::Url(url.to_owned()))?;
    let host = rest.split(['/', '?']).next().filter(|host| !host.is_empty()).ok_or_else(|| PeerError::Url(url.to_owned()))?;
    Ok(if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) { host.to_owned() } else { format!("{host}:80") })
}

/// Opens the TCP connection, from an address and with a bounded receive buffer where asked for.
pub(super) async fn dial_tcp(url: &str, options: &Options) -> Result<TcpStream, PeerError> {
    let address = address_of(url)?;
    let failed = |source| PeerError::Dial { address: address.clone(), source };
    let dial = async {
        let found = lookup_host(&address).await?.next().ok_or_else(|| std::io::Error::other("the host has no address"))?;
        let socket = if found.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(bytes) = options.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(from) = options.from {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        let stream = socket.connect(found).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    match tokio::time::timeout(DIAL_TIMEOUT, dial).await {
        Ok(done) => done.map_err(failed),
        Err(_elapsed) => Err(failed(std::io::ErrorKind::TimedOut.into())),
    }
}

async fn in_time(frame: &'static str, send: impl Future<Output = Result<(), Error>>) -> Result<(), PeerError> {
    match tokio::time::timeout(WRITE_TIMEOUT, send).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(PeerError::Send { frame, source: Some(Box::new(error)) }),
        Err(_elapsed) => Err(PeerError::Send { frame, source: None }),
    }
}

impl Socket {
    pub(super) async fn dial(url: &str, options: &Options) -> Result<Self, PeerError> {
        let uri = url.parse().map_err(|_| PeerError::Url(url.to_owned()))?;
        let mut request = ClientRequestBuilder::new(uri).with_sub_protocol(options.encoding.subprotocol());
        if let Some(origin) = &options.origin {
            request = request.with_header("Origin", origin.clone());
        }
        let tcp = dial_tcp(url, options).await?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(Some(4 * protocol::limits::MESSAGE_BYTES_MAX));
        let upgrade = tokio_tungstenite::client_async_with_config(request, tcp, Some(config));
        match tokio::time::timeout(DIAL_TIMEOUT, upgrade).await {
            Ok(Ok((stream, _response))) => Ok(Self { stream, heard: Heard::default() }),
            Ok(Err(error)) => Err(PeerError::Upgrade(Box::new(error))),
            Err(_elapsed) => Err(PeerError::Upgrade(Box::new(Error::Io(std::io::ErrorKind::TimedOut.into())))),
        }
    }

    pub(super) const fn heard(&self) -> Heard {
        self.heard
    }

    pub(super) async fn send(&mut self, frame: &ClientFrame, encoding: Encoding) -> Result<(), PeerError> {
        self.send_bytes(frame.to_bytes(encoding), encoding, frame.name()).await
    }

    pub(super) async fn send_all(&mut self, frames: &[ClientFrame], encoding: Encoding) -> Result<(), PeerError> {
        let all = async {
            for frame in frames {
                let message = self.message(frame.to_bytes(encoding), encoding);
                self.stream.feed(message).await?;
            }
            self.stream.flush().await
        };
        in_time("frames", all).await
    }

    fn message(&mut self, bytes: Vec<u8>, encoding: Encoding) -> Message {
        self.heard.frames_sent += 1;
        self.heard.bytes_sent += bytes.len() as u64;
        match encoding {
            Encoding::MessagePack => Message::binary(bytes),
            // Tests send broken text too; what is not UTF-8 can only go out as binary.
            Encoding::Json => String::from_utf8(bytes).map_or_else(|error| Message::binary(error.into_bytes()), Message::text),
        }
    }

    pub(super) async fn send_bytes(&mut self, bytes: Vec<u8>, encoding: Encoding, frame: &'static str) -> Result<(), PeerError> {
        let message = self.message(bytes, encoding);
        in_time(frame, self.stream.send(message)).await
    }

    /// The next frame or the end. Pings are answered on the way. Safe to drop at await.
    pub(super) async fn read(&mut self, encoding: Encoding) -> Incoming {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(bytes))) => return self.frame(encoding, &bytes),
                Some(Ok(Message::Text(text))) => return self.frame(encoding, text.as_bytes()),
                Some(Ok(Message::Close(close))) => {
                    let (code, text) = close.map_or((1005, String::new()), |close| (close.code.into(), close.reason.to_string()));
                    return Incoming::Closed { code, text };
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => (),
                Some(Err(error)) => return Incoming::Closed { code: 1006, text: error.to_string() },
                None => return Incoming::Closed { code: 1006, text: "the connection ended".to_owned() },
            }
        }
    }

    fn frame(&mut self, encoding: Encoding, bytes: &[u8]) -> Incoming {
        self.heard.frames += 1;
        self.heard.bytes += bytes.len() as u64;
        match ServerFrame::decode(encoding, bytes) {
            Ok(frame) => Incoming::Frame(Box::new(frame)),
            Err(error) => Incoming::Strange(error),
        }
    }

    pub(super) async fn close(&mut self) -> Result<(), PeerError> {
        let goodbye = CloseFrame { code: 1000.into(), reason: "bye".into() };
        match tokio::time::timeout(WRITE_TIMEOUT, self.stream.close(Some(goodbye))).await {
            Ok(Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed)) => Ok(()),
            Ok(Err(error)) => Err(PeerError::Send { frame: "close", source: Some(Box::new(error)) }),
            Err(_elapsed) => Err(PeerError::Send { frame: "close", source: None }),
        }
    }

    pub(super) fn cut(self) {
        // Linger of zero makes the close a reset; where the kernel refuses it, it is an ordinary close.
        if self.stream.get_ref().set_zero_linger().is_err() {
            drop(self.stream);
        }
    }
}

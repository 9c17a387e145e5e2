//! `Peer`: the one client that tests and load share.
//!
//! In: a URL and [`Options`]. Out: typed frames, one at a time, each awaited under a deadline. It reads only when asked, so that a
//! test decides what is read and a stalled peer is one that nobody asks. Owns its socket, its rooms' positions ([`Rooms`])
//! and what it counted ([`Heard`]). It follows no rule of the hub: what a test sends is sent.
//! Frames that an `expect` passes over are kept (bounded) for the next one.

mod follower;
mod light;
mod options;
mod rooms;
mod socket;
mod stop;

use std::collections::VecDeque;
use std::time::Duration;

use protocol::frame::{Join, JoinRoom, Joined, Welcome};
use protocol::wire::{DecodeError, Encoding};
use protocol::{ClientFrame, CloseReason, RoomName, ServerFrame};
use tokio::time::Instant;

pub use follower::{Back, Follower};
pub use light::{HungUp, Light, LightReader, LightWriter, LiveHead, kind_of, masked_frame};
pub use options::Options;
pub use rooms::{Position, Rooms};
pub use socket::Heard;

use socket::{Incoming, Socket};

/// Frames passed over by `expect` that are kept for later; beyond it the oldest is forgotten.
const PASSED_OVER_MAX: usize = 16_384;

/// What a peer could not do.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The URL is not `ws://host:port/path`.
    #[error("`{0}` is no ws:// URL with a host")]
    Url(String),
    /// No TCP connection.
    #[error("could not reach {address}")]
    Dial {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The upgrade was refused; the status is in the cause.
    #[error("the WebSocket upgrade was refused")]
    Upgrade(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    /// Something was not sent within its deadline, or the socket broke.
    #[error("could not send `{frame}`")]
    Send {
        /// Name of the frame.
        frame: &'static str,
        /// Why; none when the deadline passed.
        source: Option<Box<tokio_tungstenite::tungstenite::Error>>,
    },
    /// What was waited for did not come.
    #[error("waited {waited:?} for {what}; passed over meanwhile: {passed}")]
    Deadline {
        /// What.
        what: String,
        /// How long.
        waited: Duration,
        /// Names of frames that came instead, the last ones.
        passed: String,
    },
    /// The hub closed.
    #[error("closed with {code} {text:?} while waiting for {what}")]
    Closed {
        /// Close code; 1006 where there was no close frame.
        code: u16,
        /// Text of the close frame.
        text: String,
        /// What was waited for.
        what: String,
    },
    /// The hub sent something that is no frame.
    #[error("the hub sent what is no frame")]
    Frame(#[source] DecodeError),
    /// The challenge is of another hub or tenant than the device was enrolled with.
    #[error("challenged in the name of another hub or tenant than the device was enrolled with")]
    ForeignHub,
    /// The hub refused a request.
    #[error("refused: {0} {1}: {2}")]
    Refused(u16, String, String),
}

impl PeerError {
    /// What the catalogue says of this end: a lost connection where the hub said nothing.
    #[must_use]
    pub fn ended_as(&self) -> CloseReason {
        self.close_reason().unwrap_or(CloseReason::Gone)
    }

    /// The reason of a close, where that is what happened and the catalogue has it.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self {
            Self::Closed { code, .. } => CloseReason::from_code(*code),
            _ => None,
        }
    }
}

/// A peer that does not read. It can still speak: a stop from a stalled phone is heard.
pub struct Stalled(Peer);

impl Stalled {
    /// Sends one frame under the write deadline.
    ///
    /// # Errors
    /// [`PeerError::Send`].
    pub async fn send(&mut self, frame: impl Into<ClientFrame>) -> Result<(), PeerError> {
        self.0.send(frame).await
    }

    /// Reads again.
    #[must_use]
    pub fn wake(self) -> Peer {
        self.0
    }
}

/// One connection to the hub.
pub struct Peer {
    socket: Socket,
    options: Options,
    welcome: Option<Welcome>,
    rooms: Rooms,
    passed: VecDeque<ServerFrame>,
    req: u32,
    patience: Duration,
}

impl Peer {
    /// Connects, says hello and waits for `welcome`.
    ///
    /// # Errors
    /// [`PeerError`]; where the hub refuses the token it is [`PeerError::Closed`] with its code.
    pub async fn connect(url: &str, options: Options) -> Result<Self, PeerError> {
        let mut peer = Self::dial(url, options).await?;
        let hello = peer.options.hello();
        peer.send(hello).await?;
        if let Some(device) = peer.options.enrolled.clone() {
            let challenge = peer
                .expect("challenge", |frame| if let ServerFrame::Challenge(challenge) = frame { Some(challenge.clone()) } else { None })
                .await?;
            peer.send(device.prove(&challenge).ok_or(PeerError::ForeignHub)?).await?;
        }
        let welcome =
            peer.expect("welcome", |frame| if let ServerFrame::Welcome(welcome) = frame { Some(welcome.clone()) } else { None }).await?;
        peer.welcome = Some(welcome);
        Ok(peer)
    }

    /// Opens the socket and says nothing yet.
    ///
    /// # Errors
    /// [`PeerError::Url`], [`PeerError::Dial`] or [`PeerError::Upgrade`].
    pub async fn dial(url: &str, options: Options) -> Result<Self, PeerError> {
        let socket = Socket::dial(url, &options).await?;
        let (patience, rooms) = (options.patience, Rooms::asking(&options.rooms));
        Ok(Self { socket, options, welcome: None, rooms, passed: VecDeque::new(), req: 0, patience })
    }

    /// The hub's welcome; none before it came (after [`Peer::dial`] only).
    #[must_use]
    pub const fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// Rooms watched, by handle, with their positions and gaps.
    #[must_use]
    pub const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Bytes and frames so far.
    #[must_use]
    pub const fn heard(&self) -> Heard {
        self.socket.heard()
    }

    /// Changes how long waits last.
    pub const fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Draws the next request number.
    pub const fn req(&mut self) -> u32 {
        self.req += 1;
        self.req
    }

    /// Options to connect again with: ticket, and every room from where it was left.
    #[must_use]
    pub fn resume(&self) -> Options {
        let mut options = self.options.clone();
        options.ticket = self.welcome.as_ref().map(|welcome| welcome.ticket.as_str().to_owned()).or(options.ticket);
        options.rooms = self.rooms.positions().map(|position| position.join(&self.options.rooms)).collect();
        options
    }

    /// Sends one frame under the write deadline.
    ///
    /// # Errors
    /// [`PeerError::Send`]; the connection is of no use any more.
    pub async fn send(&mut self, frame: impl Into<ClientFrame>) -> Result<(), PeerError> {
        let frame = frame.into();
        self.socket.send(&frame, self.options.encoding).await
    }

    /// Sends frames in order, flushed once.
    ///
    /// # Errors
    /// [`PeerError::Send`]; nobody knows which of them arrived.
    pub async fn send_all(&mut self, frames: &[ClientFrame]) -> Result<(), PeerError> {
        if frames.is_empty() { Ok(()) } else { self.socket.send_all(frames, self.options.encoding).await }
    }

    /// Sends bytes as one message of the connection's kind, whatever they are.
    ///
    /// # Errors
    /// [`PeerError::Send`].
    pub async fn send_bytes(&mut self, bytes: Vec<u8>) -> Result<(), PeerError> {
        self.socket.send_bytes(bytes, self.options.encoding, "bytes").await
    }

    /// The next frame: one passed over before, or one read now.
    ///
    /// # Errors
    /// [`PeerError::Deadline`] after the patience, [`PeerError::Closed`], [`PeerError::Frame`].
    pub async fn next(&mut self) -> Result<ServerFrame, PeerError> {
        match self.passed.pop_front() {
            Some(frame) => Ok(frame),
            None => self.read("any frame", Instant::now() + self.patience).await,
        }
    }

    /// The next frame read until `deadline`; none when it passes first. Frames passed over before are not looked at.
    /// Safe to drop at await.
    ///
    /// # Errors
    /// [`PeerError::Closed`], [`PeerError::Frame`].
    pub async fn next_until(&mut self, deadline: Instant) -> Result<Option<ServerFrame>, PeerError> {
        match self.read("", deadline).await {
            Ok(frame) => Ok(Some(frame)),
            Err(PeerError::Deadline { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the first frame that `pick` makes something of; passes over the others, which stay for later.
    ///
    /// # Errors
    /// [`PeerError::Deadline`] with what came instead, [`PeerError::Closed`], [`PeerError::Frame`].
    pub async fn expect<T>(&mut self, what: &str, mut pick: impl FnMut(&ServerFrame) -> Option<T>) -> Result<T, PeerError> {
        for at in 0..self.passed.len() {
            if let Some(picked) = pick(&self.passed[at]) {
                self.passed.remove(at);
                return Ok(picked);
            }
        }
        let deadline = Instant::now() + self.patience;
        loop {
            let frame = self.read(what, deadline).await?;
            if let Some(picked) = pick(&frame) {
                return Ok(picked);
            }
            self.pass_over(frame);
        }
    }

    fn pass_over(&mut self, frame: ServerFrame) {
        if self.passed.len() == PASSED_OVER_MAX {
            self.passed.pop_front();
        }
        self.passed.push_back(frame);
    }

    /// Waits for the hub to close with this reason; frames on the way are passed over.
    ///
    /// # Errors
    /// [`PeerError::Closed`] with another reason, or [`PeerError::Deadline`].
    pub async fn expect_close(&mut self, reason: CloseReason) -> Result<(), PeerError> {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.read("a close", deadline).await {
                Ok(_) | Err(PeerError::Frame(_)) => (),
                Err(PeerError::Closed { code, .. }) if code == reason.code() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request (its `req` from [`Peer::req`]) and waits for what `pick` makes of an answer, or for its `error`.
    ///
    /// # Errors
    /// [`PeerError::Refused`] with the catalogue's number, else as `expect`.
    pub async fn request<T>(
        &mut self,
        frame: impl Into<ClientFrame>,
        req: u32,
        mut pick: impl FnMut(&ServerFrame) -> Option<T>,
    ) -> Result<T, PeerError> {
        let frame = frame.into();
        let what = format!("the answer to `{}`", frame.name());
        self.send(frame).await?;
        self.expect(&what, |heard| match heard {
            ServerFrame::Error(error) if error.req == Some(req) => {
                Some(Err(PeerError::Refused(error.code, error.name.to_string(), error.detail.as_deref().unwrap_or_default().to_owned())))
            }
            other => pick(other).map(Ok),
        })
        .await?
    }

    /// Watches a room: every value, all fields, from a snapshot.
    ///
    /// # Errors
    /// [`PeerError::Refused`] where the hub does not let it, else as `expect`.
    pub async fn join(&mut self, room: RoomName) -> Result<Joined, PeerError> {
        self.join_with(JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 }).await
    }

    /// Watches a room from a place, at a rate, with some fields.
    ///
    /// # Errors
    /// As [`Peer::join`].
    pub async fn join_with(&mut self, join: JoinRoom) -> Result<Joined, PeerError> {
        let req = self.req();
        self.rooms.ask(&join);
        self.request(Join { req, join }, req, |frame| match frame {
            ServerFrame::Joined(joined) if joined.req == Some(req) => Some(joined.clone()),
            _ => None,
        })
        .await
    }

    /// Reads no more, as a phone in a lift. The kernel still takes up to [`Options::receive_buffer_bytes`]: set it small where the
    /// hub should feel it soon.
    #[must_use]
    pub const fn stall(self) -> Stalled {
        Stalled(self)
    }

    /// Says goodbye and waits until the hub closed too.
    ///
    /// # Errors
    /// [`PeerError::Send`] or [`PeerError::Deadline`].
    pub async fn close(mut self) -> Result<(), PeerError> {
        self.socket.close().await?;
        let deadline = Instant::now() + self.patience;
        loop {
            match self.read("the close", deadline).await {
                Ok(_) | Err(PeerError::Frame(_)) => (),
                Err(PeerError::Closed { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Cuts the connection without a word (TCP reset), as a dead battery does.
    pub fn cut(self) {
        self.socket.cut();
    }

    async fn read(&mut self, what: &str, deadline: Instant) -> Result<ServerFrame, PeerError> {
        let started = Instant::now();
        match tokio::time::timeout_at(deadline, self.socket.read(self.options.encoding)).await {
            Ok(Incoming::Frame(frame)) => {
                self.rooms.hear(&frame);
                Ok(*frame)
            }
            Ok(Incoming::Strange(error)) => Err(PeerError::Frame(error)),
            Ok(Incoming::Closed { code, text }) => Err(PeerError::Closed { code, text, what: what.to_owned() }),
            Err(_elapsed) => {
                let passed: Vec<_> = self.passed.iter().rev().take(8).map(ServerFrame::name).collect();
                Err(PeerError::Deadline { what: what.to_owned(), waited: started.elapsed(), passed: passed.join(", ") })
            }
        }
    }

    /// How frames are written on this connection.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.options.encoding
    }
}

//! The first stage of a connection: a socket that nobody vouches for yet.
//!
//! In: an upgraded socket, its address, ten seconds. Out: a [`Session`], or an [`Exit`] with the answer why. Knows a deadline and no user. Holds at most
//! one small message: the first frame must be `hello`, complete, and within the size for strangers. One round trip restores everything: token, welcome with
//! ticket, every room of `hello`. No query, no key fetch (but for a key that was never seen).

use std::sync::Arc;
use std::task::Context;

use bytes::Bytes;
use protocol::frame::{Hello, Welcome};
use protocol::limits::ROOMS_PER_SESSION_MAX;
use protocol::wire::{DecodeError, Encoding};
use protocol::{ClientFrame, CloseReason, ErrorCode, SessionId};
use room::Lane;
use tokio::time::timeout;
use uuid::Uuid;

use super::challenge::Known;
use super::exit::Exit;
use super::live::{Session, exit_of, malformed};
use super::peer::Peer;
use super::writer::Writer;
use crate::auth::{AuthError, Identity};
use crate::directory::{TokenMark, TooMany};
use crate::hub::Hub;
use crate::metrics::Limit;
use crate::session::say_goodbye;
use crate::transport::caps::Place;
use crate::transport::reader::{Heard, Reader};
use crate::transport::stream::Stream;
use crate::transport::wsframe;

/// Pings and pongs that a stranger may send: browsers and libraries send none so early.
const SIGNS_MAX: u32 = 32;

/// A socket before `hello`.
pub struct Handshake {
    /// The house.
    pub hub: Arc<Hub>,
    /// The socket.
    pub stream: Stream,
    /// What came with the upgrade request already.
    pub begun: Bytes,
    /// The subprotocol that was chosen.
    pub encoding: Encoding,
    /// A token of the URL, in the `dev` profile only.
    pub url_token: Option<String>,
    /// Its place among the strangers.
    pub place: Place,
    /// Bytes of the first message, once it was heard.
    pub hello_bytes: usize,
}

impl Handshake {
    /// Hears hello and makes a session of it, or ends the connection.
    pub async fn run(mut self) -> Option<Box<Session>> {
        let mut reader = Reader::new(&self.begun, self.hub.config.limits.hello_bytes);
        self.begun = Bytes::new();
        let within = self.hub.config.session.hello_timeout;
        let accepted = match timeout(within, self.accept(&mut reader)).await {
            Ok(accepted) => accepted,
            Err(_elapsed) => Err(Refusal::close(CloseReason::HelloTimeout)),
        };
        match accepted {
            Ok((peer, hello, resumed)) => {
                let reader = reader.after_hello(self.hello_bytes, self.hub.config.limits.message_bytes);
                Some(self.establish(reader, peer, hello, resumed))
            }
            Err(refusal) => {
                self.refuse(refusal).await;
                None
            }
        }
    }

    async fn accept(&mut self, reader: &mut Reader) -> Result<(Arc<Peer>, Hello, bool), Refusal> {
        let mut hello = self.hear(reader).await?;
        if hello.token.is_empty()
            && let Some(token) = self.url_token.take()
        {
            hello.token = protocol::text::Text::cut(&token);
        }
        let known = self.identify(reader, &hello).await?;
        hello.token = protocol::text::Text::default();
        let before = self.before(&hello, &known.identity);
        let peer = self.enter(&known, &hello, before)?;
        Ok((peer, hello, before.is_some()))
    }

    /// Waits for the first frame, which must be hello.
    async fn hear(&mut self, reader: &mut Reader) -> Result<Hello, Refusal> {
        match self.hear_frame(reader).await? {
            ClientFrame::Hello(hello) if hello.rooms.len() <= ROOMS_PER_SESSION_MAX => Ok(hello),
            ClientFrame::Hello(_) => Err(Refusal::error(CloseReason::Malformed, ErrorCode::TooManyRooms, None)),
            _ => Err(Refusal::close(CloseReason::HelloExpected)),
        }
    }

    /// Waits for a frame of a stranger.
    pub(super) async fn hear_frame(&mut self, reader: &mut Reader) -> Result<ClientFrame, Refusal> {
        let (mut answers, mut signs) = (Vec::new(), 0);
        loop {
            let stream = &mut self.stream;
            let heard = std::future::poll_fn(|cx: &mut Context<'_>| reader.poll(stream, cx, &mut answers)).await;
            let message = match heard {
                Ok(Heard::Binary(bytes)) if self.encoding == Encoding::MessagePack => bytes,
                Ok(Heard::Text(text)) if self.encoding == Encoding::Json => Bytes::from(text),
                Ok(Heard::Binary(_) | Heard::Text(_)) => return Err(malformed("the message does not fit the subprotocol").into()),
                // A stranger's ping is answered by the session, if there will be one.
                Ok(Heard::Sign | Heard::Pong(_)) => {
                    answers.clear();
                    signs += 1;
                    if signs > SIGNS_MAX {
                        self.hub.metrics.limited(Limit::Frames);
                        return Err(Refusal::close(CloseReason::TooFast));
                    }
                    continue;
                }
                Ok(Heard::Goodbye(_)) => return Err(Exit::Goodbye(Bytes::from(answers)).into()),
                Err(error) => return Err(exit_of(&error).into()),
            };
            self.hello_bytes = message.len();
            return ClientFrame::decode(self.encoding, &message).map_err(|error| match error {
                DecodeError::Unknown(_) => Refusal::close(CloseReason::HelloExpected),
                DecodeError::Malformed(place) => malformed(&place).into(),
            });
        }
    }

    /// The session that the ticket stands for; its connection is over, whether it noticed or not.
    fn before(&self, hello: &Hello, identity: &Identity) -> Option<SessionId> {
        let viewer = &identity.viewer;
        let before = hello.ticket.as_ref().and_then(|ticket| self.hub.tickets.check(ticket, viewer, crate::clock::at_ms()))?;
        self.hub.directory.replace((viewer.tenant, viewer.role, viewer.subject), before);
        Some(before)
    }

    /// Lists the session among the subject's, within the caps.
    fn enter(&self, known: &Known, hello: &Hello, before: Option<SessionId>) -> Result<Arc<Peer>, Refusal> {
        let Known { identity, proved } = known;
        let session = SessionId(Uuid::now_v7());
        let config = &self.hub.config;
        let outbox_bytes = config.session.outbox_bytes;
        let peer = Peer::new(session, self.encoding, identity.viewer.clone(), identity.expires_at_ms, outbox_bytes).with_device(*proved);
        let peer = Arc::new(peer);
        let (per_user, per_device) = (config.limits.connections_per_user as usize, config.limits.connections_per_device as usize);
        self.hub.directory.enter(&peer, TokenMark::of(identity), hello.device.as_deref(), per_user, per_device).map_err(|too_many| {
            self.hub.metrics.limited(if matches!(too_many, TooMany::OfUser(_)) { Limit::User } else { Limit::Device });
            Exit::Close(CloseReason::TooManyConnections, Some(too_many.to_string()))
        })?;
        // A revocation between the check of the token and the entry in the directory would have missed this session.
        if self.hub.verifier.revocations().hits(identity) {
            self.hub.directory.leave(&peer);
            return Err(self.untrusted(AuthError::Revoked));
        }
        if let Some(proved) = proved
            && let Err(refused) = self.hub.devices.opened(&peer, proved, before)
        {
            self.hub.directory.leave(&peer);
            return Err(self.unproved(refused));
        }
        Ok(peer)
    }

    pub(super) fn untrusted(&self, refused: AuthError) -> Refusal {
        self.hub.metrics.token_refused(refused);
        Refusal::error(refused.close_reason(), refused.code(), Some(&refused.to_string()))
    }

    /// Welcomes the peer and joins its rooms.
    fn establish(self, reader: Reader, peer: Arc<Peer>, hello: Hello, resumed: bool) -> Box<Session> {
        let Self { hub, stream, mut place, .. } = self;
        place.known();
        let at_ms = crate::clock::at_ms();
        let welcome = Welcome {
            session: peer.session,
            subject: peer.viewer.subject,
            role: peer.viewer.role,
            server_at_ms: at_ms,
            expires_at_ms: peer.expires_at_ms(),
            heartbeat_ms: u32::try_from(hub.config.session.heartbeat.as_millis()).unwrap_or(u32::MAX),
            ticket: hub.tickets.issue(peer.session, &peer.viewer, peer.expires_at_ms().max(at_ms)),
            resumed,
        };
        peer.send(Lane::Event, &welcome.into());
        hub.opened(&peer);
        let mut session = Session::new(hub, peer, stream, reader, place);
        session.join_all(hello.rooms);
        session
    }

    /// Says why, and goodbye.
    async fn refuse(self, refusal: Refusal) {
        self.hub.turned_away(refusal.exit.reason());
        let mut writer = Writer::default();
        if let Some(error) = refusal.error {
            writer.queue(wsframe::prepare(&(*error).into(), self.encoding));
        }
        say_goodbye(self.stream, writer, &refusal.exit).await;
    }
}

/// Why there is no session.
pub(super) struct Refusal {
    exit: Exit,
    error: Option<Box<protocol::frame::Error>>,
}

impl Refusal {
    pub(super) fn close(reason: CloseReason) -> Self {
        Exit::Close(reason, None).into()
    }

    pub(super) fn error(reason: CloseReason, code: ErrorCode, detail: Option<&str>) -> Self {
        let error = protocol::frame::Error::new(None, code);
        let error = if let Some(detail) = detail { error.detail(detail) } else { error };
        Self { exit: Exit::Close(reason, None), error: Some(Box::new(error)) }
    }
}

impl From<Exit> for Refusal {
    fn from(exit: Exit) -> Self {
        Self { exit, error: None }
    }
}

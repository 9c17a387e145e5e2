//! An authenticated session: two halves of one poll.
//!
//! In: messages of the peer, frames in its outbox, a close from elsewhere. Out: orders to shards, bytes, one [`Exit`]. The poll writes first,
//! then reads a bounded number of messages, then writes what they caused. Nothing in it awaits: what needs the store or a key is a task
//! of its own, so that a stop never waits behind it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use protocol::frame::{Bind, Role};
use protocol::wire::{DecodeError, Encoding};
use protocol::{ClientFrame, CloseReason, ErrorCode, GymId, MemberId, ServerFrame, TenantId};
use room::{Input, Lane, MemberInput};

use super::exit::{Exit, say_goodbye};
use super::limits::Meter;
use super::peer::Peer;
use super::readings::Held;
use super::slots::{Home, Slots};
use super::writer::Writer;
use crate::auth::devices;
use crate::hub::Hub;
use crate::metrics::Limit;
use crate::shard::Order;
use crate::transport::caps::Place;
use crate::transport::reader::{Heard, ReadError, Reader};
use crate::transport::stream::Stream;

/// Messages read in one go before others get their turn.
const READ_BUDGET: u32 = 64;
/// The lane of answers to `ping`: only the last matters.
pub(super) const PONG_KEY: u64 = u64::MAX;

/// One authenticated connection.
pub struct Session {
    pub(super) hub: Arc<Hub>,
    pub(super) peer: Arc<Peer>,
    stream: Stream,
    reader: Reader,
    writer: Writer,
    answers: Vec<u8>,
    meter: Meter,
    pub(super) slots: Slots,
    pub(super) touched: Touched,
    /// Readings that shards had no room for.
    pub(super) held: Held,
    /// Where readings without a machine go: the gym of the last bind, or where the member claimed since.
    pub(super) home: Option<Home>,
    /// Where the member asked for a machine last, until a grant shows that they train there.
    pub(super) claims_at: Option<Home>,
    /// What was bound of the member's own, to go along to another gym; what it held is asked for at the next bind.
    pub(super) own: Vec<Bind>,
    /// Answers were queued since the last write.
    pub(super) said: bool,
    /// The last read ended by its budget: what the reader has buffered does not make the socket ready again.
    more: bool,
    place: Place,
}

/// Whom a session spoke to: each hears when it is gone.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) shards: Vec<usize>,
    pub(super) gyms: Vec<Home>,
}

impl Session {
    /// A session whose hello was accepted.
    pub(super) fn new(hub: Arc<Hub>, peer: Arc<Peer>, stream: Stream, reader: Reader, place: Place) -> Box<Self> {
        let meter = Meter::new(hub.rate_of(peer.viewer.role), crate::clock::mono_ms());
        Box::new(Self {
            hub,
            peer,
            stream,
            reader,
            writer: Writer::default(),
            answers: Vec::new(),
            meter,
            slots: Slots::default(),
            touched: Touched::default(),
            held: Held::new(),
            home: None,
            claims_at: None,
            own: Vec::new(),
            said: false,
            more: false,
            place,
        })
    }

    /// Runs to the end, tells everybody, and says goodbye.
    ///
    /// Boxed: a future that held the session by value would hold it once for each layer of futures that it is moved through.
    pub async fn run(mut self: Box<Self>) {
        let exit = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.part(&exit);
        Self::goodbye(self, exit).await;
    }

    fn goodbye(self: Box<Self>, exit: Exit) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let Self { stream, writer, place, .. } = *self;
        Box::pin(async move {
            say_goodbye(stream, writer, &exit).await;
            drop(place);
        })
    }

    /// Leaves every room and list. The outbox is emptied: its frames are of no use to anybody.
    fn part(&mut self, exit: &Exit) {
        let session = self.peer.session;
        self.peer.close(exit.reason());
        for home in std::mem::take(&mut self.touched.gyms) {
            self.hub.shards.owe(home.shard, Order::Gym { gym: home.gym, from: Some(session), input: Input::Gone { session } });
        }
        for shard in std::mem::take(&mut self.touched.shards) {
            self.hub.shards.owe(shard, Order::Detach(session));
        }
        self.hub.directory.leave(&self.peer);
        self.hub.devices.ended(&self.peer);
        self.hub.closed(&self.peer, exit.reason());
        tracing::debug!(session.id = %session, close.reason = exit.reason().name(), "session ended");
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        self.peer.register(cx.waker());
        if let Some(reason) = self.peer.closing() {
            return Poll::Ready(Exit::Close(reason, None));
        }
        match self.writer.poll(&self.peer, &mut self.stream, cx) {
            Poll::Ready(Ok(())) => self.mend(),
            Poll::Ready(Err(_gone)) => return Poll::Ready(Exit::Lost),
            Poll::Pending => (),
        }
        if (std::mem::take(&mut self.more) || self.stream.poll_read_ready(cx).is_ready())
            && let Poll::Ready(exit) = self.read(cx)
        {
            return Poll::Ready(exit);
        }
        self.ask_again();
        if std::mem::take(&mut self.said)
            && let Poll::Ready(Err(_gone)) = self.writer.poll(&self.peer, &mut self.stream, cx)
        {
            return Poll::Ready(Exit::Lost);
        }
        // A push of this very poll may have filled the outbox.
        match self.peer.closing() {
            Some(reason) => Poll::Ready(Exit::Close(reason, None)),
            None => Poll::Pending,
        }
    }

    /// Everything was written. Where changes were dropped before, their room is asked for the whole; a full shard is asked again at the next
    /// write.
    fn mend(&self) {
        if !self.peer.take_torn() {
            return;
        }
        let session = self.peer.session;
        for home in &self.touched.gyms {
            let order = Order::Gym { gym: home.gym, from: Some(session), input: Input::FloorAgain { session } };
            if self.hub.shards.push(home.shard, order).is_err() {
                self.peer.tear();
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Exit> {
        let mono_ms = crate::clock::mono_ms();
        for _ in 0..READ_BUDGET {
            let heard = match self.reader.poll(&mut self.stream, cx, &mut self.answers) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(heard)) => heard,
                Poll::Ready(Err(error)) => return Poll::Ready(exit_of(&error)),
            };
            self.peer.heard(mono_ms);
            let message = match heard {
                Heard::Binary(bytes) if self.peer.encoding == Encoding::MessagePack => bytes,
                Heard::Text(text) if self.peer.encoding == Encoding::Json => Bytes::from(text),
                Heard::Binary(_) => return Poll::Ready(malformed("a binary message on a text subprotocol")),
                Heard::Text(_) => return Poll::Ready(malformed("a text message on a binary subprotocol")),
                Heard::Sign => Bytes::new(),
                Heard::Pong(bytes) => {
                    self.pong(&bytes);
                    Bytes::new()
                }
                Heard::Goodbye(_) => return Poll::Ready(Exit::Goodbye(Bytes::from(std::mem::take(&mut self.answers)))),
            };
            if let Err(exit) = self.take(&message, mono_ms) {
                return Poll::Ready(exit);
            }
        }
        self.more = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One message. A stop is carried out before it is counted.
    fn take(&mut self, message: &Bytes, mono_ms: i64) -> Result<(), Exit> {
        if message.is_empty() {
            self.answer();
        } else {
            match ClientFrame::decode(self.peer.encoding, message) {
                Ok(ClientFrame::Stop(stop)) => {
                    self.stop(stop);
                    return Ok(());
                }
                Ok(ClientFrame::StopAnswer(answer)) => {
                    self.stop_answer(answer);
                    return Ok(());
                }
                decoded => {
                    self.count(message.len(), mono_ms)?;
                    self.hub.metrics.frame_in(message.len());
                    return self.decoded(decoded);
                }
            }
        }
        self.count(message.len(), mono_ms)
    }

    fn decoded(&mut self, decoded: Result<ClientFrame, DecodeError>) -> Result<(), Exit> {
        match decoded {
            Ok(frame) => self.dispatch(frame),
            Err(DecodeError::Unknown(kind)) => {
                self.say(protocol::frame::Error::new(None, ErrorCode::UnknownFrame).detail(&kind));
            }
            Err(DecodeError::Malformed(place)) => return Err(malformed(&place)),
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize, mono_ms: i64) -> Result<(), Exit> {
        let rate = self.hub.rate_of(self.peer.viewer.role);
        if self.meter.admit(rate, bytes, mono_ms) {
            return Ok(());
        }
        self.hub.metrics.limited(Limit::Frames);
        Err(Exit::Close(CloseReason::TooFast, None))
    }

    /// A device that was asked whether it is still there, is.
    fn pong(&self, bytes: &[u8]) {
        if let Some(proved) = &self.peer.proved
            && self.peer.answers(bytes)
        {
            devices::answered(&self.hub, &self.peer, proved.device);
        }
    }

    /// Queues the pong that the reader owes.
    fn answer(&mut self) {
        if !self.answers.is_empty() {
            let answer = Bytes::copy_from_slice(&self.answers);
            self.answers.clear();
            self.peer.push(Lane::Event, answer);
            self.said = true;
        }
    }

    /// Queues a frame for this peer.
    pub(super) fn say(&mut self, frame: impl Into<ServerFrame>) {
        self.peer.send(Lane::Event, &frame.into());
        self.said = true;
    }

    /// Answers a request with an error.
    pub(super) fn refuse(&mut self, req: Option<u32>, code: ErrorCode) {
        self.hub.refused(code);
        self.say(protocol::frame::Error::new(req, code));
    }

    /// Makes a shard know this session before it is named there.
    pub(super) fn attach(&mut self, shard: usize) {
        if !self.touched.shards.contains(&shard) {
            self.touched.shards.reserve_exact(1);
            self.touched.shards.push(shard);
            self.hub.shards.attach(shard, self.peer.clone());
        }
    }

    /// Notes that a gym will hear of this session's end.
    pub(super) fn touch(&mut self, home: Home) {
        self.attach(home.shard);
        if !self.touched.gyms.contains(&home) {
            self.touched.gyms.reserve_exact(1);
            self.touched.gyms.push(home);
        }
    }

    /// An input for a gym; where its shard has no room the peer is told.
    pub(super) fn tell_gym(&mut self, home: Home, req: Option<u32>, input: Input) {
        self.touch(home);
        let order = Order::Gym { gym: home.gym, from: Some(self.peer.session), input };
        if self.hub.shards.push(home.shard, order).is_err() {
            self.refuse(req, ErrorCode::Overloaded);
        }
    }

    /// An input that the peer does not repeat: it may use the reserve of the lane, and where that is full too the session ends, so that the
    /// peer tells everything anew.
    pub(super) fn must_tell_gym(&mut self, home: Home, input: Input) {
        self.touch(home);
        let order = Order::Gym { gym: home.gym, from: Some(self.peer.session), input };
        if self.hub.shards.push_reserved(home.shard, order).is_err() {
            self.peer.close(CloseReason::Busy);
        }
    }

    /// An input for a member room.
    pub(super) fn tell_member(&mut self, member: MemberId, tenant: TenantId, req: Option<u32>, input: MemberInput) {
        let shard = self.hub.registry.shard_of(member.0);
        self.attach(shard);
        let order = Order::Member { member, tenant, from: Some(self.peer.session), input };
        if self.hub.shards.push(shard, order).is_err() {
            self.refuse(req, ErrorCode::Overloaded);
        }
    }

    /// The shard of a gym of this tenant.
    pub(super) fn home_of(&self, gym: GymId) -> Option<Home> {
        let place = self.hub.registry.gym(gym)?;
        (place.tenant == self.peer.viewer.tenant).then_some(Home { gym, shard: place.shard })
    }

    /// Whether the peer publishes readings of machines.
    pub(super) fn is_machine(&self) -> bool {
        matches!(self.peer.viewer.role, Role::Machine | Role::Gateway)
    }
}

/// The end that a message asks for which is no frame.
pub(super) fn malformed(place: &str) -> Exit {
    Exit::Close(CloseReason::Malformed, Some(place.to_owned()))
}

/// The end that a broken socket asks for.
pub(super) fn exit_of(error: &ReadError) -> Exit {
    match error {
        ReadError::Protocol(_) | ReadError::NotUtf8 => malformed(&error.to_string()),
        ReadError::TooBig { .. } => Exit::Close(CloseReason::TooBig, Some(error.to_string())),
        ReadError::Gone => Exit::Lost,
    }
}

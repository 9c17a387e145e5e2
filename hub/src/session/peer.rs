//! What others hold of a session: its outbox, its deadlines, and the way to end it.
//!
//! In: frames from shards, closes from the wheel, the directory and the drain. Out: one wake of the session's task. Shared by the shards
//! whose rooms the session watches; everything in it is reached without waiting, and the outbox's lock is held for a push only.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use protocol::limits::ROOMS_PER_SESSION_MAX;
use protocol::wire::Encoding;
use protocol::{CloseReason, ServerFrame, SessionId};
use room::{Lane, Viewer};

use super::outbox::{Outbox, Wake};
use super::waiting::Waiting;
use crate::auth::devices::Proved;
use crate::transport::wsframe::{self, Opcode};

/// One live session, as the rest of the hub sees it.
pub struct Peer {
    /// Its id.
    pub session: SessionId,
    /// How it reads frames.
    pub encoding: Encoding,
    /// Who it speaks for.
    pub viewer: Arc<Viewer>,
    outbox: Mutex<Outbox>,
    /// The session's task: one for life, so that a wake takes nothing that the next look would have to give back.
    waker: OnceLock<Waker>,
    closing: AtomicU16,
    /// Monotonic time of the last sign of life.
    heard_mono_ms: AtomicI64,
    /// Monotonic time since when a write waits; 0 while none does.
    blocked_mono_ms: AtomicI64,
    /// When the token runs out, UTC.
    expires_at_ms: AtomicI64,
    /// Whether a ping is out.
    pinged: AtomicBool,
    /// Safety inputs of this session that shards have not taken yet.
    pub(crate) safety_pending: AtomicU32,
    /// Frames of this session that wait for the store or the verifier.
    pub(crate) under_way: AtomicU32,
    /// Joins among them.
    waiting: Mutex<Waiting>,
    /// Rooms that the session watches, on all shards.
    rooms: AtomicU32,
    /// Whether changes of a room were dropped unsent, so that the whole must be told.
    torn: AtomicBool,
    /// Whether readings were refused that the session has yet to ask for again.
    holds: AtomicBool,
    /// How its device showed that it is the device; none where a token or a person speaks.
    pub proved: Option<Box<Proved>>,
    /// What the last question for a sign of life carried; 0 where none was asked.
    asked: AtomicU64,
}

/// The limits in time that the wheel keeps for every session.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// A ping goes out after this silence.
    pub heartbeat_ms: i64,
    /// And the session ends this long after it.
    pub grace_ms: i64,
    /// A write that does not move for this long ends the session.
    pub write_ms: i64,
}

impl Peer {
    /// A peer that was just heard.
    #[must_use]
    pub fn new(session: SessionId, encoding: Encoding, viewer: Arc<Viewer>, expires_at_ms: i64, outbox_bytes_max: usize) -> Self {
        Self {
            session,
            encoding,
            viewer,
            outbox: Mutex::new(Outbox::new(outbox_bytes_max)),
            waker: OnceLock::new(),
            closing: AtomicU16::new(0),
            heard_mono_ms: AtomicI64::new(crate::clock::mono_ms()),
            blocked_mono_ms: AtomicI64::new(0),
            expires_at_ms: AtomicI64::new(expires_at_ms),
            pinged: AtomicBool::new(false),
            safety_pending: AtomicU32::new(0),
            under_way: AtomicU32::new(0),
            waiting: Mutex::default(),
            rooms: AtomicU32::new(0),
            torn: AtomicBool::new(false),
            holds: AtomicBool::new(false),
            proved: None,
            asked: AtomicU64::new(0),
        }
    }

    /// The peer of a device that proved itself.
    #[must_use]
    pub fn with_device(mut self, proved: Option<Proved>) -> Self {
        self.proved = proved.map(Box::new);
        self
    }

    /// Asks for a sign of life that is made now: a ping with fresh random bytes, which only the far end can send back.
    pub fn ask(&self) {
        let question = rand::random::<u64>().max(1);
        self.asked.store(question, Ordering::Relaxed);
        if self.push(Lane::Event, wsframe::message(Opcode::Ping, &question.to_be_bytes())) == Wake::Needed {
            self.wake();
        }
    }

    /// Whether it was asked, and the answer decides whether it stays.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != 0
    }

    /// Whether a pong is the answer to what was asked.
    #[must_use]
    pub fn answers(&self, pong: &[u8]) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        asked != 0 && pong == asked.to_be_bytes()
    }

    /// Queues a prepared frame; says whether the session's task must be woken. Full closes the session.
    pub fn push(&self, lane: Lane, frame: Bytes) -> Wake {
        let mut outbox = self.lock();
        let pushed = outbox.push(lane, frame);
        if outbox.take_torn() {
            self.tear();
        }
        drop(outbox);
        pushed.unwrap_or_else(|_full| {
            self.close(CloseReason::Slow);
            Wake::Promised
        })
    }

    /// Whether changes were dropped since last asked; the session, which keeps up again, asks their room for the whole.
    pub fn take_torn(&self) -> bool {
        self.torn.load(Ordering::Relaxed) && self.torn.swap(false, Ordering::Relaxed)
    }

    /// Notes that changes were dropped.
    pub fn tear(&self) {
        self.torn.store(true, Ordering::Relaxed);
    }

    /// Encodes a frame for this peer alone and queues it.
    pub fn send(&self, lane: Lane, frame: &ServerFrame) -> Wake {
        self.push(lane, wsframe::prepare(frame, self.encoding))
    }

    /// Queues a frame and wakes the session.
    pub fn send_now(&self, lane: Lane, frame: &ServerFrame) {
        if self.send(lane, frame) == Wake::Needed {
            self.wake();
        }
    }

    /// Wakes the session's task; before its first look there is nobody to wake, and the first look sees all.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Names the task to wake, always the same.
    pub fn register(&self, waker: &Waker) {
        let registered = self.waker.get_or_init(|| waker.clone());
        debug_assert!(registered.will_wake(waker), "a session is polled by its own task only");
    }

    /// The lanes.
    pub fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The joins that wait. Taken before any other lock.
    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session for a reason; the first reason stands.
    pub fn close(&self, reason: CloseReason) {
        if self.closing.compare_exchange(0, reason.code(), Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.wake();
        }
    }

    /// Why the session is ending, if it is.
    #[must_use]
    pub fn closing(&self) -> Option<CloseReason> {
        CloseReason::from_code(self.closing.load(Ordering::Acquire))
    }

    /// Rooms that the session watches.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.rooms.load(Ordering::Relaxed) as usize
    }

    /// A room is watched from now on. Whoever asked for far more before the first was counted asks too fast.
    pub fn watches(&self) {
        let before = self.rooms.fetch_add(1, Ordering::Relaxed) as usize;
        if before >= 2 * ROOMS_PER_SESSION_MAX {
            self.close(CloseReason::TooFast);
        }
    }

    /// A room is watched no more, whoever decided so.
    pub fn unwatches(&self) {
        self.rooms.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes whether readings were refused: then each look wakes the session.
    pub fn holds(&self, holds: bool) {
        self.holds.store(holds, Ordering::Relaxed);
    }

    /// Notes a sign of life.
    pub fn heard(&self, mono_ms: i64) {
        self.heard_mono_ms.store(mono_ms, Ordering::Relaxed);
    }

    /// Notes since when a write waits, or that none does.
    pub fn blocked(&self, since_mono_ms: Option<i64>) {
        self.blocked_mono_ms.store(since_mono_ms.map_or(0, |since| since.max(1)), Ordering::Relaxed);
    }

    /// Whether a write waits.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked_mono_ms.load(Ordering::Relaxed) != 0
    }

    /// When the token runs out.
    #[must_use]
    pub fn expires_at_ms(&self) -> i64 {
        self.expires_at_ms.load(Ordering::Relaxed)
    }

    /// Takes a refreshed token's end.
    pub fn refresh(&self, expires_at_ms: i64) {
        self.expires_at_ms.store(expires_at_ms, Ordering::Relaxed);
    }

    /// The wheel's look at one session, about once a second: what is over ends it, silence asks for a sign of life.
    pub fn look(&self, now: room::Now, deadlines: Deadlines) {
        let blocked = self.blocked_mono_ms.load(Ordering::Relaxed);
        if now.at_ms >= self.expires_at_ms() {
            return self.close(CloseReason::TokenExpired);
        }
        if blocked != 0 && now.mono_ms - blocked > deadlines.write_ms {
            return self.close(CloseReason::WriteTimeout);
        }
        if self.holds.load(Ordering::Relaxed) {
            self.wake();
        }
        let silent_ms = now.mono_ms - self.heard_mono_ms.load(Ordering::Relaxed);
        if silent_ms < deadlines.heartbeat_ms {
            self.pinged.store(false, Ordering::Relaxed);
        } else if silent_ms >= deadlines.heartbeat_ms + deadlines.grace_ms {
            self.close(CloseReason::Silent);
        } else if !self.pinged.swap(true, Ordering::Relaxed) && self.push(Lane::Event, wsframe::PING) == Wake::Needed {
            self.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::TenantId;
    use protocol::frame::Role;
    use room::Now;
    use uuid::Uuid;

    use super::super::outbox::held;
    use super::*;

    const DEADLINES: Deadlines = Deadlines { heartbeat_ms: 25_000, grace_ms: 10_000, write_ms: 8_000 };

    fn peer() -> Peer {
        let viewer = Viewer { tenant: TenantId(Uuid::nil()), role: Role::Member, subject: Uuid::nil(), gyms: vec![], teams: vec![] };
        let peer = Peer::new(SessionId(Uuid::nil()), Encoding::Json, Arc::new(viewer), 1_000_000, 4096);
        peer.heard(1000);
        peer
    }

    fn at(mono_ms: i64) -> Now {
        Now { at_ms: mono_ms, mono_ms }
    }

    #[test]
    fn silence_is_asked_once_and_then_ends() {
        let peer = peer();
        peer.look(at(25_999), DEADLINES);
        assert_eq!(peer.lock().bytes(), 0);
        peer.look(at(26_000), DEADLINES);
        peer.look(at(27_000), DEADLINES);
        assert_eq!(peer.lock().bytes(), held(2));
        assert_eq!(peer.closing(), None);
        peer.look(at(36_000), DEADLINES);
        assert_eq!(peer.closing(), Some(CloseReason::Silent));
    }

    #[test]
    fn an_answer_starts_the_heartbeat_anew() {
        let peer = peer();
        peer.look(at(26_000), DEADLINES);
        peer.heard(27_000);
        peer.look(at(40_000), DEADLINES);
        peer.look(at(52_000), DEADLINES);
        assert_eq!(peer.lock().bytes(), 2 * held(2));
        assert_eq!(peer.closing(), None);
    }

    #[test]
    fn a_token_ends_the_session_at_its_hour_and_a_refresh_moves_it() {
        let peer = peer();
        peer.refresh(30_000);
        peer.look(at(29_999), DEADLINES);
        assert_eq!(peer.closing(), None);
        peer.look(at(30_000), DEADLINES);
        assert_eq!(peer.closing(), Some(CloseReason::TokenExpired));
    }

    #[test]
    fn a_write_that_stands_still_ends_the_session() {
        let peer = peer();
        peer.blocked(Some(2_000));
        peer.look(at(10_000), DEADLINES);
        assert_eq!(peer.closing(), None);
        peer.look(at(10_001), DEADLINES);
        assert_eq!(peer.closing(), Some(CloseReason::WriteTimeout));
    }

    #[test]
    fn the_first_reason_stands() {
        let peer = peer();
        peer.close(CloseReason::Slow);
        peer.close(CloseReason::Drain);
        assert_eq!(peer.closing(), Some(CloseReason::Slow));
    }
}

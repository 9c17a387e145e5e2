//! One key, one device: what it means that two sockets carry the same device.
//!
//! In: sockets of one device as they open, answer and end, and the time. Out: whom to ask, whom to close, or that the key is in two places.
//! A device that comes back while its old socket still stands is the rule, not the exception: links die without a word. So the newest socket
//! counts at once, and the older ones are put to a question that only a living far end can answer (a ping with fresh random bytes):
//!
//! - who comes with the resume ticket of the older socket is the same client: the older one is over, nothing is asked;
//! - an older socket that does not answer within [`ANSWER_MS`] is over: its far end was gone;
//! - an older socket that answers was alive *after* another had proved the same key: two hold it, and all sockets of the device are flagged.
//!
//! A device that closes or abandons one connection before it opens the next is therefore never flagged, whatever it forgot; two that run at the same
//! time are, within [`ANSWER_MS`] of the later one's coming.

use protocol::SessionId;

/// An older socket has this long to answer. Longer than any round trip, shorter than the first come-back of a machine that was closed `replaced`.
pub const ANSWER_MS: i64 = 4_000;

/// What to do with sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ask it for a sign of life that is made now.
    Ask(SessionId),
    /// The same client came back, or nobody is at its far end: close it as replaced.
    Over(SessionId),
    /// The key is live on all of these: close them and flag the device.
    Cloned(Vec<SessionId>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Socket {
    session: SessionId,
    /// Until when it may answer, where it was asked.
    asked_until_mono_ms: Option<i64>,
}

/// The sockets of one device, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Twins {
    sockets: Vec<Socket>,
}

impl Twins {
    /// A socket proved the device's key, perhaps with the ticket of an older one.
    pub fn opened(&mut self, session: SessionId, resumes: Option<SessionId>, mono_ms: i64, out: &mut Vec<Verdict>) {
        self.sockets.retain(|socket| {
            let same = Some(socket.session) == resumes;
            if same {
                out.push(Verdict::Over(socket.session));
            }
            !same
        });
        for socket in self.sockets.iter_mut().filter(|socket| socket.asked_until_mono_ms.is_none()) {
            socket.asked_until_mono_ms = Some(mono_ms.saturating_add(ANSWER_MS));
            out.push(Verdict::Ask(socket.session));
        }
        self.sockets.push(Socket { session, asked_until_mono_ms: None });
    }

    /// A socket answered what it was asked. An answer that nobody waits for says nothing.
    pub fn answered(&mut self, session: SessionId, out: &mut Vec<Verdict>) {
        if self.sockets.iter().any(|socket| socket.session == session && socket.asked_until_mono_ms.is_some()) {
            out.push(Verdict::Cloned(self.sockets.drain(..).map(|socket| socket.session).collect()));
        }
    }

    /// A socket is gone, whoever ended it.
    pub fn ended(&mut self, session: SessionId) {
        self.sockets.retain(|socket| socket.session != session);
    }

    /// Time passes: whoever did not answer is over.
    pub fn look(&mut self, mono_ms: i64, out: &mut Vec<Verdict>) {
        self.sockets.retain(|socket| {
            let late = socket.asked_until_mono_ms.is_some_and(|until| mono_ms >= until);
            if late {
                out.push(Verdict::Over(socket.session));
            }
            !late
        });
    }

    /// Whether somebody was asked and may still answer.
    #[must_use]
    pub fn is_asking(&self) -> bool {
        self.sockets.iter().any(|socket| socket.asked_until_mono_ms.is_some())
    }

    /// The sockets that stand, the oldest first.
    pub fn sockets(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sockets.iter().map(|socket| socket.session)
    }

    /// Whether none stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }
}

#[cfg(test)]
mod tests;

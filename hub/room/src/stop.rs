//! A stop's way to the machine, and what is known of it (`docs/ARCHITECTURE.md`, the walk of a stop).
//!
//! In: stops asked for, the machine's answers, its states and readings, its link, time. Out: [`StopNews`]: send it, tell its issuer, alert
//! staff. At most one stop is pending on a machine; whoever asks meanwhile joins it, and that is its bound. It is repeated each 250 ms
//! until the machine answers; after 1 s without, its issuer hears `unconfirmed` and staff are alerted, while the stop goes on. It ends 10 s
//! after it was last asked for or after the link was lost, and at once when another claim begins: it never stops the next member.
//! Silence never confirms: `stopped` is the machine's own word, or its confirmation and two readings at rest.

use protocol::frame::{StopOutcome, StopStage};
use protocol::limits::{STOP_CONFIRM_MS, STOP_OUTLIVES_LINK_MS, STOP_REPEAT_MS};
use protocol::{SessionId, StopId};
use smallvec::SmallVec;

/// Issuers that one pending stop remembers; one more is told `unconfirmed` at once and the machine is stopped all the same.
const ISSUERS_MAX: usize = 64;
/// Readings at rest after a confirmation.
const REST_READINGS: u8 = 2;
/// Stops remembered for issuers who did not hear the result, and so that an old id never stops under another claim.
const ENDED_MAX: usize = 16;

/// What the gym must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopNews {
    /// Send it to the machine, if its link stands.
    Send { id: StopId, fence: u64 },
    /// An issuer's result.
    Result { session: SessionId, id: StopId, outcome: StopOutcome, code: Option<u8> },
    /// Nobody knows whether the machine stands: staff must look.
    Alert { id: StopId },
    /// The last word on the pending stop; once, and after an alert too.
    Over { id: StopId, outcome: StopOutcome, code: Option<u8> },
}

pub(crate) type News = SmallVec<[StopNews; 2]>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Issuer {
    session: SessionId,
    id: StopId,
    until_mono_ms: i64,
    told: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    id: StopId,
    fence: u64,
    /// Readings at rest since the machine confirmed; none before it did.
    rest: Option<u8>,
    /// When it was first sent, or sent anew on a new link: states heard before that say nothing of it.
    sent_mono_ms: i64,
    again_mono_ms: i64,
    over_mono_ms: i64,
    link_lost: bool,
    /// Its end was moved by a lost link since it was last asked for: a link that flaps moves it once.
    outlives: bool,
    alerted: bool,
    issuers: Vec<Issuer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    ids: SmallVec<[StopId; 2]>,
    fence: u64,
    outcome: StopOutcome,
    code: Option<u8>,
    until_mono_ms: i64,
}

/// The stops of one machine: at most one pending, and the last results.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stops {
    pending: Option<Box<Pending>>,
    ended: Vec<Ended>,
}

impl Stops {
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Somebody who may asks for a stop. A repeat joins, or hears the result again.
    pub(crate) fn ask(&mut self, session: SessionId, id: StopId, fence: u64, mono_ms: i64) -> News {
        if let Some(at) = self.ended.iter().position(|ended| ended.ids.contains(&id)) {
            let ended = &self.ended[at];
            let heard = ended.until_mono_ms > mono_ms;
            let open = ended.outcome == StopOutcome::Unconfirmed;
            if ended.fence != fence || (heard && !open) {
                // An id that was asked under another claim stops nobody: it says so instead.
                let (outcome, code) = if heard { (ended.outcome, ended.code) } else { (StopOutcome::Unconfirmed, None) };
                return News::from_elem(StopNews::Result { session, id, outcome, code }, 1);
            }
            // Nobody knows whether the machine stands, or it was long ago: it is tried again.
            self.ended[at].ids.retain(|known| *known != id);
        }
        let mut news = News::new();
        let pending = self.pending.get_or_insert_with(|| {
            news.push(StopNews::Send { id, fence });
            let (again_mono_ms, over_mono_ms) = (mono_ms + STOP_REPEAT_MS, mono_ms + STOP_OUTLIVES_LINK_MS);
            Box::new(Pending {
                id,
                fence,
                rest: None,
                sent_mono_ms: mono_ms,
                again_mono_ms,
                over_mono_ms,
                link_lost: false,
                outlives: false,
                alerted: false,
                issuers: Vec::new(),
            })
        });
        news.extend(pending.join(session, id, mono_ms));
        news
    }

    /// The machine answers.
    pub(crate) fn answered(&mut self, id: StopId, stage: StopStage, code: Option<u8>, mono_ms: i64) -> News {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.id == id) else { return News::new() };
        match stage {
            StopStage::Received => News::new(),
            StopStage::Confirmed => {
                pending.rest.get_or_insert(0);
                News::new()
            }
            StopStage::Stopped => self.end(StopOutcome::Stopped, code, mono_ms),
            StopStage::Refused => self.end(StopOutcome::Refused, code, mono_ms),
        }
    }

    /// The machine says by its state that it stands; a state that was heard before the stop went out does not say so.
    pub(crate) fn stands(&mut self, heard_mono_ms: i64, mono_ms: i64) -> News {
        let since = self.pending.as_ref().is_some_and(|pending| heard_mono_ms > pending.sent_mono_ms);
        if since { self.end(StopOutcome::Stopped, None, mono_ms) } else { News::new() }
    }

    /// A new reading that says whether the machine moves.
    pub(crate) fn read(&mut self, moves: bool, mono_ms: i64) -> News {
        let Some(rest) = self.pending.as_mut().and_then(|pending| pending.rest.as_mut()) else { return News::new() };
        *rest = if moves { 0 } else { *rest + 1 };
        if *rest >= REST_READINGS { self.end(StopOutcome::Stopped, None, mono_ms) } else { News::new() }
    }

    pub(crate) fn link_lost(&mut self, mono_ms: i64) {
        if let Some(pending) = &mut self.pending {
            pending.link_lost = true;
            if !std::mem::replace(&mut pending.outlives, true) {
                pending.over_mono_ms = mono_ms + STOP_OUTLIVES_LINK_MS;
            }
        }
    }

    /// The link is back: what is still pending goes to the machine at once. What was read before the break proves nothing.
    pub(crate) fn linked(&mut self, mono_ms: i64) -> News {
        let Some(pending) = &mut self.pending else { return News::new() };
        pending.rest = pending.rest.map(|_| 0);
        pending.link_lost = false;
        pending.sent_mono_ms = mono_ms;
        pending.again_mono_ms = mono_ms + STOP_REPEAT_MS;
        News::from_elem(StopNews::Send { id: pending.id, fence: pending.fence }, 1)
    }

    /// A claim began: a stop that was asked for under another is over.
    pub(crate) fn claim_began(&mut self, fence: u64, mono_ms: i64) -> News {
        if self.pending.as_ref().is_some_and(|pending| pending.fence != fence) { self.give_up(mono_ms) } else { News::new() }
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, mono_ms: i64) -> News {
        let Some(pending) = &mut self.pending else { return News::new() };
        if mono_ms >= pending.over_mono_ms {
            return self.give_up(mono_ms);
        }
        let mut news = News::new();
        if mono_ms >= pending.again_mono_ms {
            pending.again_mono_ms = mono_ms + STOP_REPEAT_MS;
            news.push(StopNews::Send { id: pending.id, fence: pending.fence });
        }
        let mut late = false;
        for issuer in pending.issuers.iter_mut().filter(|issuer| !issuer.told && mono_ms >= issuer.until_mono_ms) {
            (issuer.told, late) = (true, true);
            news.push(unconfirmed(issuer));
        }
        if late && !std::mem::replace(&mut pending.alerted, true) {
            news.push(StopNews::Alert { id: pending.id });
        }
        news
    }

    fn end(&mut self, outcome: StopOutcome, code: Option<u8>, mono_ms: i64) -> News {
        let Some(pending) = self.pending.take() else { return News::new() };
        let untold = pending.issuers.iter().filter(|issuer| !issuer.told);
        let mut news: News = untold.map(|issuer| StopNews::Result { session: issuer.session, id: issuer.id, outcome, code }).collect();
        news.push(StopNews::Over { id: pending.id, outcome, code });
        self.remember(&pending, outcome, code, mono_ms);
        news
    }

    fn give_up(&mut self, mono_ms: i64) -> News {
        let Some(pending) = self.pending.take() else { return News::new() };
        let mut news: News = pending.issuers.iter().filter(|issuer| !issuer.told).map(unconfirmed).collect();
        if !pending.alerted {
            news.push(StopNews::Alert { id: pending.id });
        }
        self.remember(&pending, StopOutcome::Unconfirmed, None, mono_ms);
        news
    }

    /// Keeps the result for issuers who ask again, so that a late repeat is never a new stop.
    fn remember(&mut self, pending: &Pending, outcome: StopOutcome, code: Option<u8>, mono_ms: i64) {
        let mut ids: SmallVec<[StopId; 2]> = SmallVec::from_elem(pending.id, 1);
        for issuer in &pending.issuers {
            if !ids.contains(&issuer.id) {
                ids.push(issuer.id);
            }
        }
        if self.ended.len() == ENDED_MAX {
            self.ended.remove(0);
        }
        let fence = pending.fence;
        self.ended.push(Ended { ids, fence, outcome, code, until_mono_ms: mono_ms + STOP_OUTLIVES_LINK_MS });
    }
}

impl Pending {
    fn join(&mut self, session: SessionId, id: StopId, mono_ms: i64) -> Option<StopNews> {
        let until_mono_ms = mono_ms + STOP_CONFIRM_MS;
        if !self.link_lost {
            (self.over_mono_ms, self.outlives) = (mono_ms + STOP_OUTLIVES_LINK_MS, false);
        }
        if let Some(issuer) = self.issuers.iter().find(|issuer| issuer.session == session && issuer.id == id) {
            // Whoever was told and asks again did not hear it.
            return issuer.told.then(|| unconfirmed(issuer));
        }
        if self.issuers.len() == ISSUERS_MAX {
            self.issuers.retain(|issuer| !issuer.told);
        }
        let mut issuer = Issuer { session, id, until_mono_ms, told: false };
        if self.issuers.len() == ISSUERS_MAX {
            issuer.told = true;
            return Some(unconfirmed(&issuer));
        }
        self.issuers.push(issuer);
        None
    }
}

fn unconfirmed(issuer: &Issuer) -> StopNews {
    StopNews::Result { session: issuer.session, id: issuer.id, outcome: StopOutcome::Unconfirmed, code: None }
}

#[cfg(test)]
mod tests;

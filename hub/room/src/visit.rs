//! A member's stay in a gym.
//!
//! In: claims, signs of life, check-out, time. Out: the visit as the store and the member's room want it. It ends by check-out
//! (`completed`) or ten minutes after the last sign of life (`expired`); while the member holds a machine the claim's own clock, which
//! stands still while the link is lost, decides instead.

use protocol::frame::{MemberVisit, VisitState};
use protocol::limits::ABANDONED_AFTER_MS;
use protocol::{GymId, MachineId, MemberId, VisitId};

use crate::effect::Persist;

/// Machines that a visit remembers; one that used more keeps the first.
const MACHINES_MAX: usize = 64;

/// One visit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Visit {
    pub(crate) id: VisitId,
    pub(crate) state: VisitState,
    started_at_ms: i64,
    ended_at_ms: Option<i64>,
    machines: Vec<MachineId>,
    alive_mono_ms: i64,
}

impl Visit {
    pub(crate) fn new(id: VisitId, started_at_ms: i64, mono_ms: i64) -> Self {
        Self { id, state: VisitState::Active, started_at_ms, ended_at_ms: None, machines: Vec::new(), alive_mono_ms: mono_ms }
    }

    /// One from before a restart: its silence counts from now.
    pub(crate) fn known(id: VisitId, started_at_ms: i64, mut machines: Vec<MachineId>, mono_ms: i64) -> Self {
        machines.truncate(MACHINES_MAX);
        Self { machines, ..Self::new(id, started_at_ms, mono_ms) }
    }

    /// Notes a machine; returns whether it is new to the visit.
    pub(crate) fn uses(&mut self, machine: MachineId) -> bool {
        let new = !self.machines.contains(&machine) && self.machines.len() < MACHINES_MAX;
        if new {
            self.machines.push(machine);
        }
        new
    }

    /// Notes a sign of life at this time.
    pub(crate) fn alive(&mut self, mono_ms: i64) {
        self.alive_mono_ms = self.alive_mono_ms.max(mono_ms);
    }

    /// Whether nothing was heard of the member for ten minutes.
    pub(crate) fn is_silent(&self, mono_ms: i64) -> bool {
        mono_ms - self.alive_mono_ms >= ABANDONED_AFTER_MS
    }

    pub(crate) fn end(&mut self, state: VisitState, at_ms: i64) {
        self.state = state;
        self.ended_at_ms = Some(at_ms);
    }

    /// As the store keeps it.
    pub(crate) fn fact(&self, gym: GymId, member: MemberId) -> Persist {
        Persist::Visit {
            visit: self.id,
            gym,
            member,
            state: self.state,
            started_at_ms: self.started_at_ms,
            ended_at_ms: self.ended_at_ms,
            machines: self.machines.clone(),
        }
    }

    /// As the member sees it.
    pub(crate) fn shown(&self, gym: GymId) -> MemberVisit {
        MemberVisit { visit: self.id, gym, state: self.state, started_at_ms: self.started_at_ms }
    }
}

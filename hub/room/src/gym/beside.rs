//! While another hub still has the gym: its last words, read from the store after this one started.
//!
//! In: a machine as the store knows it now. Out: what became known of it meanwhile. Only of a machine that was never heard here: once its link is on this
//! node, this room knows better than the store. That a claim is over comes as `Revoke`, after the claims that took its workout on.

use protocol::frame::ReleaseReason;

use crate::gym::Gym;
use crate::input::MachineRecord;
use crate::machine::Link;
use crate::turn::Turn;

impl Gym {
    /// Another hub changed, or began, something at this machine.
    pub(super) fn changed_beside(&mut self, turn: &mut Turn<'_>, record: MachineRecord) {
        let id = record.machine;
        let known = self.machines.get(&id).map(|machine| (machine.link, machine.fence));
        let began = match known {
            Some((Link::Never, fence)) => record.claim.filter(|claim| claim.fence > fence),
            // Not known: it comes in with its claim. Heard here: the machine itself said what holds.
            None | Some((Link::Up { .. } | Link::Lost { .. }, _)) => None,
        };
        if known.is_none_or(|(link, _)| link == Link::Never) {
            self.machine_known(turn, record);
        }
        if let Some(claim) = began {
            self.end_claim(turn, id, ReleaseReason::Superseded);
            self.keep_claim(turn, id, claim);
        }
    }
}

//! Boards of the gym: which workouts count, whose names are shown.
//!
//! In: boards from the store, workouts as they add up, consents, time. Out: what [`Board`] says. A board asks the workouts once
//! a tick, so that a reading costs nothing more where boards run. Names only of members who agreed to be on walls.

use protocol::limits::BOARDS_PER_GYM_MAX;
use protocol::{BoardId, ErrorCode, MemberId, RoomName, SessionId};

use super::Gym;
use crate::board::{self, Board, Done};
use crate::effect::{Effect, Tell};
use crate::input::{BoardRecord, MemberRecord};
use crate::machine::Machine;
use crate::turn::{Head, Turn};

/// The name that walls may show of a member.
fn shown(record: &MemberRecord) -> Option<protocol::text::Text<48>> {
    record.handle.clone().filter(|_| record.wall_consent)
}

impl Gym {
    /// A board was made, changed, or read from the store at start.
    pub(super) fn board_known(&mut self, turn: &mut Turn<'_>, record: BoardRecord) {
        let (id, gym) = (record.board, self.id());
        if let Some(board) = self.boards.get_mut(&id) {
            board.change(record);
            return board.forget(turn, gym);
        }
        if self.boards.len() < BOARDS_PER_GYM_MAX {
            let head = Head::new(RoomName::Board(id), turn.draw);
            self.boards.insert(id, Board::new(record, head, turn.now));
        }
    }

    /// A board was taken down, or is long over.
    pub(super) fn board_removed(&mut self, turn: &mut Turn<'_>, id: BoardId) {
        if self.boards.remove(&id).is_none() {
            return;
        }
        turn.out.push(Effect::Tell(Tell::ForgetBoard { board: id }));
        let room = RoomName::Board(id);
        let watching: Vec<SessionId> = self.watchers.of(room).iter().map(|watcher| watcher.session).collect();
        for session in watching {
            self.put_out(turn, room, session, ErrorCode::NoSuchRoom);
        }
    }

    /// The store tells of a member, here or gone: their name comes onto the boards, or off.
    pub(super) fn boards_know(&mut self, turn: &mut Turn<'_>, member: MemberId, record: &MemberRecord) {
        let gym = self.id();
        for board in self.boards.values_mut() {
            if board.name(turn, member, shown(record)) {
                board.forget(turn, gym);
            }
        }
    }

    /// A member is being erased: boards lose them, and everybody takes those boards anew.
    pub(super) fn boards_erase(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let gym = self.id();
        for board in self.boards.values_mut() {
            if board.erase(member) {
                board.forget(turn, gym);
            }
        }
    }

    pub(super) fn boards_tick(&mut self, turn: &mut Turn<'_>) {
        let due: Vec<BoardId> = self.boards.iter().filter(|(_, board)| board.is_due(turn.now)).map(|(id, _)| *id).collect();
        for id in due {
            let Some(mut board) = self.boards.remove(&id) else { continue };
            let is_past = board.is_past(turn.now);
            self.board_hears(turn, &mut board);
            board.tick(turn, self.watchers.of(RoomName::Board(id)).len());
            self.boards.insert(id, board);
            if is_past {
                self.board_removed(turn, id);
            }
        }
    }

    fn board_hears(&self, turn: &mut Turn<'_>, board: &mut Board) {
        for (id, workout) in &self.workouts {
            if board.wants(*id) && (board.has(*id) || board.takes(workout.station().machine)) {
                let seed = workout.seed();
                let (is_sealed, totals) = (workout.is_sealed(), workout.totals());
                let is_here = workout.station().machine.map(|machine| board.takes(Some(machine)));
                let is_whole = workout.machines().all(|machine| board.takes(Some(machine)));
                let (member, started_at_ms) = (seed.member, seed.started_at_ms);
                let done = Done { workout: *id, member, started_at_ms, is_here, is_whole, is_sealed, totals };
                board.counts(turn, &done);
            }
        }
        board.forget_zones();
        for machine in self.machines.values() {
            if let Some((member, zone)) = self.zone_at(turn, machine) {
                board.zone(member, zone);
            }
        }
        for member in board.members() {
            if let Some(record) = self.members.get(&member).and_then(|here| here.record.as_ref()) {
                board.name(turn, member, shown(record));
            }
        }
    }

    /// Who is on a machine, and the zone of the heart rate that the wall may show there now.
    fn zone_at(&self, turn: &Turn<'_>, machine: &Machine) -> Option<(MemberId, u8)> {
        let member = machine.holder()?;
        let max_bpm = self.members.get(&member)?.record.as_ref()?.max_heart_rate_bpm?;
        let heart_rate_bpm = self.floor.heart_rate(machine.index, turn.now)?;
        Some((member, board::zone(heart_rate_bpm, max_bpm)))
    }
}

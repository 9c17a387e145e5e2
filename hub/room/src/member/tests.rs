//! One member's rules, without a gym.

use protocol::frame::{Role, VisitState};
use protocol::{TeamId, VisitId, WorkoutId};
use uuid::Uuid;

use super::*;
use crate::effect::Tell;

const ANNA: MemberId = MemberId(Uuid::from_u128(1));
const TENANT: TenantId = TenantId(Uuid::from_u128(2));
const GYM: GymId = GymId(Uuid::from_u128(3));
const TEAM: TeamId = TeamId(Uuid::from_u128(4));
const PHONE: SessionId = SessionId(Uuid::from_u128(5));
const COACH: SessionId = SessionId(Uuid::from_u128(6));

struct Room {
    member: Member,
    draw: Draw,
    now: Now,
}

impl Room {
    fn new() -> Self {
        let mut draw = Draw::new([3; 32], 1, 0, 1);
        let member = Member::new(MemberSeed { member: ANNA, tenant: TENANT, record: None }, &mut draw);
        Self { member, draw, now: Now { at_ms: 0, mono_ms: 0 } }
    }

    fn step(&mut self, input: MemberInput) -> Vec<Effect> {
        let mut out = vec![];
        self.member.step(self.now, input, &mut self.draw, &mut out);
        out
    }

    fn reserve(&mut self, n: u128, hand_over: Option<u64>) -> Reservation {
        let out = self.step(MemberInput::Reserve { gym: GYM, machine: machine(n), hand_over });
        let [Effect::Tell(Tell::Gym { input, .. })] = &out[..] else { panic!("{out:?}") };
        let Input::Reserved { answer, .. } = **input else { panic!("{input:?}") };
        answer
    }

    fn confirm(&mut self, n: u128, fence: u64) -> Vec<(u128, u64, ReleaseReason)> {
        let claim = HeldClaim { member: ANNA, fence, workout: WorkoutId(Uuid::from_u128(9)) };
        let out = self.step(MemberInput::Confirm { gym: GYM, machine: machine(n), claim, may_control: true });
        let revoked = |effect: &Effect| match effect {
            Effect::Tell(Tell::Gym { input, .. }) => match **input {
                Input::Revoke { machine, fence, reason } => Some((machine.0.as_u128(), fence, reason)),
                _ => None,
            },
            _ => None,
        };
        out.iter().filter_map(revoked).collect()
    }

    fn join(&mut self, session: SessionId, role: Role, subject: Uuid) -> Vec<Effect> {
        let viewer = Arc::new(Viewer { tenant: TENANT, role, subject, gyms: vec![GYM], teams: vec![TEAM] });
        let join = JoinRoom { room: RoomName::Member(ANNA), epoch: None, offset: 0, every_ms: 0, fields: 0 };
        self.step(MemberInput::Join { session, viewer, req: Some(1), join })
    }
}

fn machine(n: u128) -> MachineId {
    MachineId(Uuid::from_u128(n))
}

fn watches(out: &[Effect]) -> bool {
    out.iter().any(|effect| matches!(effect, Effect::Watch { .. }))
}

#[test]
fn a_free_member_is_reserved_for_two_seconds_and_for_one_machine() {
    let mut room = Room::new();
    assert_eq!(room.reserve(1, None), Reservation::Granted);
    assert_eq!(room.reserve(2, None), Reservation::Pending);
    room.now.mono_ms = RESERVATION_LIFE_MS;
    assert_eq!(room.reserve(2, None), Reservation::Granted);
}

#[test]
fn who_holds_a_machine_is_busy_unless_handing_over_that_very_claim() {
    let mut room = Room::new();
    room.reserve(1, None);
    room.confirm(1, 10);
    assert_eq!(room.reserve(2, None), Reservation::Busy);
    assert_eq!(room.reserve(2, Some(9)), Reservation::Busy);
    assert_eq!(room.reserve(2, Some(10)), Reservation::Granted);
    assert_eq!(room.confirm(2, 11), [(1, 10, ReleaseReason::HandedOver)]);
}

#[test]
fn of_two_claims_the_newer_fence_stands_in_whatever_order_they_come() {
    let mut room = Room::new();
    room.confirm(1, 10);
    assert_eq!(room.confirm(2, 8), [(2, 8, ReleaseReason::Superseded)]);
    assert_eq!(room.confirm(3, 12), [(1, 10, ReleaseReason::Superseded)]);
    assert_eq!(room.member.holds(), Some((machine(3), 12)));
}

#[test]
fn the_end_of_an_older_claim_does_not_end_the_one_that_stands() {
    let mut room = Room::new();
    room.confirm(1, 10);
    room.step(MemberInput::Released { machine: machine(1), fence: 9, reason: ReleaseReason::WalkedAway });
    assert_eq!(room.member.holds(), Some((machine(1), 10)));
    room.step(MemberInput::Released { machine: machine(1), fence: 10, reason: ReleaseReason::Released });
    assert_eq!(room.member.holds(), None);
}

#[test]
fn a_coach_watches_only_members_who_are_known_to_be_in_the_team() {
    let mut room = Room::new();
    assert!(watches(&room.join(PHONE, Role::Member, ANNA.0)));
    assert!(!watches(&room.join(PHONE, Role::Member, Uuid::from_u128(77))));
    assert!(!watches(&room.join(COACH, Role::Coach, COACH.0)));
    room.step(MemberInput::Known { record: MemberRecord { teams: vec![TEAM], ..MemberRecord::default() } });
    assert!(watches(&room.join(COACH, Role::Coach, COACH.0)));
    let out = room.step(MemberInput::Known { record: MemberRecord::default() });
    assert!(out.iter().any(|effect| matches!(effect, Effect::Unwatch { session: COACH, .. })), "who left the team is put out");
}

#[test]
fn a_member_is_kept_in_memory_while_anything_of_theirs_stands() {
    let mut room = Room::new();
    assert!(room.member.is_idle());
    let visit = |state| MemberVisit { visit: VisitId(Uuid::from_u128(1)), gym: GYM, state, started_at_ms: 0 };
    room.step(MemberInput::Visit { visit: visit(VisitState::Active) });
    assert!(!room.member.is_idle());
    room.step(MemberInput::Visit { visit: visit(VisitState::Completed) });
    room.step(MemberInput::Tick);
    room.now.mono_ms += protocol::limits::LOG_LIFE_MS;
    room.step(MemberInput::Tick);
    assert!(room.member.is_idle());
}

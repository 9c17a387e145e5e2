//! Rooms that a session asks for, where a member has to be looked up first.

use loadtest::{Peer, PeerError};
use protocol::frame::{Join, JoinRoom, Leave, Role};
use protocol::{ClientFrame, ErrorCode, MachineId, MemberId, RoomName, ServerFrame};
use storage::{MemberRecord, TeamRecord};
use uuid::Uuid;

use crate::house::{ANNA, BORIS, TEAM, TENANT, TestHub};

/// A team that was put into the store and never looked up.
async fn team(hub: &TestHub, count: u128) -> Vec<MemberId> {
    let members: Vec<MemberId> = (0..count).map(|n| MemberId(Uuid::from_u128(0x7000 + n))).collect();
    let records: Vec<MemberRecord> = members.iter().copied().map(MemberRecord::new).collect();
    let store = &hub.node().hub.store;
    store.put_members(TENANT, &records).await.expect("members");
    let name = protocol::text::Text::cut("Team");
    store
        .put_teams(TENANT, &[TeamRecord { team: TEAM, name, sport: None, staff: vec![], members: members.clone() }])
        .await
        .expect("a team");
    members
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_room_of_hello_is_joined_or_named() {
    let hub = TestHub::start().await;
    let rooms: Vec<RoomName> = team(&hub, 40).await.into_iter().map(RoomName::Member).collect();
    let nowhere = RoomName::Machine(MachineId(Uuid::from_u128(0xDEAD)));
    let nobody = RoomName::Member(MemberId(Uuid::from_u128(0xDEAD)));
    let mut options = hub.options(Role::Coach, Uuid::from_u128(0xC)).room(nowhere).room(nobody).room(RoomName::Member(BORIS));
    for room in &rooms {
        options = options.room(*room);
    }
    let mut coach = Peer::connect(&hub.url(), options).await.expect("welcome");
    let (mut joined, mut left) = (Vec::new(), Vec::new());
    for _ in 0..rooms.len() + 3 {
        match coach.next().await.expect("an answer to each room") {
            ServerFrame::Joined(answer) => joined.push(answer.room),
            ServerFrame::Left(answer) => left.push((answer.room, answer.req, answer.code)),
            other => panic!("which room? {other:?}"),
        }
    }
    joined.sort_unstable();
    assert_eq!(joined, rooms, "all of the team");
    let code = |code: ErrorCode| Some(code.code());
    let refused = [
        (nowhere, None, code(ErrorCode::NoSuchRoom)),
        (nobody, None, code(ErrorCode::NoSuchRoom)),
        (RoomName::Member(BORIS), None, code(ErrorCode::Forbidden)),
    ];
    assert_eq!(left, refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_takes_the_join_that_waits_before_it() {
    let hub = TestHub::start().await;
    let mut coach = hub.peer(Role::Coach, Uuid::from_u128(0xC)).await;
    let room = RoomName::Member(ANNA);
    let (join, leave) = (coach.req(), coach.req());
    let ask = JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 };
    let frames: [ClientFrame; 2] = [Join { req: join, join: ask }.into(), Leave { req: leave, room }.into()];
    coach.send_all(&frames).await.expect("sent");
    for req in [join, leave] {
        let answer = coach.expect("an answer", |frame| match frame {
            ServerFrame::Joined(joined) if joined.req == Some(req) => Some(None),
            ServerFrame::Left(left) if left.req == Some(req) => Some(None),
            ServerFrame::Error(error) if error.req == Some(req) => Some(Some(error.code)),
            _ => None,
        });
        let refused = answer.await.expect("answered");
        assert!(refused.is_none_or(|code| code == ErrorCode::NotJoined.code()), "{refused:?}");
    }
    let again = coach.req();
    let watched = coach.request(Leave { req: again, room }, again, |frame| matches!(frame, ServerFrame::Left(_)).then_some(())).await;
    assert!(matches!(watched, Err(PeerError::Refused(code, ..)) if code == ErrorCode::NotJoined.code()), "{watched:?}");
    coach.join(room).await.expect("a join after the leave stands");
}

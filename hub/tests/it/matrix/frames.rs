//! Each role in each stance against each frame and each kind of room.
//!
//! First whatever must be refused, by everybody, in one house that must stand as before; then whatever must be allowed. A
//! foreign token is told of this house's things exactly what it is told of things that nobody has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use loadtest::Peer;
use protocol::frame::{
    Approve, Batch, Ceiling, CheckOut, Claim, ClaimBy, ClaimHeld, Clock, Columns, CommandAnswer, CommandStage, Control, EndWorkout,
    FtmsRaw, Join, JoinRoom, Leave, LogSet, Lost, MachineFault, MachineState, MachineStatus, Ping, Propose, Prove, Refresh, Release, Rep,
    RepDetail, Role, RotateKey, Sample, SecondSign, Set, SetDetail, Severity, Sign, Stop, StopAnswer, StopStage, Stroke, StrokeDetail,
    Target as Aim, Unbind,
};
use protocol::text::{Blob, Text};
use protocol::{ClientFrame, CommandId, ErrorCode, EventId, Field, ProposalId, Reading, RoomName, ServerFrame, StopId};
use uuid::Uuid;

use super::expect::{Stance, Tally, everybody, expected};
use super::world::{self, Target, World, bind_of, hello_of};

/// Frame, what of, and who: member, coach, team manager, operator, machine, gateway, display, service.
const FRAMES: &[(&str, &str, &str)] = &[
    ("hello", "", "a a a a a a a a"),
    ("refresh", "", "a a a a a a a a"),
    // Of a device's own key: everybody here came by token.
    ("prove", "", "- - - - - - - -"),
    ("rotate_key", "", "- - - - - - - -"),
    ("ping", "", "a a a a a a a a"),
    ("join", "floor", "g g g g - - g -"),
    ("join", "machine", "p p - g - - - -"),
    ("join", "workout", "p p - - - - - -"),
    ("join", "member", "p p - - - - - -"),
    ("join", "board", "g g g g - - g -"),
    ("leave", "floor", "g g g g - - g -"),
    ("clock", "own device", "s - - - - - - -"),
    ("clock", "machine", "- - - - p p - -"),
    ("machine_hello", "", "- - - - p p - -"),
    ("bind", "own device", "s - - - - - - -"),
    ("bind", "machine", "- - - - p p - -"),
    ("unbind", "own device", "s - - - - - - -"),
    ("unbind", "machine", "- - - - p p - -"),
    ("sample", "own device", "s - - - - - - -"),
    ("sample", "machine", "- - - - p p - -"),
    ("batch", "own device", "s - - - - - - -"),
    ("batch", "machine", "- - - - p p - -"),
    ("ftms.raw", "own device", "s - - - - - - -"),
    ("ftms.raw", "machine", "- - - - p p - -"),
    ("lost", "own device", "s - - - - - - -"),
    ("lost", "machine", "- - - - p p - -"),
    // Only a machine counts; what a member counts is `log_set`.
    ("rep", "own device", "- - - - - - - -"),
    ("rep", "machine", "- - - - p p - -"),
    ("set", "own device", "- - - - - - - -"),
    ("set", "machine", "- - - - p p - -"),
    ("stroke", "own device", "- - - - - - - -"),
    ("stroke", "machine", "- - - - p p - -"),
    ("machine_state", "", "- - - - p p - -"),
    ("machine_fault", "", "- - - - p p - -"),
    ("claim_held", "", "- - - - p p - -"),
    ("second_sign", "", "- - - - p p - -"),
    ("command_answer", "", "- - - - p p - -"),
    ("stop_answer", "", "- - - - p p - -"),
    ("claim", "", "g - - - - - - -"),
    ("approve", "", "- - - g - - - -"),
    ("control", "", "p - - - - - - -"),
    ("propose", "", "- p - - - - - -"),
    ("ceiling", "", "p p - - - - - -"),
    ("log_set", "", "p - - - - - - -"),
    ("stop", "", "p - - g - - - -"),
    ("stop", "watching", "p p - g - - - -"),
    ("release", "", "p - - g - - - -"),
    ("end_workout", "", "p - - - - - - -"),
    ("check_out", "", "g - - - - - - -"),
];

/// Kinds of rooms, forced to be complete by the compiler.
fn room_kind(room: RoomName) -> &'static str {
    match room {
        RoomName::Floor(_) => "floor",
        RoomName::Machine(_) => "machine",
        RoomName::Workout(_) => "workout",
        RoomName::Member(_) => "member",
        RoomName::Board(_) => "board",
    }
}

fn rooms(target: &Target) -> [RoomName; 5] {
    let Target { gym, machine, workout, member, board, .. } = *target;
    [RoomName::Floor(gym), RoomName::Machine(machine), RoomName::Workout(workout), RoomName::Member(member), RoomName::Board(board)]
}

#[test]
fn every_frame_and_every_kind_of_room_has_a_row() {
    let tried: BTreeSet<&str> = FRAMES.iter().map(|row| row.0).collect();
    let known: BTreeSet<&str> = ClientFrame::TABLE.iter().map(|entry| entry.name).collect();
    assert_eq!(tried, known);
    let tried: BTreeSet<&str> = FRAMES.iter().filter(|row| row.0 == "join").map(|row| row.1).collect();
    assert_eq!(tried, rooms(&Target::nowhere(1)).into_iter().map(room_kind).collect());
    let schema = serde_json::to_string(&schemars::schema_for!(RoomName)).expect("JSON");
    assert!(schema.contains("^(floor|machine|workout|member|board):"), "a room without rows: {schema}");
}

/// Errors that say no; the others say that it cannot be done now, which only who may is told.
fn is_denial(code: u16) -> bool {
    const DENIALS: [ErrorCode; 11] = [
        ErrorCode::Unauthenticated,
        ErrorCode::Forbidden,
        ErrorCode::OtherSubject,
        ErrorCode::NoSuchRoom,
        ErrorCode::NotJoined,
        ErrorCode::NoSuchMachine,
        ErrorCode::NotClaimed,
        ErrorCode::MachineNotHeard,
        ErrorCode::ForeignMachine,
        ErrorCode::SlotUnknown,
        ErrorCode::NotFound,
    ];
    DENIALS.iter().any(|denial| denial.code() == code)
}

/// One who asks, over one socket.
struct Asker {
    role: Role,
    stance: Stance,
    peer: Peer,
    slot: u16,
}

/// What one attempt was answered.
struct Told {
    allowed: bool,
    codes: Vec<u16>,
    text: String,
}

impl Asker {
    async fn arrive(world: &World, role: Role, stance: Stance) -> Self {
        Self { role, stance, peer: world.peer(role, stance).await, slot: 0 }
    }

    fn hello_and_bind(&mut self, target: &Target) -> Vec<ClientFrame> {
        self.slot += 1;
        vec![hello_of(target.link).into(), bind_of(self.slot, Some(target.link)).into()]
    }

    fn join(&mut self, room: RoomName) -> (ClientFrame, Option<u32>) {
        let req = self.peer.req();
        (Join { req, join: JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 } }.into(), Some(req))
    }

    /// What must come before, then the frame itself with the number of its request.
    fn frames(&mut self, world: &World, kind: &str, of: &str, target: &Target) -> (Vec<ClientFrame>, Option<u32>) {
        if let Some(frame) = self.of_source(kind, of, target) {
            return (frame, None);
        }
        let machine = target.link;
        let mut before = match kind {
            "machine_state" | "machine_fault" | "claim_held" | "second_sign" | "command_answer" | "stop_answer" => {
                vec![hello_of(machine).into()]
            }
            "leave" => vec![self.join(RoomName::Floor(target.gym)).0],
            "stop" if of == "watching" && self.role == Role::Coach => vec![self.join(RoomName::Machine(target.machine)).0],
            _ => vec![],
        };
        let (frame, req): (ClientFrame, Option<u32>) = match kind {
            "machine_hello" => (hello_of(machine).into(), None),
            "machine_state" => {
                (MachineState { machine, state: MachineStatus::Idle, cause: Default::default(), user_present: None }.into(), None)
            }
            "machine_fault" => {
                let (code, severity) = (Text::cut("E9"), Severity::Notice);
                (MachineFault { machine, code, severity, subsystem: None, text: None }.into(), None)
            }
            "claim_held" => (ClaimHeld { machine, fence: 1 }.into(), None),
            "second_sign" => (SecondSign { machine, sign: Sign::Console }.into(), None),
            "command_answer" => {
                let (id, stage) = (CommandId(Uuid::now_v7()), CommandStage::Received);
                (CommandAnswer { machine, id, stage, result: None }.into(), None)
            }
            "stop_answer" => {
                let (id, answer) = (StopId(Uuid::now_v7()), StopStage::Received);
                (StopAnswer { machine, id, answer, result: None }.into(), None)
            }
            "stop" => (Stop { machine: target.machine, id: StopId(Uuid::now_v7()), reason: None }.into(), None),
            "prove" => (Prove { signature: Blob::new(&[0; 64]).expect("short") }.into(), None),
            "ping" => (Ping { n: 7 }.into(), None),
            "join" => {
                let room = rooms(target).into_iter().find(|room| room_kind(*room) == of).expect("a kind of room");
                self.join(room)
            }
            _ => {
                let req = self.peer.req();
                (self.request(world, kind, target, req), Some(req))
            }
        };
        before.push(frame);
        (before, req)
    }

    /// Frames of readings, with the source that they are of.
    fn of_source(&mut self, kind: &str, of: &str, target: &Target) -> Option<Vec<ClientFrame>> {
        let mut frames = match of {
            "machine" if kind != "join" => self.hello_and_bind(target),
            "own device" => {
                self.slot += 1;
                vec![bind_of(self.slot, None).into()]
            }
            _ => return None,
        };
        let (slot, seq, dev_ms) = (self.slot, 1, 1000);
        let mut reading = Reading::new();
        reading.set(Field::Power, 100);
        let rep = RepDetail {
            set: 1,
            rep: 1,
            load_hg: 100,
            range_mm: 0,
            mean_mm_s: 0,
            peak_mm_s: 0,
            peak_power_w: 0,
            concentric_ms: 0,
            eccentric_ms: 0,
        };
        let stroke = StrokeDetail { stroke: 1, drive_ms: 500, recovery_ms: 0, length_cm: 0, peak_force_n: 0, work_j: 0 };
        frames.extend::<Option<ClientFrame>>(match kind {
            "bind" => None,
            "unbind" => Some(Unbind { slot }.into()),
            "clock" => Some(Clock { clock: slot, asked_at_ms: 1, received_dev_ms: 1, sent_dev_ms: 1 }.into()),
            "sample" => Some(Sample { slot, seq, dev_ms, reading }.into()),
            "batch" => Some(Batch { slot, columns: Columns::pack(&[(seq, dev_ms, reading)]) }.into()),
            "ftms.raw" => Some(FtmsRaw { slot, seq, dev_ms, uuid: 0x2AD2, bytes: Blob::new(&[0, 0, 0, 0]).expect("short") }.into()),
            "lost" => Some(Lost { slot, from: 1, to: 1 }.into()),
            "rep" => Some(Rep { slot, seq, dev_ms, rep }.into()),
            "set" => Some(Set { slot, seq, dev_ms, set: one_set() }.into()),
            "stroke" => Some(Stroke { slot, seq, dev_ms, stroke }.into()),
            other => panic!("{other} is of no source"),
        });
        Some(frames)
    }

    fn request(&self, world: &World, kind: &str, target: &Target, req: u32) -> ClientFrame {
        let Target { gym, machine, workout, fence, member, .. } = *target;
        match kind {
            "refresh" => Refresh { req, token: Text::cut(&world.token(&world::request(self.role, self.stance))) }.into(),
            "rotate_key" => {
                let signature = Blob::new(&[0; 64]).expect("short");
                RotateKey { req, key: Blob::new(&[1; 32]).expect("short"), signature: signature.clone(), proof: signature }.into()
            }
            "leave" => Leave { req, room: RoomName::Floor(gym) }.into(),
            "claim" => Claim { req, gym, by: ClaimBy::Code(Text::cut("000000")), hand_over: None }.into(),
            "approve" => Approve { req, machine }.into(),
            "control" => Control { req, id: CommandId(Uuid::now_v7()), machine, fence, target: Aim::Pause, proposal: None }.into(),
            "propose" => Propose { req, id: ProposalId(Uuid::now_v7()), workout, target: Aim::PowerW(100), text: None }.into(),
            "ceiling" => Ceiling { req, member, heart_rate_bpm: Some(170) }.into(),
            "log_set" => LogSet { req, id: EventId(Uuid::now_v7()), workout, logged_at_ms: hub::clock::at_ms(), set: one_set() }.into(),
            "release" => Release { req, machine, fence }.into(),
            "end_workout" => EndWorkout { req, workout }.into(),
            "check_out" => CheckOut { req, gym }.into(),
            other => panic!("{other} is no request"),
        }
    }

    /// Sends, waits until everything is answered, and reads the answer.
    async fn attempt(&mut self, world: &mut World, kind: &str, of: &str, target: &Target) -> Told {
        if kind == "hello" {
            let welcomed =
                Peer::connect(&world.house.url(), loadtest::Options::new(world.token(&world::request(self.role, self.stance)))).await;
            return Told { allowed: welcomed.is_ok(), codes: vec![], text: format!("{:?}", welcomed.err()) };
        }
        let (frames, req) = self.frames(world, kind, of, target);
        self.peer.send_all(&frames).await.expect("sent");
        let mut heard = self.echo().await;
        world.settle().await;
        heard.extend(self.echo().await);
        while req.is_some() && !heard.iter().any(|frame| answers(frame, req)) {
            heard.push(self.peer.next().await.unwrap_or_else(|error| panic!("{kind} {of} by {:?} {:?}: {error}", self.role, self.stance)));
        }
        let errors = heard.iter().filter_map(|frame| match frame {
            ServerFrame::Error(error) if !beyond_the_right(kind, error) => Some(error.code),
            _ => None,
        });
        let codes: Vec<u16> = errors.collect();
        let watched = kind == "join" && heard.iter().any(|frame| matches!(frame, ServerFrame::Joined(_)));
        let text = heard.iter().map(|frame| format!("{} ", frame.name())).collect::<String>() + &format!("{codes:?}");
        Told { allowed: watched || !codes.iter().any(|code| is_denial(*code)), codes, text }
    }

    /// Everything that came until a ping that is sent now is answered.
    async fn echo(&mut self) -> Vec<ServerFrame> {
        let n = 1_000_000 + self.peer.req();
        self.peer.send(Ping { n }).await.expect("sent");
        let mut heard = Vec::new();
        loop {
            match self.peer.next().await.expect("an echo") {
                ServerFrame::Pong(pong) if pong.n == n => return heard,
                frame => heard.push(frame),
            }
        }
    }
}

/// Errors of those who may, where there is nothing to do: no visit to end, no sticker scanned.
fn beyond_the_right(kind: &str, error: &protocol::frame::Error) -> bool {
    match kind {
        "check_out" => error.detail.as_deref() == Some("no visit is active here"),
        "approve" => error.code == ErrorCode::NotClaimed.code(),
        _ => false,
    }
}

fn answers(frame: &ServerFrame, req: Option<u32>) -> bool {
    match frame {
        ServerFrame::Error(error) => error.req == req,
        ServerFrame::Done(done) => Some(done.req) == req,
        ServerFrame::Claimed(claimed) => claimed.req == req,
        ServerFrame::Joined(joined) => joined.req == req,
        ServerFrame::Left(left) => left.req == req,
        ServerFrame::Refreshed(refreshed) => Some(refreshed.req) == req,
        ServerFrame::ControlResult(_) => true,
        _ => false,
    }
}

fn one_set() -> SetDetail {
    SetDetail { set: 1, exercise: None, target_reps: 0, reps: 8, load_hg: 600, seconds: 0, rest_s: 0, tempo: None, note: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_against_each_frame_and_room_of_its_own_and_another_tenant() {
    let mut world = World::open().await;
    let mut tally = Tally::default();
    let mut askers = Vec::new();
    for (role, stance) in everybody() {
        askers.push(Asker::arrive(&world, role, stance).await);
    }
    world.settle().await;
    world.orders();
    let before = world.state().await;
    for asker in &mut askers {
        refuse(&mut world, &mut tally, asker).await;
    }
    world.settle().await;
    let after = world.state().await;
    if before != after {
        tally.fault(format!("what was refused had an effect:\n{before}\nbecame\n{after}"));
    }
    let orders = world.orders();
    if !orders.is_empty() {
        tally.fault(format!("what was refused reached the machines: {orders:?}"));
    }
    for asker in &mut askers {
        for (kind, of, row) in FRAMES {
            if expected(row, asker.role, asker.stance) {
                world.hold().await;
                let target = world.target();
                let told = asker.attempt(&mut world, kind, of, &target).await;
                tally.note(&format!("{kind} {of}"), (asker.role, asker.stance), true, told.allowed, &told.text);
            }
        }
    }
    assert!(!world.orders().is_empty(), "what was allowed reached the machines");
    tally.end("frames and rooms", FRAMES.len() * 40);
}

/// Everything that this one may not do.
async fn refuse(world: &mut World, tally: &mut Tally, asker: &mut Asker) {
    let target = world.target();
    let nowhere = Target::nowhere(target.fence);
    asker.peer.set_patience(Duration::from_secs(10));
    let mut differences = BTreeMap::new();
    for (kind, of, row) in FRAMES {
        if expected(row, asker.role, asker.stance) {
            continue;
        }
        let told = asker.attempt(world, kind, of, &target).await;
        tally.note(&format!("{kind} {of}"), (asker.role, asker.stance), false, told.allowed, &told.text);
        if asker.stance.foreign() {
            let of_nothing = asker.attempt(world, kind, of, &nowhere).await;
            if told.codes != of_nothing.codes {
                differences.insert(format!("{kind} {of}"), (told.codes, of_nothing.codes));
            }
        }
    }
    for (what, (of_this, of_nothing)) in differences {
        tally.fault(format!(
            "{what} tells {}, {:?}, that the thing exists: {of_this:?}, and {of_nothing:?} of nothing",
            asker.role.name(),
            asker.stance
        ));
    }
}

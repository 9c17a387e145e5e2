//! Frames that may need to know something first: a new token's signature, a member's teams.
//!
//! In: a frame of a session. Out: the same order or answer, at once where everything is in memory, otherwise from a tracked task after one look at
//! the store or the verifier. The session never waits: a stop behind such a frame overtakes it. At most eight per session are under way;
//! the rooms of a hello are one of them, looked up one after another, and a room that is not joined is named.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use protocol::frame::{Ceiling, Done, JoinRoom, Left, Propose, Refresh, Refreshed, Role, RotateKey};
use protocol::{CloseReason, ErrorCode, MemberId, RoomName, ServerFrame, TeamId};
use room::input::MemberRecord;
use room::rights::{self, Action, Object};
use room::{Input, Lane, MemberInput};

use super::dispatch::object_of;
use super::live::Session;
use super::peer::Peer;
use super::slots::Home;
use crate::auth::AuthError;
use crate::directory::TokenMark;
use crate::hub::Hub;
use crate::shard::Order;

/// Frames of one session that wait for an answer.
const UNDER_WAY_MAX: u32 = 8;
/// The store or the verifier has this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Lowest and highest ceiling in beats a minute.
const CEILING_BPM: std::ops::RangeInclusive<u16> = 60..=250;

/// A frame that may have to wait.
pub(super) enum Deferred {
    /// A room, by request or of hello.
    Join(Option<u32>, JoinRoom),
    /// A new token.
    Refresh(Refresh),
    /// A device's next key.
    Rotate(RotateKey),
    /// A coach proposes.
    Propose(Propose),
    /// A ceiling.
    Ceiling(Ceiling),
}

impl Deferred {
    const fn asked(&self) -> Asked {
        match self {
            Self::Join(None, join) => Asked::OfHello(join.room),
            Self::Join(Some(req), _) => Asked::Request(*req),
            Self::Refresh(refresh) => Asked::Request(refresh.req),
            Self::Rotate(rotate) => Asked::Request(rotate.req),
            Self::Propose(propose) => Asked::Request(propose.req),
            Self::Ceiling(ceiling) => Asked::Request(ceiling.req),
        }
    }
}

/// What a refusal answers.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// A request, by its number.
    Request(u32),
    /// A room of hello, which has no number: it is named, as its own shard names it.
    OfHello(RoomName),
}

impl Asked {
    fn refused(self, code: ErrorCode) -> ServerFrame {
        match self {
            Self::Request(req) => protocol::frame::Error::new(Some(req), code).into(),
            Self::OfHello(room) => Left { req: None, room, code: Some(code.code()) }.into(),
        }
    }
}

/// What a frame is about, as far as the registry knows.
struct About {
    member: Option<MemberId>,
    home: Option<Home>,
}

/// A frame that waits for the store or the verifier.
struct Waits {
    deferred: Deferred,
    about: About,
    /// Its number among the joins that wait, if it is one.
    join: Option<u32>,
}

impl Session {
    /// Carries out a frame now, or as a task where the store must be asked.
    pub(super) fn defer(&mut self, deferred: Deferred) {
        let Some(waits) = self.at_once(deferred) else { return };
        if self.peer.under_way.load(Relaxed) >= UNDER_WAY_MAX {
            waits.join.map(|join| self.peer.waiting().end(join));
            return self.refuse_asked(waits.deferred.asked(), ErrorCode::TooFast);
        }
        self.wait(vec![waits]);
    }

    /// Joins the rooms of hello. However many must be looked up, they wait in one task.
    pub(super) fn join_all(&mut self, rooms: Vec<JoinRoom>) {
        let waiting: Vec<Waits> = rooms.into_iter().filter_map(|join| self.at_once(Deferred::Join(None, join))).collect();
        if !waiting.is_empty() {
            self.wait(waiting);
        }
    }

    /// Looks up what must be known, one frame after another. Only the session counts up, so that what it read before still holds.
    fn wait(&self, waiting: Vec<Waits>) {
        self.peer.under_way.fetch_add(1, Relaxed);
        let (hub, peer) = (self.hub.clone(), self.peer.clone());
        self.hub.tasks.spawn("deferred frame", async move {
            let mut silent = false;
            for waits in waiting {
                let (asked, join) = (waits.deferred.asked(), waits.join);
                // Who did not answer the first in time is not waited for by each of the rest.
                silent = silent || tokio::time::timeout(ANSWER_WITHIN, carry_out(&hub, &peer, waits)).await.is_err();
                if silent && join.is_none_or(|join| peer.waiting().end(join)) {
                    tell(&hub, &peer, asked, ErrorCode::Unavailable);
                }
            }
            peer.under_way.fetch_sub(1, Relaxed);
        });
    }

    /// Carries out a frame where everything is known, and gives back what has to wait.
    fn at_once(&mut self, deferred: Deferred) -> Option<Waits> {
        let about = match self.about(&deferred) {
            Ok(about) => about,
            Err(code) => {
                self.refuse_asked(deferred.asked(), code);
                return None;
            }
        };
        if let Some(home) = about.home {
            self.touch(home);
        }
        // The room of a member hears of the session's end from its shard, so that nothing is kept here of rooms that were only asked for.
        if let Deferred::Join(_, JoinRoom { room: RoomName::Member(member), .. }) = &deferred {
            self.attach(self.hub.registry.shard_of(member.0));
        }
        let asks = match &deferred {
            Deferred::Refresh(_) | Deferred::Rotate(_) | Deferred::Ceiling(_) => true,
            Deferred::Join(..) | Deferred::Propose(_) => self.needs_teams(about.member),
        };
        if !asks {
            self.said = true;
            act(&self.hub, &self.peer, deferred, &about);
            return None;
        }
        let join = match &deferred {
            Deferred::Join(req, join) => Some(self.peer.waiting().begin(join.room, *req)),
            _ => None,
        };
        Some(Waits { deferred, about, join })
    }

    fn refuse_asked(&mut self, asked: Asked, code: ErrorCode) {
        self.hub.refused(code);
        self.say(asked.refused(code));
    }

    fn about(&self, deferred: &Deferred) -> Result<About, ErrorCode> {
        let nobody = |home| Ok(About { member: None, home });
        match deferred {
            Deferred::Refresh(_) | Deferred::Rotate(_) => nobody(None),
            Deferred::Ceiling(ceiling) => Ok(About { member: Some(ceiling.member), home: None }),
            Deferred::Propose(propose) => self.about_workout(propose.workout).ok_or(ErrorCode::NotFound),
            Deferred::Join(_, join) => match join.room {
                RoomName::Floor(gym) => nobody(Some(self.home_of(gym).ok_or(ErrorCode::NoSuchRoom)?)),
                RoomName::Machine(machine) => {
                    let (place, home) = self.machine_and_home(machine).ok_or(ErrorCode::NoSuchRoom)?;
                    Ok(About { member: place.holder.map(|(holder, _)| holder), home: Some(home) })
                }
                RoomName::Workout(workout) => self.about_workout(workout).ok_or(ErrorCode::NoSuchRoom),
                RoomName::Board(board) => {
                    let gym = self.hub.registry.board(board).ok_or(ErrorCode::NoSuchRoom)?;
                    nobody(Some(self.home_of(gym).ok_or(ErrorCode::NoSuchRoom)?))
                }
                RoomName::Member(member) => Ok(About { member: Some(member), home: None }),
            },
        }
    }

    fn about_workout(&self, workout: protocol::WorkoutId) -> Option<About> {
        let place = self.hub.registry.workout(workout).filter(|place| place.tenant == self.peer.viewer.tenant)?;
        Some(About { member: Some(place.member), home: self.home_of(place.gym) })
    }

    /// Whether a right may hang on teams that were not read yet.
    fn needs_teams(&self, member: Option<MemberId>) -> bool {
        let viewer = &self.peer.viewer;
        matches!(viewer.role, Role::Coach | Role::TeamManager) && member.is_some_and(|member| self.hub.registry.member(member).is_none())
    }
}

/// Asks what must be asked, then acts.
async fn carry_out(hub: &Arc<Hub>, peer: &Arc<Peer>, Waits { deferred, about, join }: Waits) {
    match deferred {
        Deferred::Refresh(refresh) => self::refresh(hub, peer, refresh).await,
        Deferred::Rotate(rotate) => {
            if let Err(code) = super::rotate::rotate(hub, peer, &rotate).await {
                tell(hub, peer, Asked::Request(rotate.req), code);
            }
        }
        Deferred::Ceiling(ceiling) => self::ceiling(hub, peer, ceiling).await,
        Deferred::Join(..) | Deferred::Propose(_) => {
            let known = match about.member {
                Some(member) => hub.look_up_teams(peer.viewer.tenant, member).await,
                None => Ok(()),
            };
            // Held until the shard has the order: a leave either took the join before, or comes to the shard behind it.
            let mut waiting = peer.waiting();
            if join.is_some_and(|join| !waiting.end(join)) {
                return;
            }
            match known {
                Ok(()) => act(hub, peer, deferred, &about),
                Err(code) => tell(hub, peer, deferred.asked(), unknown_as(&deferred, code)),
            }
        }
    }
}

/// Carries out what is fully known.
fn act(hub: &Hub, peer: &Peer, deferred: Deferred, about: &About) {
    let asked = deferred.asked();
    let done = match deferred {
        Deferred::Join(req, join) => self::join(hub, peer, req, join, about),
        Deferred::Propose(propose) => self::propose(hub, peer, propose, about),
        Deferred::Refresh(_) | Deferred::Rotate(_) | Deferred::Ceiling(_) => Ok(()),
    };
    if let Err(code) = done {
        tell(hub, peer, asked, code);
    }
}

fn join(hub: &Hub, peer: &Peer, req: Option<u32>, join: JoinRoom, about: &About) -> Result<(), ErrorCode> {
    let viewer = &peer.viewer;
    let teams = teams_of(hub, about.member);
    let mut object = Object { tenant: Some(viewer.tenant), member: about.member, teams: &teams, ..Object::default() };
    let action = match join.room {
        RoomName::Floor(gym) => {
            object.gym = Some(gym);
            Action::RoomFloor
        }
        RoomName::Machine(machine) => {
            let place = hub.registry.machine(machine).ok_or(ErrorCode::NoSuchRoom)?;
            object = Object { teams: &teams, ..object_of(machine, &place) };
            Action::RoomMachine
        }
        RoomName::Workout(_) => Action::RoomWorkout,
        RoomName::Board(_) => {
            object.gym = about.home.map(|home| home.gym);
            Action::RoomBoard
        }
        RoomName::Member(member) => {
            // Their own room is there from the first hello; anybody else's only where the store knows the member.
            let known = hub.registry.member(member).map(|(tenant, _)| tenant);
            object.tenant = known.or((member.0 == viewer.subject).then_some(viewer.tenant));
            Action::RoomMember
        }
    };
    rights::allows(viewer, action, &object).map_err(|code| if code == ErrorCode::NotFound { ErrorCode::NoSuchRoom } else { code })?;
    tell_record(hub, viewer, join.room, about);
    let (session, viewer) = (peer.session, viewer.clone());
    let (shard, order) = match (join.room, about.home) {
        (RoomName::Member(member), _) => {
            let input = MemberInput::Join { session, viewer, req, join };
            (hub.registry.shard_of(member.0), Order::Member { member, tenant: peer.viewer.tenant, from: Some(session), input })
        }
        (_, Some(home)) => {
            (home.shard, Order::Gym { gym: home.gym, from: Some(session), input: Input::Join { session, viewer, req, join } })
        }
        (_, None) => return Err(ErrorCode::NoSuchRoom),
    };
    hub.shards.push(shard, order).map_err(|_refused| ErrorCode::Overloaded)
}

/// A room decides by itself who of the staff may watch a member: it must know the member's teams before it is asked.
fn tell_record(hub: &Hub, viewer: &room::Viewer, room: RoomName, about: &About) {
    if !matches!(viewer.role, Role::Coach | Role::TeamManager) {
        return;
    }
    let Some((member, (tenant, record))) = about.member.and_then(|member| Some((member, hub.registry.member(member)?))) else { return };
    let record = (*record).clone();
    let (shard, order) = match (room, about.home) {
        (RoomName::Member(_), _) => {
            (hub.registry.shard_of(member.0), Order::Member { member, tenant, from: None, input: MemberInput::Known { record } })
        }
        (_, Some(home)) => (home.shard, Order::Gym { gym: home.gym, from: None, input: Input::MemberKnown { member, record } }),
        (_, None) => return,
    };
    hub.shards.owe(shard, order);
}

fn propose(hub: &Hub, peer: &Peer, propose: Propose, about: &About) -> Result<(), ErrorCode> {
    let teams = teams_of(hub, about.member);
    let object = Object { tenant: Some(peer.viewer.tenant), member: about.member, teams: &teams, ..Object::default() };
    rights::allows(&peer.viewer, Action::Propose, &object)?;
    let home = about.home.ok_or(ErrorCode::NotFound)?;
    let (session, viewer) = (peer.session, peer.viewer.clone());
    let order = Order::Gym { gym: home.gym, from: Some(session), input: Input::Propose { session, viewer, propose } };
    hub.shards.push(home.shard, order).map_err(|_refused| ErrorCode::Overloaded)
}

/// Takes a new token for the same subject, in place.
async fn refresh(hub: &Hub, peer: &Peer, refresh: Refresh) {
    let identity = match hub.verifier.verify_waiting(&refresh.token, crate::clock::at_ms).await {
        Ok(identity) => identity,
        Err(refused) => {
            hub.metrics.token_refused(refused);
            let answer = protocol::frame::Error::new(Some(refresh.req), refused.code()).detail(&refused.to_string());
            return peer.send_now(Lane::Event, &answer.into());
        }
    };
    if *identity.viewer != *peer.viewer {
        return tell(hub, peer, Asked::Request(refresh.req), ErrorCode::OtherSubject);
    }
    hub.directory.refresh(peer, TokenMark::of(&identity));
    // A revocation between the check of the token and its entry in the directory would have missed this session.
    if hub.verifier.revocations().hits(&identity) {
        hub.metrics.token_refused(AuthError::Revoked);
        return peer.close(CloseReason::TokenRevoked);
    }
    peer.refresh(identity.expires_at_ms);
    peer.send_now(Lane::Event, &Refreshed { req: refresh.req, expires_at_ms: identity.expires_at_ms }.into());
}

/// Stores a ceiling, then tells the gyms where the member trains.
async fn ceiling(hub: &Hub, peer: &Peer, ceiling: Ceiling) {
    let asked = Asked::Request(ceiling.req);
    let (member, tenant) = (ceiling.member, peer.viewer.tenant);
    if ceiling.heart_rate_bpm.is_some_and(|bpm| !CEILING_BPM.contains(&bpm)) {
        return tell(hub, peer, asked, ErrorCode::Unprocessable);
    }
    if let Err(code) = hub.look_up_teams(tenant, member).await {
        return tell(hub, peer, asked, code);
    }
    let teams = teams_of(hub, Some(member));
    let object = Object { tenant: Some(tenant), member: Some(member), teams: &teams, ..Object::default() };
    if let Err(code) = rights::allows(&peer.viewer, Action::Ceiling, &object) {
        return tell(hub, peer, asked, code);
    }
    if let Err(error) = hub.store.set_ceiling(tenant, member, ceiling.heart_rate_bpm).await {
        tracing::warn!(error = %crate::chain(&error), "a ceiling could not be stored");
        return tell(hub, peer, asked, ErrorCode::Unavailable);
    }
    for gym in hub.registry.gyms_of_member(tenant, member) {
        let input = Input::Ceiling { member, heart_rate_bpm: ceiling.heart_rate_bpm };
        hub.to_gym(gym, input);
    }
    // What is remembered of the member is told again at each join of a coach: the ceiling of before must not come back with it.
    if let Some((_, known)) = hub.registry.member(member) {
        hub.member_changed(tenant, member, &MemberRecord { ceiling_bpm: ceiling.heart_rate_bpm, ..(*known).clone() });
    }
    peer.send_now(Lane::Event, &Done { req: ceiling.req }.into());
}

/// A member whom nobody knows and one of another tenant are the same to whoever asks for their room.
fn unknown_as(deferred: &Deferred, code: ErrorCode) -> ErrorCode {
    match (deferred, code) {
        (Deferred::Join(..), ErrorCode::NotFound) => ErrorCode::NoSuchRoom,
        (_, code) => code,
    }
}

fn teams_of(hub: &Hub, member: Option<MemberId>) -> Vec<TeamId> {
    member.and_then(|member| hub.registry.member(member)).map(|(_, record)| record.teams.clone()).unwrap_or_default()
}

fn tell(hub: &Hub, peer: &Peer, asked: Asked, code: ErrorCode) {
    hub.refused(code);
    peer.send_now(Lane::Event, &asked.refused(code));
}

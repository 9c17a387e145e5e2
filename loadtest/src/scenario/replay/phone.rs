//! One member's phone through a replay: claims by code, watches the workout, comes back after every break, gives the machine back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use protocol::frame::{Claim, ClaimBy, ClaimState, Claimed, EventBody, Release, Role, Snapshot, Totals};
use protocol::limits::STALE_MS;
use protocol::text::Text;
use protocol::{ErrorCode, MachineId, RoomName, ServerFrame, WorkoutId};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::floor::{Floor, Stand};
use super::shown::Shown;
use crate::bench::{Bench, Latency};
use crate::gateway::SimGateway;
use crate::peer::{Options, Peer, PeerError};

const CODE_WAIT: Duration = Duration::from_secs(20);
const COME_BACK: Duration = Duration::from_millis(250);
/// A hub that has just started hears of a claim that it had not stored from the machine: until then the phone asks again, as the page does.
const CLAIM_WAIT: Duration = Duration::from_secs(5);
/// After the workouts are over: giving back, and hearing that the workout is sealed.
const END_WAIT: Duration = Duration::from_secs(100);

/// What a phone saw.
#[derive(Debug, Default)]
pub(in crate::scenario) struct Seen {
    pub(in crate::scenario) machine: Option<MachineId>,
    pub(in crate::scenario) workout: Option<WorkoutId>,
    pub(in crate::scenario) lives: u64,
    /// Repetitions and sets told.
    pub(in crate::scenario) lifted: u64,
    /// Values that the hub told to be older than 3 s, by its estimate of the machine's clock.
    pub(in crate::scenario) told_stale: u64,
    /// Values shown more than 3 s after they were numbered.
    pub(in crate::scenario) stale: u64,
    /// Age and seq of the oldest of them.
    pub(in crate::scenario) stalest: (u32, u32),
    /// When the first value of each boot of the machine was shown.
    pub(in crate::scenario) began: HashMap<u32, Instant>,
    /// Every value, to hold against what the machine numbered.
    pub(in crate::scenario) shown: Shown,
    /// Rooms whose memory was told to be another one.
    pub(in crate::scenario) resets: u64,
    /// Rooms asked for from a place on, and answered.
    pub(in crate::scenario) answered: u64,
    /// Rooms that went on from where they were left.
    pub(in crate::scenario) resumed: u64,
    /// Events that came late because of it.
    pub(in crate::scenario) recovered: u64,
    /// Values shown after a newer one.
    pub(in crate::scenario) backwards: u64,
    pub(in crate::scenario) gaps: u64,
    /// Claims, fences or workouts that were others after a break.
    pub(in crate::scenario) moved: Vec<String>,
    pub(in crate::scenario) sealed: Option<Totals>,
    pub(in crate::scenario) usual: Latency,
    pub(in crate::scenario) away: Latency,
}

/// A member who holds a machine.
pub(in crate::scenario) struct Training {
    peer: Option<Peer>,
    again: Options,
    machine: MachineId,
    gateway: Arc<SimGateway>,
    claimed: Claimed,
    workout: WorkoutId,
    newest: HashMap<u16, u32>,
    /// Since when the hub does not know of the claim.
    early: Option<Instant>,
    seen: Seen,
    released: bool,
    /// Whether the database is away now: live values are then counted apart.
    away: Arc<AtomicBool>,
    /// Phones of the floor that are connected now.
    on: Arc<AtomicUsize>,
    /// Whether there is a network.
    online: watch::Receiver<bool>,
}

impl Training {
    /// Reads the code off the machine's screen, claims it, watches the workout.
    pub(in crate::scenario) async fn claim(bench: &Bench, floor: &Floor, stand: &Stand) -> anyhow::Result<Self> {
        let gateway = floor.gateways[stand.gateway].clone();
        let shows = |core: &crate::gateway::Gateway| core.machine(stand.machine).is_some_and(|machine| machine.code(0).is_some());
        gateway.wait_for("a code on a screen", CODE_WAIT, shows).await?;
        let code = gateway.with(|core, now_ms| core.machine(stand.machine).and_then(|machine| machine.code(now_ms)).map(Text::cut));
        let token = floor.world.token(bench, Role::Member, stand.member.0);
        let options = Options::new(token).device("replay-phone").room(RoomName::Member(stand.member));
        let mut peer = Peer::connect(&bench.ws_url(), options).await?;
        let req = peer.req();
        let claim = Claim { req, gym: floor.world.gym, by: ClaimBy::Code(code.context("the code ran out")?), hand_over: None };
        let claimed = peer.request(claim, req, |frame| granted(frame, stand.machine)).await.context("a claim was not granted")?;
        let workout = claimed.workout.context("a claim was granted without a workout")?;
        let joined = peer.join(RoomName::Workout(workout)).await.context("a member may not watch the own workout")?;
        let keeps = |core: &crate::gateway::Gateway| core.machine(stand.machine).is_some_and(|machine| machine.claim().is_some());
        gateway.wait_for("a claim in its memory", CODE_WAIT, keeps).await?;
        let again = peer.resume();
        let mut seen = Seen { machine: Some(stand.machine), workout: Some(workout), ..Seen::default() };
        if let Some(Snapshot::Workout(snapshot)) = &joined.snapshot {
            seen.shown.begin(&snapshot.sources);
        }
        let (newest, released, away, on) = (HashMap::new(), false, floor.away.clone(), floor.phones_on.clone());
        let online = floor.viewers_online.subscribe();
        on.fetch_add(1, Ordering::Relaxed);
        let (peer, machine, early) = (Some(peer), stand.machine, None);
        Ok(Self { peer, again, machine, gateway, claimed, workout, newest, early, seen, released, away, on, online })
    }

    /// Follows the workout until it is sealed, through every break.
    pub(in crate::scenario) async fn follow(mut self, url: String, release: CancellationToken) -> anyhow::Result<Seen> {
        let mut until = None;
        loop {
            if release.is_cancelled() && until.is_none() {
                until = Some(Instant::now() + END_WAIT);
            }
            if self.seen.sealed.is_some() || until.is_some_and(|until| Instant::now() > until) {
                drop(self.leave());
                return Ok(self.seen);
            }
            let Some(peer) = self.peer.as_mut() else {
                self.come_back(&url).await;
                continue;
            };
            let released = self.released;
            let heard = tokio::select! {
                biased;
                () = release.cancelled(), if !released => {
                    self.give_back().await?;
                    continue;
                }
                () = offline(&mut self.online) => {
                    self.cut();
                    continue;
                }
                heard = peer.next_until(Instant::now() + Duration::from_secs(1)) => heard,
            };
            match heard {
                Ok(Some(frame)) => self.hear(&frame)?,
                Ok(None) => (),
                Err(PeerError::Frame(error)) => bail!("a phone was sent what is no frame: {error}"),
                Err(_gone) => drop(self.leave()),
            }
        }
    }

    fn leave(&mut self) -> Option<Peer> {
        let peer = self.peer.take()?;
        self.on.fetch_sub(1, Ordering::Relaxed);
        self.seen.gaps += peer.rooms().gaps();
        self.seen.resets += peer.rooms().resets();
        self.seen.answered += peer.rooms().answered();
        self.seen.resumed += peer.rooms().resumed();
        self.seen.recovered += peer.rooms().recovered();
        self.again = peer.resume().rooms_of(&self.again);
        Some(peer)
    }

    /// The network resets the connection.
    fn cut(&mut self) {
        if let Some(peer) = self.leave() {
            peer.cut();
        }
    }

    /// The hub does not know of the claim yet: the phone comes back to ask again. Answers false where it should have known by now.
    fn asks_again(&mut self) -> bool {
        if self.early.get_or_insert_with(Instant::now).elapsed() > CLAIM_WAIT {
            return false;
        }
        drop(self.leave());
        self.again.rooms.iter_mut().for_each(|room| (room.epoch, room.offset) = (None, 0));
        true
    }

    async fn come_back(&mut self, url: &str) {
        // A floor that is gone keeps nobody away.
        drop(self.online.wait_for(|online| *online).await);
        if self.early.is_some() {
            tokio::time::sleep(COME_BACK).await;
        }
        match Peer::connect(url, self.again.clone()).await {
            // A release that was under way is asked for again.
            Ok(peer) => {
                self.on.fetch_add(1, Ordering::Relaxed);
                self.peer = Some(peer);
            }
            Err(_not_yet) => tokio::time::sleep(COME_BACK).await,
        }
    }

    async fn give_back(&mut self) -> anyhow::Result<()> {
        let Some(peer) = self.peer.as_mut() else { return Ok(()) };
        let req = peer.req();
        let release = Release { req, machine: self.machine, fence: self.claimed.fence };
        match peer.request(release, req, |frame| matches!(frame, ServerFrame::Done(done) if done.req == req).then_some(())).await {
            Ok(()) => self.released = true,
            Err(PeerError::Refused(code, name, detail)) => bail!("a machine could not be given back: {code} {name} {detail}"),
            Err(_gone) => drop(self.leave()),
        }
        Ok(())
    }

    fn hear(&mut self, frame: &ServerFrame) -> anyhow::Result<()> {
        match frame {
            ServerFrame::Live(live) => {
                self.seen.lives += 1;
                self.seen.told_stale += u64::from(i64::from(live.age_ms) > STALE_MS);
                self.seen.shown.live(live);
                if let Some(boot) = self.seen.shown.boot_of(live.source) {
                    self.seen.began.entry(boot).or_insert_with(Instant::now);
                }
                let before = self.newest.insert(live.source, live.seq);
                self.seen.backwards += u64::from(before.is_some_and(|before| before >= live.seq));
                if let Some(numbered) = self.gateway.numbered_at(self.machine, live.seq) {
                    let age = numbered.elapsed();
                    let latency = if self.away.load(Ordering::Relaxed) { &mut self.seen.away } else { &mut self.seen.usual };
                    latency.add(age);
                    if age.as_millis() as i64 > STALE_MS {
                        self.seen.stale += 1;
                        self.seen.stalest = self.seen.stalest.max((age.as_millis() as u32, live.seq));
                    }
                }
            }
            ServerFrame::Joined(joined) => {
                self.seen.resets += u64::from(!joined.recovered);
                // Sources may have other numbers in another memory of the room.
                self.newest.clear();
                if joined.room == RoomName::Workout(self.workout) {
                    self.early = None;
                }
                if let Some(snapshot) = &joined.snapshot {
                    self.compare(snapshot);
                }
                joined.events.iter().for_each(|event| self.note(&event.body));
            }
            // Told to go: at once, so that the session is not cut.
            ServerFrame::Move(_) => drop(self.leave()),
            ServerFrame::Reset(reset) => self.compare(&reset.snapshot),
            ServerFrame::Event(event) => self.note(&event.body),
            ServerFrame::Error(error) if !self.released && error.code == ErrorCode::NoSuchRoom.code() && self.asks_again() => (),
            ServerFrame::Error(error) if !self.released => bail!("a phone was refused: {} {} {:?}", error.code, error.name, error.detail),
            _ => (),
        }
        Ok(())
    }

    fn note(&mut self, body: &EventBody) {
        match body {
            EventBody::Source(source) => self.seen.shown.source(source),
            EventBody::Rep(_) | EventBody::Set(_) => self.seen.lifted += 1,
            EventBody::Sealed { workout, totals, .. } if *workout == self.workout => self.seen.sealed = Some(*totals),
            EventBody::Released { machine, fence, reason } if *machine == self.machine && !self.released => {
                self.seen.moved.push(format!("{machine} was released under fence {fence}: {reason:?}"));
            }
            _ => (),
        }
    }

    /// After a break the claim, its fence and its workout must be what they were.
    fn compare(&mut self, snapshot: &Snapshot) {
        if let Snapshot::Workout(workout) = snapshot {
            self.seen.shown.begin(&workout.sources);
            self.seen.shown.ring(&workout.ring);
        }
        if self.released {
            return;
        }
        match snapshot {
            Snapshot::Member(member) => {
                let held = member.claim.as_ref().map(|held| (held.machine, held.claim.fence, held.claim.workout));
                let wanted = (self.machine, self.claimed.fence, self.workout);
                if held != Some(wanted) && (held.is_some() || !self.asks_again()) {
                    self.seen.moved.push(format!("the member holds {held:?}, not {wanted:?}"));
                }
            }
            Snapshot::Workout(workout) if workout.fence != self.claimed.fence => {
                self.seen.moved.push(format!("workout {} runs under fence {}, not {}", workout.workout, workout.fence, self.claimed.fence));
            }
            _ => (),
        }
    }
}

/// Waits until there is no network; a floor that is gone takes it from nobody.
pub(in crate::scenario) async fn offline(online: &mut watch::Receiver<bool>) {
    if online.wait_for(|online| !online).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn granted(frame: &ServerFrame, machine: MachineId) -> Option<Claimed> {
    match frame {
        ServerFrame::Claimed(claimed) if claimed.machine == machine && claimed.state == ClaimState::Granted => Some(claimed.clone()),
        _ => None,
    }
}

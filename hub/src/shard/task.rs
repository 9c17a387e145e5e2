//! The life of a shard: take, step, deliver, wake; and a tick every 50 ms.
//!
//! In: its inbox, time. Out: effects (`effects.rs`). The safety lane is looked at after every step, so that a stop waits for one at most, however
//! full the inbox is; and a full inbox does not stop the clock: the tick comes first, and between chunks when it is due. The clocks are read once
//! per chunk.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use protocol::{GymId, MemberId, TenantId};
use room::{Draw, Effect, Gym, GymSeed, Input, Member, MemberInput, MemberSeed, Now};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::effects::Stepped;
use super::inbox::{Order, Taken};
use super::watchers::Watchers;
use super::wheel::{self, Wheel};
use crate::hub::Hub;
use crate::keep::Keeper;
use crate::session::Deadlines;

/// Orders stepped before the core is shared with the sessions that they feed.
const CHUNK: usize = 256;
/// Time in which every member room is ticked once: nothing of theirs is due sooner.
const MEMBERS_TURN_MS: i64 = 1_000;
/// Follow-ups (a word from one state machine to another on this shard) carried out in one round.
const AGAIN_MAX: usize = 65_536;

/// One shard's state, owned by its task.
pub struct Shard {
    pub(super) index: usize,
    pub(super) hub: Arc<Hub>,
    /// Looked up for each input: a quick hash, seeded at random, for ids that the operator chose.
    pub(super) gyms: HashMap<GymId, Gym, RandomState>,
    /// By tenant too: a token of another tenant may name any subject, and must not come into this member's room.
    pub(super) members: HashMap<(TenantId, MemberId), Member>,
    /// Members in slices, of which each tick takes one.
    turn: Vec<Vec<(TenantId, MemberId)>>,
    ticks: usize,
    tick_ms: i64,
    ticked_mono_ms: i64,
    pub(super) watchers: Watchers,
    pub(super) keeper: Keeper,
    pub(super) draw: Draw,
    pub(super) again: VecDeque<Order>,
    wheel: Wheel,
    out: Vec<Effect>,
}

impl Shard {
    /// A shard without rooms yet; they come in as orders.
    #[must_use]
    pub fn new(hub: Arc<Hub>, index: usize, node_start: u64, keeper: Keeper) -> Self {
        let shards = u32::try_from(hub.shards.len()).unwrap_or(u32::MAX);
        let session = &hub.config.session;
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let (heartbeat_ms, grace_ms, write_ms) = (ms(session.heartbeat), ms(session.pong_timeout), ms(session.write_timeout));
        // The wheel comes by once in a turn: it looks for a write's deadline so much earlier, so that it is kept.
        let deadlines = Deadlines { heartbeat_ms, grace_ms, write_ms: write_ms - wheel::TURN_MS.min(write_ms / 2) };
        let tick_ms = ms(hub.config.shards.tick).max(1);
        let slices = usize::try_from(MEMBERS_TURN_MS / tick_ms).unwrap_or(1).max(1);
        Self {
            draw: Draw::new(rand::random(), node_start, u32::try_from(index).unwrap_or(0), shards),
            wheel: Wheel::new(tick_ms, deadlines),
            watchers: Watchers::new(hub.metrics.clone()),
            index,
            hub,
            gyms: HashMap::default(),
            members: HashMap::new(),
            turn: vec![Vec::new(); slices],
            ticks: 0,
            tick_ms,
            ticked_mono_ms: crate::clock::mono_ms(),
            keeper,
            again: VecDeque::new(),
            out: Vec::new(),
        }
    }

    /// Runs until told to stop; then what waits is still carried out.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.hub.config.shards.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shards = self.hub.shards.clone();
        let inbox = shards.inbox(self.index);
        let mut taken = Taken::default();
        loop {
            // The tick before the inbox: in a storm something has always arrived.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = tick.tick() => self.tick(),
                () = inbox.arrived() => (),
            }
            inbox.take(&mut taken);
            self.round(&mut taken).await;
            taken.give_back();
        }
        inbox.take(&mut taken);
        self.round(&mut taken).await;
        self.keeper.settle();
    }

    /// Steps everything that was taken.
    async fn round(&mut self, taken: &mut Taken) {
        self.urgent(&mut taken.safety);
        while !taken.normal.is_empty() {
            let mut now = crate::clock::now();
            for _ in 0..CHUNK {
                let Some(order) = taken.normal.pop_front() else { break };
                self.carry_out(now, order);
                now = self.overtaken(now);
            }
            self.follow_up(now);
            self.watchers.wake();
            if crate::clock::mono_ms() - self.ticked_mono_ms >= self.tick_ms {
                self.tick();
            }
            // A long inbox shares the core with the sessions that it feeds.
            tokio::task::yield_now().await;
        }
    }

    /// Carries out what came on the safety lane in the meantime; answers the time after it.
    fn overtaken(&mut self, now: Now) -> Now {
        if !self.hub.shards.inbox(self.index).urgent() {
            return now;
        }
        let mut safety = VecDeque::new();
        self.hub.shards.inbox(self.index).take_safety(&mut safety);
        self.urgent(&mut safety);
        crate::clock::now()
    }

    /// The safety lane: its sessions are woken at once.
    fn urgent(&mut self, orders: &mut VecDeque<Order>) {
        if orders.is_empty() {
            return;
        }
        let now = crate::clock::now();
        for order in orders.drain(..) {
            if let Order::Gym { from: Some(session), .. } = &order {
                self.watchers.taken_urgent(*session);
            }
            self.carry_out(now, order);
        }
        self.follow_up(now);
        self.watchers.wake();
    }

    fn tick(&mut self) {
        let mut now = crate::clock::now();
        self.ticked_mono_ms = now.mono_ms;
        self.keeper.retry();
        self.wheel.turn(now);
        let gyms: Vec<GymId> = self.gyms.keys().copied().collect();
        for gym in gyms {
            self.step_gym(now, gym, Input::Tick);
            now = self.overtaken(now);
        }
        self.tick_members(now);
        self.follow_up(now);
        self.watchers.wake();
    }

    /// Ticks one slice of the members, and forgets those of it about whom there is nothing to know.
    fn tick_members(&mut self, now: Now) {
        let at = self.ticks % self.turn.len();
        self.ticks = self.ticks.wrapping_add(1);
        let mut slice = std::mem::take(&mut self.turn[at]);
        slice.retain(|&(tenant, member)| {
            self.step_member(now, (tenant, member), MemberInput::Tick);
            let idle = self.members.get(&(tenant, member)).is_none_or(Member::is_idle);
            if idle {
                self.members.remove(&(tenant, member));
            }
            !idle
        });
        self.turn[at] = slice;
    }

    /// One input of a gym, and what it asks for.
    fn step_gym(&mut self, now: Now, gym: GymId, input: Input) {
        let Some(state) = self.gyms.get_mut(&gym) else { return };
        let mut out = std::mem::take(&mut self.out);
        state.step(now, input, &mut self.draw, &mut out);
        self.perform(Stepped::Gym(gym), &mut out);
        self.out = out;
    }

    /// One input of a member, and what it asks for.
    fn step_member(&mut self, now: Now, (tenant, member): (TenantId, MemberId), input: MemberInput) {
        let Some(state) = self.members.get_mut(&(tenant, member)) else { return };
        let mut out = std::mem::take(&mut self.out);
        state.step(now, input, &mut self.draw, &mut out);
        self.perform(Stepped::Member(tenant), &mut out);
        self.out = out;
    }

    /// Makes room for a member who begins to matter.
    fn open_member(&mut self, tenant: TenantId, member: MemberId) {
        let Entry::Vacant(place) = self.members.entry((tenant, member)) else { return };
        let record = self.hub.registry.member(member).filter(|(of, _)| *of == tenant).map(|(_, record)| (*record).clone());
        place.insert(Member::new(MemberSeed { member, tenant, record }, &mut self.draw));
        let at = self.members.len() % self.turn.len();
        self.turn[at].push((tenant, member));
    }

    /// One order.
    fn carry_out(&mut self, now: Now, order: Order) {
        match order {
            Order::Attach(peer) => self.watchers.attach(peer),
            Order::Keep(peer) => self.wheel.add(peer),
            Order::Detach(session) => {
                for member in self.watchers.detach(session) {
                    self.step_member(now, member, MemberInput::Gone { session });
                }
            }
            Order::Open { gym, tenant, name } => {
                if !self.gyms.contains_key(&gym) {
                    let opened = Gym::new(GymSeed { gym, tenant, name }, &mut self.draw);
                    self.gyms.insert(gym, opened);
                }
            }
            Order::Survey(survey) => survey.answer(self.gyms.values(), now),
            Order::Gym { gym, from, input } => {
                if from.is_some_and(|session| !self.watchers.knows(session)) {
                    return;
                }
                self.step_gym(now, gym, input);
            }
            Order::Member { member, tenant, from, input } => {
                if from.is_some_and(|session| !self.watchers.knows(session)) {
                    return;
                }
                self.open_member(tenant, member);
                self.step_member(now, (tenant, member), input);
            }
        }
    }

    /// What the steps of this round asked of rooms on this same shard.
    fn follow_up(&mut self, now: Now) {
        for _ in 0..AGAIN_MAX {
            let Some(order) = self.again.pop_front() else { return };
            self.carry_out(now, order);
        }
    }
}

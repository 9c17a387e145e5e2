//! The life of a shard: take, step, deliver, wake; and a tick every 50 ms.
//!
//! In: its inbox, time. Out: effects (`effects.rs`). The safety lane is looked at between chunks of the normal one, so that a stop waits for some
//! hundred steps at most, however full the inbox is. The clocks are read once per round.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use protocol::{GymId, MemberId, TenantId};
use room::{Draw, Effect, Gym, GymSeed, Input, Member, MemberInput, MemberSeed, Now};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::effects::Stepped;
use super::inbox::{Order, Taken};
use super::watchers::Watchers;
use super::wheel::Wheel;
use crate::hub::Hub;
use crate::keep::Keeper;
use crate::session::Deadlines;

/// Orders stepped before the safety lane is looked at again.
const CHUNK: usize = 256;
/// Follow-ups (a word from one state machine to another on this shard) carried out in one round.
const AGAIN_MAX: usize = 65_536;

/// One shard's state, owned by its task.
pub struct Shard {
    pub(super) index: usize,
    pub(super) hub: Arc<Hub>,
    pub(super) gyms: HashMap<GymId, Gym>,
    /// By tenant too: a token of another tenant may name any subject, and must not come into this member's room.
    pub(super) members: HashMap<(TenantId, MemberId), Member>,
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
        let deadlines =
            Deadlines { heartbeat_ms: ms(session.heartbeat), grace_ms: ms(session.pong_timeout), write_ms: ms(session.write_timeout) };
        Self {
            draw: Draw::new(rand::random(), node_start, u32::try_from(index).unwrap_or(0), shards),
            wheel: Wheel::new(ms(hub.config.shards.tick), deadlines),
            watchers: Watchers::new(hub.metrics.clone()),
            index,
            hub,
            gyms: HashMap::new(),
            members: HashMap::new(),
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
            let ticked = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = inbox.arrived() => false,
                _ = tick.tick() => true,
            };
            inbox.take(&mut taken);
            self.round(&mut taken).await;
            if ticked {
                self.tick();
            }
        }
        inbox.take(&mut taken);
        self.round(&mut taken).await;
        self.keeper.settle();
    }

    /// Steps everything that was taken.
    async fn round(&mut self, taken: &mut Taken) {
        let shards = self.hub.shards.clone();
        let inbox = shards.inbox(self.index);
        self.urgent(&mut taken.safety);
        while !taken.normal.is_empty() {
            let now = crate::clock::now();
            for order in taken.normal.drain(..CHUNK.min(taken.normal.len())) {
                self.carry_out(now, order);
            }
            self.follow_up(now);
            self.watchers.wake();
            if inbox.urgent() {
                inbox.take_safety(&mut taken.safety);
                self.urgent(&mut taken.safety);
            }
            // A long inbox shares the core with the sessions that it feeds.
            tokio::task::yield_now().await;
        }
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
        let now = crate::clock::now();
        self.keeper.retry();
        self.wheel.turn(now);
        let mut out = std::mem::take(&mut self.out);
        let mut gyms = std::mem::take(&mut self.gyms);
        for (id, gym) in &mut gyms {
            gym.step(now, Input::Tick, &mut self.draw, &mut out);
            self.perform(Stepped::Gym(*id), &mut out);
        }
        self.gyms = gyms;
        let mut members = std::mem::take(&mut self.members);
        for ((tenant, _), member) in &mut members {
            member.step(now, MemberInput::Tick, &mut self.draw, &mut out);
            self.perform(Stepped::Member(*tenant), &mut out);
        }
        members.retain(|_, member| !member.is_idle());
        self.members = members;
        self.out = out;
        self.follow_up(now);
        self.watchers.wake();
    }

    /// One order.
    fn carry_out(&mut self, now: Now, order: Order) {
        match order {
            Order::Attach(peer) => self.watchers.attach(peer),
            Order::Keep(peer) => self.wheel.add(peer),
            Order::Detach(session) => self.watchers.detach(session),
            Order::Open { gym, tenant, name } => {
                if !self.gyms.contains_key(&gym) {
                    let opened = Gym::new(GymSeed { gym, tenant, name }, &mut self.draw);
                    self.gyms.insert(gym, opened);
                }
            }
            Order::Gym { gym, from, input } => {
                if from.is_some_and(|session| !self.watchers.knows(session)) {
                    return;
                }
                let Some(state) = self.gyms.get_mut(&gym) else { return };
                let mut out = std::mem::take(&mut self.out);
                state.step(now, input, &mut self.draw, &mut out);
                self.perform(Stepped::Gym(gym), &mut out);
                self.out = out;
            }
            Order::Member { member, tenant, from, input } => {
                if from.is_some_and(|session| !self.watchers.knows(session)) {
                    return;
                }
                let draw = &mut self.draw;
                let record = self.hub.registry.member(member).filter(|(of, _)| *of == tenant).map(|(_, record)| (*record).clone());
                let state =
                    self.members.entry((tenant, member)).or_insert_with(|| Member::new(MemberSeed { member, tenant, record }, draw));
                let mut out = std::mem::take(&mut self.out);
                state.step(now, input, draw, &mut out);
                self.perform(Stepped::Member(tenant), &mut out);
                self.out = out;
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

//! Kills at random instants: what a machine reads between its claim and its release belongs to that workout, once, and nothing else does.
//!
//! In: random deeds of a machine, its members, its link and the hub that dies. A machine here keeps what `docs/GATEWAY.md` says: claim, numbers,
//! buffer. The store keeps what was committed, in order, and the rest is gone with the hub. Out: the deeds that left a reading with another owner.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::frame::*;
use protocol::text::Text;
use protocol::*;

use super::kit::*;
use crate::effect::{Effect, Persist};
use crate::input::*;

const BIKE: u8 = 2;

#[derive(Debug, Clone, Copy)]
enum Deed {
    Claim(u8),
    /// Once the hub has what the machine holds.
    Release,
    ReleaseAtOnce,
    Read(u8),
    Commit,
    /// The hub dies; so much of what it had not committed was, unheard.
    Kill(u8),
    Reboot,
    LinkLost(u8),
    /// The link is lost, and the member gives the machine back meanwhile; so much is read before that and after it.
    ReleasedAway(u8, u8),
    /// The same while the hub still takes the link to be up.
    ReleasedUnheard(u8, u8),
    /// The machine sends so much of its buffer again.
    Resend(u8),
    /// It answers the question for its clock.
    Clock,
    Tick(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (1..3_u8).prop_map(Deed::Claim),
        2 => Just(Deed::Release),
        6 => (1..5_u8).prop_map(Deed::Read),
        2 => Just(Deed::Commit),
        3 => (0..30_u8).prop_map(Deed::Kill),
        1 => Just(Deed::Reboot),
        1 => (0..4_u8).prop_map(Deed::LinkLost),
        1 => (0..4_u8, 0..4_u8).prop_map(|(before, after)| Deed::ReleasedAway(before, after)),
        1 => (0..4_u8, 0..4_u8).prop_map(|(before, after)| Deed::ReleasedUnheard(before, after)),
        3 => (1..9_u8).prop_map(Deed::Resend),
        2 => Just(Deed::Clock),
        3 => (1..30_u8).prop_map(Deed::Tick),
    ]
}

/// One boot in the flash of the machine.
#[derive(Debug, Clone, Default)]
struct Boot {
    last_seq: u32,
    claim_from_seq: Option<u32>,
    /// Device time of what is not known to be stored.
    buffer: BTreeMap<u32, i64>,
    /// Under which workout each number was given.
    owners: BTreeMap<u32, Option<WorkoutId>>,
}

/// What was committed.
#[derive(Debug, Clone, Default)]
struct Store {
    claims: BTreeMap<u64, (MemberId, WorkoutId, bool)>,
    workouts: BTreeMap<WorkoutId, WorkoutRecord>,
    ranges: BTreeMap<(WorkoutId, u32, u32), WorkoutRange>,
    stored: BTreeMap<u32, SeqRanges>,
}

impl Store {
    fn commit(&mut self, effect: &Effect) {
        match effect {
            Effect::Keep(keep) => drop(self.stored.entry(keep.boot).or_default().insert(keep.seq, keep.seq)),
            Effect::Persist(Persist::Claim { member, fence, workout, .. }) => {
                self.claims.entry(*fence).or_insert((*member, *workout, true));
            }
            Effect::Persist(Persist::ClaimEnded { fence, .. }) => {
                self.claims.entry(*fence).and_modify(|claim| claim.2 = false);
            }
            Effect::Persist(Persist::Workout { workout, member, visit, stage, started_at_ms, ended_at_ms, .. }) => {
                let (workout, member, visit, stage) = (*workout, *member, *visit, *stage);
                let (started_at_ms, ended_at_ms) = (*started_at_ms, *ended_at_ms);
                let record = WorkoutRecord { workout, member, started_at_ms, ended_at_ms, stage, visit, ranges: vec![] };
                let known = self.workouts.entry(workout).or_insert_with(|| record.clone());
                let started_at_ms = started_at_ms.min(known.started_at_ms);
                if known.stage != WorkoutStage::Ended || stage == WorkoutStage::Ended {
                    *known = WorkoutRecord { started_at_ms, ended_at_ms: ended_at_ms.or(known.ended_at_ms), ..record };
                }
            }
            Effect::Persist(Persist::WorkoutRange { workout, range }) => {
                self.ranges.retain(|(of, boot, from), _| {
                    *of != *workout || *boot != range.boot || *from <= range.from_seq || *from > range.to_seq
                });
                self.ranges.insert((*workout, range.boot, range.from_seq), range.clone());
            }
            _ => (),
        }
    }

    fn records(&self) -> Vec<WorkoutRecord> {
        let ranges = |id: WorkoutId| self.ranges.iter().filter(move |((of, ..), _)| *of == id).map(|(_, range)| range.clone());
        let stored = |range: WorkoutRange| {
            let of_boot = self.stored.get(&range.boot).cloned().unwrap_or_default();
            (range, of_boot)
        };
        self.workouts.values().map(|known| WorkoutRecord { ranges: ranges(known.workout).map(stored).collect(), ..known.clone() }).collect()
    }

    fn owners(&self, boot: u32, seq: u32) -> Vec<WorkoutId> {
        let has = |range: &&WorkoutRange| range.boot == boot && (range.from_seq..=range.to_seq).contains(&seq);
        let mut owners: Vec<WorkoutId> = self.ranges.iter().filter(|(_, range)| has(range)).map(|((workout, ..), _)| *workout).collect();
        owners.sort_unstable();
        owners
    }
}

struct Play {
    world: World,
    start: u64,
    store: Store,
    boots: BTreeMap<u32, Boot>,
    boot: u32,
    boot_began_at_ms: i64,
    claim: Option<HeldClaim>,
    /// Its link carries nothing, and neither end knows.
    is_cut: bool,
    since_dev_ms: Option<i64>,
    /// When each workout began, where its machine was not started again meanwhile, and kills since.
    began: BTreeMap<WorkoutId, (i64, u32)>,
}

impl Play {
    fn new() -> Self {
        let mut play = Self {
            world: World::started(BIKE, 1),
            start: 1,
            store: Store::default(),
            boots: BTreeMap::from([(1, Boot::default())]),
            boot: 1,
            boot_began_at_ms: EPOCH_MS - 3_600_000,
            claim: None,
            is_cut: false,
            since_dev_ms: None,
            began: BTreeMap::new(),
        };
        play.connect();
        play
    }

    fn dev_ms(&self) -> i64 {
        self.world.now.at_ms - self.boot_began_at_ms
    }

    fn hello(&mut self) {
        let hello = MachineHello { claim_since_dev_ms: self.since_dev_ms, ..hello(BIKE, self.claim) };
        self.world.step(Input::MachineHello { session: LINK, viewer: who(LINK), hello });
        self.listen();
    }

    fn connect(&mut self) {
        // The binds go right behind the hello: they tell of the claim that it names, whatever the answer will be.
        let boots = self.boots.clone();
        self.hello();
        for (boot, kept) in boots {
            if boot == self.boot || !kept.buffer.is_empty() {
                self.bind(boot, &kept);
            }
        }
    }

    fn bind(&mut self, boot: u32, kept: &Boot) {
        let (slot, machine, sensor) = (boot as u16, Some(machine(BIKE)), Text::cut("ftms"));
        let held = kept.buffer.keys().map(|seq| (*seq, *seq)).collect();
        let claim_from_seq = kept.claim_from_seq;
        let bind = Bind { slot, machine, sensor, boot, nonce: 9, clock: 0, held, quirk: None, claim_from_seq };
        self.world.step(Input::Bind { session: LINK, viewer: who(LINK), source: SourceHandle(boot.into()), bind });
    }

    /// The machine hears of its claim.
    fn listen(&mut self) {
        if self.is_cut {
            self.world.heard.remove(&LINK);
        }
        let heard: Vec<ServerFrame> = self.world.heard.get(&LINK).cloned().unwrap_or_default();
        for frame in heard {
            match frame {
                ServerFrame::ClaimSet(set) => self.keep(Some(set.claim)),
                ServerFrame::MachineReady(ready) => self.keep(ready.claim),
                ServerFrame::ClaimClear(clear) if self.claim.is_some_and(|claim| claim.fence <= clear.fence) => self.keep(None),
                _ => (),
            }
        }
        // Codes and questions are asked for later.
        if let Some(heard) = self.world.heard.get_mut(&LINK) {
            heard.retain(|frame| matches!(frame, ServerFrame::ShowCode(_) | ServerFrame::ClockAsk(_)));
        }
    }

    fn keep(&mut self, claim: Option<HeldClaim>) {
        if claim.map(|claim| claim.fence) == self.claim.map(|claim| claim.fence) {
            return;
        }
        self.claim = claim;
        self.since_dev_ms = claim.map(|_| self.dev_ms());
        self.boots.values_mut().for_each(|boot| boot.claim_from_seq = None);
        let running = self.boots.entry(self.boot).or_default();
        running.claim_from_seq = claim.map(|_| running.last_seq + 1);
        if let Some(claim) = claim {
            self.began.insert(claim.workout, (self.world.now.at_ms, 0));
        }
    }

    fn read(&mut self) {
        self.world.tick_for(50);
        let dev_ms = self.dev_ms();
        let running = self.boots.entry(self.boot).or_default();
        running.last_seq += 1;
        let seq = running.last_seq;
        running.buffer.insert(seq, dev_ms);
        running.owners.insert(seq, self.claim.map(|claim| claim.workout));
        self.say(self.boot, seq, dev_ms, false);
    }

    fn say(&mut self, boot: u32, seq: u32, dev_ms: i64, backfill: bool) {
        if self.is_cut {
            return;
        }
        let mut reading = Reading::new();
        reading.set(Field::Power, 100 + seq as i32);
        let said = Numbered { seq, dev_ms, what: Said::Reading(reading), backfill };
        self.world.step(Input::Said { source: SourceHandle(boot.into()), said });
    }

    fn resend(&mut self, most: usize) {
        let boots = self.boots.iter().flat_map(|(boot, kept)| kept.buffer.iter().map(move |(seq, dev_ms)| (*boot, *seq, *dev_ms)));
        let again: Vec<(u32, u32, i64)> = boots.take(most).collect();
        again.into_iter().for_each(|(boot, seq, dev_ms)| self.say(boot, seq, dev_ms, true));
    }

    fn commit(&mut self) {
        // A report makes the gym say more: until nothing is left to write.
        for _ in 0..8 {
            let effects = std::mem::take(&mut self.world.effects);
            if !effects.iter().any(|effect| matches!(effect, Effect::Keep(_) | Effect::Persist(_))) {
                return;
            }
            effects.iter().for_each(|effect| self.store.commit(effect));
            for (boot, stored) in self.store.stored.clone() {
                if let Some(kept) = self.boots.get_mut(&boot) {
                    kept.buffer.retain(|seq, _| !stored.contains(*seq));
                }
                let source = SourceKey { machine: Some(machine(BIKE)), member: None, sensor: Text::cut("ftms") };
                self.world.step(Input::Stored { source, boot, nonce: 9, stored, rejected: vec![] });
            }
        }
    }

    fn kill(&mut self, unheard: usize) {
        let written = |effect: &&Effect| matches!(effect, Effect::Keep(_) | Effect::Persist(_));
        let effects = std::mem::take(&mut self.world.effects);
        effects.iter().filter(written).take(unheard).for_each(|effect| self.store.commit(effect));
        let now = self.world.now;
        self.start += 1;
        if let Some(began) = self.claim.and_then(|claim| self.began.get_mut(&claim.workout)) {
            began.1 += 1;
        }
        self.world = World::started(0, self.start);
        self.world.now = Now { at_ms: now.at_ms + 400, mono_ms: now.mono_ms + 400 };
        for record in self.store.records() {
            self.world.step(Input::WorkoutKnown { record: Box::new(record) });
        }
        let newest = self.store.claims.last_key_value().map(|(fence, claim)| (*fence, *claim));
        let claim = newest.filter(|(_, (.., stands))| *stands).map(|(fence, (member, workout, _))| HeldClaim { member, fence, workout });
        let known = MachineRecord { claim, fence: newest.map_or(0, |(fence, _)| fence), may_control: true, ..record(BIKE) };
        self.world.step(Input::MachineKnown { record: Box::new(known) });
        self.connect();
    }

    fn clock(&mut self) {
        let heard = self.world.heard.get(&LINK).into_iter().flatten();
        let Some(asked_at_ms) =
            heard.rev().find_map(|frame| if let ServerFrame::ClockAsk(ask) = frame { Some(ask.asked_at_ms) } else { None })
        else {
            return;
        };
        let dev_ms = asked_at_ms - self.boot_began_at_ms;
        let clock = Clock { clock: 0, asked_at_ms, received_dev_ms: dev_ms, sent_dev_ms: dev_ms };
        self.world.step(Input::Clock { session: LINK, clock, answered_at_ms: asked_at_ms });
    }

    fn claim(&mut self, member: u8) {
        let shown = self.world.heard.get(&LINK).into_iter().flatten().any(|frame| matches!(frame, ServerFrame::ShowCode(_)));
        if self.claim.is_none() && shown {
            self.world.claim_by_code(member, BIKE);
        }
    }

    /// A member gives the machine back; the word of it is committed, or no kill could be told from one before it.
    fn release(&mut self) {
        let Some(claim) = self.claim else { return };
        self.world.tick_for(50);
        self.commit();
        let release = Release { req: self.world.req(), machine: machine(BIKE), fence: claim.fence };
        let phone = SessionId(uuid::Uuid::from_u128(claim.member.0.as_u128() - 0x5000 + 0x9000));
        self.world.step(Input::Release { session: phone, viewer: who(phone), release });
        self.listen();
        self.commit();
        self.world.tick_for(50);
    }

    /// What the machine reads after the release is nobody's, though it knows of it only when the link is back.
    fn released_away(&mut self, is_known: bool, before: u8, after: u8) {
        // When a boot that is over was read is known only while a hub that heard its clock runs.
        if self.boots.iter().any(|(boot, kept)| *boot != self.boot && !kept.buffer.is_empty()) {
            return;
        }
        if is_known {
            self.world.gone(LINK);
        }
        self.is_cut = true;
        (0..before).for_each(|_| self.read());
        self.world.tick_for(2_000);
        self.release();
        self.world.tick_for(2_000);
        let claim = self.claim;
        // Its machine is not asked any more when it began.
        self.began.retain(|workout, _| claim.is_none_or(|claim| claim.workout != *workout));
        self.claim = None;
        (0..after).for_each(|_| self.read());
        self.claim = claim;
        self.is_cut = false;
        if !is_known {
            self.world.gone(LINK);
        }
        self.connect();
        // The clock is asked before anything that was held; no kill falls before this is stored, or nobody knows any more what the machine kept.
        self.world.tick_for(50);
        self.clock();
        self.resend(usize::MAX);
        self.commit();
    }

    fn does(&mut self, deed: Deed) {
        match deed {
            Deed::Claim(member) => self.claim(member),
            Deed::Release => {
                self.world.tick_for(3_100);
                self.clock();
                self.resend(usize::MAX);
                self.release();
            }
            Deed::ReleaseAtOnce => self.release(),
            Deed::Read(times) => (0..times).for_each(|_| self.read()),
            Deed::Commit => self.commit(),
            Deed::Kill(unheard) => self.kill(unheard.into()),
            Deed::Reboot => {
                self.boot += 1;
                (self.boot_began_at_ms, self.since_dev_ms) = (self.world.now.at_ms, None);
                let claim_from_seq = self.claim.map(|_| 1);
                self.boots.insert(self.boot, Boot { claim_from_seq, ..Boot::default() });
                if let Some(claim) = self.claim {
                    self.began.remove(&claim.workout);
                }
                // Its gateway stays connected: it says hello again and binds the new boot beside the one before.
                self.hello();
                let kept = self.boots[&self.boot].clone();
                self.bind(self.boot, &kept);
            }
            Deed::LinkLost(reads) => {
                self.world.gone(LINK);
                (0..reads).for_each(|_| self.read());
                self.connect();
            }
            Deed::ReleasedAway(before, after) => self.released_away(true, before, after),
            Deed::ReleasedUnheard(before, after) => self.released_away(false, before, after),
            Deed::Resend(most) => self.resend(most.into()),
            Deed::Clock => self.clock(),
            Deed::Tick(ticks) => self.world.tick_for(i64::from(ticks) * 50),
        }
        self.listen();
    }

    /// Everything is sent and stored, and the last member goes.
    fn settle(&mut self) {
        self.world.tick_for(1_100);
        self.clock();
        self.resend(usize::MAX);
        self.commit();
        self.release();
        self.world.tick_for(3_000);
        self.read();
        self.world.tick_for(3_000);
        self.commit();
    }

    fn check(&self) -> Result<(), String> {
        for (boot, kept) in &self.boots {
            for (seq, owner) in &kept.owners {
                let owners = self.store.owners(*boot, *seq);
                if owners != Vec::from_iter(*owner) {
                    return Err(format!(
                        "reading {seq} of boot {boot} is of {owner:?} and stored as of {owners:?}: {:?}",
                        self.store.ranges
                    ));
                }
            }
        }
        for (workout, (began_at_ms, kills)) in &self.began {
            // What a hub guessed and stored before another kill is corrected where it is wrong by more than clocks are.
            let error_ms = if *kills > 1 { 8_000 } else { 600 };
            let stored = self.store.workouts.get(workout).map(|known| known.started_at_ms);
            if stored.is_none_or(|stored| (stored - began_at_ms).abs() > error_ms) {
                return Err(format!("{workout} began at {began_at_ms} and is stored as begun at {stored:?}"));
            }
        }
        Ok(())
    }
}

fn run(deeds: &[Deed]) -> Result<usize, String> {
    let mut play = Play::new();
    deeds.iter().for_each(|deed| play.does(*deed));
    play.settle();
    play.check()?;
    Ok(play.boots.values().flat_map(|kept| kept.owners.values()).flatten().count())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_under_a_claim_is_its_workouts_whenever_the_hub_is_killed(deeds in prop::collection::vec(deed(), 1..40)) {
        run(&deeds).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_hub_that_is_killed_before_it_stored_anything_gives_the_buffer_to_the_workout() {
    let deeds = [Deed::Read(3), Deed::Claim(1), Deed::Read(4), Deed::Kill(0), Deed::Read(2), Deed::Resend(9), Deed::Release, Deed::Read(1)];
    assert_eq!(run(&deeds), Ok(6));
}

#[test]
fn what_a_boot_held_before_the_release_is_the_workouts_whatever_its_clock_said() {
    assert_eq!(run(&[Deed::Claim(1), Deed::LinkLost(1), Deed::Reboot, Deed::ReleaseAtOnce]), Ok(1));
}

#[test]
fn the_next_member_of_a_machine_has_nothing_of_the_one_before() {
    let first = [Deed::Claim(1), Deed::Read(3), Deed::Commit, Deed::LinkLost(2), Deed::Release, Deed::Read(1)];
    let second = [Deed::Claim(2), Deed::Read(3), Deed::Kill(0), Deed::Resend(20), Deed::Read(1)];
    assert_eq!(run(&[first, [Deed::Commit; 6]].concat().into_iter().chain(second).collect::<Vec<_>>()), Ok(9));
}

#[test]
fn what_was_read_before_a_release_that_the_machine_could_not_hear_is_the_workouts() {
    assert_eq!(run(&[Deed::Claim(1), Deed::Read(2), Deed::ReleasedUnheard(3, 2)]), Ok(5));
}

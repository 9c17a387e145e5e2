//! From rooms' effects to the Recorder, and from its reports back to rooms.
//!
//! In: what rooms keep and persist; the writer's reports. Out: rows and facts in the Recorder's queues, inputs for the gyms that they concern. A row that the
//! Recorder does not take is handed back at once (its source is told to hold). A fact that it does not take waits here, in order, until it does; until then
//! no row is given either, since its stretch may be among what waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use foldhash::fast::RandomState;
use protocol::frame::{Event, EventBody, Totals};
use protocol::{RoomName, TenantId, WorkoutId};
use room::Input;
use room::effect::{Keep, KeepWhat, Persist};
use room::input::{SourceKey, WorkoutRange};
use storage::{Fact, Full, Recorder, Report, Row, RowWhat};
use tokio::sync::mpsc;

use crate::hub::Hub;
use crate::shard::Order;

/// Sources whose key is kept shared; beyond it the table starts anew.
const SOURCES_MAX: usize = 65_536;
/// Facts that wait for the Recorder on one shard: a day's outage of a large gym. Beyond it the newest is dropped, loudly.
const OWED_MAX: usize = 262_144;

/// Keys as the store has them, shared.
type Keys = HashMap<SourceKey, Arc<storage::SourceKey>, RandomState>;

/// One shard's way to the Recorder.
pub struct Keeper {
    recorder: Recorder,
    machines: Keys,
    members: HashMap<TenantId, Keys>,
    owed: VecDeque<Fact>,
    dropped: u64,
}

impl Keeper {
    /// A way to this Recorder.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder, machines: Keys::default(), members: HashMap::new(), owed: VecDeque::new(), dropped: 0 }
    }

    /// Gives a row to the Recorder; `of` tells whose the gym is, where the source needs it.
    ///
    /// # Errors
    /// [`Full`], also while facts wait here: nothing was taken, its source must keep it.
    pub fn keep(&mut self, of: impl FnOnce() -> TenantId, keep: Keep) -> Result<(), Full> {
        if !self.owed.is_empty() {
            return Err(self.recorder.turn_away());
        }
        let source = self.shared(of, &keep.source);
        self.recorder.try_keep(Row {
            source,
            boot: keep.boot,
            nonce: keep.nonce,
            seq: keep.seq,
            absorbed: keep.absorbed,
            dev_ms: keep.dev_ms,
            received_at_ms: keep.received_at_ms,
            corrected_at_ms: keep.corrected_at_ms,
            anchor_at_ms: keep.anchor_at_ms,
            what: row_what(keep.what),
            derived: keep.derived,
        })
    }

    /// Gives a fact to the Recorder, after those that still wait.
    pub fn persist(&mut self, of: impl FnOnce() -> TenantId, persist: Persist) {
        let fact = self.fact(of, persist);
        if self.owed.is_empty() {
            if let Err(full) = self.recorder.persist(fact) {
                self.owed.push_back(*full.0);
            }
        } else if self.owed.len() < OWED_MAX {
            self.owed.push_back(fact);
        } else {
            self.dropped += 1;
            if self.dropped.is_power_of_two() {
                tracing::error!(
                    owed_max = OWED_MAX,
                    facts.dropped = self.dropped,
                    "the store is away for so long that facts of rooms are dropped"
                );
            }
        }
    }

    /// Tries again what waits.
    pub fn retry(&mut self) {
        while let Some(fact) = self.owed.pop_front() {
            if let Err(full) = self.recorder.persist(fact) {
                self.owed.push_front(*full.0);
                return;
            }
        }
    }

    /// The last try before the Recorder closes; what does not fit is named in the log.
    pub fn settle(&mut self) {
        self.retry();
        if !self.owed.is_empty() {
            tracing::error!(facts.owed = self.owed.len(), "facts of rooms were not stored before the end");
        }
    }

    /// One shared key a source. Machines are known by themselves; devices of members by their tenant.
    fn shared(&mut self, of: impl FnOnce() -> TenantId, source: &SourceKey) -> Arc<storage::SourceKey> {
        let Some(machine) = source.machine else {
            let tenant = of();
            let member = source.member.unwrap_or(protocol::MemberId(uuid::Uuid::nil()));
            let make = || storage::SourceKey::Member(tenant, member, source.sensor.clone());
            return known(self.members.entry(tenant).or_default(), source, make);
        };
        known(&mut self.machines, source, || storage::SourceKey::Machine(machine, source.sensor.clone()))
    }

    fn fact(&mut self, of: impl FnOnce() -> TenantId, persist: Persist) -> Fact {
        match persist {
            Persist::Claim { gym, machine, member, fence, workout, may_control, at_ms } => {
                Fact::Claim { gym, machine, member, fence, workout, may_control, at_ms }
            }
            Persist::ClaimEnded { machine, fence, reason, at_ms } => Fact::ClaimEnded { machine, fence, reason, at_ms },
            Persist::Visit { visit, gym, member, state, started_at_ms, ended_at_ms, machines } => {
                Fact::Visit { visit, gym, member, state, started_at_ms, ended_at_ms, machines }
            }
            Persist::Workout { workout, gym, member, visit, stage, started_at_ms, ended_at_ms } => {
                Fact::Workout { workout, gym, member, visit, stage, started_at_ms, ended_at_ms }
            }
            Persist::WorkoutRange { workout, range } => Fact::WorkoutRange { workout, range: self.range(of, &range) },
            Persist::Totals { workout, revision, totals } => Fact::Totals { workout, revision, totals },
            Persist::Event { gym, room, member, event } => Fact::Event { gym, room, member, event: Box::new(event) },
            Persist::Ticket { gym, machine, ticket, severity, fault, at_ms } => {
                Fact::Ticket { gym, machine, ticket, severity, fault: Box::new(fault), at_ms }
            }
            Persist::Maintenance { machine, open, text, at_ms } => Fact::Maintenance { machine, open, text, at_ms },
            Persist::LoggedSet { id, workout, member, logged_at_ms, set } => {
                Fact::LoggedSet { id, workout, member, logged_at_ms, set: Box::new(set) }
            }
            Persist::Stop { gym, machine, stop, outcome, code, at_ms } => Fact::Stop { gym, machine, stop, outcome, code, at_ms },
            Persist::BoardScore { board, workout, member, base, score } => Fact::BoardScore { board, workout, member, base, score },
            Persist::AddUp { workout, revision } => Fact::AddUp { workout, revision },
        }
    }

    fn range(&mut self, of: impl FnOnce() -> TenantId, range: &WorkoutRange) -> storage::WorkoutRange {
        storage::WorkoutRange { source: self.shared(of, &range.source), boot: range.boot, from_seq: range.from_seq, to_seq: range.to_seq }
    }
}

/// The key that is there, or a new one.
fn known(table: &mut Keys, source: &SourceKey, make: impl FnOnce() -> storage::SourceKey) -> Arc<storage::SourceKey> {
    if let Some(shared) = table.get(source) {
        return shared.clone();
    }
    if table.len() >= SOURCES_MAX {
        table.clear();
    }
    let shared = Arc::new(make());
    table.insert(source.clone(), shared.clone());
    shared
}

/// The key as rooms have it.
#[must_use]
pub fn room_key(source: &storage::SourceKey) -> SourceKey {
    match source {
        storage::SourceKey::Machine(machine, sensor) => SourceKey { machine: Some(*machine), member: None, sensor: sensor.clone() },
        storage::SourceKey::Member(_, member, sensor) => SourceKey { machine: None, member: Some(*member), sensor: sensor.clone() },
    }
}

fn row_what(what: KeepWhat) -> RowWhat {
    match what {
        KeepWhat::Reading(reading) => RowWhat::Reading(reading),
        KeepWhat::Rep(rep) => RowWhat::Rep(rep),
        KeepWhat::Set(set) => RowWhat::Set(Box::new(set)),
        KeepWhat::Stroke(stroke) => RowWhat::Stroke(stroke),
        KeepWhat::Poison { code, bytes } => RowWhat::Poison { code, bytes },
        KeepWhat::Lost { to } => RowWhat::Lost { to },
    }
}

/// Carries reports to the gyms that they concern, until the writer ends.
pub async fn carry_reports(hub: Arc<Hub>, mut reports: mpsc::Receiver<Report>) {
    while let Some(report) = reports.recv().await {
        match report {
            Report::TotalsKnown { workout, revision, totals } if hub.registry.workout(workout).is_none() => {
                amended(&hub, workout, revision, totals).await;
            }
            report => carry(&hub, report),
        }
    }
}

/// A workout that is sealed and over was added up again: its room hears of it where it still stands, and the event is kept in any case.
/// Both make the same event.
async fn amended(hub: &Hub, workout: WorkoutId, revision: u32, totals: Totals) {
    let (gym, member) = match hub.store.whose_workout(workout).await {
        Ok(Some(whose)) => whose,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(error = %crate::chain(&error), workout.id = %workout, "an amendment could not be told; its revision is stored");
            return;
        }
    };
    hub.to_gym(gym, Input::TotalsKnown { workout, revision, totals });
    let (id, at_ms) = (room::workout::sealed_event(workout, revision), crate::clock::at_ms());
    let event = Event { handle: 0, offset: 0, id, at_ms, body: EventBody::Sealed { workout, revision, totals } };
    let fact = Fact::Event { gym, room: RoomName::Workout(workout), member: Some(member), event: Box::new(event) };
    if hub.recorder.persist(fact).is_err() {
        tracing::warn!(workout.id = %workout, "an amendment could not be told: the queue of facts is full; its revision is stored");
    }
}

fn carry(hub: &Hub, report: Report) {
    match report {
        Report::Stored { source, boot, nonce, seqs, rejected } => {
            let rejected = rejected.into_iter().map(|row| (row.seq, row.code)).collect();
            let input = Input::Stored { source: room_key(&source), boot, nonce, stored: seqs, rejected };
            // A member's own device may have reported to another gym before, where a workout waits for the word.
            if let storage::SourceKey::Member(tenant, member, _) = &*source {
                let here = hub.registry.gym_of_source(&source);
                let seen = hub.registry.gyms_of_member(*tenant, *member);
                seen.into_iter().filter(|gym| here != Some(*gym)).for_each(|gym| hub.to_gym(gym, input.clone()));
            }
            to_source(hub, &source, input);
        }
        Report::SourceConflict { source, boot, .. } => {
            to_source(hub, &source, Input::SourceConflict { source: room_key(&source), boot });
        }
        Report::Ready => {
            for (gym, place) in hub.registry.gyms() {
                hub.shards.owe(place.shard, Order::Gym { gym, from: None, input: Input::RecorderReady });
            }
        }
        Report::Away => {
            hub.store_away.store(true, Relaxed);
            tracing::warn!("the store does not answer: live goes on, rows wait in memory up to their bound");
        }
        Report::Back => {
            hub.store_away.store(false, Relaxed);
            tracing::info!("the store answers again");
        }
        Report::TotalsKnown { workout, revision, totals } => {
            if let Some(place) = hub.registry.workout(workout) {
                let input = Input::TotalsKnown { workout, revision, totals };
                hub.shards.owe(hub.registry.shard_of(place.gym.0), Order::Gym { gym: place.gym, from: None, input });
            }
        }
    }
}

fn to_source(hub: &Hub, source: &storage::SourceKey, input: Input) {
    if let Some(gym) = hub.registry.gym_of_source(source) {
        hub.to_gym(gym, input);
    }
}

#[cfg(test)]
mod tests {
    use protocol::text::Text;
    use protocol::{MachineId, Reading};
    use room::input::SourceHandle;
    use tokio::time::{Duration, interval, timeout};
    use uuid::Uuid;

    use super::*;

    fn tenant() -> TenantId {
        TenantId(Uuid::from_u128(1))
    }

    fn source() -> SourceKey {
        SourceKey { machine: Some(MachineId(Uuid::from_u128(2))), member: None, sensor: Text::cut("ftms") }
    }

    fn row(seq: u32) -> Keep {
        Keep {
            handle: SourceHandle(1),
            source: source(),
            boot: 1,
            nonce: 1,
            seq,
            absorbed: Vec::new(),
            dev_ms: 1_000,
            received_at_ms: 1_795_262_400_000,
            corrected_at_ms: 1_795_262_400_000,
            anchor_at_ms: 1_795_262_400_000,
            workout: None,
            what: KeepWhat::Reading(Reading::new()),
            derived: 0,
        }
    }

    #[tokio::test]
    async fn rows_are_refused_while_facts_wait_and_are_wanted_once_those_are_given() {
        let files = tempfile::tempdir().unwrap();
        let mut options = storage::Options::new(format!("sqlite:{}", files.path().join("spotter.db").display()));
        options.queue_facts = 1;
        options.batch_wait = Duration::from_millis(1);
        let storage::Storage { recorder, mut reports, driver, .. } = storage::open(options).await.unwrap();
        let mut keeper = Keeper::new(recorder);
        let range = |from_seq| WorkoutRange { source: source(), boot: 1, from_seq, to_seq: from_seq };
        keeper.persist(
            tenant,
            Persist::Maintenance { machine: MachineId(Uuid::from_u128(2)), open: true, text: Text::cut("filter"), at_ms: 1 },
        );
        assert_eq!(keeper.keep(tenant, row(1)), Ok(()), "the facts before it are given");
        for seq in 2..10 {
            keeper.persist(tenant, Persist::WorkoutRange { workout: WorkoutId(Uuid::from_u128(3)), range: range(seq) });
        }
        assert_eq!(keeper.keep(tenant, row(2)), Err(Full), "its stretch waits here");

        let work = async {
            let mut tick = interval(Duration::from_millis(2));
            while !keeper.owed.is_empty() {
                tick.tick().await;
                keeper.retry();
            }
            while reports.recv().await.unwrap() != Report::Ready {}
            assert_eq!(keeper.keep(tenant, row(2)), Ok(()));
            loop {
                if let Report::Stored { seqs, .. } = reports.recv().await.unwrap()
                    && seqs.contains(2)
                {
                    return;
                }
            }
        };
        tokio::select! {
            left = driver.run() => panic!("the driver ended: {left:?}"),
            done = timeout(Duration::from_secs(30), work) => done.unwrap(),
        }
    }
}

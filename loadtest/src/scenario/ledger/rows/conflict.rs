//! The same key with other content, long after the first was stored and just after it was said: the first stays, the other is in
//! quarantine, one to one, as a conflict.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::frame::Sample;
use protocol::{ErrorCode, Field, MachineId, Reading};
use tokio::time::{Instant, sleep};

use crate::gateway::{Dice, Tongue};
use crate::scenario::ledger::audit::Poisoned;
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

const EACH: Duration = Duration::from_millis(60);
/// The newest numbers are left alone: the network may still turn them round.
const SETTLED: u32 = 8;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "conflict",
    about: "same key with other content",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(6),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let load = Load::of(&case);
    let lasts = load.lasts;
    let mut ground = Ground::open(&case, load).await?;
    let (mut dice, mut used) = (case.dice(), BTreeSet::new());
    ground.begin();
    let until = Instant::now() + lasts.mul_f64(0.9);
    while Instant::now() < until {
        sleep(EACH).await;
        if let Some(conflict) = contradict(&ground, &mut dice, &mut used) {
            ground.poisoned.push(conflict);
        }
    }
    ground.found.require(!ground.poisoned.is_empty(), || "nothing was contradicted".to_owned());
    ground.caught_up(Instant::now()).await;
    ground.finish().await
}

/// Says another thing under a number that a decoded machine has used; none where the dice find no such number.
fn contradict(ground: &Ground, dice: &mut Dice, used: &mut BTreeSet<(MachineId, u32)>) -> Option<Poisoned> {
    let stand = &ground.floor.stands[dice.below(ground.floor.stands.len() as u64) as usize];
    let machine = stand.machine;
    ground.floor.gateways[stand.gateway].with(|core, now_ms| {
        if core.machine(machine)?.spec().tongue != Tongue::Decoded || !core.is_connected() {
            return None;
        }
        let source = core.machine(machine)?.sources().last()?;
        let (slot, boot, last) = (source.slot, source.boot(), source.last_seq().checked_sub(SETTLED)?);
        let seq = 1 + dice.below(u64::from(last)) as u32;
        if last == 0 || !used.insert((machine, seq)) {
            return None;
        }
        let mut reading = Reading::new();
        reading.set(Field::Power, 7);
        core.at(machine, |_, out| out.push(Sample { slot, seq, dev_ms: now_ms, reading }.into()))?;
        Some(Poisoned { machine, boot, seq, code: ErrorCode::SeqConflict.code() })
    })
}

//! One row in every batch that cannot be stored, of three sorts: a value that no machine can mean, a notification that nobody can read, and a row that
//! only the database itself refuses. Every good row beside it is stored, and each poison is in quarantine, once, with its reason.
//!
//! `FAULTS` row 12: no batch is tried again for it.

use std::time::Duration;

use anyhow::Context as _;
use protocol::frame::{MachineKind, Role};
use protocol::text::{Blob, Text};
use protocol::{ClientFrame, ErrorCode, Field, MachineId, Reading, ServerFrame};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::bench::NewMachine;
use crate::gateway::{Dice, Gateway, Item, MachineSpec, Mischief, Tongue};
use crate::peer::{Options, Peer};
use crate::scenario::ledger::audit::Poisoned;
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// A batch waits so long for its rows: so often there is a poison.
const EACH: Duration = Duration::from_millis(100);
/// Within the bounds of the field, and never reached by a recorded workout.
const REFUSED_POWER_W: i32 = 31_313;
const OUT_OF_BOUNDS_W: i32 = 40_000;
const REFUSE_ON_POSTGRES: &str = "alter table samples add constraint ledger_poison check (power_w is distinct from 31313)";
const REFUSE_ON_SQLITE: &str = "create trigger ledger_poison before insert on samples when new.power_w = 31313 begin \
                                select raise(abort, 'a power of 31313 W is refused'); end";

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "poison",
    about: "one poison row a batch, of three sorts",
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
    let refuse = if case.store == Store::Postgres { REFUSE_ON_POSTGRES } else { REFUSE_ON_SQLITE };
    ground.bench.database().await?.run(refuse).await.context("could not teach the database to refuse")?;
    let mut dice = case.dice();
    strange_name(&mut ground).await?;
    ground.begin();
    let until = Instant::now() + lasts.mul_f64(0.9);
    while Instant::now() < until {
        sleep(EACH).await;
        let poisoned = poison(&ground, &mut dice).context("no machine to poison")?;
        ground.poisoned.push(poisoned);
    }
    ground.caught_up(Instant::now()).await;
    let retries = ground.metric("spotter_recorder_retries_total").await;
    ground.found.require(retries == Some(0.0), || format!("batches were tried again {retries:?} times"));
    ground.finish().await
}

/// A source whose name no Postgres can store is refused when it is bound, before anything is numbered under it.
async fn strange_name(ground: &mut Ground) -> anyhow::Result<()> {
    let (bench, world) = (&ground.bench, &ground.floor.world);
    let gateway = world.gateways(bench, 1).await?[0];
    let new = NewMachine { machine: MachineId(Uuid::now_v7()), kind: MachineKind::Bike, gateway };
    world.machines(bench, std::slice::from_ref(&new)).await?;
    let token = world.token(bench, Role::Gateway, gateway.0);
    let mut core = Gateway::new(vec![MachineSpec::new(new.machine, new.kind)], 1.0, 0, 0, Mischief::default(), 1);
    core.connected();
    let mut peer = Peer::connect(&bench.ws_url(), Options::new(token).device("ledger-strange")).await?;
    for mut frame in core.take_frames() {
        if let ClientFrame::Bind(bind) = &mut frame {
            bind.sensor = Text::cut("a\0b");
        }
        peer.send(frame).await?;
    }
    let refused = |frame: &ServerFrame| match frame {
        ServerFrame::Bound(_) => Some(false),
        ServerFrame::Error(_) => Some(true),
        _ => None,
    };
    let refused = peer.expect("an answer to a strange name", refused).await.context("a strange name got no answer")?;
    ground.found.require(refused, || "a source whose name holds a NUL was bound".to_owned());
    Ok(())
}

/// One poison of a random sort on a random machine.
fn poison(ground: &Ground, dice: &mut Dice) -> Option<Poisoned> {
    let stand = &ground.floor.stands[dice.below(ground.floor.stands.len() as u64) as usize];
    let sort = dice.below(2);
    ground.floor.gateways[stand.gateway].with(|core, now_ms| {
        let raw = core.machine(stand.machine)?.spec().tongue != Tongue::Decoded;
        let (item, code) = match (raw, sort) {
            (true, _) => (unreadable(), ErrorCode::CharacteristicUnknown),
            (false, 0) => (power(OUT_OF_BOUNDS_W), ErrorCode::ReadingPoison),
            (false, _) => (power(REFUSED_POWER_W), ErrorCode::ReadingPoison),
        };
        core.number(stand.machine, item, now_ms).map(|named| of(named, code))
    })
}

const fn of((machine, boot, seq): (MachineId, u32, u32), code: ErrorCode) -> Poisoned {
    Poisoned { machine, boot, seq, code: code.code() }
}

/// A notification of a characteristic that nobody knows.
fn unreadable() -> Item {
    Item::Raw { uuid: 0xfff0, bytes: Blob::new(&[0x01, 0x02]).expect("two bytes fit") }
}

fn power(watts: i32) -> Item {
    let mut reading = Reading::new();
    reading.set(Field::Power, watts);
    Item::Reading(reading)
}

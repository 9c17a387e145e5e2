//! Runs units (a row on a store): the runs of one after the other, as many units at once as asked for.
//!
//! The seed of a case follows from the seed of the whole, the row, the store and the number of the run, so that a failing one is repeated
//! alone by naming it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinSet;

use super::found::Found;
use super::row::{Case, Row, Store};
use super::state::{Done, State};
use super::{LedgerArgs, table};
use crate::bench::{BenchArgs, find_binary, progress};
use crate::gateway::Dice;

/// A run that takes so much longer than its load hangs.
const HANGS_AFTER: Duration = Duration::from_secs(300);

/// A row on one store, and the seeds that it runs under.
#[derive(Clone)]
pub(super) struct Unit {
    pub(super) row: &'static Row,
    pub(super) store: Store,
    pub(super) seeds: Vec<u64>,
}

/// All runs of a unit.
pub(super) struct Result {
    pub(super) unit: Unit,
    pub(super) done: Vec<Done>,
}

/// What is to be run, by the words of the command line.
pub(super) fn units(args: &BenchArgs, own: &LedgerArgs, rows: Vec<&'static Row>) -> anyhow::Result<Vec<Unit>> {
    ensure!(args.hub.is_none(), "`ledger` kills its hubs: leave --hub away");
    let stores: &[Store] = match args.store.as_str() {
        "both" => &[Store::Postgres, Store::Sqlite],
        "postgres" => &[Store::Postgres],
        "sqlite" => &[Store::Sqlite],
        other => anyhow::bail!("--store {other}: `ledger` knows postgres, sqlite and both"),
    };
    let on = |store: Store| rows.iter().filter(move |row| row.stores.contains(&store)).map(move |row| (*row, store));
    let seeds_of = |row: &Row, store: Store| {
        let runs = if args.quick { own.runs.unwrap_or(1) } else { own.runs.unwrap_or(row.runs) };
        own.case.map_or_else(|| (0..runs).map(|run| seed_of(args.seed, row.name, store, run)).collect(), |case| vec![case])
    };
    let units: Vec<Unit> =
        stores.iter().flat_map(|&store| on(store)).map(|(row, store)| Unit { row, store, seeds: seeds_of(row, store) }).collect();
    ensure!(!units.is_empty(), "none of these rows is about {}", args.store);
    Ok(units)
}

/// The seed of one run; 53 bits, so that it survives every JSON reader.
fn seed_of(seed: u64, row: &str, store: Store, run: u32) -> u64 {
    let name = row.bytes().chain(store.name().bytes()).fold(seed, |mixed, byte| Dice::new(mixed ^ u64::from(byte)).roll());
    Dice::new(name.wrapping_add(u64::from(run))).roll() >> 11
}

/// Runs everything, first side by side what may be, then alone what measures; the results in the order of the units.
pub(super) async fn all(args: &BenchArgs, own: &LedgerArgs, units: Vec<Unit>) -> anyhow::Result<Vec<Result>> {
    let state = Arc::new(State::open(&own.state, &find_binary(args.hub_binary.as_deref())?, own.resume)?);
    let (alone, beside): (Vec<_>, Vec<_>) = units.into_iter().enumerate().partition(|(_, unit)| unit.row.alone);
    let mut results = lanes(args, own.jobs, beside, &state).await?;
    results.extend(lanes(args, 1, alone, &state).await?);
    results.sort_by_key(|(number, _)| *number);
    let results: Vec<Result> = results.into_iter().map(|(_, result)| result).collect();
    if let Ok(state) = Arc::try_unwrap(state).map_err(drop)
        && results.iter().flat_map(|result| &result.done).all(|done| done.found.holds())
    {
        state.close();
    }
    Ok(results)
}

/// So many units at once, until none is left.
async fn lanes(args: &BenchArgs, jobs: u8, mut queue: Vec<(usize, Unit)>, state: &Arc<State>) -> anyhow::Result<Vec<(usize, Result)>> {
    // The longest first, so that no lane ends long after the others.
    queue.sort_by_key(|(_, unit)| unit.row.lasts * unit.seeds.len() as u32);
    let queue = Arc::new(Mutex::new(queue));
    let mut lanes = JoinSet::new();
    for _ in 0..jobs {
        let (args, state, queue) = (args.clone(), state.clone(), queue.clone());
        lanes.spawn(async move {
            let mut results = Vec::new();
            loop {
                let next = queue.lock().await.pop();
                let Some((number, unit)) = next else { return Ok::<_, anyhow::Error>(results) };
                results.push((number, one(&args, unit, &state).await?));
            }
        });
    }
    let mut results = Vec::new();
    let ended = async {
        while let Some(lane) = lanes.join_next().await {
            results.extend(lane??);
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::select! {
        ended = ended => ended?,
        told = interrupted() => {
            told?;
            // Hubs, servers and small disks end with the runs that they belong to.
            lanes.shutdown().await;
            anyhow::bail!("interrupted: --resume goes on from here");
        }
    }
    Ok(results)
}

/// Waits for SIGINT or SIGTERM.
async fn interrupted() -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
    }
    Ok(())
}

async fn one(args: &BenchArgs, unit: Unit, state: &State) -> anyhow::Result<Result> {
    let cluster = Arc::new(OnceCell::new());
    let mut done: Vec<Done> = Vec::new();
    for (number, &seed) in unit.seeds.iter().enumerate() {
        let (row, store, quick) = (unit.row, unit.store, args.quick);
        if let Some(before) = state.find(row.name, store, seed, quick) {
            done.push(before.clone());
            continue;
        }
        progress(&format!("ledger: {} on {}, run {} of {}, seed {seed}", row.name, store.name(), number + 1, unit.seeds.len()));
        let case = Case { row, store, seed, quick, args: BenchArgs { seed, ..args.clone() }, cluster: cluster.clone() };
        let began = Instant::now();
        let lasts = case.time(row.lasts) + HANGS_AFTER;
        let found = match tokio::time::timeout(lasts, (row.run)(case)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => failed(format!("{error:#}")),
            Err(_elapsed) => failed(format!("it did not end within {lasts:?}")),
        };
        let (row, build) = (row.name.to_owned(), state.build.clone());
        let result = Done { row, store, seed, quick, build, took_ms: began.elapsed().as_millis() as u64, found };
        if result.found.skipped.is_none() {
            state.note(&result)?;
        }
        if !result.found.holds() {
            progress(&format!("ledger: FAILED {}\n{}", table::again(&result), result.found.failures.join("\n")));
        }
        done.push(result);
    }
    let result = Result { unit, done };
    table::print(&table::line(&result))?;
    Ok(result)
}

fn failed(why: String) -> Found {
    Found { failures: vec![why], ..Found::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_seed_of_its_own_that_follows_from_the_first() {
        let seeds: std::collections::BTreeSet<u64> = ["kill", "poison"]
            .into_iter()
            .flat_map(|row| [Store::Postgres, Store::Sqlite].map(move |store| (row, store)))
            .flat_map(|(row, store)| (0..20).map(move |run| seed_of(1, row, store, run)))
            .collect();
        assert_eq!(seeds.len(), 80);
        assert_eq!(seed_of(1, "kill", Store::Sqlite, 3), seed_of(1, "kill", Store::Sqlite, 3));
        assert_ne!(seed_of(1, "kill", Store::Sqlite, 3), seed_of(2, "kill", Store::Sqlite, 3));
    }
}

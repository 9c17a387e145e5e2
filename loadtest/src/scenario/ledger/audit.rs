//! The auditor: holds the record of every producer, the database and what every viewer saw against each other.

use std::collections::BTreeSet;

use protocol::MachineId;

use super::found::Found;
use super::watcher::Watched;
use crate::bench::{Bench, Latency, Quarantined, Report, Stored};
use crate::gateway::{Gateway, REJECTIONS_MAX};
use crate::scenario::replay::floor::Floor;
use crate::scenario::replay::phone::Seen;
use crate::scenario::replay::shown::Numbered;
use crate::scenario::replay::{AWAY_SEEN, check};

/// Keys named in a failure.
const NAMED: usize = 3;
/// Live values may be this much slower at p99 while the database is away, and so much for the grain of a machine shared with the load.
const AWAY_FACTOR: f64 = 1.2;
const AWAY_GRAIN_US: f64 = 5_000.0;

/// Something that must be in quarantine: not what it says can be stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Poisoned {
    /// The machine.
    pub(super) machine: MachineId,
    /// The run.
    pub(super) boot: u32,
    /// Its number.
    pub(super) seq: u32,
    /// The number of the reason.
    pub(super) code: u16,
}

/// Fills in what is lost, stored twice, invented and not told, and everything else that must hold after any fault.
pub(super) async fn audit(
    bench: &Bench,
    floor: &Floor,
    poisoned: &[Poisoned],
    seen: &[Seen],
    watched: &[Watched],
    found: &mut Found,
    measures: bool,
) -> anyhow::Result<()> {
    rows(bench, floor, poisoned, found).await?;
    quarantine(bench, poisoned, found).await?;
    viewers(floor, poisoned, seen, watched, found);
    latencies(floor, seen, found, measures);
    gateways(floor, poisoned, found);
    let mut report = Report::new("ledger");
    check::totals(bench, floor, seen, &mut report).await?;
    found.failures.extend_from_slice(report.failures());
    Ok(())
}

/// Every row that was numbered stands in the store once, with the content that its machine gave it, and none else.
async fn rows(bench: &Bench, floor: &Floor, poisoned: &[Poisoned], found: &mut Found) -> anyhow::Result<()> {
    let stored = Stored::compare(&bench.database().await?, &floor.expected()).await?;
    let [reps, sets, strokes] = stored.details;
    found.rows = (stored.readings + reps + sets + strokes) as u64;
    found.lost += stored.lost.len() as u64;
    found.duplicate += stored.duplicate;
    found.ghost += (stored.ghost.len() + stored.differ.len()) as u64;
    found.failures.extend(stored.failures());
    found.set("readings", stored.readings);
    found.set("reps", reps);
    found.set("sets", sets);
    found.set("strokes", strokes);
    found.set("poisoned", poisoned.len());
    let some = [stored.readings, reps, sets, strokes].iter().all(|count| *count > 0);
    found.require(some, || {
        format!("of a kind nothing was stored: {} readings, {reps} reps, {sets} sets, {strokes} strokes", stored.readings)
    });
    // Buffers are far longer than any run: what is declared lost was forgotten by somebody.
    let declared: u64 = floor.gateways.iter().map(|gateway| gateway.with(|core, _| declared_lost(core))).sum();
    found.set("declared", declared);
    found.require(declared == 0, || format!("{declared} rows were declared lost by their sources"));
    Ok(())
}

/// Numbers that sources declared lost themselves.
fn declared_lost(core: &Gateway) -> u64 {
    core.machines().iter().flat_map(|machine| machine.sources()).map(|source| source.lost().count()).sum()
}

/// Poison one to one, with its reason, and nothing else.
async fn quarantine(bench: &Bench, poisoned: &[Poisoned], found: &mut Found) -> anyhow::Result<()> {
    let there: Vec<Quarantined> = bench.database().await?.quarantine().await?;
    let wanted: BTreeSet<&Poisoned> = poisoned.iter().collect();
    let key = |row: &Quarantined| row.machine.map(|machine| Poisoned { machine, boot: row.boot, seq: row.seq, code: row.code });
    let held: Vec<Option<Poisoned>> = there.iter().map(key).collect();
    let absent = wanted.iter().filter(|poison| !held.iter().flatten().any(|held| held == **poison)).count();
    let strange: Vec<&Quarantined> =
        there.iter().zip(&held).filter(|(_, held)| held.as_ref().is_none_or(|held| !wanted.contains(held))).map(|(row, _)| row).collect();
    found.lost += absent as u64;
    found.set("quarantined", there.len());
    found.require(absent == 0, || format!("{absent} poison rows are not in quarantine under their reason"));
    found.require(strange.is_empty(), || {
        format!("{} rows in quarantine that are no poison, such as {:?}", strange.len(), &strange[..strange.len().min(NAMED)])
    });
    found.require(there.len() <= wanted.len() + strange.len(), || format!("{} entries in quarantine for {}", there.len(), wanted.len()));
    found.require(there.iter().all(|row| !row.detail.is_empty()), || "a row in quarantine has no reason in words".to_owned());
    Ok(())
}

fn viewers(floor: &Floor, poisoned: &[Poisoned], seen: &[Seen], watched: &[Watched], found: &mut Found) {
    let holes: u64 = seen.iter().map(|phone| phone.gaps).sum::<u64>() + watched.iter().map(|watcher| watcher.gaps).sum::<u64>();
    let expected = floor.expected();
    let numbered = Numbered::of(&expected);
    let besides: BTreeSet<_> = poisoned.iter().map(|poison| (poison.machine, poison.boot, poison.seq)).collect();
    let invented: Vec<_> = seen.iter().flat_map(|phone| phone.shown.invented(&numbered, |number| besides.contains(&number))).collect();
    let unnamed: u64 = seen.iter().map(|phone| phone.shown.unnamed()).sum();
    let backwards: u64 = seen.iter().map(|phone| phone.backwards).sum();
    let moved: Vec<&String> = seen.iter().flat_map(|phone| &phone.moved).collect();
    found.gap += holes;
    found.ghost += invented.len() as u64 + unnamed;
    found.set(
        "seen",
        seen.iter().map(|phone| phone.lives + phone.lifted).sum::<u64>() + watched.iter().map(|watcher| watcher.ticks).sum::<u64>(),
    );
    found.set("told", seen.iter().map(|phone| phone.resets).sum::<u64>() + watched.iter().map(|watcher| watcher.resets).sum::<u64>());
    found.set(
        "answered",
        seen.iter().map(|phone| phone.answered).sum::<u64>() + watched.iter().map(|watcher| watcher.answered).sum::<u64>(),
    );
    found.set("resumed", seen.iter().map(|phone| phone.resumed).sum::<u64>() + watched.iter().map(|watcher| watcher.resumed).sum::<u64>());
    found.set(
        "recovered",
        seen.iter().map(|phone| phone.recovered).sum::<u64>() + watched.iter().map(|watcher| watcher.recovered).sum::<u64>(),
    );
    found.require(holes == 0, || format!("{holes} holes in event logs that nobody announced"));
    found.require(invented.is_empty(), || {
        format!(
            "viewers were shown {} values that no machine numbered so, such as {:?}",
            invented.len(),
            &invented[..invented.len().min(NAMED)]
        )
    });
    found.require(unnamed == 0, || format!("viewers were shown {unnamed} values of sources that the room had not named"));
    found.require(backwards == 0, || format!("viewers were shown {backwards} values older than the one before"));
    found.require(moved.is_empty(), || format!("claims did not go on where they were: {moved:?}"));
    found.require(seen.len() == floor.stands.len() && seen.iter().all(|phone| phone.lives + phone.lifted > 0), || {
        "a phone saw nothing".to_owned()
    });
    found.require(watched.iter().all(|watcher| watcher.ticks > 0), || "a watcher of the floor saw nothing".to_owned());
}

/// Live goes on while the database is away: nearly all that is numbered then is seen, no later than `FAULTS` row 9 allows.
fn latencies(floor: &Floor, seen: &[Seen], found: &mut Found, measures: bool) {
    let all = |pick: fn(&Seen) -> &Latency| {
        seen.iter().map(pick).fold(Latency::default(), |mut sum, one| {
            sum.merge(one);
            sum
        })
    };
    let (usual, away) = (all(|phone| &phone.usual), all(|phone| &phone.away));
    found.set("p99_us", usual.quantile_us(0.99));
    let numbered = floor.numbered_away();
    if numbered == 0 {
        return;
    }
    let (usual_us, away_us) = (usual.quantile_us(0.99), away.quantile_us(0.99));
    found.set("numbered_away", numbered);
    found.set("seen_away", away.count());
    found.set("p99_us_away", away_us);
    found.require(away.count() as f64 >= numbered as f64 * AWAY_SEEN, || {
        format!("viewers saw {} of {numbered} readings that were numbered while the database was away", away.count())
    });
    // Beside other runs latencies are no measurement.
    found.require(!measures || away_us as f64 <= usual_us as f64 * AWAY_FACTOR + AWAY_GRAIN_US, || {
        format!("live p99 is {away_us} us while the database is away, {usual_us} us else")
    });
}

fn gateways(floor: &Floor, poisoned: &[Poisoned], found: &mut Found) {
    let counts: Vec<_> = floor.gateways.iter().map(|gateway| gateway.with(|core, _| core.counts().clone())).collect();
    found.set("sent", floor.expected_rows());
    found.set("connects", counts.iter().map(|count| count.connects).sum::<u64>());
    found.set("holds", counts.iter().map(|count| count.holds).sum::<u64>());
    found.set("resends", counts.iter().map(|count| count.resends).sum::<u64>());
    let claims_lost: u64 = counts.iter().map(|count| count.claims_lost).sum();
    found.require(claims_lost == 0, || format!("{claims_lost} machines were told another claim than they kept"));
    let errors: u64 = counts.iter().map(|count| count.errors).sum();
    let complaints = || counts.iter().flat_map(|count| &count.complaints).filter(|words| !words.starts_with("rejected")).take(NAMED);
    found.require(errors == 0, || format!("the hub told gateways {errors} errors, such as {:?}", complaints().collect::<Vec<_>>()));
    // Poison is told to its gateway as rejected, under its reason; nothing else is.
    let rejected = || counts.iter().flat_map(|count| &count.rejections);
    let wanted: BTreeSet<_> = poisoned.iter().map(|poison| (poison.machine, poison.boot, poison.seq, poison.code)).collect();
    let strange: Vec<_> = rejected().filter(|told| !wanted.contains(told)).collect();
    found.set("rejected", rejected().count());
    found.require(counts.iter().all(|count| count.rejections.len() < REJECTIONS_MAX), || "too many rejections to look at".to_owned());
    found.require(strange.is_empty(), || {
        format!("gateways were told {} rejections of what is no poison, such as {:?}", strange.len(), &strange[..strange.len().min(NAMED)])
    });
    found.require(rejected().count() >= wanted.len(), || {
        format!("gateways were told {} rejections, of {} poison rows", rejected().count(), wanted.len())
    });
}

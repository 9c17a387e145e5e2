//! The auditor: holds the record of every producer, the database and what every viewer saw against each other.

use std::collections::BTreeSet;

use protocol::{MachineId, SeqRanges};

use super::found::Found;
use super::watcher::Watched;
use crate::bench::{Bench, Latency, Quarantined, Report};
use crate::gateway::{Checksum, Key, Said};
use crate::scenario::replay::check;
use crate::scenario::replay::floor::Floor;
use crate::scenario::replay::phone::Seen;

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
    viewers(floor, seen, watched, found);
    latencies(seen, found, measures);
    gateways(floor, poisoned, found);
    let mut report = Report::new("ledger");
    check::totals(bench, floor, seen, &mut report).await?;
    found.failures.extend_from_slice(report.failures());
    Ok(())
}

/// Every row that was numbered and not declared lost stands in the store once, with the content that its machine gave it, and none else.
async fn rows(bench: &Bench, floor: &Floor, poisoned: &[Poisoned], found: &mut Found) -> anyhow::Result<()> {
    let database = bench.database().await?;
    let wanted = Checksum::of(&floor.expected());
    let (stored, duplicate) = database.checksum().await?;
    let declared = declared_lost(floor);
    let (mut lost, differ) = wanted.beyond(&stored);
    lost.retain(|key| !declared.iter().any(|(machine, boot, ranges)| *machine == key.0 && *boot == key.2 && ranges.contains(key.3)));
    let (ghost, _) = stored.beyond(&wanted);
    let strokes = floor.expected().iter().filter(|row| matches!(row.said, Said::Stroke(_))).count();
    let stored_strokes = database.count("select count(*) from strokes").await?;
    found.require(stored_strokes == strokes as i64, || format!("{stored_strokes} strokes stored, of {strokes}"));
    found.rows = stored.count() as u64;
    found.lost += lost.len() as u64;
    found.duplicate += duplicate;
    found.ghost += (ghost.len() + differ.len()) as u64;
    found.set("poisoned", poisoned.len());
    found.require(found.rows > 0, || "nothing was stored at all".to_owned());
    found.require(lost.is_empty(), || format!("{} rows lost, such as {:?}", lost.len(), first(&lost)));
    found.require(duplicate == 0, || format!("{duplicate} keys stored twice"));
    found.require(ghost.is_empty(), || format!("{} rows that nobody sent, such as {:?}", ghost.len(), first(&ghost)));
    found.require(differ.is_empty(), || format!("{} rows with other content, such as {:?}", differ.len(), first(&differ)));
    Ok(())
}

fn first(keys: &[Key]) -> &[Key] {
    &keys[..keys.len().min(NAMED)]
}

/// What fell out of full buffers, as the sources said themselves.
fn declared_lost(floor: &Floor) -> Vec<(MachineId, u32, SeqRanges)> {
    let of_gateway = |core: &crate::gateway::Gateway| {
        let sources = core.machines().iter().flat_map(|machine| machine.sources());
        sources.map(|source| (source.machine, source.boot(), source.lost().clone())).collect::<Vec<_>>()
    };
    floor.gateways.iter().flat_map(|gateway| gateway.with(|core, _| of_gateway(core))).filter(|(.., lost)| !lost.is_empty()).collect()
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

fn viewers(floor: &Floor, seen: &[Seen], watched: &[Watched], found: &mut Found) {
    let holes: u64 = seen.iter().map(|phone| phone.gaps).sum::<u64>() + watched.iter().map(|watcher| watcher.gaps).sum::<u64>();
    let invented: u64 = seen.iter().map(|phone| phone.invented).sum();
    let backwards: u64 = seen.iter().map(|phone| phone.backwards).sum();
    let moved: Vec<&String> = seen.iter().flat_map(|phone| &phone.moved).collect();
    found.gap += holes;
    found.ghost += invented;
    found.set("seen", seen.iter().map(|phone| phone.lives).sum::<u64>() + watched.iter().map(|watcher| watcher.ticks).sum::<u64>());
    found.set("told", seen.iter().map(|phone| phone.resets).sum::<u64>() + watched.iter().map(|watcher| watcher.resets).sum::<u64>());
    found.require(holes == 0, || format!("{holes} holes in event logs that nobody announced"));
    found.require(invented == 0, || format!("viewers were shown {invented} values that no machine numbered"));
    found.require(backwards == 0, || format!("viewers were shown {backwards} values older than the one before"));
    found.require(moved.is_empty(), || format!("claims did not go on where they were: {moved:?}"));
    found.require(seen.len() == floor.stands.len() && seen.iter().all(|phone| phone.lives > 0), || "a phone saw nothing".to_owned());
    found.require(watched.iter().all(|watcher| watcher.ticks > 0), || "a watcher of the floor saw nothing".to_owned());
}

/// Live goes on while the database is away, no slower than `FAULTS` row 9 allows.
fn latencies(seen: &[Seen], found: &mut Found, measures: bool) {
    let all = |pick: fn(&Seen) -> &Latency| {
        seen.iter().map(pick).fold(Latency::default(), |mut sum, one| {
            sum.merge(one);
            sum
        })
    };
    let (usual, away) = (all(|phone| &phone.usual), all(|phone| &phone.away));
    found.set("p99_us", usual.quantile_us(0.99));
    if away.count() > 0 {
        let (usual_us, away_us) = (usual.quantile_us(0.99), away.quantile_us(0.99));
        found.set("p99_us_away", away_us);
        // Beside other runs latencies are no measurement.
        found.require(!measures || away_us as f64 <= usual_us as f64 * AWAY_FACTOR + AWAY_GRAIN_US, || {
            format!("live p99 is {away_us} us while the database is away, {usual_us} us else")
        });
    }
}

fn gateways(floor: &Floor, poisoned: &[Poisoned], found: &mut Found) {
    let counts: Vec<_> = floor.gateways.iter().map(|gateway| gateway.with(|core, _| core.counts().clone())).collect();
    found.set("sent", floor.expected_rows());
    found.set("connects", counts.iter().map(|count| count.connects).sum::<u64>());
    found.set("holds", counts.iter().map(|count| count.holds).sum::<u64>());
    found.set("resends", counts.iter().map(|count| count.resends).sum::<u64>());
    let claims_lost: u64 = counts.iter().map(|count| count.claims_lost).sum();
    found.require(claims_lost == 0, || format!("{claims_lost} machines were told another claim than they kept"));
    // Poison is told to its gateway as rejected; anything else is a complaint.
    let complaints: Vec<String> = counts.into_iter().flat_map(|count| count.complaints).collect();
    let rejections = complaints.iter().filter(|complaint| complaint.starts_with("rejected")).count();
    found.require(complaints.len() == rejections && (rejections == 0 || !poisoned.is_empty()), || {
        format!("the hub complained to gateways: {:?}", &complaints[..complaints.len().min(NAMED)])
    });
}

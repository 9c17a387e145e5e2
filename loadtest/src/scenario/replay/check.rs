//! Holds the store against the machines' own record: rows by key and content, totals by recomputing, old buffers by sending them again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::WorkoutId;
use protocol::frame::Totals;
use protocol::totals::BootTotals;

use super::floor::Floor;
use super::phone::Seen;
use super::shown::Numbered;
use crate::bench::{Bench, Database, Range, Report, Stored, progress};
use crate::gateway::{Expected, Said, SimGateway};
use crate::peer::Options;

/// A phone hears of the seal at once; the store has it after its next batch.
const SEAL_WAIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const OLD_BUFFER_WAIT: Duration = Duration::from_secs(60);
/// Keys named in a failure.
const NAMED: usize = 3;

/// Every row once, with the content that its machine gave it, and nothing else.
pub(in crate::scenario) async fn rows(bench: &Bench, floor: &Floor, report: &mut Report) -> anyhow::Result<()> {
    progress("replay: counting the store");
    let database = bench.database().await?;
    let expected = floor.expected();
    let stored = Stored::compare(&database, &expected).await?;
    report.set("rows", stored.readings);
    report.set("rows_expected", stored.expected);
    report.set("checksum", stored.checksum.clone());
    report.set("checksum_expected", stored.checksum_expected.clone());
    report.set("lost", stored.lost.len());
    report.set("duplicate", stored.duplicate);
    report.set("ghost", stored.ghost.len());
    stored.failures().into_iter().for_each(|failure| report.require(false, || failure));
    report.require(stored.checksum == stored.checksum_expected, || "the checksums differ".to_owned());
    let quarantined = database.count("select count(*) from quarantine").await?;
    report.set("quarantined", quarantined);
    report.require(quarantined == 0, || format!("{quarantined} rows in quarantine"));
    Ok(())
}

/// Phones were shown nothing that their machine did not number so.
pub(super) fn shown(floor: &Floor, seen: &[Seen], report: &mut Report) {
    let expected = floor.expected();
    let numbered = Numbered::of(&expected);
    let invented: Vec<_> = seen.iter().flat_map(|phone| phone.shown.invented(&numbered, |_| false)).collect();
    let unnamed: u64 = seen.iter().map(|phone| phone.shown.unnamed()).sum();
    report.require(invented.is_empty() && unnamed == 0, || {
        let named = &invented[..invented.len().min(NAMED)];
        format!(
            "phones were shown {} values that no machine numbered so, such as {named:?}, and {unnamed} of unnamed sources",
            invented.len()
        )
    });
}

/// Sealed totals equal what their rows add up to, and each workout has all rows of its machine.
pub(in crate::scenario) async fn totals(bench: &Bench, floor: &Floor, seen: &[Seen], report: &mut Report) -> anyhow::Result<()> {
    let database = bench.database().await?;
    let (expected, stored) = (floor.expected(), sealed(&database, seen).await?);
    let mut equal = 0;
    for phone in seen {
        let (Some(workout), Some(machine)) = (phone.workout, phone.machine) else { continue };
        let ranges = database.ranges(workout).await?;
        let again = add_up(&expected, &ranges);
        let of_machine = expected.iter().filter(|row| row.machine == machine);
        let (owned, apart): (Vec<&Expected>, Vec<&Expected>) = of_machine.partition(|row| ranges.iter().any(|range| lies_in(row, range)));
        let stand = floor.stands.iter().position(|stand| stand.machine == machine).unwrap_or_default();
        let sealed = stored.get(&workout).map(|(_, totals)| *totals);
        report.require(sealed == Some(again), || differing(workout, sealed, again));
        report.require(apart.is_empty(), || {
            let named: Vec<_> = apart.iter().take(NAMED).map(|row| (row.boot, row.seq)).collect();
            format!("workout {workout} of stand {stand} owns {} rows, not {} such as {named:?}: {ranges:?}", owned.len(), apart.len())
        });
        report.require(phone.sealed.is_some(), || format!("the phone never heard that workout {workout} is sealed"));
        equal += u64::from(sealed == Some(again));
    }
    report.set("sealed", stored.len());
    report.set("totals_equal", equal);
    Ok(())
}

/// The stored totals, once they have those of all workouts that phones heard of as sealed, or after a while as they are.
async fn sealed(database: &Database, seen: &[Seen]) -> anyhow::Result<BTreeMap<WorkoutId, (i64, Totals)>> {
    let until = Instant::now() + SEAL_WAIT;
    loop {
        let stored = database.totals().await?;
        let told = seen.iter().filter(|phone| phone.sealed.is_some()).filter_map(|phone| phone.workout);
        if told.into_iter().all(|workout| stored.contains_key(&workout)) || Instant::now() >= until {
            return Ok(stored);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn differing(workout: WorkoutId, sealed: Option<Totals>, again: Totals) -> String {
    format!("workout {workout} is sealed with {sealed:?}; its rows add up to {again:?}")
}

fn lies_in(row: &Expected, range: &Range) -> bool {
    range.machine == row.machine
        && *range.sensor == *row.sensor
        && range.boot == row.boot
        && (range.from_seq..=range.to_seq).contains(&row.seq)
}

/// Adds up what lies in the ranges, from the machines' own record.
fn add_up(expected: &[Expected], ranges: &[Range]) -> Totals {
    let mut boots: BTreeMap<_, (BootTotals, Vec<&Expected>)> = BTreeMap::new();
    for row in expected {
        if ranges.iter().any(|range| lies_in(row, range)) {
            boots.entry((row.machine, row.boot)).or_default().1.push(row);
        }
    }
    let mut totals = Totals::default();
    for (mut boot, mut rows) in boots.into_values() {
        rows.sort_by_key(|row| row.seq);
        for row in rows {
            match &row.said {
                Said::Reading(reading) => boot.reading(row.dev_ms, reading),
                Said::Rep(_) => boot.rows(1, 0, 0),
                Said::Set(_) => boot.rows(0, 1, 0),
                Said::Stroke(_) => boot.rows(0, 0, 1),
            }
        }
        boot.add_to(&mut totals, true);
    }
    totals
}

/// Rows that retention removed stay removed when their old buffer comes back.
pub(in crate::scenario) async fn old_buffer(bench: &Bench, floor: Floor, report: &mut Report) -> anyhow::Result<()> {
    progress("replay: sending an old buffer again whose rows are gone");
    let (url, token, stand) = (bench.ws_url(), floor.tokens[0].clone(), floor.stands[0].clone());
    let old = floor.gateways[stand.gateway].with(|core, _| core.with_old_buffers());
    let sent = old.buffered();
    // The machine is on one gateway at a time.
    drop(floor);
    let database: Database = bench.database().await?;
    let removed = database.remove_samples_of(stand.machine).await.context("could not play retention")?;
    let gateway = Arc::new(SimGateway::start_core(&url, Options::new(token).device("replay-old"), old, 1.0));
    gateway.settled(OLD_BUFFER_WAIT).await.context("an old buffer was not refused as stored")?;
    let back = database.samples_of(stand.machine).await?;
    report.set("old_buffer_sent", sent);
    report.set("old_buffer_stored", back);
    report.require(removed > 0 && sent > 0, || "there was no old buffer to send".to_owned());
    report.require(back == 0, || format!("{back} rows of an old buffer were stored again"));
    Ok(())
}

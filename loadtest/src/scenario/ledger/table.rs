//! What is printed: one line a row, the same as a table for the README, and the last JSON line.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::rows;
use super::run::Result;
use super::state::Done;
use crate::bench::Report;

const BEGIN: &str = "<!-- ledger: written by loadtest ledger --readme -->";
const END: &str = "<!-- /ledger -->";
const HEAD: &str = "| row | what happens | store | runs | lost | duplicate | ghost | gap | recovery ms, median and longest | ok |\n\
                    |---|---|---|---|---|---|---|---|---|---|\n";

/// Lists the rows.
pub(super) fn list() -> anyhow::Result<()> {
    for row in rows::ALL {
        let stores: Vec<&str> = row.stores.iter().map(|store| store.name()).collect();
        print(&format!("{:18} {:16} {:2} runs, {:?} each: {}\n", row.name, stores.join(","), row.runs, row.lasts, row.about))?;
    }
    Ok(())
}

/// Writes to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("standard output is closed")
}

/// The whole table.
pub(super) fn of(results: &[Result]) -> String {
    results.iter().fold(HEAD.to_owned(), |table, result| table + &line(result))
}

/// One row of it.
pub(super) fn line(result: &Result) -> String {
    let sum = Sum::of(result);
    let (row, store) = (result.unit.row, result.unit.store.name());
    let recovery = sum.recovery_ms.map_or_else(String::new, |(median, longest)| format!("{median}, {longest}"));
    let ok = match (&sum.skipped, sum.failed) {
        (Some(reason), _) => format!("skipped: {reason}"),
        (None, 0) => "yes".to_owned(),
        (None, failed) => format!("{failed} failed"),
    };
    let [lost, duplicate, ghost, gap] = sum.counts;
    format!("| `{}` | {} | {store} | {} | {lost} | {duplicate} | {ghost} | {gap} | {recovery} | {ok} |\n", row.name, row.about, sum.runs)
}

/// The command that repeats a case.
pub(super) fn again(done: &Done) -> String {
    let quick = if done.quick { " --quick" } else { "" };
    format!("loadtest ledger --row {} --store {} --case {}{quick}", done.row, done.store.name(), done.seed)
}

/// Puts the table between the two markers of a file.
pub(super) fn write_between_markers(path: &Path, table: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    let text = replaced(&text, table).with_context(|| format!("{} has no `{BEGIN}` with `{END}` after it", path.display()))?;
    std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

fn replaced(text: &str, table: &str) -> anyhow::Result<String> {
    let begin = text.find(BEGIN).context("no first marker")? + BEGIN.len();
    let end = text.find(END).context("no second marker")?;
    ensure!(begin <= end, "the markers stand in the wrong order");
    Ok(format!("{}\n{table}{}", &text[..begin], &text[end..]))
}

/// The last line: sums, one object a row, what failed and how to repeat it.
pub(super) fn report(seed: u64, results: &[Result]) -> Report {
    let mut report = Report::new("ledger");
    let sums: Vec<Sum> = results.iter().map(Sum::of).collect();
    for (at, name) in ["lost", "duplicate", "ghost", "gap"].into_iter().enumerate() {
        report.set(name, sums.iter().map(|sum| sum.counts[at]).sum::<u64>());
    }
    report.set("seed", seed);
    report.set("runs", sums.iter().map(|sum| sum.runs).sum::<usize>());
    report.set("skipped", sums.iter().filter(|sum| sum.skipped.is_some()).count());
    report.set("recovery_ms", sums.iter().filter_map(|sum| sum.recovery_ms.map(|(_, longest)| longest)).max());
    report.set("rows", results.iter().zip(&sums).map(|(result, sum)| sum.json(result)).collect::<Vec<_>>());
    for done in results.iter().flat_map(|result| &result.done).filter(|done| !done.found.holds()) {
        let why = done.found.failures.first().map_or("the counts are not all 0", |why| why.lines().next().unwrap_or_default());
        report.require(false, || format!("{}: {why}", again(done)));
    }
    report
}

/// All runs of a row put together.
struct Sum {
    counts: [u64; 4],
    runs: usize,
    failed: usize,
    /// Median and longest.
    recovery_ms: Option<(u64, u64)>,
    sessions_ms: Option<(u64, u64)>,
    skipped: Option<String>,
}

impl Sum {
    fn of(result: &Result) -> Self {
        let founds = || result.done.iter().map(|done| &done.found);
        let mut counts = [0; 4];
        for found in founds() {
            for (sum, count) in counts.iter_mut().zip([found.lost, found.duplicate, found.ghost, found.gap]) {
                *sum += count;
            }
        }
        Self {
            counts,
            runs: founds().filter(|found| found.skipped.is_none()).count(),
            failed: founds().filter(|found| !found.holds()).count(),
            recovery_ms: middle_and_longest(founds().filter_map(|found| found.recovery_ms).collect()),
            sessions_ms: middle_and_longest(founds().filter_map(|found| found.sessions_ms).collect()),
            skipped: founds().find_map(|found| found.skipped.clone()),
        }
    }

    fn json(&self, result: &Result) -> Value {
        let [lost, duplicate, ghost, gap] = self.counts;
        let of = |pair: Option<(u64, u64)>, longest: bool| pair.map(|pair| if longest { pair.1 } else { pair.0 });
        let figures: Vec<Value> = result.done.iter().map(|done| Value::Object(done.found.figures.clone())).collect();
        json!({
            "row": result.unit.row.name, "store": result.unit.store.name(), "runs": self.runs, "failed": self.failed,
            "lost": lost, "duplicate": duplicate, "ghost": ghost, "gap": gap, "skipped": self.skipped,
            "recovery_ms": of(self.recovery_ms, false), "recovery_ms_longest": of(self.recovery_ms, true),
            "sessions_ms": of(self.sessions_ms, false), "sessions_ms_longest": of(self.sessions_ms, true),
            "rows": result.done.iter().map(|done| done.found.rows).sum::<u64>(),
            "took_ms": result.done.iter().map(|done| done.took_ms).sum::<u64>(),
            "seeds": result.unit.seeds, "figures": figures,
        })
    }
}

fn middle_and_longest(mut times: Vec<u64>) -> Option<(u64, u64)> {
    times.sort_unstable();
    Some((*times.get(times.len() / 2)?, *times.last()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before_and_nothing_else() {
        let text = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nmore\n");
        let once = replaced(&text, "| new |\n").unwrap();
        assert_eq!(once, format!("# Title\n\n{BEGIN}\n| new |\n{END}\n\nmore\n"));
        assert_eq!(replaced(&once, "| new |\n").unwrap(), once);
        assert!(replaced("no markers", "").is_err());
    }
}

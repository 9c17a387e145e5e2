//! The table of `docs/ABUSE.md`: everything between its marks is written anew.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::case::Verdict;
use super::witness::Seen;

const BEGIN: &str = "<!-- begin: loadtest abuse --table docs/ABUSE.md -->\n";
const END: &str = "<!-- end -->\n";

/// Writes it.
pub(super) fn write(path: &Path, verdicts: &[Verdict], quiet: &Seen, seen: &Seen) -> anyhow::Result<()> {
    let document = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let written =
        between(&document, &table(verdicts, quiet, seen)).with_context(|| format!("{} has no marks for the table", path.display()))?;
    std::fs::write(path, written).with_context(|| format!("cannot write {}", path.display()))
}

fn between(document: &str, table: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn table(verdicts: &[Verdict], quiet: &Seen, seen: &Seen) -> String {
    let mut out = measured();
    out.push_str(
        "| case | sockets | closed with | after, s | within, s | grew, KiB | at most, KiB | echo p99, ms | fresh client, ms |\n|---|--:|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut family = "";
    for verdict in verdicts {
        if verdict.case.family != family {
            family = verdict.case.family;
            // Writing into a String cannot fail.
            writeln!(out, "| **{family}** | | | | | | | | |").ok();
        }
        writeln!(
            out,
            "| {}{} | {} | {} | {:.2} | {:.0} | {} | {} | {:.1} | {:.0} |",
            verdict.case.name,
            if verdict.holds() { "" } else { " (**does not hold**)" },
            verdict.sockets,
            verdict.closed_with.join(", "),
            verdict.last.as_secs_f64(),
            verdict.within.as_secs_f64(),
            verdict.growth.kib,
            verdict.kib_max(),
            verdict.seen.echo.quantile_us(0.99) as f64 / 1000.0,
            verdict.fresh.as_secs_f64() * 1000.0,
        )
        .ok();
    }
    let ms = |us: u64| us as f64 / 1000.0;
    writeln!(
        out,
        "\nHonest clients over all cases, p99 in ms: echo {:.1} (alone before: {:.1}), live value {:.1} (alone before: {:.1}).",
        ms(seen.echo.quantile_us(0.99)),
        ms(quiet.echo.quantile_us(0.99)),
        ms(seen.live.quantile_us(0.99)),
        ms(quiet.live.quantile_us(0.99)),
    )
    .ok();
    out
}

/// By what it was measured: a table says itself how far it can be believed.
fn measured() -> String {
    let build = if cfg!(debug_assertions) { "a debug build (no measurement)" } else { "a release build" };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!("Written by {build} of version {} on {cores} cores; load average of the last minute {load}.\n\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_it_was_measured_with() {
        let table = table(&[], &Seen::default(), &Seen::default());
        assert!(table.starts_with("Written by a debug build (no measurement) of version ") || !cfg!(debug_assertions), "{table}");
        assert!(table.contains("\n\n| case |"), "{table}");
    }

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(between(&document, "new\n"), Some(format!("before\n{BEGIN}new\n{END}after\n")));
        assert_eq!(between("no marks", "new\n"), None);
    }
}

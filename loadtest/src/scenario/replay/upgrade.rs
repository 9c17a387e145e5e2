//! Upgrades on the way: the next hub starts beside the one that runs, and that one drains into it.
//!
//! In: how often, and from which binary. Out: what whoever connected meanwhile met, and how long drains took. What became of the readings is the business of `check`.

use std::time::Duration;

use anyhow::Context as _;

use super::ReplayArgs;
use crate::bench::{Bench, BenchArgs, LineKind, Report, Wants, find_binary, progress};

/// A hub that is told to end has this long; `drain.grace` of these hubs is shorter.
const GRACE: Duration = Duration::from_secs(15);
/// Two drains fit into a short run.
const SETTINGS: [&str; 3] = ["drain.grace=10s", "session.write_timeout=5s", "store.statement_timeout=5s"];

fn settings(follow: bool) -> Vec<String> {
    // A release that does not know the key would refuse it.
    SETTINGS.iter().map(|setting| (*setting).to_owned()).chain(follow.then(|| "store.follow=true".to_owned())).collect()
}

/// A hub as the words ask for: one that can be taken over from, where there are upgrades.
pub(super) async fn start(args: &BenchArgs, own: &ReplayArgs) -> anyhow::Result<Bench> {
    if own.upgrade == 0 {
        return Bench::start(args).await;
    }
    let kind = if own.from.is_some() { LineKind::Front } else { LineKind::Shared };
    let mut first = args.clone();
    first.hub_binary = own.from.clone().or_else(|| args.hub_binary.clone());
    let mut bench = Bench::start_with(&first, Wants { set: settings(false), line: Some(kind), ..Wants::default() }).await?;
    bench.child()?.line().context("it was asked for")?.knock();
    Ok(bench)
}

/// The next hub takes over.
pub(super) async fn take_over(bench: &mut Bench, own: &ReplayArgs, report: &mut Report) -> anyhow::Result<()> {
    let binary = find_binary(None)?;
    let took = bench.child()?.take_over(binary, &settings(own.from.is_some()), GRACE).await?;
    progress(&format!("replay: the next hub took over; the old one drained in {:.1} s", took.as_secs_f64()));
    report.set_rounded("drain_s", took.as_secs_f64());
    Ok(())
}

/// What knocking found.
pub(super) fn tell(bench: &mut Bench, own: &ReplayArgs, report: &mut Report) -> anyhow::Result<()> {
    if own.upgrade == 0 {
        return Ok(());
    }
    let (refused, served) = bench.child()?.line().context("it was asked for")?.knocks();
    report.set("upgrades", own.upgrade);
    report.set("connects_refused", refused);
    report.set("connects_served", served);
    report.require(refused == 0, || format!("{refused} of {} connects were refused while hubs took over", refused + served));
    report.require(served > 0, || "nobody knocked".to_owned());
    Ok(())
}

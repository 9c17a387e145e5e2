//! What goes wrong on the way: a gateway's link, a machine's power, the hub's process, the database.

use std::time::{Duration, Instant};

use super::floor::Floor;
use super::{ReplayArgs, upgrade};
use crate::bench::{Bench, Report, progress};
use crate::gateway::Dice;

/// Shares of the run at which the second gateway's link goes and comes back.
const OUTAGE: (f64, f64) = (0.20, 0.32);
/// When the power of the first machine goes off and on.
const REBOOT: f64 = 0.45;
/// When the database goes.
const AWAY_AT: f64 = 0.50;
/// Kills are spread over this part of the run.
const KILLS: (f64, f64) = (0.08, 0.92);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    LinkGoes,
    LinkComes,
    Reboot,
    Kill,
    Upgrade,
    DatabaseGoes,
    DatabaseComes,
}

/// Lets everything happen at its time; returns when the last of it is over, with the moment at which the first machine was started again.
pub(super) async fn happen(bench: &mut Bench, floor: &Floor, own: &ReplayArgs, report: &mut Report) -> anyhow::Result<Instant> {
    let start = Instant::now();
    let mut restarted = start;
    for (at, fault) in plan(floor, own) {
        tokio::time::sleep(at.saturating_sub(start.elapsed())).await;
        progress(&format!("replay: {fault:?} after {:.1} s", start.elapsed().as_secs_f64()));
        match fault {
            Fault::LinkGoes => floor.gateways[1].set_online(false),
            Fault::LinkComes => floor.gateways[1].set_online(true),
            Fault::Reboot => {
                let stand = &floor.stands[0];
                restarted = Instant::now();
                floor.gateways[stand.gateway].with(|core, now_ms| core.reboot(stand.machine, own.speed, now_ms));
            }
            Fault::Kill => {
                let child = bench.child()?;
                child.kill().await?;
                child.run().await?;
            }
            Fault::Upgrade => upgrade::take_over(bench, own, report).await?,
            Fault::DatabaseGoes => {
                floor.set_away(true);
                bench.postgres()?.stop_immediate().await?;
            }
            Fault::DatabaseComes => {
                bench.postgres()?.run().await?;
                floor.set_away(false);
            }
        }
    }
    report.set("kills", own.kill);
    report.set("postgres_stop_s", own.postgres_stop);
    Ok(restarted)
}

fn plan(floor: &Floor, own: &ReplayArgs) -> Vec<(Duration, Fault)> {
    let at = |share: f64| floor.duration.mul_f64(share);
    let mut plan = vec![(at(OUTAGE.0), Fault::LinkGoes), (at(OUTAGE.1), Fault::LinkComes), (at(REBOOT), Fault::Reboot)];
    // Each kill somewhere in its own part of the run, so that they are spread and still fall at any instant.
    let mut dice = Dice::new(u64::from(own.kill) ^ 0x6b69_6c6c);
    let part = (KILLS.1 - KILLS.0) / f64::from(own.kill.max(1));
    for number in 0..own.kill {
        let inside = dice.below(1_000) as f64 / 1_000.0;
        plan.push((at(KILLS.0 + part * (f64::from(number) + inside)), Fault::Kill));
    }
    for number in 0..own.upgrade {
        let inside = (f64::from(number) + 1.0) / (f64::from(own.upgrade) + 1.0);
        plan.push((at(KILLS.0 + (KILLS.1 - KILLS.0) * inside), Fault::Upgrade));
    }
    if let Some(seconds) = own.postgres_stop {
        plan.push((at(AWAY_AT), Fault::DatabaseGoes));
        plan.push((at(AWAY_AT) + Duration::from_secs(seconds), Fault::DatabaseComes));
    }
    plan.sort_by_key(|(at, _)| *at);
    plan
}

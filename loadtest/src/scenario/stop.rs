//! `stop`: how long from a stop at the hub's door to the machine's socket, while a replay storm runs on that very socket? And is each
//! of the three results seen?

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::frame::{MachineKind, Role, StopAnswer, StopMachine, StopOutcome, StopStage};
use protocol::{ClientFrame, MachineId, ServerFrame, StopId};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::bench::{Bench, BenchArgs, Feeder, Latency, NewMachine, Publisher, Report, World, progress};
use crate::peer::{LightWriter, Options, Peer};

/// Budget of `DESIGN` section 8.
const P99_MAX: Duration = Duration::from_millis(20);
/// The same where the machine does other work and nothing is measured: a stop that waits for the storm is found all the same.
const P99_QUICK_MAX: Duration = Duration::from_secs(1);
const MACHINES: usize = 60;
const WILLING: usize = 0;
const REFUSES: usize = 1;
const MUTE: usize = 2;
/// FTMS result code of the machine that refuses: operation failed.
const FAILED: u8 = 4;
const STORM_EVERY: Duration = Duration::from_millis(10);

/// Words of `stop`.
#[derive(Debug, Clone, clap::Args)]
pub struct StopArgs {
    /// Stops of the willing machine.
    #[arg(long)]
    pub stops: Option<usize>,
    /// Readings a second that the storm replays on the same socket.
    #[arg(long, default_value_t = 15_000)]
    pub storm_rows_per_s: u32,
}

type Sent = Arc<Mutex<HashMap<StopId, Instant>>>;

/// Runs it.
///
/// # Errors
/// Where hub, gateway or issuer fail.
pub async fn run(args: &BenchArgs, own: &StopArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("stop");
    let bench = Bench::start(args).await?;
    let world = World::new(&bench).await?;
    let gateway = world.gateways(&bench, 1).await?[0];
    let machines: Vec<NewMachine> =
        (0..MACHINES).map(|_| NewMachine { machine: MachineId(Uuid::now_v7()), kind: MachineKind::Bike, gateway }).collect();
    world.machines(&bench, &machines).await?;
    let ids: Vec<MachineId> = machines.iter().map(|new| new.machine).collect();
    let token = world.token(&bench, Role::Gateway, gateway.0);
    let publisher = Publisher::connect(&bench.ws_url(), &token, &ids, args.seed as u32).await?;
    let operator = Options::new(world.token(&bench, Role::Operator, Uuid::now_v7())).device("load-desk");
    let mut operator = Peer::connect(&bench.ws_url(), operator).await?;
    let sent = Sent::default();
    let mut tasks = tokio::task::JoinSet::new();
    let over = tokio_util::sync::CancellationToken::new();
    tasks.spawn(storm(publisher, ids.clone(), sent.clone(), own.storm_rows_per_s, over.clone()));
    let stops = own.stops.unwrap_or(if args.quick { 100 } else { 500 });
    progress(&format!("stop: {stops} stops behind {} readings a second", own.storm_rows_per_s));
    let results = issue(&mut operator, &ids, stops, &sent).await.with_context(|| bench.log_end())?;
    over.cancel();
    let (latency, replayed) = tasks.join_next().await.context("the storm was not started")???;
    report.set("sessions", 2);
    report.set("stops", latency.count());
    report.set("storm_rows", replayed);
    report.set("p50_us", latency.quantile_us(0.5));
    report.set("p99_us", latency.quantile_us(0.99));
    for (outcome, name) in [(StopOutcome::Stopped, "stopped"), (StopOutcome::Refused, "refused"), (StopOutcome::Unconfirmed, "unconfirmed")]
    {
        let count = results.iter().filter(|(_, result)| *result == outcome).count();
        report.set(name, count);
        report.require(count > 0, || format!("no stop was {name}"));
    }
    for failure in unlike(&results) {
        report.require(false, || failure);
    }
    let p99 = Duration::from_micros(latency.quantile_us(0.99));
    let p99_max = if args.quick { P99_QUICK_MAX } else { P99_MAX };
    report.require(p99 <= p99_max, || format!("a stop takes {p99:?} to the machine's socket at p99, at most {p99_max:?}"));
    // Those of the mute machine join its pending one and are not timed; every other must have reached its machine.
    let timed = results.iter().filter(|(place, _)| *place != MUTE).count();
    report.require(results.len() == stops, || format!("{} of {stops} stops had a result", results.len()));
    report.require(latency.count() as usize == timed, || format!("{} of {timed} stops reached their machine", latency.count()));
    Ok(report)
}

/// What a stop of the machine at this place must come to.
const fn due(place: usize) -> StopOutcome {
    match place {
        REFUSES => StopOutcome::Refused,
        MUTE => StopOutcome::Unconfirmed,
        _ => StopOutcome::Stopped,
    }
}

/// Stops that ended otherwise than their machine answers, in words: one for each machine and result.
fn unlike(results: &[(usize, StopOutcome)]) -> Vec<String> {
    let mut counts: HashMap<(usize, StopOutcome), usize> = HashMap::new();
    for &(place, result) in results.iter().filter(|(place, result)| *result != due(*place)) {
        *counts.entry((place, result)).or_default() += 1;
    }
    counts.into_iter().map(|((place, result), count)| format!("{count} stops ended {result:?}, not {:?}", due(place))).collect()
}

/// Stops the machines one after another; which it was, and the result, in order.
async fn issue(operator: &mut Peer, ids: &[MachineId], stops: usize, sent: &Sent) -> anyhow::Result<Vec<(usize, StopOutcome)>> {
    let mut results = Vec::new();
    for number in 0..stops {
        let place = match number % 25 {
            7 => REFUSES,
            // Each of these takes its second.
            19 if number < 150 => MUTE,
            _ => WILLING,
        };
        let machine = ids[place];
        let id = StopId(Uuid::now_v7());
        // A later stop of a machine that did not answer joins the pending one and goes out under that one's id.
        if place != MUTE {
            sent.lock().expect("no holder of this lock panics").insert(id, Instant::now());
        }
        results.push((place, operator.stop_under(id, machine).await?.result));
    }
    Ok(results)
}

/// Replays readings and answers stops until told to end; latencies of stops, and how many readings went out.
async fn storm(
    mut publisher: Publisher,
    ids: Vec<MachineId>,
    sent: Sent,
    rows_per_s: u32,
    over: tokio_util::sync::CancellationToken,
) -> anyhow::Result<(Latency, u64)> {
    let mut feeder = Feeder::new(ids.len(), u32::MAX / 4, 60_000);
    let (writer, mut latency, mut out) = (publisher.writer(), Latency::default(), Vec::new());
    let mut timer = interval(STORM_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (start, mut fed) = (Instant::now(), 0_u64);
    loop {
        tokio::select! {
            biased;
            () = over.cancelled() => return Ok((latency, feeder.samples_sent.1 + feeder.batched_sent.1)),
            frame = publisher.news.recv() => match frame {
                None => return Err(publisher.ended().await),
                Some(ServerFrame::StopMachine(stop)) => {
                    if let Some(at) = sent.lock().expect("no holder of this lock panics").remove(&stop.id) {
                        latency.add(at.elapsed());
                    }
                    answer(&writer, &stop, &ids).await?;
                }
                Some(frame) => feeder.hear(&frame),
            },
            _ = timer.tick() => {
                out.clear();
                feeder.again(STORM_EVERY.as_millis() as u32, &mut out);
                let due = (start.elapsed().as_secs_f64() * f64::from(rows_per_s)) as u64;
                while fed < due && feeder.next(&mut out) {
                    fed = feeder.samples_sent.1 + feeder.batched_sent.1;
                }
                // What the hub holds back is not made up for in one burst.
                fed = fed.max(due.saturating_sub(u64::from(rows_per_s)));
                writer.send_framed(&out).await.context("the hub does not take readings")?;
            }
        }
    }
}

async fn answer(writer: &LightWriter, stop: &StopMachine, ids: &[MachineId]) -> anyhow::Result<()> {
    let stages: &[(StopStage, Option<u8>)] = match ids.iter().position(|id| *id == stop.machine) {
        Some(REFUSES) => &[(StopStage::Received, None), (StopStage::Refused, Some(FAILED))],
        Some(MUTE) => &[(StopStage::Received, None)],
        _ => &[(StopStage::Received, None), (StopStage::Confirmed, Some(1)), (StopStage::Stopped, Some(1))],
    };
    for &(answer, result) in stages {
        writer.send(&ClientFrame::from(StopAnswer { machine: stop.machine, id: stop.id, answer, result })).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_that_never_reached_the_willing_machine_is_named() {
        let right = [(WILLING, StopOutcome::Stopped), (REFUSES, StopOutcome::Refused), (MUTE, StopOutcome::Unconfirmed)];
        assert!(unlike(&right).is_empty());
        let wrong = [(WILLING, StopOutcome::Unconfirmed), (WILLING, StopOutcome::Unconfirmed), (MUTE, StopOutcome::Unconfirmed)];
        assert_eq!(unlike(&wrong), ["2 stops ended Unconfirmed, not Stopped"]);
    }
}

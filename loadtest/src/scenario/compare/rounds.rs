//! Turns in rounds, A B C A B C: what else the machine does hits all servers alike, and each ratio is taken within one round.

use std::path::Path;
use std::time::Duration;

use super::CompareArgs;
use super::contender::{Contender, Sample};
use super::workload::{Size, Workload};
use crate::bench::{BenchArgs, Latency, progress};

pub(super) const HUB: &str = "hub";
/// The hub with its publishers and without watchers: what taking in and storing costs.
pub(super) const UNWATCHED: &str = "hub_unwatched";
pub(super) const LIMIT: &str = "limit";
pub(super) const SOCKETIO: &str = "socketio";

/// What one server did, round by round.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) name: &'static str,
    pub(super) samples: Vec<Sample>,
}

/// One workload on all servers.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub(super) workload: Workload,
    pub(super) size: Size,
    pub(super) courses: Vec<Course>,
}

/// Middle, least and most of the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// None of nothing.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let upper = values.len() / 2;
        let median = (values[upper] + values[(values.len() - 1) / 2]) / 2.0;
        Some(Self { median, least, most })
    }
}

impl Course {
    /// CPU seconds for a million deliveries, in each round.
    pub(super) fn cpu_s_per_million(&self) -> Vec<f64> {
        self.samples.iter().map(|sample| sample.cpu_s * 1e6 / sample.deliveries.max(1) as f64).collect()
    }

    pub(super) fn bytes_per_delivery(&self) -> f64 {
        self.total(|sample| sample.tally.bytes) / self.total(|sample| sample.deliveries).max(1.0)
    }

    /// Share of what was due that came.
    pub(super) fn arrived(&self) -> f64 {
        self.total(|sample| sample.deliveries) / self.total(|sample| sample.due).max(1.0)
    }

    pub(super) fn latency(&self) -> Latency {
        let mut all = Latency::default();
        self.samples.iter().for_each(|sample| all.merge(&sample.tally.latency));
        all
    }

    fn total(&self, of: impl Fn(&Sample) -> u64) -> f64 {
        self.samples.iter().map(of).sum::<u64>() as f64
    }
}

impl Compared {
    pub(super) fn course(&self, name: &str) -> Option<&Course> {
        self.courses.iter().find(|course| course.name == name)
    }

    /// CPU a delivery of one server as a share of another's, round by round.
    pub(super) fn ratio(&self, of: &str, over: &str) -> Option<Spread> {
        let (of, over) = (self.course(of)?.cpu_s_per_million(), self.course(over)?.cpu_s_per_million());
        Spread::of(of.iter().zip(&over).map(|(of, over)| of / over).collect())
    }

    /// What the watchers add to the hub's CPU, a delivery, as a share of the limit's, which takes nothing in and stores nothing.
    pub(super) fn delivery_ratio(&self) -> Option<Spread> {
        let cost = |name| self.course(name).map(Course::cpu_s_per_million);
        let (hub, unwatched, limit) = (cost(HUB)?, cost(UNWATCHED)?, cost(LIMIT)?);
        Spread::of(hub.iter().zip(&unwatched).zip(&limit).map(|((hub, unwatched), limit)| (hub - unwatched) / limit).collect())
    }

    /// Middle of a server's CPU seconds for a million deliveries.
    pub(super) fn cpu(&self, name: &str) -> Option<Spread> {
        Spread::of(self.course(name)?.cpu_s_per_million())
    }

    /// Bytes a delivery of the hub as a share of Socket.IO's.
    pub(super) fn bytes_ratio(&self) -> Option<f64> {
        Some(self.course(HUB)?.bytes_per_delivery() / self.course(SOCKETIO)?.bytes_per_delivery())
    }
}

/// Starts all servers for one workload and lets them take turns.
///
/// # Errors
/// Where a server or a watcher fails.
pub(super) async fn play(args: &BenchArgs, own: &CompareArgs, folder: &Path, workload: Workload) -> anyhow::Result<Compared> {
    let size = Size::of(workload, args.quick);
    let name = workload.name();
    progress(&format!("{name}: {} rooms at {} Hz, {} watchers each", size.rooms, size.hz, size.watchers));
    let mut contenders = vec![
        (HUB, Contender::hub(args, workload, size, true).await?),
        (LIMIT, Contender::limit(workload, size).await?),
        (SOCKETIO, Contender::socketio(folder, workload, size).await?),
    ];
    if workload == Workload::Pairs {
        contenders.push((UNWATCHED, Contender::hub(args, workload, size, false).await?));
    }
    let (warm_up, run) = own.stretch(args.quick);
    let mut courses: Vec<Course> = contenders.iter().map(|(name, _)| Course { name, samples: Vec::new() }).collect();
    for round in 1..=own.rounds(args.quick) {
        for ((_, contender), course) in contenders.iter_mut().zip(&mut courses) {
            let mut sample = contender.turn(warm_up, run).await?;
            if course.name == UNWATCHED {
                // Nobody watches: its cost is told for the deliveries that there would be.
                sample.deliveries = sample.due;
            }
            course.samples.push(sample);
        }
        let costs: Vec<String> = courses.iter().map(|course| format!("{} {:.1}", course.name, last(&course.cpu_s_per_million()))).collect();
        progress(&format!("{name}: round {round}, CPU s per million deliveries: {}", costs.join(", ")));
    }
    Ok(Compared { workload, size, courses })
}

fn last(values: &[f64]) -> f64 {
    values.last().copied().unwrap_or_default()
}

/// How long a turn is by default: warming up, measuring.
pub(super) const fn turn(quick: bool) -> (Duration, Duration) {
    if quick { (Duration::from_millis(200), Duration::from_millis(600)) } else { (Duration::from_secs(1), Duration::from_secs(5)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_of_rounds_lies_between_two() {
        assert_eq!(Spread::of(vec![3.0, 1.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of(vec![5.0, 1.0, 2.0]).unwrap().median, 2.0);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}

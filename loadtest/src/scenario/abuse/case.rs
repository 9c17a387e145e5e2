//! One case of abuse: what is done, how it must end, and what was found.
//!
//! In: a function that attacks and hands back how each of its sockets ended. Out: a [`Verdict`]: close reason, close time, growth of the
//! process, and what the honest clients noticed meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stage::{Growth, Stage};
use super::witness::{Seen, Witness};

/// Growth for one socket that said who it is: 2 MB.
pub(super) const KIB_PER_ATTACKER: u64 = 2_000_000 / 1024;
/// Growth for one socket that does not read: what a slow peer may hold.
pub(super) const KIB_PER_SLOW: u64 = 1024;
/// Growth for one socket that did not.
pub(super) const KIB_PER_STRANGER: u64 = 8;
/// The process moves by this much without any attacker: pools, the write-ahead log of the store, threads.
const NOISE_KIB: u64 = 768;

/// How one socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// Close code and name, HTTP status, `cut`, or a word of the case.
    pub(super) how: String,
    /// Since the abuse began.
    pub(super) after: Duration,
}

impl End {
    pub(super) fn new(how: impl Into<String>, began: Instant) -> Self {
        Self { how: how.into(), after: began.elapsed() }
    }
}

/// What attacks.
pub(super) type Attack = for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = anyhow::Result<Vec<End>>> + Send + 'a>>;

/// One case.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) family: &'static str,
    pub(super) name: &'static str,
    /// Every socket must end in one of these ways.
    pub(super) ends: &'static [&'static str],
    /// And so soon, by the hub's settings.
    pub(super) within: fn(&Stage) -> Duration,
    /// KiB that the process may grow by for each socket.
    pub(super) kib_per_socket: u64,
    pub(super) attack: Attack,
}

/// At once: nothing has to run out first.
pub(super) fn at_once(_: &Stage) -> Duration {
    Duration::from_secs(2)
}

/// What a case found.
pub(super) struct Verdict {
    pub(super) case: Case,
    /// In one round.
    pub(super) sockets: usize,
    /// How often it was done, so that the honest clients are watched long enough.
    pub(super) rounds: usize,
    /// The ways in which its sockets ended, each once.
    pub(super) closed_with: Vec<String>,
    pub(super) first: Duration,
    pub(super) last: Duration,
    pub(super) growth: Growth,
    pub(super) within: Duration,
    pub(super) seen: Seen,
    /// What an honest client's echo may take at p99.
    pub(super) echo_max: Duration,
    /// From dialling to an answered ping, for a client that came in the middle of it.
    pub(super) fresh: Duration,
}

impl Case {
    /// Whether family or name has this word.
    pub(super) fn is_about(&self, word: &str) -> bool {
        self.family.contains(word) || self.name.contains(word)
    }

    /// Attacks once, or until the honest clients were watched long enough.
    async fn again_and_again(self, stage: &Stage) -> anyhow::Result<(Vec<End>, usize)> {
        let (began, mut ends, mut rounds) = (Instant::now(), Vec::new(), 0);
        while rounds == 0 || began.elapsed() < stage.watched {
            ends.extend((self.attack)(stage).await?);
            rounds += 1;
        }
        Ok((ends, rounds))
    }

    /// Attacks, and watches what it does to the hub and to others.
    pub(super) async fn run(self, stage: &Stage, witness: &Witness) -> anyhow::Result<Verdict> {
        drop(witness.take());
        let watch = stage.watch_memory()?;
        let (ends, fresh) = tokio::join!(self.again_and_again(stage), witness.fresh(stage));
        let ((ends, rounds), fresh) = (ends?, fresh?);
        let growth = watch.end().await?;
        let mut closed_with: Vec<String> = ends.iter().map(|end| end.how.clone()).collect();
        closed_with.sort();
        closed_with.dedup();
        Ok(Verdict {
            case: self,
            sockets: ends.len() / rounds,
            rounds,
            closed_with,
            first: ends.iter().map(|end| end.after).min().unwrap_or_default(),
            last: ends.iter().map(|end| end.after).max().unwrap_or_default(),
            growth,
            within: (self.within)(stage),
            seen: witness.take(),
            echo_max: stage.echo_max,
            fresh,
        })
    }
}

impl Verdict {
    fn ended_right(&self) -> bool {
        !self.closed_with.is_empty() && self.closed_with.iter().all(|how| self.case.ends.contains(&how.as_str()))
    }

    /// Growth that the case may cause in all.
    pub(super) fn kib_max(&self) -> u64 {
        self.case.kib_per_socket * self.sockets as u64 + NOISE_KIB
    }

    pub(super) fn served(&self) -> bool {
        self.seen.echo.count() > 0
            && Duration::from_micros(self.seen.echo.quantile_us(0.99)) <= self.echo_max
            && self.fresh <= 2 * self.echo_max
    }

    /// Whether everything held.
    pub(super) fn holds(&self) -> bool {
        self.ended_right() && self.last <= self.within && self.growth.kib <= self.kib_max() && self.served()
    }

    /// One line for a person.
    pub(super) fn line(&self) -> String {
        format!(
            "{} {}: {} x {} sockets closed with {} after {:.2} to {:.2} s (within {:.0} s), grew {} KiB (at most {}), kernel {} KiB; echo p99 {} us of {}, a fresh client {:.0} ms",
            if self.holds() { "ok" } else { "FAILED" },
            self.case.name,
            self.rounds,
            self.sockets,
            self.closed_with.join(", "),
            self.first.as_secs_f64(),
            self.last.as_secs_f64(),
            self.within.as_secs_f64(),
            self.growth.kib,
            self.kib_max(),
            self.growth.kernel_kib,
            self.seen.echo.quantile_us(0.99),
            self.seen.echo.count(),
            self.fresh.as_secs_f64() * 1000.0,
        )
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "family": self.case.family, "case": self.case.name, "ok": self.holds(), "sockets": self.sockets, "rounds": self.rounds, "closed_with": self.closed_with,
            "close_ms": self.last.as_millis() as u64, "close_ms_max": self.within.as_millis() as u64, "growth_kib": self.growth.kib,
            "growth_kib_max": self.kib_max(), "kernel_kib": self.growth.kernel_kib, "echo_p99_us": self.seen.echo.quantile_us(0.99),
            "live_p99_us": self.seen.live.quantile_us(0.99), "fresh_ms": self.fresh.as_millis() as u64,
        })
    }
}

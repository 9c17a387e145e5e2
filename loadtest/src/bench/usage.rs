//! What a process uses, read from `/proc`: CPU time and resident memory.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Clock ticks a second in `/proc/PID/stat`; fixed on Linux (`man 5 proc`, sysconf `_SC_CLK_TCK`).
const TICKS_PER_S: f64 = 100.0;
const PAGE_KIB: u64 = 4;

/// CPU seconds of all threads so far, user and system.
///
/// # Errors
/// Where the process is gone.
pub fn cpu_s(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    parse_cpu_s(&stat).with_context(|| format!("/proc/{pid}/stat is not as expected"))
}

fn parse_cpu_s(stat: &str) -> Option<f64> {
    // The second field is the name in brackets and may hold spaces; utime and stime are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_S)
}

/// Resident memory, KiB.
///
/// # Errors
/// Where the process is gone.
pub fn rss_kib(pid: u32) -> anyhow::Result<u64> {
    let exact = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    let rss = exact.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("Rss:")));
    if let Some(kib) = rss.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()) {
        return Ok(kib);
    }
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).with_context(|| format!("process {pid} is gone"))?;
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).context("/proc/PID/statm is not as expected")?;
    Ok(pages * PAGE_KIB)
}

/// Open files that this process (and so its child) may have.
///
/// # Errors
/// Where `/proc` does not say.
pub fn files_max() -> anyhow::Result<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").context("could not read the limits")?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("no limit of open files")?;
    let soft = line.split_whitespace().nth(3).context("no limit of open files")?;
    Ok(soft.parse().unwrap_or(usize::MAX))
}

/// Resident memory of a process over time. Ends when dropped.
pub struct RssCurve {
    seen: Arc<Mutex<Vec<(f64, u64)>>>,
    #[expect(dead_code, reason = "dropping it ends the looking")]
    task: JoinSet<()>,
}

impl RssCurve {
    /// Looks at it this often from now on.
    #[must_use]
    pub fn start(pid: u32, every: Duration) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (into, began) = (seen.clone(), Instant::now());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut timer = tokio::time::interval(every);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // A process that is gone has no curve any more.
            while let Ok(kib) = rss_kib(pid) {
                into.lock().expect("no holder of this lock panics").push((began.elapsed().as_secs_f64(), kib));
                timer.tick().await;
            }
        });
        Self { seen, task }
    }

    /// Seconds since the start and KiB.
    #[must_use]
    pub fn points(&self) -> Vec<(f64, u64)> {
        self.seen.lock().expect("no holder of this lock panics").clone()
    }

    /// The most so far, KiB.
    #[must_use]
    pub fn most_kib(&self) -> u64 {
        self.points().into_iter().map(|(_, kib)| kib).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_brackets_is_no_field() {
        let stat = "42 (a (b) c) S 1 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1 1";
        assert_eq!(parse_cpu_s(stat), Some(3.0));
    }

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        assert!(rss_kib(pid).unwrap() > 1_000);
        assert!(cpu_s(pid).unwrap() >= 0.0);
    }
}

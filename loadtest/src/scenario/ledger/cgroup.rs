//! A control group with little memory, for the hub of one run.
//!
//! In: a cap. Out: the words that start a process inside, and how many in it the kernel ended for want of memory. Takes the memory controller where
//! it is, in cgroup v2 or v1 (`Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst` of the Linux kernel); needs the right to make a
//! group there, which root has outside most containers.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(10);
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// Names of one version's files.
struct Version {
    cap: &'static str,
    /// What has to stand where so that swap does not hide the cap; not every kernel counts it.
    swap: (&'static str, fn(u64) -> u64),
    /// Has a line `oom_kill N`.
    events: &'static str,
}

const V2: Version = Version { cap: "memory.max", swap: ("memory.swap.max", |_| 0), events: "memory.events" };
const V1: Version =
    Version { cap: "memory.limit_in_bytes", swap: ("memory.memsw.limit_in_bytes", |cap| cap), events: "memory.oom_control" };

/// A group that is removed with the run.
pub(super) struct Capped {
    path: PathBuf,
    version: Version,
}

impl Capped {
    /// Makes one; else the reason why there is none here.
    pub(super) fn make(name: &str, cap_bytes: u64) -> Result<Self, String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|error| format!("mounts cannot be read: {error}"))?;
        let (root, version) = controller(&mounts).ok_or("no cgroup hands out the memory controller here")?;
        let group = Self { path: root.join(format!("{name}-{}", std::process::id())), version };
        let unwritable = |error: io::Error| format!("no cgroup can be made here: {error}");
        std::fs::create_dir(&group.path).map_err(unwritable)?;
        std::fs::write(group.path.join(group.version.cap), cap_bytes.to_string()).map_err(unwritable)?;
        let (swap, of) = group.version.swap;
        let _uncounted = std::fs::write(group.path.join(swap), of(cap_bytes).to_string());
        Ok(group)
    }

    /// Words that put what follows into it; `score` decides whom the kernel ends first, from 0 to 1000 (`proc_pid_oom_score_adj(5)`).
    pub(super) fn before(&self, score: u32) -> Vec<String> {
        let procs = self.path.join("cgroup.procs");
        let enter = format!("echo {score} > /proc/self/oom_score_adj && echo $$ > {} && exec \"$@\"", procs.display());
        ["sh", "-c", &enter, "sh"].map(str::to_owned).to_vec()
    }

    /// Removes it, once the hub in it is gone.
    pub(super) async fn remove(self) {
        let until = Instant::now() + GONE_WITHIN;
        while std::fs::remove_dir(&self.path).is_err() && Instant::now() < until {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Processes in it that the kernel ended.
    pub(super) fn killed(&self) -> u64 {
        let events = std::fs::read_to_string(self.path.join(self.version.events)).unwrap_or_default();
        events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Capped {
    fn drop(&mut self) {
        // Where the run was broken off the hub may still be in it; what is left over is empty then, and harmless.
        let _still_used = std::fs::remove_dir(&self.path);
    }
}

/// Where groups with a memory controller are made, by a table of mounts.
fn controller(mounts: &str) -> Option<(PathBuf, Version)> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (path, kind, options) = (Path::new(words.next()?), words.next()?, words.next()?);
        let has = |list: &str, by: char| list.split(by).any(|name| name.trim() == "memory");
        match kind {
            "cgroup" if has(options, ',') => Some((path.to_owned(), V1)),
            "cgroup2" => {
                let handed_out = std::fs::read_to_string(path.join("cgroup.subtree_control")).ok()?;
                has(&handed_out, ' ').then(|| (path.to_owned(), V2))
            }
            _ => None,
        }
    })
}

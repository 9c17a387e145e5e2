//! Every task of the process, tracked and named.
//!
//! In: futures with a name. Out: a word to stop, and at the end the names of whatever still runs. Nothing else in the hub spawns: a
//! task that nobody tracks is a task that a drain forgets.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Spawns, counts and waits for tasks. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
    stop: CancellationToken,
    failed: CancellationToken,
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` under a name; it counts as running until it ends or panics.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.count(name, true);
        let guard = Running { name, tasks: self.running.clone() };
        // Each layer of futures below would hold it by value once more.
        let future = Box::pin(future);
        let tracked = self.tracker.track_future(async move {
            let _guard = guard;
            future.await;
        });
        // The handle is not needed: the tracker waits, and a panic is printed by the hook and counted off by the guard.
        drop(tokio::spawn(tracked));
    }

    /// Runs a task that the node is nothing without: if it panics, [`Tasks::failed`] resolves, and the process is to end and start anew.
    pub fn spawn_vital<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let vital = Vital { name, failed: self.failed.clone() };
        self.spawn(name, async move {
            let _vital = vital;
            future.await;
        });
    }

    /// Resolves once a vital task has panicked.
    #[must_use]
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// Resolves once the process was told to stop.
    #[must_use]
    pub fn stopped(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells every task that listens to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// How many tasks of a name run.
    #[must_use]
    pub fn running(&self, name: &str) -> usize {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
    }

    /// How many tasks run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether none runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Waits until none runs, at most `grace`. Returns the names of those that still do, with their number.
    pub async fn wait(&self, grace: Duration) -> BTreeMap<&'static str, usize> {
        self.tracker.close();
        match tokio::time::timeout(grace, self.tracker.wait()).await {
            Ok(()) => BTreeMap::new(),
            Err(_elapsed) => self.running.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn count(&self, name: &'static str, up: bool) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(name).or_default();
        if up {
            *count += 1;
        } else if *count <= 1 {
            running.remove(name);
        } else {
            *count -= 1;
        }
    }
}

/// Counts a task off when it ends, however it ends.
struct Running {
    name: &'static str,
    tasks: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

/// Says so when a vital task panics.
struct Vital {
    name: &'static str,
    failed: CancellationToken,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "a task panicked that nothing goes on without: the process ends");
            self.failed.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_does_not_end_is_named() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending());
        tasks.spawn("quick", async {});
        let left = tasks.wait(Duration::from_millis(50)).await;
        assert_eq!(left.into_iter().collect::<Vec<_>>(), [("stubborn", 1)]);
    }

    #[tokio::test]
    async fn a_task_that_listens_ends_at_stop() {
        let tasks = Tasks::new();
        let stopped = tasks.stopped();
        tasks.spawn("polite", async move { stopped.cancelled().await });
        tasks.stop();
        assert!(tasks.wait(Duration::from_secs(5)).await.is_empty());
    }

    #[tokio::test]
    async fn the_panic_of_a_vital_task_is_the_end_and_that_of_another_is_not() {
        let tasks = Tasks::new();
        tasks.spawn("a session", async { panic!("for the test") });
        assert!(tasks.wait(Duration::from_secs(5)).await.is_empty());
        assert!(!tasks.failed().is_cancelled());
        tasks.spawn_vital("shard", async { panic!("for the test") });
        tokio::time::timeout(Duration::from_secs(5), tasks.failed().cancelled()).await.expect("told");
        let tasks = Tasks::new();
        tasks.spawn_vital("shard", async {});
        assert!(tasks.wait(Duration::from_secs(5)).await.is_empty());
        assert!(!tasks.failed().is_cancelled());
    }
}

//! What an interrupted run leaves behind: one JSON line a finished case, so that `--resume` goes on after it.
//!
//! Cases are known by row, store and seed; a line of another seed of the whole is passed over.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::found::Found;
use super::row::Store;

/// One finished case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    /// Name of the row.
    pub(super) row: String,
    /// The store.
    pub(super) store: Store,
    /// The seed that it ran under.
    pub(super) seed: u64,
    /// Whether it was the short form.
    pub(super) quick: bool,
    /// How long it took.
    pub(super) took_ms: u64,
    /// What it found.
    pub(super) found: Found,
}

/// The file.
pub(super) struct State {
    path: PathBuf,
    done: Vec<Done>,
}

impl State {
    /// Opens the file; what it holds counts only with `resume`, and is begun anew without.
    pub(super) fn open(path: &Path, resume: bool) -> anyhow::Result<Self> {
        let path = path.to_owned();
        if !resume {
            std::fs::write(&path, "").with_context(|| format!("could not write {}", path.display()))?;
            return Ok(Self { path, done: Vec::new() });
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("nothing to resume in {}", path.display()))?;
        // The last line may be half a line: that case runs again.
        let done = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self { path, done })
    }

    /// The result of a case that ended before; one that failed runs again.
    pub(super) fn find(&self, row: &str, store: Store, seed: u64, quick: bool) -> Option<&Done> {
        let same = |done: &&Done| done.row == row && done.store == store && done.seed == seed && done.quick == quick;
        self.done.iter().filter(same).find(|done| done.found.holds())
    }

    /// Notes a finished case.
    pub(super) fn note(&self, done: &Done) -> anyhow::Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&self.path).context("could not open the state file")?;
        let line = serde_json::to_string(done).context("a result is no JSON")?;
        writeln!(file, "{line}").with_context(|| format!("could not write {}", self.path.display()))
    }

    /// Everything ended: nothing is left to resume.
    pub(super) fn close(self) {
        // A file that cannot be removed is overwritten by the next run.
        std::fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(seed: u64, lost: u64) -> Done {
        let found = Found { lost, ..Found::default() };
        Done { row: "kill".to_owned(), store: Store::Sqlite, seed, quick: true, took_ms: 1, found }
    }

    #[test]
    fn what_ended_well_is_found_again_and_what_failed_or_was_cut_short_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = State::open(&path, false).unwrap();
        state.note(&done(1, 0)).unwrap();
        state.note(&done(2, 5)).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"row\":\"ki");
        std::fs::write(&path, text).unwrap();
        let again = State::open(&path, true).unwrap();
        assert!(again.find("kill", Store::Sqlite, 1, true).is_some());
        assert!(again.find("kill", Store::Sqlite, 2, true).is_none(), "it failed: it runs again");
        assert!(again.find("kill", Store::Postgres, 1, true).is_none());
        assert!(again.find("kill", Store::Sqlite, 1, false).is_none(), "a quick run is no full one");
    }
}

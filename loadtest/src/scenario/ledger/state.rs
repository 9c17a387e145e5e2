//! What an interrupted run leaves behind: one JSON line a finished case, so that `--resume` goes on after it.
//!
//! Cases are known by row, store and seed, and by the builds that they ran with; a line of another seed of the whole, or of another build, is
//! passed over. A case that failed has ended too: it stands in the table, and only `--case` runs it again.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

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
    /// Which builds of hub and load tool: the beginning of a hash.
    pub(super) build: String,
    /// How long it took.
    pub(super) took_ms: u64,
    /// What it found.
    pub(super) found: Found,
}

/// The file.
pub(super) struct State {
    path: PathBuf,
    /// The builds of this run.
    pub(super) build: String,
    done: Vec<Done>,
}

/// The beginning of the SHA-256 of a hub's binary and of this one, in hexadecimal: results of different builds are not of one table.
fn build_of(hub_binary: &Path) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for binary in [hub_binary, &std::env::current_exe().context("where this binary is")?] {
        hash.update(std::fs::read(binary).with_context(|| format!("could not read {}", binary.display()))?);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

impl State {
    /// Opens the file; what it holds counts only with `resume`, and is begun anew without.
    pub(super) fn open(path: &Path, hub_binary: &Path, resume: bool) -> anyhow::Result<Self> {
        let (path, build) = (path.to_owned(), build_of(hub_binary)?);
        if !resume {
            std::fs::write(&path, "").with_context(|| format!("could not write {}", path.display()))?;
            return Ok(Self { path, build, done: Vec::new() });
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("nothing to resume in {}", path.display()))?;
        // The last line may be half a line: that case runs again.
        let done = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self { path, build, done })
    }

    /// The result of a case that ended before, well or not.
    pub(super) fn find(&self, row: &str, store: Store, seed: u64, quick: bool) -> Option<&Done> {
        let same =
            |done: &&Done| done.row == row && done.store == store && done.seed == seed && done.quick == quick && done.build == self.build;
        self.done.iter().find(same)
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

    fn done(build: &str, seed: u64, lost: u64) -> Done {
        let found = Found { lost, ..Found::default() };
        Done { row: "kill".to_owned(), store: Store::Sqlite, seed, quick: true, build: build.to_owned(), took_ms: 1, found }
    }

    #[test]
    fn what_ended_is_found_again_well_or_not_and_what_was_cut_short_or_of_another_hub_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (path, hub) = (folder.path().join("state"), folder.path().join("hub"));
        std::fs::write(&hub, "one build").unwrap();
        let state = State::open(&path, &hub, false).unwrap();
        state.note(&done(&state.build, 1, 0)).unwrap();
        state.note(&done(&state.build, 2, 5)).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"row\":\"ki");
        std::fs::write(&path, text).unwrap();
        let again = State::open(&path, &hub, true).unwrap();
        assert!(again.find("kill", Store::Sqlite, 1, true).is_some());
        assert!(again.find("kill", Store::Sqlite, 2, true).is_some_and(|done| !done.found.holds()), "a failure stays one");
        assert!(again.find("kill", Store::Postgres, 1, true).is_none());
        assert!(again.find("kill", Store::Sqlite, 1, false).is_none(), "a quick run is no full one");
        std::fs::write(&hub, "another build").unwrap();
        assert!(State::open(&path, &hub, true).unwrap().find("kill", Store::Sqlite, 1, true).is_none());
    }
}

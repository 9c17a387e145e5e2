//! A small disk of our own: a tmpfs that is filled to its last byte and emptied again. Needs root.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::process::Command;

/// Written at once while the disk is filled.
const CHUNK_BYTES: usize = 64 * 1024;

/// A mounted tmpfs; unmounted when dropped.
pub(super) struct SmallDisk {
    // Dropped after the mount is gone.
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one. What keeps it from being mounted is the error, in words for the table.
    pub(super) async fn mount(mebibytes: u32) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadtest-disk-").tempdir().context("no temporary folder")?;
        let size = format!("size={mebibytes}m,mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).stderr(Stdio::null()).status();
        ensure!(mounted.await.is_ok_and(|status| status.success()), "a small disk cannot be mounted here (not root)");
        Ok(Self { folder })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Fills it to the last byte.
    pub(super) async fn fill(&self) -> anyhow::Result<()> {
        let path = self.ballast();
        let fill = move || {
            use std::io::Write as _;
            let mut file = std::fs::File::create(path)?;
            let mut bytes = CHUNK_BYTES;
            while bytes > 0 {
                // Smaller and smaller, until not one byte more goes on it.
                if file.write_all(&vec![0; bytes]).is_err() {
                    bytes /= 2;
                }
            }
            Ok::<(), std::io::Error>(())
        };
        tokio::task::spawn_blocking(fill).await?.context("could not fill the small disk")
    }

    /// Makes room again.
    pub(super) fn empty(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.ballast()).context("could not empty the small disk")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is still ending keeps its files until it has. Nothing to do about a failure here.
        std::process::Command::new("umount").arg("-l").arg(self.folder.path()).stderr(Stdio::null()).status().ok();
    }
}

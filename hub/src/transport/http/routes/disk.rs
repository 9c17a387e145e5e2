//! How full the disk is that the embedded store is on.
//!
//! Asks `df` (POSIX), because the standard library cannot and `unsafe` is forbidden. Not oftener than every ten seconds.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An answer is good for this long.
const LIFE: Duration = Duration::from_secs(10);
/// `df` on a dead network mount may hang.
const DF_TIME: Duration = Duration::from_secs(2);

static LAST: Mutex<Option<(Instant, Option<f64>)>> = Mutex::new(None);

/// Used part of the disk, 0 to 1; nothing where it cannot be had.
pub(super) async fn used_part(folder: &Path) -> Option<f64> {
    let last = *LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, used)) = last
        && at.elapsed() < LIFE
    {
        return used;
    }
    let used = ask(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }).await;
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), used));
    used
}

/// What was answered last, for a scrape, which must not wait.
pub(crate) fn last_used_part() -> Option<f64> {
    (*LAST.lock().unwrap_or_else(PoisonError::into_inner)).and_then(|(_, used)| used)
}

async fn ask(folder: &Path) -> Option<f64> {
    let mut command = tokio::process::Command::new("df");
    command.arg("-P").arg("-k").arg(folder).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DF_TIME, command.output()).await.ok()?.ok()?;
    read(&String::from_utf8_lossy(&output.stdout))
}

/// The fifth column of the second line is the used part in whole percent, of what may be used.
fn read(text: &str) -> Option<f64> {
    let percent = text.lines().nth(1)?.split_whitespace().nth(4)?.strip_suffix('%')?;
    percent.parse::<f64>().ok().map(|percent| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_used_part_is_read_from_posix_output() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\noverlay 1000 850 150 85% /\n";
        assert_eq!(read(text), Some(0.85));
        assert_eq!(read(""), None);
        assert_eq!(read("Filesystem\noverlay 1000 - - - /"), None);
    }

    #[tokio::test]
    async fn this_machines_disk_can_be_asked() {
        let used = ask(Path::new("/")).await.expect("df is POSIX");
        assert!((0.0..=1.0).contains(&used), "{used}");
    }
}

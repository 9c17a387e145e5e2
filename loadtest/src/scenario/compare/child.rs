//! The two servers beside the hub, each a child process that says where it listens and ends with its standard input.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::bench::progress;

const LISTENS_WITHIN: Duration = Duration::from_secs(20);
const INSTALLS_WITHIN: Duration = Duration::from_secs(120);
/// The Socket.IO server: what is installed, and from which bytes.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../../socketio/package.json")),
    ("package-lock.json", include_str!("../../../socketio/package-lock.json")),
    ("server.js", include_str!("../../../socketio/server.js")),
];

/// A server that listens.
pub(super) struct Server {
    child: Child,
    input: ChildStdin,
    port: u16,
}

impl Server {
    /// `loadtest limit`.
    pub(super) async fn limit() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("where this binary is")?;
        Self::start(Command::new(own).arg("limit")).await
    }

    /// Socket.IO in a folder where it is installed.
    pub(super) async fn socketio(folder: &Path, token: &str) -> anyhow::Result<Self> {
        Self::start(Command::new("node").arg("server.js").arg(token).current_dir(folder)).await
    }

    async fn start(command: &mut Command) -> anyhow::Result<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = spawned.with_context(|| format!("could not start {:?}", command.as_std().get_program()))?;
        let (input, output) = (child.stdin.take().context("no input")?, child.stdout.take().context("no output")?);
        let mut lines = BufReader::new(output).lines();
        let line = timeout(LISTENS_WITHIN, lines.next_line()).await.context("a server does not listen in time")??;
        let port = line.as_deref().and_then(|line| line.strip_prefix("listening ")).and_then(|port| port.parse().ok());
        Ok(Self { child, input, port: port.with_context(|| format!("a server says `{line:?}` instead of where it listens"))? })
    }

    /// `ws://127.0.0.1:PORT`.
    pub(super) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub(super) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("a server ended")
    }

    /// One line to its standard input.
    pub(super) async fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes()).await.context("a server does not listen to its input")
    }
}

/// Installs the pinned Socket.IO into `folder`, unless it is there already.
pub(super) async fn install(folder: &Path) -> anyhow::Result<PathBuf> {
    let marker = folder.join("node_modules/.package-lock.json");
    let same = |(name, text): &(&str, &str)| std::fs::read_to_string(folder.join(name)).is_ok_and(|found| found == *text);
    if !(marker.is_file() && FILES.iter().all(same)) {
        progress("installing Socket.IO (npm ci)");
        std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text).with_context(|| format!("could not write {name}"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]).current_dir(folder).stdin(Stdio::null());
        npm.stdout(Stdio::null()).kill_on_drop(true);
        let status = timeout(INSTALLS_WITHIN, npm.status()).await.context("npm ci takes too long")?.context("could not run npm")?;
        ensure!(status.success(), "npm ci in {} ended with {status}", folder.display());
    }
    folder.canonicalize().context("the folder of Socket.IO is gone")
}

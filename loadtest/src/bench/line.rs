//! The way to a hub that another one takes over from: one address that stays while processes change behind it.
//!
//! Two ways. *Shared*: this process is the supervisor, keeps the listening socket and hands it to each hub (`LISTEN_FDS`), as systemd does; a hub says on a socket
//! when it is ready. *Front*: this process is the load balancer; each hub has a port of its own, and new connections go to the newest. The second
//! is for hubs of a release that cannot be handed a socket.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::postgres::free_port;

/// A hub that is not ready by then will not be.
const READY: Duration = Duration::from_secs(30);
/// Pause between two knocks.
const KNOCK: Duration = Duration::from_millis(5);
/// An answer that takes longer than this is none.
const ANSWER: Duration = Duration::from_secs(5);

/// How processes come to the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// They are handed the socket.
    Shared,
    /// They are behind a front.
    Front,
}

/// One address.
pub struct Line {
    port: u16,
    way: Way,
    tasks: JoinSet<()>,
    counts: Arc<Knocks>,
}

enum Way {
    Shared { listener: TcpListener, told: UnixDatagram, socket: PathBuf },
    Front { newest: Arc<AtomicU16>, next: u16 },
}

/// What came of knocking.
#[derive(Debug, Default)]
struct Knocks {
    refused: AtomicUsize,
    served: AtomicUsize,
}

impl Line {
    /// Opens the address.
    ///
    /// # Errors
    /// Where there is no port or no socket.
    pub fn open(kind: LineKind, folder: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let port = listener.local_addr()?.port();
        let mut tasks = JoinSet::new();
        let way = match kind {
            LineKind::Shared => {
                let socket = folder.join("notify");
                let told = UnixDatagram::bind(&socket).context("no socket to be told on")?;
                Way::Shared { listener, told, socket }
            }
            LineKind::Front => {
                listener.set_nonblocking(true)?;
                let newest = Arc::new(AtomicU16::new(0));
                tasks.spawn(front(tokio::net::TcpListener::from_std(listener)?, newest.clone()));
                Way::Front { newest, next: free_port()? }
            }
        };
        Ok(Self { port, way, tasks, counts: Arc::default() })
    }

    /// The port that stays.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Readies the command of the next hub.
    ///
    /// # Errors
    /// Where the socket cannot be handed over, or there is no port.
    pub fn prepare(&mut self, command: &mut Command) -> anyhow::Result<()> {
        match &mut self.way {
            Way::Shared { listener, socket, .. } => {
                // The first hub made it inheritable for all that follow.
                rustix::io::fcntl_setfd(&*listener, rustix::io::FdFlags::empty()).context("the socket cannot be handed over")?;
                let first = listener.as_raw_fd().to_string();
                command.env("LISTEN_FDS", "1").env("LISTEN_FDS_FIRST_FD", first).env("NOTIFY_SOCKET", socket);
            }
            Way::Front { next, .. } => {
                *next = free_port()?;
                command.arg("--set").arg(format!("listen.address=127.0.0.1:{next}"));
            }
        }
        Ok(())
    }

    /// Waits until the hub that was started last is ready; new connections reach it from now on.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub async fn ready(&self) -> anyhow::Result<()> {
        match &self.way {
            Way::Shared { told, .. } => {
                let mut said = [0; 256];
                let until_ready = async {
                    loop {
                        let bytes = told.recv(&mut said).await?;
                        if said[..bytes].windows(7).any(|word| word == b"READY=1") {
                            return std::io::Result::Ok(());
                        }
                    }
                };
                timeout(READY, until_ready).await.context("the hub did not say that it is ready")??;
            }
            Way::Front { newest, next } => {
                let until_ready = async {
                    while ask(*next, "/ready").await.is_none_or(|answer| !answer.starts_with("HTTP/1.1 200")) {
                        tokio::time::sleep(KNOCK).await;
                    }
                };
                timeout(READY, until_ready).await.context("the hub is not ready")?;
                newest.store(*next, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Connects and asks again and again from now on.
    pub fn knock(&mut self) {
        let (port, counts) = (self.port, self.counts.clone());
        self.tasks.spawn(async move {
            loop {
                let served = ask(port, "/health").await.is_some_and(|answer| answer.starts_with("HTTP/1.1 200"));
                let count = if served { &counts.served } else { &counts.refused };
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(KNOCK).await;
            }
        });
    }

    /// How many knocks were refused, and how many served.
    #[must_use]
    pub fn knocks(&self) -> (usize, usize) {
        (self.counts.refused.load(Ordering::Relaxed), self.counts.served.load(Ordering::Relaxed))
    }
}

/// One question on a connection of its own; none where it was refused, or not answered.
async fn ask(port: u16, path: &str) -> Option<String> {
    let asking = async {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: loadtest\r\nconnection: close\r\n\r\n").as_bytes()).await.ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    };
    timeout(ANSWER, asking).await.ok().flatten()
}

/// Carries each connection to the newest hub there is when it comes.
async fn front(listener: tokio::net::TcpListener, newest: Arc<AtomicU16>) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                let port = newest.load(Ordering::Acquire);
                carried.spawn(carry(client, SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
            }
            Some(_over) = carried.join_next() => (),
        }
    }
}

async fn carry(mut client: TcpStream, hub: SocketAddr) {
    let Ok(mut upstream) = TcpStream::connect(hub).await else { return };
    // Either end may go at any time; the other then hears it.
    drop((client.set_nodelay(true), upstream.set_nodelay(true)));
    drop(tokio::io::copy_bidirectional(&mut client, &mut upstream).await);
}

/// Tells a process to end (SIGTERM), and waits until it did, well, within so long.
///
/// # Errors
/// Where it cannot be told, is late, or ends with another status than 0.
pub(super) async fn terminate(mut child: tokio::process::Child, within: Duration) -> anyhow::Result<Duration> {
    let pid = child.id().context("the old hub is gone already")?;
    let began = tokio::time::Instant::now();
    let told = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await.context("no `kill`")?;
    ensure!(told.success(), "the old hub could not be told to end");
    let status = timeout(within, child.wait()).await.context("the old hub did not end in time")??;
    ensure!(status.success(), "the old hub ended with {status}: something was left");
    Ok(began.elapsed())
}

//! A link that can go wrong: a TCP proxy in this process between a gateway and the hub.
//!
//! In: connections. Out: the same bytes to the hub and back, until the link is told to be silent: then nothing passes in either direction and nobody
//! is told, as when a cable is pulled (no FIN, no RST); or to be cut: then every connection is reset. What came while it was silent passes
//! afterwards, if both ends still stand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    silent: bool,
    cuts: u64,
}

/// A proxy in front of one address. Ends when dropped.
pub struct Link {
    address: SocketAddr,
    state: watch::Sender<State>,
    connections: Arc<AtomicU64>,
    #[expect(dead_code, reason = "dropping it ends the proxy")]
    tasks: JoinSet<()>,
}

impl Link {
    /// A link to `host:port`.
    ///
    /// # Errors
    /// Where there is no free port.
    pub async fn start(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port for a link")?;
        let address = listener.local_addr()?;
        let state = watch::Sender::new(State { silent: false, cuts: 0 });
        let (connections, mut tasks) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        tasks.spawn(accept(listener, target.to_owned(), state.subscribe(), connections.clone()));
        Ok(Self { address, state, connections, tasks })
    }

    /// A URL of the hub, through this link.
    #[must_use]
    pub fn through(&self, url: &str) -> String {
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        format!("ws://{}/{path}", self.address)
    }

    /// Nothing passes from now on, or everything again.
    pub fn set_silent(&self, silent: bool) {
        self.state.send_modify(|state| state.silent = silent);
    }

    /// Resets every connection.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, target: String, state: watch::Receiver<State>, connections: Arc<AtomicU64>) {
    let mut passing = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::Relaxed);
        passing.spawn(pass(near, target.clone(), state.clone()));
        while passing.try_join_next().is_some() {}
    }
}

/// Whatever ends it, both ends are reset: no FIN is ever sent.
async fn pass(mut near: TcpStream, target: String, state: watch::Receiver<State>) {
    let cuts = state.borrow().cuts;
    let mut watched = state.clone();
    let through = async {
        // Where the socket is gone already there is nothing to reset.
        drop(near.set_zero_linger());
        open(&mut state.clone()).await;
        let Ok(mut far) = TcpStream::connect(&target).await else { return };
        drop(far.set_zero_linger());
        let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
        tokio::select! {
            () = copy(near_in, far_out, state.clone()) => (),
            () = copy(far_in, near_out, state.clone()) => (),
        }
    };
    tokio::select! {
        () = through => (),
        _ = watched.wait_for(|now| now.cuts > cuts) => (),
    }
}

/// Waits until the link carries something.
async fn open(state: &mut watch::Receiver<State>) {
    // Whoever holds the other end is gone: the task ends with it.
    drop(state.wait_for(|now| !now.silent).await);
}

/// Copies until an end is gone; what was read while the link fell silent waits.
async fn copy(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut state: watch::Receiver<State>) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        open(&mut state).await;
        let read = from.read(&mut chunk).await.unwrap_or(0);
        // The end of a connection is no more told than anything else.
        open(&mut state).await;
        if read == 0 || to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

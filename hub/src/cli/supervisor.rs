//! What a supervisor such as systemd hands to the hub and hears of it: the listening socket, and words about readiness.
//!
//! In: `LISTEN_FDS` and `NOTIFY_SOCKET` of the environment, which only a supervisor sets (sd_listen_fds(3), sd_notify(3)). Out: the one listener, and
//! `READY=1` and `STOPPING=1`. Without a supervisor nothing happens. A socket that outlives the process is why no connect is refused while one
//! hub takes over from another (docs/decisions/005).

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, bail};
use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The listener that was handed over, if one was.
pub(crate) fn listener() -> anyhow::Result<Option<TcpListener>> {
    let mut handed = ListenFd::from_env();
    match handed.len() {
        0 => Ok(None),
        1 => handed.take_tcp_listener(0).context("the socket that was handed over (LISTEN_FDS) is no TCP listener"),
        more => bail!("{more} sockets were handed over (LISTEN_FDS): the hub listens on one"),
    }
}

/// The node listens.
pub(crate) fn tell_ready(address: SocketAddr) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("listens on {address}"))]);
}

/// The drain began.
pub(crate) fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("sessions are told to move")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "the supervisor could not be told");
    }
}

//! The end of a node: nothing is cut that can be finished, and everything is over by a deadline.
//!
//! In: the word to stop. Out: how many sessions and rows were left. Order: no new sessions; `move` to every session at a paced rate, idle ones first and
//! whoever trains last; close what stays; let the shards carry out what waits; flush the Recorder. Idle phones go within the first part of the
//! grace, sets in progress get nearly all of it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use protocol::CloseReason;
use protocol::frame::Move;
use room::Lane;
use tokio::time::{Instant, sleep, sleep_until};

use crate::hub::Hub;
use crate::session::Peer;

/// Sessions are looked at this often while they leave.
const LOOK: Duration = Duration::from_millis(50);
/// Moves go out in batches of this length in time, so that a rate of thousands a second needs no timer each.
const BATCH: Duration = Duration::from_millis(20);
/// Part of the grace in which sessions leave by themselves; the rest is for goodbyes and for the store.
const LEAVING: f64 = 0.6;

/// What was left when the deadline came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Sessions that were closed rather than left.
    pub closed: usize,
}

/// Empties the node of sessions. Returns when the last is gone or the leaving time is over and the rest was closed.
pub async fn drain_sessions(hub: &Hub, grace: Duration) -> Left {
    hub.draining.store(true, Relaxed);
    let deadline = Instant::now() + grace.mul_f64(LEAVING);
    let mono_ms = crate::clock::mono_ms();
    let (idle, busy): (Vec<Arc<Peer>>, Vec<Arc<Peer>>) = hub.directory.all().into_iter().partition(|peer| !peer.is_busy(mono_ms));
    tracing::info!(sessions.idle = idle.len(), sessions.busy = busy.len(), "draining: sessions are told to move");
    let rate = hub.config.drain.sessions_per_s;
    tell_to_move(&idle, rate, deadline).await;
    tell_to_move(&busy, rate, deadline).await;
    while !hub.directory.is_empty() && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    let left = hub.directory.all();
    for peer in &left {
        peer.close(CloseReason::Drain);
    }
    Left { closed: left.len() }
}

/// Tells sessions at a rate; whoever is told close to the deadline is told to hurry.
async fn tell_to_move(peers: &[Arc<Peer>], sessions_per_s: u32, deadline: Instant) {
    let batch = (f64::from(sessions_per_s) * BATCH.as_secs_f64()).ceil().max(1.0) as usize;
    for told in peers.chunks(batch) {
        for peer in told {
            // A client that was told spreads itself over the next second.
            peer.send_now(Lane::Event, &Move { after_ms: u32::from(peer.session.0.as_bytes()[15]) * 4 }.into());
        }
        let next = Instant::now() + BATCH;
        if next >= deadline {
            continue;
        }
        sleep_until(next).await;
    }
}

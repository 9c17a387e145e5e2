//! The end of a node: nothing is cut that can be finished, and everything is over by a deadline.
//!
//! In: the word to stop. Out: how many sessions had to be closed. Order: `move` to every session at a paced rate, whoever is idle first, then whoever rests,
//! whoever is in a set last, as the rooms say at that moment; close what stays; then `node.rs` lets the shards carry out what waits and flushes the
//! Recorder. A connection that was accepted before is served like any other and told to move at once: nobody is refused for coming late.
//! Machines in use go with the sets, first among them, so that whoever trains finds the machine there when the phone comes back.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use protocol::frame::{Move, Role};
use protocol::{CloseReason, MachineId, MemberId};
use room::{Activity, Lane, Who};
use tokio::time::{Instant, sleep, sleep_until};

use crate::hub::Hub;
use crate::session::Peer;
use crate::shard::{Activities, survey};

/// Sessions are looked at this often while they leave.
const LOOK: Duration = Duration::from_millis(50);
/// Moves go out in batches of this length in time, so that a rate of thousands a second needs no timer each.
const BATCH: Duration = Duration::from_millis(20);
/// Part of the grace in which sessions leave by themselves; the rest is for goodbyes and for the store.
const LEAVING: f64 = 0.6;
/// Part of the leaving time in which everybody is told: the last ones told still have the rest of it.
const TELLING: f64 = 0.5;
/// Shards have this long to say who trains.
const SURVEY_WITHIN: Duration = Duration::from_millis(500);
/// A client that was told spreads itself over this time.
const SPREAD_MS: u32 = 1_020;

/// What was left when the deadline came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Sessions that were closed rather than left.
    pub closed: usize,
}

/// Empties the node of sessions. Returns when the last is gone or the leaving time is over and the rest was closed.
pub async fn drain_sessions(hub: &Hub, grace: Duration) -> Left {
    hub.draining.store(true, Relaxed);
    let began = Instant::now();
    let (deadline, told_by) = (began + grace.mul_f64(LEAVING), began + grace.mul_f64(LEAVING * TELLING));
    let mut told = HashSet::new();
    let sessions = hub.directory.all().len();
    for activity in [Activity::Idle, Activity::Resting, Activity::InSet] {
        // Asked anew for each: who rested a while ago may be in a set now.
        let activities = survey(&hub.shards, SURVEY_WITHIN).await;
        let peers = untold(hub, &activities, &told, activity);
        tracing::info!(sessions = peers.len(), sessions.all = sessions, ?activity, "draining: sessions are told to move");
        let rate = rate(hub.config.drain.sessions_per_s, sessions - told.len().min(sessions), told_by);
        for batch in peers.chunks(batch_of(rate)) {
            batch.iter().for_each(|peer| tell_to_move(peer, &mut told));
            sleep_until((Instant::now() + Duration::from_secs_f64(batch.len() as f64 / rate)).min(deadline)).await;
        }
    }
    while !hub.directory.is_empty() && Instant::now() < deadline {
        // Whoever came while others were told: a handshake that had begun, a phone that did not know.
        let late: Vec<_> = hub.directory.all().into_iter().filter(|peer| !told.contains(&peer.session)).collect();
        late.iter().for_each(|peer| tell_to_move(peer, &mut told));
        sleep(LOOK).await;
    }
    let left = hub.directory.all();
    left.iter().for_each(|peer| peer.close(CloseReason::Drain));
    Left { closed: left.len() }
}

/// Sessions that were not told and may be disturbed by now; machines before people, so that people find them there.
fn untold(hub: &Hub, activities: &Activities, told: &HashSet<protocol::SessionId>, at_most: Activity) -> Vec<Arc<Peer>> {
    let busy_gateways = busy_gateways(hub, activities, at_most);
    let may = |peer: &Arc<Peer>| {
        let viewer = &peer.viewer;
        let of = |who| activities.get(&(viewer.tenant, who)).copied().unwrap_or_default();
        !told.contains(&peer.session)
            && match viewer.role {
                Role::Gateway => !busy_gateways.contains(&viewer.subject),
                Role::Machine => of(Who::Machine(MachineId(viewer.subject))) <= at_most,
                Role::Member => of(Who::Member(MemberId(viewer.subject))) <= at_most,
                Role::Coach | Role::TeamManager | Role::Operator | Role::Display | Role::Service => true,
            }
    };
    let mut peers: Vec<_> = hub.directory.all().into_iter().filter(may).collect();
    peers.sort_by_key(|peer| !matches!(peer.viewer.role, Role::Gateway | Role::Machine));
    peers
}

/// Gateways with a machine on which somebody does more than this.
fn busy_gateways(hub: &Hub, activities: &Activities, at_most: Activity) -> HashSet<uuid::Uuid> {
    let busy = activities.iter().filter(|(_, activity)| **activity > at_most);
    let machines = busy.filter_map(|((_, who), _)| if let Who::Machine(machine) = who { Some(*machine) } else { None });
    machines.filter_map(|machine| hub.gateway_of(machine)).map(|gateway| gateway.0).collect()
}

/// The operator's pace, or faster where that would not reach everybody in time.
fn rate(sessions_per_s: u32, sessions: usize, told_by: Instant) -> f64 {
    let left_s = told_by.saturating_duration_since(Instant::now()).max(BATCH).as_secs_f64();
    f64::from(sessions_per_s).max(sessions as f64 / left_s)
}

/// Sessions told in one batch.
fn batch_of(rate: f64) -> usize {
    (rate * BATCH.as_secs_f64()).ceil().max(1.0) as usize
}

fn tell_to_move(peer: &Peer, told: &mut HashSet<protocol::SessionId>) {
    told.insert(peer.session);
    let after_ms = u32::from(peer.session.0.as_bytes()[15]) * SPREAD_MS / u32::from(u8::MAX);
    peer.send_now(Lane::Event, &Move { after_ms }.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_the_operators_unless_it_would_come_too_late() {
        let in_nine_seconds = Instant::now() + Duration::from_secs(9);
        assert!((rate(1000, 500, in_nine_seconds) - 1000.0).abs() < f64::EPSILON);
        let hurried = rate(1000, 60_000, in_nine_seconds);
        assert!((6_660.0..6_800.0).contains(&hurried), "{hurried}");
        assert_eq!((batch_of(1000.0), batch_of(10.0)), (20, 1));
    }
}

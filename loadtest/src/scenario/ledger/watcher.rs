//! Someone who looks at the floor through every break, with a record of its own: what was seen, what it was told of holes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol::frame::Role;
use protocol::{RoomName, ServerFrame};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bench::{Bench, World};
use crate::peer::{Options, Peer};

const COME_BACK: Duration = Duration::from_millis(250);

/// What a watcher noted.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    /// Ticks of the floor.
    pub(super) ticks: u64,
    /// Connections made.
    pub(super) connects: u64,
    /// Times that it was told that a room's memory is another one.
    pub(super) resets: u64,
    /// Holes that it was not told of.
    pub(super) gaps: u64,
}

/// Options of an operator who watches the floor of a world.
pub(super) fn operator(bench: &Bench, world: &World, number: usize) -> Options {
    let token = world.token(bench, Role::Operator, Uuid::now_v7());
    Options::new(token).device(format!("ledger-floor-{number}")).room(RoomName::Floor(world.gym))
}

/// Watches until told to end.
pub(super) async fn watch(url: String, options: Options, on: Arc<AtomicUsize>, end: CancellationToken) -> Watched {
    let (mut watched, mut again) = (Watched::default(), options);
    while !end.is_cancelled() {
        match Peer::connect(&url, again.clone()).await {
            Ok(mut peer) => {
                watched.connects += 1;
                on.fetch_add(1, Ordering::Relaxed);
                listen(&mut peer, &mut watched, &end).await;
                on.fetch_sub(1, Ordering::Relaxed);
                watched.gaps += peer.rooms().gaps();
                watched.resets += peer.rooms().resets();
                again = peer.resume().rooms_of(&again);
            }
            Err(_not_yet) => tokio::time::sleep(COME_BACK).await,
        }
    }
    watched
}

async fn listen(peer: &mut Peer, watched: &mut Watched, end: &CancellationToken) {
    loop {
        let heard = tokio::select! {
            () = end.cancelled() => return,
            heard = peer.next_until(Instant::now() + Duration::from_secs(1)) => heard,
        };
        match heard {
            Ok(Some(ServerFrame::FloorTick(_))) => watched.ticks += 1,
            Ok(Some(ServerFrame::Joined(joined))) => watched.resets += u64::from(!joined.recovered && watched.connects > 1),
            Ok(_) => (),
            Err(_gone) => return,
        }
    }
}

//! Someone who looks at the floor through every break, with a record of its own: what was seen, what it was told of holes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol::frame::Role;
use protocol::{RoomName, ServerFrame};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bench::{Bench, World};
use crate::peer::{Options, Peer};
use crate::scenario::replay::phone::offline;

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
    /// Rooms asked for from a place on, and answered.
    pub(super) answered: u64,
    /// Rooms that went on from where they were left.
    pub(super) resumed: u64,
    /// Events that came late because of it.
    pub(super) recovered: u64,
    /// Holes that it was not told of.
    pub(super) gaps: u64,
}

/// Options of an operator who watches the floor of a world.
pub(super) fn operator(bench: &Bench, world: &World, number: usize) -> Options {
    let token = world.token(bench, Role::Operator, Uuid::now_v7());
    Options::new(token).device(format!("ledger-floor-{number}")).room(RoomName::Floor(world.gym))
}

/// Watches until told to end.
pub(super) async fn watch(
    url: String,
    options: Options,
    on: Arc<AtomicUsize>,
    mut online: watch::Receiver<bool>,
    end: CancellationToken,
) -> Watched {
    let (mut watched, mut again) = (Watched::default(), options);
    while !end.is_cancelled() {
        // A floor that is gone keeps nobody away.
        drop(online.wait_for(|online| *online).await);
        match Peer::connect(&url, again.clone()).await {
            Ok(mut peer) => {
                watched.connects += 1;
                on.fetch_add(1, Ordering::Relaxed);
                let cut = listen(&mut peer, &mut watched, &mut online, &end).await;
                on.fetch_sub(1, Ordering::Relaxed);
                watched.gaps += peer.rooms().gaps();
                watched.resets += peer.rooms().resets();
                watched.answered += peer.rooms().answered();
                watched.resumed += peer.rooms().resumed();
                watched.recovered += peer.rooms().recovered();
                again = peer.resume().rooms_of(&again);
                if cut {
                    peer.cut();
                }
            }
            Err(_not_yet) => tokio::time::sleep(COME_BACK).await,
        }
    }
    watched
}

/// Listens until the connection ends; answers true where it is to be reset.
async fn listen(peer: &mut Peer, watched: &mut Watched, online: &mut watch::Receiver<bool>, end: &CancellationToken) -> bool {
    loop {
        let heard = tokio::select! {
            () = end.cancelled() => return false,
            () = offline(online) => return true,
            heard = peer.next_until(Instant::now() + Duration::from_secs(1)) => heard,
        };
        match heard {
            Ok(Some(ServerFrame::FloorTick(_))) => watched.ticks += 1,
            Ok(Some(ServerFrame::Joined(joined))) => watched.resets += u64::from(!joined.recovered && watched.connects > 1),
            Ok(_) => (),
            Err(_gone) => return false,
        }
    }
}

//! Erasures that were cut: by a crash, by a database that went away, by a caller who did not wait.
//!
//! In: the store's list of requests that are not finished, at the start and once a minute. Out: the same list, empty. A request that is younger than a minute
//! is left to whoever took it, but at the start: it was this hub's predecessor. Several nodes may finish the same one. Takes rows out of the files afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use room::Input;
use storage::{Erasure, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::hub::Hub;

/// Between two looks, and how old a request is that its taker has left.
const PAUSE: Duration = Duration::from_secs(60);

/// Finishes what was cut, until told to stop. A step that is dropped half-way is done again.
pub(crate) async fn finish(hub: Arc<Hub>, stop: CancellationToken) {
    let mut age_ms = 0;
    loop {
        let look = async {
            if let Err(error) = look(&hub, crate::clock::at_ms() - age_ms).await {
                tracing::warn!(error = %crate::chain(&error), "an erasure could not be finished; it is tried again");
            }
            tokio::time::sleep(PAUSE).await;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = look => (),
        }
        age_ms = i64::try_from(PAUSE.as_millis()).unwrap_or(i64::MAX);
    }
}

async fn look(hub: &Hub, before_at_ms: i64) -> Result<(), StoreError> {
    let cut = hub.store.unfinished_erasures(before_at_ms).await?;
    for erasure in &cut {
        finish_one(hub, *erasure).await?;
    }
    if !cut.is_empty() {
        scrub(&hub.store).await;
    }
    Ok(())
}

async fn finish_one(hub: &Hub, erasure: Erasure) -> Result<(), StoreError> {
    // Rooms of this start may have been seeded with what is not erased yet.
    for (gym, place) in hub.registry.gyms() {
        if place.tenant == erasure.tenant {
            hub.to_gym(gym, Input::MemberErased { member: erasure.member });
        }
    }
    let mut gone = BTreeMap::new();
    hub.store.finish_erasure(erasure, &mut gone).await?;
    hub.registry.forget_member(erasure.tenant, erasure.member);
    tracing::info!(rows = gone.values().sum::<u64>(), "an erasure that was cut is finished");
    Ok(())
}

/// Takes what was deleted out of the files. May take hours: whoever ends meanwhile drops it, and what it did not reach stays for the next erasure's.
pub(crate) async fn scrub(store: &Store) {
    match store.scrub().await {
        Ok(large) if large.is_empty() => tracing::info!("a member was erased, and the files were scrubbed"),
        Ok(large) => {
            tracing::warn!(tables = ?large, "a member was erased; these tables are large: run `vacuum full` on them at a quiet hour");
        }
        Err(error) => {
            tracing::warn!(error = %crate::chain(&error), "a member was erased; the files could not be scrubbed: erase again to try again");
        }
    }
}

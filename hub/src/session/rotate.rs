//! A device's next key.
//!
//! In: `rotate_key` of a session that a device's key opened. Out: the key stored and known, the old one good for the overlap, `key_rotated`. Signed twice:
//! by the key of this session, so that nobody else names the next one, and by the new key, so that the device really has it. Storing is a task of its own: what
//! the store has is known here too, also where the session heard nothing in time. A device has one rotation at once, and one a minute.

use std::sync::Arc;

use protocol::device::{self, KEY_BYTES};
use protocol::frame::{KeyRotated, RotateKey};
use protocol::{CloseReason, ErrorCode};
use room::Lane;
use storage::{DeviceRecord, StoreError};
use tokio::sync::oneshot;

use super::peer::Peer;
use crate::auth::devices::{Rotating, signed_by};
use crate::hub::Hub;

/// Carries out a rotation, or says why not.
pub(super) async fn rotate(hub: &Arc<Hub>, peer: &Peer, rotate: &RotateKey) -> Result<(), ErrorCode> {
    let at_ms = crate::clock::at_ms();
    // Sessions by token or certificate have no key to go on from.
    let proved = peer.proved.as_ref().ok_or(ErrorCode::Forbidden)?;
    let old = proved.key.ok_or(ErrorCode::Forbidden)?;
    let record = hub.devices.still(proved, at_ms).map_err(|refused| refused.code())?;
    let new = rotate.key.0.as_slice().try_into().map_err(|_| ErrorCode::ProofWrong)?;
    let message = device::rotation(hub.devices.hub(), record.tenant, record.device, peer.session, &new);
    if !signed_by(&old, &message, &rotate.signature.0) || !signed_by(&new, &message, &rotate.proof.0) {
        return Err(ErrorCode::ProofWrong);
    }
    let rotating = hub.devices.begin_rotation(record.device, at_ms).ok_or(ErrorCode::TooFast)?;
    let overlap_ms = i64::try_from(hub.config.auth.device_key_overlap.as_millis()).unwrap_or(i64::MAX);
    let until_at_ms = at_ms.saturating_add(overlap_ms);
    let next = Next { record, old, new, until_at_ms, at_ms };
    let (tell, told) = oneshot::channel();
    let of_task = Arc::clone(hub);
    hub.tasks.spawn("rotate a key", async move {
        // Nobody listens where the session gave up: the key is stored and known all the same.
        drop(tell.send(store(&of_task, next, rotating).await));
    });
    let record = told.await.map_err(|_| ErrorCode::Unavailable)?.map_err(|error| match error {
        StoreError::Conflict { .. } => ErrorCode::KeyTaken,
        StoreError::NotFound { .. } => ErrorCode::DeviceRevoked,
        error => {
            tracing::warn!(error = %crate::chain(&error), "a device's next key could not be stored");
            ErrorCode::Unavailable
        }
    })?;
    let old_until_at_ms = record.keys.iter().find(|key| key.key == old).and_then(|key| key.until_at_ms).unwrap_or(until_at_ms);
    if record.revoked_at_ms.is_some() {
        peer.close(CloseReason::DeviceRevoked);
    }
    peer.send_now(Lane::Event, &KeyRotated { req: rotate.req, old_until_at_ms }.into());
    Ok(())
}

/// A rotation that was proved.
struct Next {
    record: Arc<DeviceRecord>,
    old: [u8; KEY_BYTES],
    new: [u8; KEY_BYTES],
    until_at_ms: i64,
    at_ms: i64,
}

/// Stores a key, then knows it. A commit without an answer is looked up: it may have come through.
async fn store(hub: &Hub, next: Next, rotating: Rotating) -> Result<DeviceRecord, StoreError> {
    let Next { record, old, new, until_at_ms, at_ms } = next;
    let stored = match hub.store.rotate_device_key(record.device, old, new, until_at_ms, at_ms).await {
        Err(error) if error.is_away() => {
            let devices = hub.store.devices(record.tenant, record.gym).await.unwrap_or_default();
            let has_it = |found: &DeviceRecord| found.device == record.device && found.keys.iter().any(|key| key.key == new);
            devices.into_iter().find(has_it).ok_or(error)
        }
        stored => stored,
    };
    if let Ok(record) = &stored {
        hub.devices.put(record.clone());
    }
    drop(rotating);
    stored
}

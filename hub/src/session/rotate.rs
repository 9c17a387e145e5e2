//! A device's next key.
//!
//! In: `rotate_key` of a session that a device's key opened. Out: the key stored and known, the old one good for the overlap, `key_rotated`. Signed twice:
//! by the key of this session, so that nobody else names the next one, and by the new key, so that the device really has it.

use protocol::device;
use protocol::frame::{KeyRotated, RotateKey};
use protocol::{CloseReason, ErrorCode};
use room::Lane;
use storage::StoreError;

use super::peer::Peer;
use crate::auth::devices::signed_by;
use crate::hub::Hub;

/// Carries out a rotation, or says why not.
pub(super) async fn rotate(hub: &Hub, peer: &Peer, rotate: &RotateKey) -> Result<(), ErrorCode> {
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
    let overlap_ms = i64::try_from(hub.config.auth.device_key_overlap.as_millis()).unwrap_or(i64::MAX);
    let until_at_ms = at_ms.saturating_add(overlap_ms);
    let stored = hub.store.rotate_device_key(record.device, old, new, until_at_ms, at_ms).await;
    let record = stored.map_err(|error| match error {
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
    hub.devices.put(record);
    peer.send_now(Lane::Event, &KeyRotated { req: rotate.req, old_until_at_ms }.into());
    Ok(())
}

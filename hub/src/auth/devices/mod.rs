//! Enrolled devices: whose key it is, whether it is good now, and on which sockets it lives.
//!
//! In: what the store knows at start, and each change over HTTP or by `rotate_key`. Out: for a signature or a client certificate, the device, or why not.
//! Everything is in memory, so that a reconnect asks the database nothing; the store is written first, always. What two sockets of one device mean is
//! decided by `room::twin` and carried out in [`live`].

mod live;
mod proof;

use std::sync::Arc;

use dashmap::DashMap;
use protocol::device::KEY_BYTES;
use protocol::{CloseReason, DeviceId, ErrorCode, HubId, TenantId};
use room::Viewer;
use rustls_pki_types::CertificateDer;
use storage::DeviceRecord;

use self::live::Live;
pub(crate) use self::live::{answered, watch};
pub use self::proof::{code_hash, signed_by};
use super::Identity;

/// A device's session does not run out: it ends when the device is revoked. The largest integer that every JSON reader keeps.
const NEVER_AT_MS: i64 = 9_007_199_254_740_991;
/// A device has a next key at most so often: each stays in its record for good.
const ROTATE_EVERY_MS: i64 = 60_000;
/// Begins the URI in a client certificate's subject alternative names that names a device.
const URI_PREFIX: &str = "spotter:device:";

/// Why a device is nobody here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// It is not enrolled.
    #[error("no such device is enrolled here")]
    Unknown,
    /// The client certificate names no device and carries no key of one.
    #[error("the client certificate names no device that is enrolled here")]
    Certificate,
    /// It was revoked, or another took its place.
    #[error("the device was revoked, or another took its place")]
    Revoked,
    /// Its key was live on two sockets and nobody cleared it yet.
    #[error("the device's key was live on two sockets: an operator clears it, or enrols it anew")]
    Cloned,
    /// The signature does not fit.
    #[error("the signature does not fit a key of the device and what the challenge asked for")]
    Proof,
}

impl DeviceError {
    /// The entry of the catalogue.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Unknown | Self::Certificate => ErrorCode::DeviceUnknown,
            Self::Revoked => ErrorCode::DeviceRevoked,
            Self::Cloned => ErrorCode::DeviceCloned,
            Self::Proof => ErrorCode::ProofWrong,
        }
    }

    /// How the connection ends over it.
    #[must_use]
    pub const fn close_reason(self) -> CloseReason {
        match self {
            Self::Unknown | Self::Certificate | Self::Proof => CloseReason::DeviceRefused,
            Self::Revoked => CloseReason::DeviceRevoked,
            Self::Cloned => CloseReason::DeviceCloned,
        }
    }

    /// The word in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Certificate => "certificate",
            Self::Revoked => "revoked",
            Self::Cloned => "cloned",
            Self::Proof => "proof",
        }
    }
}

/// How a session's device showed that it is the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proved {
    /// Which.
    pub device: DeviceId,
    /// By this key; none for a client certificate.
    pub key: Option<[u8; KEY_BYTES]>,
}

/// All devices of this installation.
pub struct Devices {
    hub: HubId,
    known: DashMap<DeviceId, Arc<DeviceRecord>>,
    keys: DashMap<[u8; KEY_BYTES], DeviceId>,
    live: DashMap<DeviceId, Live>,
    rotating: Arc<DashMap<DeviceId, ()>>,
}

/// A rotation under way; over when dropped.
pub struct Rotating {
    device: DeviceId,
    all: Arc<DashMap<DeviceId, ()>>,
}

impl Drop for Rotating {
    fn drop(&mut self) {
        self.all.remove(&self.device);
    }
}

impl Devices {
    /// No device yet.
    #[must_use]
    pub fn new(hub: HubId) -> Self {
        Self { hub, known: DashMap::new(), keys: DashMap::new(), live: DashMap::new(), rotating: Arc::default() }
    }

    /// The installation that devices sign for.
    #[must_use]
    pub const fn hub(&self) -> HubId {
        self.hub
    }

    /// Knows a device, or what changed of it. What comes late takes nothing back: a revocation is final, keys only come and end, a flag stays until
    /// [`Self::clear`].
    pub fn put(&self, mut record: DeviceRecord) {
        for key in &record.keys {
            self.keys.insert(key.key, record.device);
        }
        let mut known = self.known.entry(record.device).or_insert_with(|| Arc::new(record.clone()));
        record.revoked_at_ms = known.revoked_at_ms.or(record.revoked_at_ms);
        record.cloned_at_ms = known.cloned_at_ms.or(record.cloned_at_ms);
        for before in &known.keys {
            match record.keys.iter_mut().find(|key| key.key == before.key) {
                Some(key) => key.until_at_ms = [key.until_at_ms, before.until_at_ms].into_iter().flatten().min(),
                None => record.keys.push(*before),
            }
        }
        *known = Arc::new(record);
    }

    /// Begins a rotation; none while another of the device is under way, or within a minute of the last one.
    #[must_use]
    pub fn begin_rotation(&self, device: DeviceId, at_ms: i64) -> Option<Rotating> {
        if self.rotating.insert(device, ()).is_some() {
            return None;
        }
        let rotating = Rotating { device, all: Arc::clone(&self.rotating) };
        let known = self.known.get(&device)?;
        // The first key came with the enrolment.
        let last_at_ms = known.keys.iter().map(|key| key.added_at_ms).max().filter(|_| known.keys.len() > 1);
        last_at_ms.is_none_or(|last_at_ms| at_ms.saturating_sub(last_at_ms) >= ROTATE_EVERY_MS).then_some(rotating)
    }

    /// Takes the flag off a device that somebody looked at.
    pub fn clear(&self, device: DeviceId) {
        if let Some(mut known) = self.known.get_mut(&device) {
            Arc::make_mut(&mut known).cloned_at_ms = None;
        }
    }

    /// A device of the tenant.
    #[must_use]
    pub fn of_tenant(&self, tenant: TenantId, device: DeviceId) -> Option<Arc<DeviceRecord>> {
        self.known.get(&device).filter(|record| record.tenant == tenant).map(|record| record.clone())
    }

    /// A device that may speak now.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn good(&self, device: DeviceId) -> Result<Arc<DeviceRecord>, DeviceError> {
        let record = self.known.get(&device).map(|record| record.clone()).ok_or(DeviceError::Unknown)?;
        if record.revoked_at_ms.is_some() {
            Err(DeviceError::Revoked)
        } else if record.cloned_at_ms.is_some() {
            Err(DeviceError::Cloned)
        } else {
            Ok(record)
        }
    }

    /// Whether what was proved still is: no revocation, and the key within its time.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn still(&self, proved: &Proved, at_ms: i64) -> Result<Arc<DeviceRecord>, DeviceError> {
        let record = self.good(proved.device)?;
        let fits = |key: &[u8; KEY_BYTES]| keys_at(&record, at_ms).any(|known| known == key);
        if proved.key.as_ref().is_none_or(fits) { Ok(record) } else { Err(DeviceError::Proof) }
    }

    /// The key of the device that signed this, of those that are good now.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn signer(&self, device: DeviceId, message: &[u8], signature: &[u8], at_ms: i64) -> Result<Proved, DeviceError> {
        let record = self.good(device)?;
        let key = keys_at(&record, at_ms).find(|key| signed_by(key, message, signature)).ok_or(DeviceError::Proof)?;
        Ok(Proved { device, key: Some(*key) })
    }

    /// The device that a client certificate names: by a URI `spotter:device:ID` in its subject alternative names, or by the device's own key in it.
    /// Who signed the certificate was checked by the TLS handshake.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn of_certificate(&self, certificate: &CertificateDer<'_>, at_ms: i64) -> Result<Proved, DeviceError> {
        let read = webpki::EndEntityCert::try_from(certificate).map_err(|_| DeviceError::Certificate)?;
        let named = read.valid_uri_names().find_map(|uri| uri.strip_prefix(URI_PREFIX)?.parse().ok());
        if let Some(device) = named {
            return self.good(device).map(|_| Proved { device, key: None });
        }
        let spki = read.subject_public_key_info();
        let key = proof::ed25519_key(&spki).ok_or(DeviceError::Certificate)?;
        let device = *self.keys.get(&key).ok_or(DeviceError::Certificate)?;
        let proved = Proved { device, key: Some(key) };
        self.still(&proved, at_ms).map(|_| proved)
    }

    /// How many devices may speak.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.iter().filter(|record| record.revoked_at_ms.is_none()).count()
    }

    /// Whether none may.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The keys of a device that are good at a time.
fn keys_at(record: &DeviceRecord, at_ms: i64) -> impl Iterator<Item = &[u8; KEY_BYTES]> {
    record.keys.iter().filter(move |key| key.until_at_ms.is_none_or(|until| at_ms < until)).map(|key| &key.key)
}

/// Who speaks, when a device does.
#[must_use]
pub fn identity_of(record: &DeviceRecord, at_ms: i64) -> Identity {
    let viewer = Viewer { tenant: record.tenant, role: record.role, subject: record.subject, gyms: vec![record.gym], teams: Vec::new() };
    Identity { viewer: Arc::new(viewer), expires_at_ms: NEVER_AT_MS, issued_at_ms: at_ms, token_id: None, tier: None }
}

#[cfg(test)]
mod tests;

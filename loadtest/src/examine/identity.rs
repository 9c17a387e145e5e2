//! What the examiner asks of a device that says hello without a token: one challenge, and whether the answer fits it.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use protocol::device::{self, KEY_BYTES, NONCE_BYTES};
use protocol::frame::{Challenge, Prove};
use protocol::text::Blob;
use protocol::{DeviceId, HubId, TenantId};
use uuid::Uuid;

/// What the gateway was enrolled with, as far as the examiner must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExamDevice {
    /// The hub that it signs for.
    pub hub: HubId,
    /// The tenant that it signs for.
    pub tenant: TenantId,
    /// Its public key.
    pub key: [u8; KEY_BYTES],
}

/// The challenge that waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Identity {
    known: Option<ExamDevice>,
    asked: Option<(DeviceId, [u8; NONCE_BYTES], i64)>,
}

impl Identity {
    pub(super) const fn of(known: ExamDevice) -> Self {
        Self { known: Some(known), asked: None }
    }

    /// Asks. A gateway whose enrolment the examiner was not told is asked in the name of nobody, and its answer cannot be checked.
    pub(super) fn ask(&mut self, device: DeviceId, at_ms: i64) -> Challenge {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        self.asked = Some((device, nonce, at_ms));
        let (hub, tenant) = self.known.map_or((HubId(Uuid::nil()), TenantId(Uuid::nil())), |known| (known.hub, known.tenant));
        Challenge { hub, tenant, nonce: Blob(nonce.as_slice().into()), at_ms }
    }

    /// What is wrong with the answer; nothing where it fits or cannot be checked.
    pub(super) fn check(&mut self, prove: &Prove) -> Result<(), String> {
        let Some((device, nonce, at_ms)) = self.asked.take() else { return Err("it proves what nobody asked for".to_owned()) };
        if prove.signature.0.len() != 64 {
            return Err(format!("a signature of {} bytes", prove.signature.0.len()));
        }
        let Some(known) = self.known else { return Ok(()) };
        let message = device::session(known.hub, known.tenant, device, &nonce, at_ms);
        let fits = UnparsedPublicKey::new(&ED25519, known.key).verify(&message, &prove.signature.0);
        fits.map_err(|_| "the signature does not fit the device's key and the challenge".to_owned())
    }

    /// Whether an answer is owed.
    pub(super) const fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// The connection is another: an old challenge is of no use.
    pub(super) const fn forget(&mut self) {
        self.asked = None;
    }
}

//! A device's side of machine identity: its key, its enrolment, its answers to challenges.
//!
//! In: an enrolment code, challenges, a step to the next key. Out: what the device says. The reference for a gateway's own implementation, with
//! `docs/GATEWAY.md` section 1: it signs for the hub and tenant that enrolled it and for no other. Keys live in memory and die with the run.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use protocol::device::{self, KEY_BYTES, NONCE_BYTES};
use protocol::frame::{Challenge, Prove, RotateKey};
use protocol::text::{Blob, hex};
use protocol::{DeviceId, HubId, SessionId, TenantId};
use serde::Deserialize;
use serde_json::json;

/// An Ed25519 key pair.
#[derive(Debug, Clone)]
pub struct DeviceKey {
    pair: Arc<Ed25519KeyPair>,
    public: [u8; KEY_BYTES],
}

impl DeviceKey {
    /// A new key.
    #[must_use]
    pub fn draw() -> Self {
        Self::of_seed(&rand::random())
    }

    /// The key of 32 secret bytes (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed");
        let public = pair.public_key().as_ref().try_into().expect("a public key has 32 bytes");
        Self { pair: Arc::new(pair), public }
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &[u8; KEY_BYTES] {
        &self.public
    }

    fn sign<const MAX: usize>(&self, message: &[u8]) -> Blob<MAX> {
        Blob(self.pair.sign(message).as_ref().into())
    }
}

/// An enrolled device.
#[derive(Debug, Clone)]
pub struct Device {
    key: DeviceKey,
    /// Its id.
    pub device: DeviceId,
    /// The only hub that it signs for.
    pub hub: HubId,
    /// The only tenant that it signs for.
    pub tenant: TenantId,
}

/// What the hub answers to an enrolment, as far as a device keeps it.
#[derive(Deserialize)]
struct Enrolled {
    device: DeviceId,
    hub: HubId,
    tenant: TenantId,
}

impl Device {
    /// A device that was enrolled before.
    #[must_use]
    pub const fn new(key: DeviceKey, device: DeviceId, hub: HubId, tenant: TenantId) -> Self {
        Self { key, device, hub, tenant }
    }

    /// Redeems a code with a key.
    ///
    /// # Errors
    /// What the hub answered.
    pub async fn enrol(client: &reqwest::Client, http: &str, code: &str, key: DeviceKey) -> anyhow::Result<Self> {
        let canonical = device::canonical_code(code).with_context(|| format!("`{code}` is no enrolment code"))?;
        let signature: Blob<64> = key.sign(&device::enrolment(&canonical, &key.public));
        let body = json!({ "code": code, "key": hex(&key.public), "signature": hex(&signature.0) });
        let answer = client.post(format!("{http}/v1/enrol")).json(&body).send().await.context("could not reach the hub")?;
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        if !status.is_success() {
            bail!("POST /v1/enrol answered {status}: {text}");
        }
        let Enrolled { device, hub, tenant } = serde_json::from_str(&text).context("the hub's answer to an enrolment")?;
        Ok(Self { key, device, hub, tenant })
    }

    /// The key that it signs with.
    #[must_use]
    pub const fn key(&self) -> &DeviceKey {
        &self.key
    }

    /// The answer to a challenge; none where it is of another hub or tenant: whoever asks may want to use the answer there.
    #[must_use]
    pub fn prove(&self, challenge: &Challenge) -> Option<Prove> {
        let nonce: &[u8; NONCE_BYTES] = challenge.nonce.0.as_slice().try_into().ok()?;
        let own = (challenge.hub, challenge.tenant) == (self.hub, self.tenant);
        let message = device::session(self.hub, self.tenant, self.device, nonce, challenge.at_ms);
        own.then(|| Prove { signature: self.key.sign(&message) })
    }

    /// Asks for the next key to be known. The device goes on with it once the hub answered `key_rotated`: [`Self::with_key`].
    #[must_use]
    pub fn rotate(&self, req: u32, session: SessionId, next: &DeviceKey) -> RotateKey {
        let message = device::rotation(self.hub, self.tenant, self.device, session, &next.public);
        RotateKey { req, key: Blob(next.public.as_slice().into()), signature: self.key.sign(&message), proof: next.sign(&message) }
    }

    /// The same device with another key.
    #[must_use]
    pub fn with_key(&self, key: DeviceKey) -> Self {
        Self { key, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_device_signs_for_its_own_hub_and_tenant_alone() {
        let (hub, tenant) = (HubId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let device = Device::new(DeviceKey::of_seed(&[7; 32]), DeviceId(Uuid::from_u128(3)), hub, tenant);
        let challenge = Challenge { hub, tenant, nonce: Blob([9; NONCE_BYTES].as_slice().into()), at_ms: 5 };
        assert_eq!(device.prove(&challenge).expect("its own").signature.0.len(), 64);
        let foreign = HubId(Uuid::from_u128(8));
        assert!(device.prove(&Challenge { hub: foreign, ..challenge.clone() }).is_none());
        assert!(device.prove(&Challenge { tenant: TenantId(foreign.0), ..challenge.clone() }).is_none());
        assert!(device.prove(&Challenge { nonce: Blob::default(), ..challenge }).is_none(), "no nonce, no answer");
    }
}

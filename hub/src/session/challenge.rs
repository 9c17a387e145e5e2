//! Who a stranger is: by token, by client certificate, or by a device's signature.
//!
//! In: `hello`, and for a device the answer to one challenge. Out: an identity, or the refusal. A challenge is one round trip more and no query: the
//! keys of devices are in memory. Its nonce lives in this future alone, so that it is good for this connection and once.

use protocol::device::{self, NONCE_BYTES};
use protocol::frame::{Challenge, Hello};
use protocol::text::Blob;
use protocol::{ClientFrame, CloseReason, DeviceId};
use tokio::io::AsyncWriteExt as _;

use super::exit::Exit;
use super::handshake::{Handshake, Refusal};
use crate::auth::Identity;
use crate::auth::devices::{DeviceError, Proved, identity_of};
use crate::transport::reader::Reader;
use crate::transport::wsframe;

/// Somebody who is known, and for a device how.
pub(super) struct Known {
    pub(super) identity: Identity,
    pub(super) proved: Option<Proved>,
}

impl Handshake {
    /// Finds out who says hello. A client certificate counts before all else, then a token, then an enrolled device.
    pub(super) async fn identify(&mut self, reader: &mut Reader, hello: &Hello) -> Result<Known, Refusal> {
        if let Some(certificate) = self.stream.client_certificate() {
            let proved = self.hub.devices.of_certificate(certificate, crate::clock::at_ms());
            return self.known(proved);
        }
        if let Some(device) = hello.enrolled.filter(|_| hello.token.is_empty()) {
            let proved = self.challenge(reader, device).await?;
            return self.known(proved);
        }
        let verified = self.hub.verifier.verify_waiting(&hello.token, crate::clock::at_ms).await;
        verified.map(|identity| Known { identity, proved: None }).map_err(|refused| self.untrusted(refused))
    }

    fn known(&self, proved: Result<Proved, DeviceError>) -> Result<Known, Refusal> {
        let at_ms = crate::clock::at_ms();
        let proved = proved.map_err(|refused| self.unproved(refused))?;
        let record = self.hub.devices.still(&proved, at_ms).map_err(|refused| self.unproved(refused))?;
        self.hub.metrics.device_proved(None);
        Ok(Known { identity: identity_of(&record, at_ms), proved: Some(proved) })
    }

    /// Asks the device to sign, and looks which of its keys did.
    async fn challenge(&mut self, reader: &mut Reader, device: DeviceId) -> Result<Result<Proved, DeviceError>, Refusal> {
        let record = match self.hub.devices.good(device) {
            Ok(record) => record,
            Err(refused) => return Ok(Err(refused)),
        };
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let (hub, tenant, at_ms) = (self.hub.devices.hub(), record.tenant, crate::clock::at_ms());
        let challenge = Challenge { hub, tenant, nonce: Blob(nonce.as_slice().into()), at_ms };
        let sent = wsframe::prepare(&challenge.into(), self.encoding);
        let written = async {
            self.stream.write_all(&sent).await?;
            self.stream.flush().await
        };
        written.await.map_err(|_gone| Refusal::from(Exit::Lost))?;
        let ClientFrame::Prove(prove) = self.hear_frame(reader).await? else {
            return Err(Refusal::close(CloseReason::HelloExpected));
        };
        let message = device::session(hub, tenant, device, &nonce, at_ms);
        Ok(self.hub.devices.signer(device, &message, &prove.signature.0, crate::clock::at_ms()))
    }

    /// Refuses a device.
    pub(super) fn unproved(&self, refused: DeviceError) -> Refusal {
        self.hub.metrics.device_proved(Some(refused));
        Refusal::error(refused.close_reason(), refused.code(), Some(&refused.to_string()))
    }
}

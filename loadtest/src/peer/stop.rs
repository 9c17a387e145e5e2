//! The issuer of a stop: one id, repeated each 250 ms until the hub tells a result (`DESIGN` section 7).

use std::time::Duration;

use protocol::frame::{Stop, StopResult};
use protocol::limits::STOP_REPEAT_MS;
use protocol::{MachineId, ServerFrame, StopId};
use tokio::time::Instant;

use super::{Peer, PeerError};

const REPEAT: Duration = Duration::from_millis(STOP_REPEAT_MS as u64);

impl Peer {
    /// Stops a machine and waits for the first result, repeating the request each 250 ms until it comes.
    ///
    /// `Unconfirmed` is a result; a later word may still come and is for [`Peer::expect`].
    ///
    /// # Errors
    /// [`PeerError::Refused`] where the hub does not let this peer, [`PeerError::Deadline`] when not even `Unconfirmed` came.
    pub async fn stop(&mut self, machine: MachineId) -> Result<StopResult, PeerError> {
        self.stop_under(StopId(uuid::Uuid::now_v7()), machine).await
    }

    /// As [`Peer::stop`], under a given id: a repeat after a reconnect is the same stop.
    ///
    /// # Errors
    /// As [`Peer::stop`].
    pub async fn stop_under(&mut self, id: StopId, machine: MachineId) -> Result<StopResult, PeerError> {
        let deadline = Instant::now() + self.patience;
        loop {
            self.send(Stop { machine, id, reason: None }).await?;
            let repeat_at = Instant::now() + REPEAT;
            while let Some(frame) = self.next_until(repeat_at).await? {
                match frame {
                    ServerFrame::StopResult(result) if result.id == id => return Ok(result),
                    ServerFrame::Error(error) if error.req.is_none() && (200..300).contains(&error.code) => {
                        return Err(PeerError::Refused(error.code, error.name.to_string(), error.text.to_string()));
                    }
                    other => self.pass_over(other),
                }
            }
            if Instant::now() >= deadline {
                let (what, waited) = (format!("a result of stop {id}"), self.patience);
                return Err(PeerError::Deadline { what, waited, passed: String::new() });
            }
        }
    }
}

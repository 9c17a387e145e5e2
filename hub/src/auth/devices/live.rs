//! The sockets of devices, and what is done when one key is on two of them.
//!
//! In: sessions of devices as they begin, answer and end; time. Out: questions, closes, and for a copied key the flag: in memory at once, in the store
//! and on the floor of the gym right after. Guards of the map are never held across an await.

use std::sync::Arc;
use std::time::Duration;

use protocol::{CloseReason, DeviceId};
use room::Input;
use room::twin::{Twins, Verdict};
use storage::{DeviceDeed, DeviceRecord};
use tokio_util::sync::CancellationToken;

use super::{DeviceError, Devices, Proved};
use crate::hub::Hub;
use crate::session::Peer;

/// Sockets that owe an answer are looked at this often.
const LOOK: Duration = Duration::from_millis(500);
/// A flag that the store did not take is brought to it again after this time, so often.
const FLAG_PAUSE: Duration = Duration::from_secs(1);
const FLAG_TRIES: u32 = 60;

/// The sockets of one device.
#[derive(Default)]
pub(super) struct Live {
    twins: Twins,
    peers: Vec<Arc<Peer>>,
}

impl Live {
    /// Carries out what was decided; whether the device's key is in two places.
    fn carry_out(&mut self, verdicts: Vec<Verdict>) -> bool {
        let mut cloned = false;
        for verdict in verdicts {
            let peer = |session| self.peers.iter().find(|peer| peer.session == session);
            match verdict {
                Verdict::Ask(session) => peer(session).map_or((), |peer| peer.ask()),
                Verdict::Over(session) => peer(session).map_or((), |peer| peer.close(CloseReason::Replaced)),
                Verdict::Cloned(sessions) => {
                    sessions.into_iter().filter_map(peer).for_each(|peer| peer.close(CloseReason::DeviceCloned));
                    cloned = true;
                }
            }
        }
        cloned
    }
}

impl Devices {
    /// A device has a socket. `resumes` is the session whose ticket it showed. Called after the session is listed, so that a revocation finds it.
    ///
    /// # Errors
    /// [`DeviceError`] where the device was revoked or flagged meanwhile; the session must end.
    pub fn opened(&self, peer: &Arc<Peer>, proved: &Proved, resumes: Option<protocol::SessionId>) -> Result<(), DeviceError> {
        let mut live = self.live.entry(proved.device).or_default();
        // Under the lock that revocation and flag take too: either they see this socket, or it sees them.
        self.still(proved, crate::clock::at_ms())?;
        let mut verdicts = Vec::new();
        live.twins.opened(peer.session, resumes, crate::clock::mono_ms(), &mut verdicts);
        live.peers.push(peer.clone());
        live.carry_out(verdicts);
        Ok(())
    }

    /// A socket of a device is gone.
    pub fn ended(&self, peer: &Peer) {
        let Some(proved) = &peer.proved else { return };
        if let Some(mut live) = self.live.get_mut(&proved.device) {
            live.twins.ended(peer.session);
            live.peers.retain(|other| other.session != peer.session);
        }
        self.live.remove_if(&proved.device, |_, live| live.peers.is_empty());
    }

    /// Takes what became of a device, and closes its sockets for a reason. Returns how many.
    pub fn end(&self, record: DeviceRecord, reason: CloseReason) -> usize {
        let device = record.device;
        let live = self.live.entry(device).or_default();
        self.put(record);
        live.peers.iter().filter(|peer| peer.closing().is_none()).inspect(|peer| peer.close(reason)).count()
    }

    /// Flags a device in memory. None where it is flagged already.
    fn flag(&self, device: DeviceId, at_ms: i64) -> Option<Arc<DeviceRecord>> {
        let mut known = self.known.get_mut(&device)?;
        if known.cloned_at_ms.is_some() {
            return None;
        }
        Arc::make_mut(&mut known).cloned_at_ms = Some(at_ms);
        Some(known.clone())
    }

    /// Those who owe an answer and gave none are over.
    fn look(&self, mono_ms: i64) {
        for mut live in self.live.iter_mut().filter(|live| live.twins.is_asking()) {
            let mut verdicts = Vec::new();
            live.twins.look(mono_ms, &mut verdicts);
            live.carry_out(verdicts);
        }
        self.live.retain(|_, live| !live.peers.is_empty());
    }
}

/// Looks after sockets that owe an answer, until told to stop.
pub(crate) async fn watch(hub: Arc<Hub>, stop: CancellationToken) {
    let mut every = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = every.tick() => hub.devices.look(crate::clock::mono_ms()),
        }
    }
}

/// A device's socket answered what it was asked: somebody is there.
pub(crate) fn answered(hub: &Arc<Hub>, peer: &Peer, device: DeviceId) {
    let at_ms = crate::clock::at_ms();
    let cloned = hub.devices.live.get_mut(&device).is_some_and(|mut live| {
        let mut verdicts = Vec::new();
        live.twins.answered(peer.session, &mut verdicts);
        let cloned = live.carry_out(verdicts);
        // Flagged under the same lock: no third socket comes in between.
        cloned && hub.devices.flag(device, at_ms).is_some()
    });
    if cloned {
        tell(hub, device, at_ms);
    }
}

/// Tells everybody who must know: metrics, log, staff of the gym, the store.
fn tell(hub: &Arc<Hub>, device: DeviceId, at_ms: i64) {
    let Some(record) = hub.devices.known.get(&device).map(|record| record.clone()) else { return };
    hub.metrics.device_cloned();
    tracing::error!(device.id = %device, "a device's key is live on two sockets: both are closed and the device is flagged");
    hub.to_gym(record.gym, Input::DeviceCloned { device, subject: record.subject });
    let (hub, stopped) = (hub.clone(), hub.tasks.stopped());
    hub.clone().tasks.spawn("device flag", async move {
        for _ in 0..FLAG_TRIES {
            match hub.store.mark_device(record.tenant, device, DeviceDeed::Cloned, None, at_ms).await {
                Ok(_) => return,
                Err(error) => tracing::warn!(error = %crate::chain(&error), "a flag could not be stored"),
            }
            tokio::select! {
                () = stopped.cancelled() => return,
                () = tokio::time::sleep(FLAG_PAUSE) => (),
            }
        }
    });
}

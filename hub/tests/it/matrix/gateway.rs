//! The gateway of the first gym: keeps claims, shows codes, stops and obeys as a good one does, and remembers what it was told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loadtest::Peer;
use protocol::frame::{ClaimHeld, CommandAnswer, CommandStage, StopAnswer, StopStage};
use protocol::{ClientFrame, MachineId, ServerFrame};
use tokio::sync::mpsc;

/// What the gateway heard, for its own use and for the tests.
#[derive(Default)]
pub(super) struct GatewayMemory {
    /// The code that each machine shows.
    pub(super) codes: HashMap<MachineId, String>,
    /// Names of the orders to machines, in order.
    pub(super) orders: Vec<&'static str>,
}

/// Does what the contract asks of a gateway, until the hub or the test is gone.
pub(super) async fn attend(mut link: Peer, mut orders: mpsc::Receiver<ClientFrame>, memory: Arc<Mutex<GatewayMemory>>) {
    loop {
        let soon = tokio::time::Instant::now() + Duration::from_millis(5);
        while let Ok(frame) = orders.try_recv() {
            if link.send(frame).await.is_err() {
                return;
            }
        }
        let frame = match link.next_until(soon).await {
            Ok(Some(frame)) => frame,
            Ok(None) if orders.is_closed() => return,
            Ok(None) => continue,
            Err(_gone) => return,
        };
        let answers: Vec<ClientFrame> = {
            let mut memory = memory.lock().expect("not poisoned");
            match &frame {
                ServerFrame::ShowCode(show) => {
                    memory.codes.insert(show.machine, show.code.to_string());
                    vec![]
                }
                ServerFrame::ClaimSet(set) => {
                    memory.codes.remove(&set.machine);
                    memory.orders.push(frame.name());
                    vec![ClaimHeld { machine: set.machine, fence: set.claim.fence }.into()]
                }
                ServerFrame::ClaimClear(_) => {
                    memory.orders.push(frame.name());
                    vec![]
                }
                ServerFrame::StopMachine(stop) => {
                    memory.orders.push(frame.name());
                    vec![StopAnswer { machine: stop.machine, id: stop.id, answer: StopStage::Stopped, result: None }.into()]
                }
                ServerFrame::Command(command) => {
                    memory.orders.push(frame.name());
                    let (machine, id) = (command.machine, command.id);
                    vec![
                        CommandAnswer { machine, id, stage: CommandStage::Received, result: None }.into(),
                        CommandAnswer { machine, id, stage: CommandStage::Answered, result: Some(1) }.into(),
                    ]
                }
                _ => vec![],
            }
        };
        if link.send_all(&answers).await.is_err() {
            return;
        }
    }
}

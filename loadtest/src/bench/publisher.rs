//! A bare gateway for load: machines announced and bound, then whatever frames a scenario has ready.
//!
//! In: pre-encoded frames. Out: news of the hub (acknowledgements, holds, requests to send again, stops) on a bounded channel; full, the
//! reader waits, and with it the hub. Clock questions and pings are answered. The time of its machines is milliseconds since it connected.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use protocol::frame::{Bind, Clock, MachineHello, MachineKind, MachineModel, MachineStatus};
use protocol::text::Text;
use protocol::wire::Encoding;
use protocol::{ClientFrame, MachineId, ServerFrame};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::peer::{Light, LightReader, LightWriter, Options, kind_of};

const WAIT: Duration = Duration::from_secs(60);
const NEWS_MAX: usize = 4_096;
const BOUND: u8 = 82;
const ERROR: u8 = 63;
const CLOCK_ASK: u8 = 80;
/// Kinds that are news: ack, hold, resend, stop_machine.
const NEWS: [u8; 4] = [83, 84, 85, 90];

/// A gateway whose machines are bound: slot `n` is machine `n`.
pub struct Publisher {
    writer: LightWriter,
    /// What the hub says; closed when it hung up, and then [`Publisher::ended`] says why.
    pub news: mpsc::Receiver<ServerFrame>,
    started: Instant,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Publisher {
    /// Connects, announces every machine as in use, binds sensor `ftms` of boot 1, and waits until all slots stand.
    ///
    /// # Errors
    /// Where the hub refuses one of them; with its words.
    pub async fn connect(url: &str, token: &str, machines: &[MachineId], nonce: u32) -> anyhow::Result<Self> {
        let options = Options::new(token).device("load-gateway");
        let (light, _welcome) = Light::connect(url, &options, |_| ()).await.context("a load gateway could not connect")?;
        let (mut reader, writer) = light.into_split();
        for (slot, machine) in machines.iter().enumerate() {
            writer.send(&hello(*machine).into()).await?;
            writer.send(&bind(slot as u16, *machine, nonce).into()).await?;
        }
        let started = Instant::now();
        let mut bound = 0;
        let mut refused = None;
        let all = async {
            while bound < machines.len() && refused.is_none() {
                reader
                    .read(|message| match kind_of(message) {
                        Some(BOUND) => bound += 1,
                        Some(ERROR) => refused = ServerFrame::decode(Encoding::MessagePack, message).ok(),
                        _ => (),
                    })
                    .await?;
            }
            Ok::<(), std::io::Error>(())
        };
        tokio::time::timeout(WAIT, all).await.context("the hub did not bind all slots in time")??;
        ensure!(refused.is_none(), "a load gateway was refused: {refused:?}");
        let (news_in, news) = mpsc::channel(NEWS_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(reader, writer.clone(), news_in, started));
        Ok(Self { writer, news, started, tasks })
    }

    /// Device time of all its machines now.
    #[must_use]
    pub fn dev_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }

    /// The writing half, to share.
    #[must_use]
    pub fn writer(&self) -> LightWriter {
        self.writer.clone()
    }

    /// Why the hub hung up, once it did.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Ok(Ok(()))) | None => anyhow::anyhow!("the listener of a load gateway ended"),
            Some(Err(error)) => error.into(),
        }
    }
}

fn hello(machine: MachineId) -> MachineHello {
    let model = MachineModel {
        vendor: Text::cut("Spotter"),
        model: Text::cut("Load"),
        firmware: None,
        serial: None,
        kind: MachineKind::Bike,
        powered: false,
    };
    let (state, user_present) = (MachineStatus::Active, Some(true));
    MachineHello { machine, model, state, user_present, claim: None, clock: 0, ranges: None, screen: false, claim_since_dev_ms: None }
}

fn bind(slot: u16, machine: MachineId, nonce: u32) -> Bind {
    let sensor = Text::cut("ftms");
    Bind {
        slot,
        machine: Some(machine),
        sensor,
        boot: 1,
        nonce,
        clock: 0,
        held: protocol::SeqRanges::new(),
        quirk: None,
        claim_from_seq: None,
    }
}

async fn listen(mut reader: LightReader, writer: LightWriter, news: mpsc::Sender<ServerFrame>, started: Instant) -> anyhow::Result<()> {
    let mut heard = Vec::new();
    loop {
        reader
            .read(|message| {
                if kind_of(message).is_some_and(|kind| kind == CLOCK_ASK || NEWS.contains(&kind)) {
                    heard.extend(ServerFrame::decode(Encoding::MessagePack, message));
                }
            })
            .await
            .context("the hub hung up on a load gateway")?;
        for frame in heard.drain(..) {
            if let ServerFrame::ClockAsk(ask) = frame {
                let dev_ms = started.elapsed().as_millis() as i64;
                let clock = Clock { clock: ask.clock, asked_at_ms: ask.asked_at_ms, received_dev_ms: dev_ms, sent_dev_ms: dev_ms };
                writer.send(&ClientFrame::from(clock)).await?;
            } else if news.send(frame).await.is_err() {
                // Nobody wants news: go on answering.
                continue;
            }
        }
    }
}

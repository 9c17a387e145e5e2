//! Who publishes: gateways of the hub, and connections of Socket.IO that carry as many rooms each.
//!
//! In: a gate that is open while this server has its turn. Out: events at the pace, all that are due in one write. The limit needs none: its
//! frame is in its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use protocol::frame::Sample;
use protocol::wire::Encoding;
use protocol::{ClientFrame, Field, Reading};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Pace;
use super::audience::EVENT;
use crate::bench::{Publisher, SentTimes};
use crate::limit::{PAYLOAD_BYTES, now_us};
use crate::peer::{LightWriter, masked_frame};

/// One publishing connection.
pub(super) enum Voice {
    /// A gateway with its machines, slot by slot.
    Gateway { publisher: Box<Publisher>, sent: Vec<Arc<SentTimes>>, seqs: Vec<u32>, reading: Reading, start: Instant },
    /// A connection of Socket.IO; its first room has this number. On the wall everything goes to one room.
    Socketio { writer: LightWriter, first: usize, wall: bool },
}

impl Voice {
    /// Publishes while the gate is open, until it is gone. Counts into `published`.
    pub(super) async fn speak(mut self, pace: Pace, mut gate: watch::Receiver<bool>, published: Arc<AtomicU64>) -> anyhow::Result<()> {
        let (mut framed, mut step) = (Vec::new(), 0);
        while gate.wait_for(|open| *open).await.is_ok() {
            let mut timer = interval(pace.pause());
            timer.set_missed_tick_behavior(MissedTickBehavior::Burst);
            while *gate.borrow() {
                timer.tick().await;
                framed.clear();
                let mut count = 0;
                for room in pace.turn(step) {
                    self.compose(room, &mut framed);
                    count += 1;
                }
                self.writer().send_framed(&framed).await.context("a server does not take what is published")?;
                published.fetch_add(count, Ordering::Relaxed);
                self.unhear();
                step += 1;
            }
        }
        Ok(())
    }

    fn writer(&self) -> LightWriter {
        match self {
            Self::Gateway { publisher, .. } => publisher.writer(),
            Self::Socketio { writer, .. } => writer.clone(),
        }
    }

    /// Acknowledgements are not looked at here.
    fn unhear(&mut self) {
        if let Self::Gateway { publisher, .. } = self {
            while publisher.news.try_recv().is_ok() {}
        }
    }

    /// Appends the next event of one of its rooms.
    fn compose(&mut self, room: usize, framed: &mut Vec<u8>) {
        match self {
            Self::Gateway { publisher, sent, seqs, reading, start } => {
                seqs[room] += 1;
                if sent.is_empty() {
                    // The wall: a floor row carries no seq, so the distance says when it left.
                    reading.set(Field::Distance, start.elapsed().as_millis() as i32);
                } else {
                    sent[room].leaves(seqs[room]);
                }
                let sample = Sample { slot: room as u16, seq: seqs[room], dev_ms: publisher.dev_ms(), reading: reading.clone() };
                masked_frame(2, &ClientFrame::from(sample).to_bytes(Encoding::MessagePack), framed);
            }
            Self::Socketio { first, wall, .. } => {
                let event = if *wall { six(*first + room) } else { text(*first + room) };
                masked_frame(1, event.as_bytes(), framed);
            }
        }
    }
}

/// Socket.IO's name of a room.
pub(super) fn room_name(room: usize) -> String {
    format!("m{room}")
}

/// A text whose event is as long as everybody's: stamped, then filled.
fn text(room: usize) -> String {
    let value_bytes = PAYLOAD_BYTES - EVENT.len() - "\"\"]".len();
    let stamp = now_us().to_string();
    format!("42[\"publish\",\"{}\",\"{stamp:.<value_bytes$}\"]", room_name(room))
}

/// The six fields that a wall shows, under the names that the hub's JSON has.
fn six(machine: usize) -> String {
    let fields: Vec<String> = super::super::fanout::six().iter().map(|(field, value)| format!("\"{}\":{value}", field.name())).collect();
    format!("42[\"publish\",\"floor\",{{\"machine\":{machine},{},\"at\":{}}}]", fields.join(","), now_us() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_that_socketio_makes_of_a_text_is_as_long_as_the_others() {
        let published = text(7);
        let value = published.strip_prefix("42[\"publish\",\"m7\",").unwrap();
        assert_eq!(EVENT.len() + value.len(), PAYLOAD_BYTES);
    }

    #[test]
    fn a_wall_event_is_json_with_six_fields() {
        let event = six(3);
        let json: serde_json::Value = serde_json::from_str(&event[2..]).unwrap();
        assert_eq!(json[2].as_object().unwrap().len(), 8);
    }
}

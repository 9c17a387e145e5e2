//! The watchers of one server: cheap connections that count what comes, and when it left.
//!
//! In: connections that are in their rooms. Out: a [`Tally`] for each stretch that counts. All servers have the same watchers in the same
//! process; only how a message tells its time differs ([`Ear`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::Field;
use protocol::wire::Encoding;
use tokio::task::JoinSet;

use crate::bench::{Latency, SentTimes};
use crate::limit::now_us;
use crate::peer::{Light, LiveHead, kind_of, masked_frame};

const LIVE: u8 = 69;
const FLOOR: u8 = 70;
/// Digits of microseconds since 1970 in a text.
const US_DIGITS: usize = 16;
/// Digits of milliseconds since 1970 in an object, as a page would send them.
const MS_DIGITS: usize = 13;
/// What a Socket.IO event begins with: message 4, event 2, its name.
pub(super) const EVENT: &[u8] = b"42[\"live\",";

/// How a watcher learns when a message left.
pub(super) enum Ear {
    /// A live value of the hub: by the seq of its reading.
    Live(Arc<SentTimes>),
    /// A floor tick of the hub, whose distances are milliseconds since `start`; decoded by those that look.
    Floor { start: Instant, looks: bool },
    /// The limit: a stamp in front.
    Limit,
    /// Socket.IO: a stamp where the value begins (text) or ends (object).
    Socketio,
}

/// What was heard while it counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    counting: bool,
    /// Messages.
    pub(super) frames: u64,
    /// Their bytes, WebSocket headers included.
    pub(super) bytes: u64,
    /// Of these, floor ticks that were decoded.
    pub(super) looked_at: u64,
    /// From leaving to arriving; of floor ticks each row of those that were decoded.
    pub(super) latency: Latency,
}

impl Tally {
    /// Events that reached a watcher. A floor tick brings many: as many as the decoded ones on average.
    pub(super) fn events(&self) -> u64 {
        match self.looked_at {
            0 => self.frames,
            looked_at => (self.frames as f64 * self.latency.count() as f64 / looked_at as f64) as u64,
        }
    }
}

/// Watchers of one server.
#[derive(Default)]
pub(super) struct Audience {
    tasks: JoinSet<anyhow::Result<()>>,
    tally: Arc<Mutex<Tally>>,
}

impl Audience {
    /// Takes a connection that is in its room.
    pub(super) fn seat(&mut self, light: Light, ear: Ear) {
        let tally = self.tally.clone();
        self.tasks.spawn(watch(light, ear, tally));
    }

    /// What is heard counts from now on.
    pub(super) fn begin(&self) {
        *lock(&self.tally) = Tally { counting: true, ..Tally::default() };
    }

    /// What was heard since.
    ///
    /// # Errors
    /// Where a watcher lost its connection.
    pub(super) fn end(&mut self) -> anyhow::Result<Tally> {
        let tally = std::mem::take(&mut *lock(&self.tally));
        match self.tasks.try_join_next() {
            Some(Ok(ended)) => ended.map(|()| tally),
            Some(Err(error)) => Err(error.into()),
            None => Ok(tally),
        }
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(mut light: Light, ear: Ear, tally: Arc<Mutex<Tally>>) -> anyhow::Result<()> {
    let mut pong = Vec::new();
    masked_frame(1, b"3", &mut pong);
    loop {
        let mut asked = false;
        light
            .read(|message| {
                asked |= message == b"2";
                let mut tally = lock(&tally);
                if tally.counting
                    && let Some(age) = hear(&ear, message)
                {
                    tally.frames += 1;
                    tally.looked_at += u64::from(matches!(ear, Ear::Floor { looks: true, .. }));
                    tally.bytes += (message.len() + if message.len() <= 125 { 2 } else { 4 }) as u64;
                    age.into_iter().for_each(|age| tally.latency.add(age));
                }
            })
            .await
            .context("a server hung up on a watcher")?;
        if asked && matches!(ear, Ear::Socketio) {
            light.send_framed(&pong).await?;
        }
    }
}

/// The ages of what a message brings; none where it is no delivery.
fn hear(ear: &Ear, message: &[u8]) -> Option<Vec<Duration>> {
    let since = |stamp_us: u64| vec![Duration::from_micros(now_us().saturating_sub(stamp_us))];
    match ear {
        Ear::Live(sent) => {
            let head = (kind_of(message) == Some(LIVE)).then(|| LiveHead::read(message)).flatten()?;
            Some(vec![sent.since(head.seq)])
        }
        Ear::Floor { start, looks } => {
            (kind_of(message) == Some(FLOOR)).then(|| if *looks { ages_on_floor(*start, message) } else { Vec::new() })
        }
        Ear::Limit => message.first_chunk().map(|stamp| since(u64::from_be_bytes(*stamp))),
        Ear::Socketio => {
            let value = message.strip_prefix(EVENT)?;
            let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
            match value.first()? {
                b'"' => number(value.get(1..=US_DIGITS)?).map(since),
                // `..,"at":1763733445123}]`
                _ => number(value.get(value.len().checked_sub(MS_DIGITS + 2)?..value.len() - 2)?).map(|ms| since(ms * 1_000)),
            }
        }
    }
}

fn ages_on_floor(start: Instant, message: &[u8]) -> Vec<Duration> {
    let Ok(protocol::ServerFrame::FloorTick(tick)) = protocol::ServerFrame::decode(Encoding::MessagePack, message) else {
        return Vec::new();
    };
    let left_ms = tick.rows.iter().filter_map(|row| row.reading.get(Field::Distance)).filter_map(|ms| u64::try_from(ms).ok());
    left_ms.map(|ms| start.elapsed().saturating_sub(Duration::from_millis(ms))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_that_is_not_decoded_brings_as_much_as_those_that_are() {
        let mut tally = Tally { frames: 100, looked_at: 4, ..Tally::default() };
        (0..200).for_each(|_| tally.latency.add(Duration::from_millis(1)));
        assert_eq!(tally.events(), 5_000);
        assert_eq!(Tally { frames: 100, ..Tally::default() }.events(), 100);
    }

    #[test]
    fn a_stamp_is_found_in_text_and_in_an_object() {
        let stamp = now_us() - 5_000_000;
        for value in [format!("\"{stamp}....\""), format!("{{\"machine\":1,\"at\":{}}}", stamp / 1_000)] {
            let message = format!("42[\"live\",{value}]");
            let ages = hear(&Ear::Socketio, message.as_bytes()).unwrap();
            assert!(ages[0] >= Duration::from_secs(5) && ages[0] < Duration::from_secs(60), "{ages:?}");
        }
        assert_eq!(hear(&Ear::Socketio, b"2"), None);
    }
}

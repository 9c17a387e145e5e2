//! A [`Light`] that keeps its place in the rooms it watches and comes back to them, as a phone does.
//!
//! In: frames about rooms; values are counted and dropped. Out: where it stands ([`Rooms`]), and after a break how it came back ([`Back`]): with
//! ticket and positions, after the back-off that the close catalogue asks for, doubled for each failure and spread over its upper half.

use std::io;
use std::time::{Duration, Instant};

use protocol::close::AfterClose;
use protocol::frame::{Joined, Welcome};
use protocol::wire::Encoding;
use protocol::{CloseReason, ServerFrame};
use rand::RngExt as _;

use super::{Light, Options, PeerError, Rooms, kind_of};

/// Kinds that move a place in a room: joined, left, event, reset; and errors.
const NEWS: [u8; 5] = [63, 65, 66, 67, 68];
/// From hello to the last room.
const ROOMS_WAIT: Duration = Duration::from_secs(30);
const BACKOFF_MOST: Duration = Duration::from_secs(15);
/// Where the catalogue asks for no wait, coming back is spread over this all the same.
const BACKOFF_LEAST_MS: u32 = 100;

/// How a session came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// From the break to the last room joined.
    pub after: Duration,
    /// Attempts that failed before.
    pub failed: u32,
    /// The hub took the ticket.
    pub ticket_taken: bool,
    /// Every room went on where it was left: nothing was missed that did not come now.
    pub resumed: bool,
    /// Rooms that said they did not (a snapshot instead).
    pub told: u32,
    /// Holes that nobody announced.
    pub gaps: u64,
}

/// One cheap session that watches rooms.
pub struct Follower {
    light: Light,
    options: Options,
    welcome: Welcome,
    rooms: Rooms,
    values: u64,
    joins: Vec<Joined>,
    refused: Option<String>,
}

impl Follower {
    /// Connects and waits until every room of the options is joined.
    ///
    /// # Errors
    /// [`PeerError`]; a room that is refused is [`PeerError::Refused`].
    pub async fn connect(url: &str, options: Options) -> Result<Self, PeerError> {
        let mut first = Vec::new();
        let (light, welcome) = Light::connect(url, &options, |message| first.push(message.to_vec())).await?;
        let (rooms, joins) = (Rooms::asking(&options.rooms), Vec::new());
        let mut follower = Self { light, options, welcome, rooms, values: 0, joins, refused: None };
        for message in first {
            follower.hear(&message);
        }
        let wanted = follower.options.rooms.len();
        let all = async {
            while follower.joins.len() < wanted && follower.refused.is_none() {
                follower.read().await?;
            }
            Ok::<(), io::Error>(())
        };
        match tokio::time::timeout(ROOMS_WAIT, all).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => {
                let (code, text) = super::light::ending(&error);
                return Err(PeerError::Closed { code, text, what: "rooms".to_owned() });
            }
            Err(_elapsed) => {
                return Err(PeerError::Deadline { what: "rooms".to_owned(), waited: ROOMS_WAIT, passed: String::new() });
            }
        }
        match follower.refused.take() {
            Some(refused) => Err(PeerError::Refused(0, refused, String::new())),
            None => Ok(follower),
        }
    }

    /// Waits for the next messages and takes note of them. Safe to drop at await.
    ///
    /// # Errors
    /// As [`Light::read`].
    pub async fn read(&mut self) -> io::Result<()> {
        let Self { light, rooms, values, joins, refused, .. } = self;
        light.read(|message| hear(message, rooms, values, joins, refused)).await
    }

    fn hear(&mut self, message: &[u8]) {
        hear(message, &mut self.rooms, &mut self.values, &mut self.joins, &mut self.refused);
    }

    /// Where it stands.
    #[must_use]
    pub const fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Values and ticks heard since it connected.
    #[must_use]
    pub const fn values(&self) -> u64 {
        self.values
    }

    /// The hub's welcome.
    #[must_use]
    pub const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Resets the connection; what to come back with.
    #[must_use]
    pub fn cut(self) -> Options {
        let again = self.again();
        self.light.cut();
        again
    }

    fn again(&self) -> Options {
        let mut options = self.options.clone();
        options.ticket = Some(self.welcome.ticket.as_str().to_owned());
        options.rooms = self.rooms.positions().map(|position| position.join(&self.options.rooms)).collect();
        options
    }

    /// Resets the connection and comes back until it stands again or `patience` is over.
    ///
    /// # Errors
    /// The last [`PeerError`] when `patience` was over, or at once where the catalogue says not to come back.
    pub async fn come_back(self, url: &str, patience: Duration) -> Result<(Self, Back), PeerError> {
        let broken = Instant::now();
        let again = self.cut();
        let (mut reason, mut failed) = (CloseReason::Gone, 0);
        loop {
            tokio::time::sleep(backoff(reason, failed)).await;
            match Self::connect(url, again.clone()).await {
                Ok(follower) => {
                    let back = follower.back(broken.elapsed(), failed);
                    return Ok((follower, back));
                }
                Err(error) if broken.elapsed() >= patience || error.ended_as().after() != AfterClose::Resume => {
                    return Err(error);
                }
                Err(error) => {
                    reason = error.ended_as();
                    failed += 1;
                }
            }
        }
    }

    /// How the rooms answered; [`Rooms`] holds what they recovered against where they were left.
    fn back(&self, after: Duration, failed: u32) -> Back {
        let told = self.joins.iter().filter(|joined| !joined.recovered).count() as u32;
        let gaps = self.rooms.gaps();
        Back { after, failed, ticket_taken: self.welcome.resumed, resumed: told == 0 && gaps == 0, told, gaps }
    }
}

fn hear(message: &[u8], rooms: &mut Rooms, values: &mut u64, joins: &mut Vec<Joined>, refused: &mut Option<String>) {
    if !kind_of(message).is_some_and(|kind| NEWS.contains(&kind)) {
        *values += 1;
        return;
    }
    let Ok(frame) = ServerFrame::decode(Encoding::MessagePack, message) else { return };
    rooms.hear(&frame);
    match frame {
        ServerFrame::Joined(joined) => joins.push(Joined { snapshot: None, ..joined }),
        ServerFrame::Left(left) => *refused = Some(format!("left {}: {:?}", left.room, left.code)),
        ServerFrame::Error(error) => *refused = Some(format!("{} {}", error.code, error.name)),
        _ => (),
    }
}

/// The wait before the next attempt: the upper half of what the catalogue asks for, doubled for each failure.
fn backoff(reason: CloseReason, failed: u32) -> Duration {
    let whole = Duration::from_millis(reason.backoff_ms().max(BACKOFF_LEAST_MS).into()) * 2_u32.pow(failed.min(10));
    whole.min(BACKOFF_MOST).mul_f64(0.5 + rand::rng().random_range(0.0..0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_lies_in_the_upper_half_of_what_was_asked_for() {
        for _ in 0..100 {
            let first = backoff(CloseReason::Gone, 0);
            assert!((250..=500).contains(&first.as_millis()), "{first:?}");
            assert!(backoff(CloseReason::Busy, 2) >= Duration::from_secs(4));
            assert!(backoff(CloseReason::Busy, 30) <= BACKOFF_MOST);
        }
    }
}

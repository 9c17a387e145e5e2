//! The rules, as pure state machines.
//!
//! In: an [`Input`] and the time. Out: [`Effect`]s in the order in which they must happen. No tokio, no IO, no clock, no
//! randomness but what is handed in, so that any failure replays from the log of its inputs. A [`Gym`] owns every room of one gym
//! and is stepped by one shard; a [`Member`] owns what is true of one member across gyms. What one needs of the other
//! goes out as [`Effect::Tell`] and comes in again as an input.

pub mod ack;
pub mod alarm;
pub mod availability;
pub mod board;
mod claim;
pub mod classes;
pub mod clock;
pub mod code;
mod control;
mod decode;
pub mod draw;
pub mod effect;
pub mod floor;
pub mod fresh;
pub mod gym;
pub mod input;
pub mod log;
mod machine;
pub mod member;
pub mod pace;
pub mod rights;
pub mod ring;
pub mod source;
mod stop;
mod turn;
pub mod twin;
mod visit;
mod watch;
pub mod workout;

pub use draw::Draw;
pub use effect::{Audience, Effect, Keep, Lane, Tell};
pub use gym::activity::{Activity, Who};
pub use gym::{Gym, GymSeed};
pub use input::{Input, MemberInput, Now, Viewer};
pub use member::{Member, MemberSeed};

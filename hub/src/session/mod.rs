//! One connection's life: handshake, session, exit.
//!
//! In: an upgraded socket. Out: orders to shards, and one close reason. Life stages are types: a [`Handshake`] knows a deadline and nobody; a
//! [`Session`] knows its peer; an [`Exit`] knows why. A session is one task: its read loop and its write loop are two halves of one poll over one
//! socket, joined by the outbox, so that an idle session costs one small future, no timer and no channel.

mod challenge;
mod deferred;
mod dispatch;
mod exit;
mod handshake;
mod limits;
mod live;
mod outbox;
mod peer;
mod readings;
mod rotate;
mod slots;
mod ticket;
mod waiting;
mod writer;

pub use exit::{Exit, say_goodbye};
pub use handshake::Handshake;
pub use limits::Meter;
pub use live::Session;
pub use outbox::{Full, Outbox, Wake};
pub use peer::{Deadlines, Peer};
pub use slots::{Bound, Home, Slots};
pub use ticket::Tickets;
pub use writer::Writer;

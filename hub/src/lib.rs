//! The hub: transports, sessions, shards, and what wires them.
//!
//! Data walks through once, front to back: bytes come in at `transport`, become typed frames in `session`, meet the rules in the rooms that a
//! `shard` owns, and leave as effects: frames to outboxes, rows to the Recorder. Nothing calls back upstairs; what must return comes in
//! again as an input. `node` wires it all; `main` is the binary around it.

pub mod auth;
pub mod clock;
pub mod directory;
pub mod drain;
mod erasures;
pub mod follow;
pub mod hub;
pub mod keep;
pub mod metrics;
pub mod node;
pub mod registry;
pub mod seed;
pub mod session;
pub mod shard;
pub mod tasks;
pub mod trace;
pub mod transport;
pub mod wire;

pub use hub::Hub;
pub use node::{Node, StartError, start, start_on};

/// An error with all its causes, for one line of a log.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

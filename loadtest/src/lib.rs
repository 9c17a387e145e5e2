//! The load side of the house: one client, simulated gateways, scenarios.
//!
//! [`peer`] is the client that tests and load share. Sees
//! only `protocol`: what it knows of the hub is what any phone or gateway knows, so it finds what they would find. Never links the hub.

pub mod peer;

pub use peer::{Options, Peer, PeerError};

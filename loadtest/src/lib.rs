//! The load side of the house: one client, simulated gateways, scenarios.
//!
//! [`peer`] is the client that tests and load share; [`gateway`] plays many machines over one socket; [`workout`] is what they replay.
//! Sees only `protocol`: what it knows of the hub is what any phone or gateway knows, so it finds what they would find. Never links the
//! hub.

pub mod bench;
pub mod device;
pub mod examine;
pub mod gateway;
pub mod gym;
pub mod limit;
pub mod peer;
pub mod scenario;
pub mod workout;

pub use device::{Device, DeviceKey};
pub use gateway::{Gateway, MachineSpec, Mischief, SimGateway};
pub use gym::{GymPlan, SimulatedGym, SimulatedMember};
pub use peer::{Options, Peer, PeerError};
pub use workout::Workout;

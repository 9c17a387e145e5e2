//! The hub as its peers meet it: a real listener on port 0, a real store in a temporary folder, and the one client of the house.
//!
//! Waits are for a frame or a condition, never for luck. When a [`house::TestHub`] is dropped it is drained: a session, task or row that is left fails the test.

mod boards;
mod deploy;
mod devices;
mod drain;
mod erasure;
mod house;
mod joins;
mod life;
mod limits;
mod live;
mod matrix;
mod parsers;
#[cfg(feature = "otlp")]
mod process;
mod quiet;
mod restore;
mod rotation;
mod safety;
mod takeover;
mod tls;
#[cfg(feature = "otlp")]
mod traces;
mod wire;

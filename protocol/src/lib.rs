//! Words on the wire.
//!
//! Every frame that a peer and the hub exchange, both ways, with the ids, the catalogues of errors and closes,
//! the limits, and the codec for what gym machines say (FTMS and friends). Data only: no tokio, no IO, no clock,
//! no rule about who may do what. `docs/PROTOCOL.md`, `docs/ERRORS.md`, the JSON Schema and the TypeScript types are
//! generated from here and kept equal by `tests/generated/`.

pub mod close;
pub mod device;
pub mod error;
pub mod field;
pub mod frame;
pub mod ftms;
pub mod ids;
mod lenient;
pub mod limits;
pub mod room;
pub mod seq;
pub mod text;
pub mod totals;
pub mod wire;

pub use close::CloseReason;
pub use error::ErrorCode;
pub use field::{Field, Reading};
pub use frame::{ClientFrame, ServerFrame};
pub use ids::*;
pub use room::RoomName;
pub use seq::SeqRanges;

//! Words of storage: what comes in (rows, facts), what goes out (reports), what is asked and answered (records).

mod board;
mod device;
mod fact;
mod record;
mod report;
mod row;
mod training;

pub use board::*;
pub use device::*;
pub use fact::Fact;
pub use record::*;
pub use report::{Rejection, Report};
pub use row::{Row, RowWhat, SourceKey, UPLOAD_PREFIX};
pub use training::*;

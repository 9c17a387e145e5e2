//! Scenarios: each starts what it needs, shows where it is, ends by itself, and returns one [`Report`](crate::bench::Report).

pub mod abuse;
pub mod compare;
pub mod fanout;
pub mod idle;
pub mod ingest;
pub mod joins;
pub mod ledger;
pub mod replay;
pub mod slow;
pub mod soak;
pub mod stop;
pub mod storm;

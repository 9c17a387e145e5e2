//! The subcommands of the binary, one a file.

pub(crate) mod config;
pub(crate) mod copy;
pub(crate) mod demo;
pub(crate) mod ftms;
mod line;
pub(crate) mod log;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod supervisor;
pub(crate) mod token;
pub(crate) mod traces;

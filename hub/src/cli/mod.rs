//! The subcommands of the binary, one a file.

pub(crate) mod log;
pub(crate) mod serve;
pub(crate) mod config;
pub(crate) mod ftms;
pub(crate) mod token;

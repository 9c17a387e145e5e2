//! The subcommands of the binary, one a file.

pub(crate) mod log;
pub(crate) mod serve;

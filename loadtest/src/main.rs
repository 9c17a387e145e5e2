//! The `loadtest` binary: scenarios come with the hub that they measure.

fn main() {}

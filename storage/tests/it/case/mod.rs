//! The cases, by what they are about.

pub(crate) mod board;
pub(crate) mod device;
pub(crate) mod erasure;
pub(crate) mod fault;
pub(crate) mod history;
pub(crate) mod postgres_only;
pub(crate) mod recorder;
pub(crate) mod restore;
pub(crate) mod store;
pub(crate) mod tenants;
pub(crate) mod training;
pub(crate) mod transfer;

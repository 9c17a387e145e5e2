//! A gym with its members around it, played through inputs alone. `hours` is what a fuzzer plays too.

#[cfg(test)]
mod activities;
#[cfg(test)]
mod boards;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod controls;
#[cfg(test)]
mod extreme;
#[cfg_attr(fuzzing, allow(dead_code, reason = "logs are replayed by tests"))]
pub(super) mod hours;
#[cfg(test)]
mod kept;
#[cfg_attr(fuzzing, allow(dead_code, reason = "the fuzzer plays hours only"))]
mod kit;
#[cfg(test)]
mod left;
#[cfg(test)]
mod people;
#[cfg(test)]
mod property;
#[cfg(test)]
mod readings;
#[cfg(test)]
mod reboots;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod rooms;
#[cfg(test)]
mod stops;

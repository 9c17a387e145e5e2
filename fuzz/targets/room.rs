//! Whole hours in a gym: deeds of members, staff, machines, links and clocks drawn from the input, with every invariant of the rules asserted after each.
//!
//! Input: a deed for each six bytes or fewer. A failure prints the deeds as a log that `gym/tests/property.rs` replays.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = room::gym::random_hours(bytes) {
        panic!("{broken}");
    }
});

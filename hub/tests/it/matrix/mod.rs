//! Who may do what, tried on a running hub: each role against each frame, room and route of its own and another tenant.
//!
//! [`world`] has two gym chains and everybody in them, [`gateway`] plays the one that machines hang on, [`expect`] says in letters who may, [`frames`] and [`routes`] try everything that
//! there is and fail where something new has no row, [`privacy`] looks at what leaks beside the answers.

mod expect;
mod frames;
mod gateway;
mod privacy;
mod routes;
mod world;

//! Bytes and requests in: sockets, upgrades, HTTP, pages.
//!
//! In: TCP connections. Out: sessions, HTTP answers. Knows addresses, origins and caps; knows no room.

pub mod accept;
pub mod address;
pub mod caps;
pub mod echo;
mod head;
pub mod http;
pub mod pages;
pub mod proxy;
pub mod reader;
pub mod serve;
pub mod stream;
pub mod tls;
pub mod upgrade;
mod write_deadline;
pub mod wsframe;

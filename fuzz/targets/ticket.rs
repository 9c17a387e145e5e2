//! Resume tickets: no text is a ticket that was not issued, and an issued one is good for its subject alone.
//!
//! Input: text, and places where a good ticket is changed.

#![no_main]

use std::sync::LazyLock;

use hub::session::Tickets;
use libfuzzer_sys::fuzz_target;
use protocol::frame::Role;
use protocol::{SessionId, TenantId};
use room::Viewer;
use uuid::Uuid;

static TICKETS: LazyLock<Tickets> = LazyLock::new(|| Tickets::new([7; 32], 60_000));

fn viewer(subject: u128) -> Viewer {
    Viewer { tenant: TenantId(Uuid::from_u128(1)), role: Role::Member, subject: Uuid::from_u128(subject), gyms: vec![], teams: vec![] }
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(TICKETS.check(&text, &viewer(2), 0), None, "nobody issued {text:?}");
    let session = SessionId(Uuid::from_u128(9));
    let ticket = TICKETS.issue(session, &viewer(2), 0);
    assert_eq!(TICKETS.check(&ticket, &viewer(2), 59_999), Some(session));
    assert_eq!(TICKETS.check(&ticket, &viewer(3), 0), None);
    let mut changed = ticket.as_bytes().to_vec();
    for pair in bytes.chunks_exact(2) {
        let at = usize::from(pair[0]) % changed.len();
        changed[at] = pair[1];
    }
    if let Ok(changed) = std::str::from_utf8(&changed)
        && changed != ticket.as_str()
    {
        assert_eq!(TICKETS.check(changed, &viewer(2), 0), None, "{changed} instead of {}", ticket.as_str());
    }
});

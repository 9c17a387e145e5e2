//! Resume tickets: what a client shows to go on where it was.
//!
//! In: a session that begins, or the ticket of one that ended. Out: `session.expiry.mac` in base64url, HMAC-SHA256 (RFC 2104) over the session, its
//! tenant, role and subject. Needs no store: a ticket only proves that this node gave this session to this subject; the token is
//! verified all the same, and the rooms come from `hello`.

use aws_lc_rs::hmac::{self, Key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::SessionId;
use protocol::text::Text;
use room::Viewer;
use uuid::Uuid;

/// Bytes before the signature: session and expiry.
const HEAD_BYTES: usize = 16 + 8;

/// Signs and checks tickets with a key that lives as long as the process.
pub struct Tickets {
    key: Key,
    life_ms: i64,
}

impl Tickets {
    /// Tickets of a key.
    #[must_use]
    pub fn new(key: [u8; 32], life_ms: i64) -> Self {
        Self { key: Key::new(hmac::HMAC_SHA256, &key), life_ms }
    }

    /// The ticket of a session, good for this long after its token ends.
    #[must_use]
    pub fn issue(&self, session: SessionId, viewer: &Viewer, at_ms: i64) -> Text<512> {
        let until_ms = at_ms.saturating_add(self.life_ms);
        let mut ticket = [0_u8; HEAD_BYTES + 32];
        ticket[..16].copy_from_slice(session.0.as_bytes());
        ticket[16..HEAD_BYTES].copy_from_slice(&until_ms.to_be_bytes());
        let mac = hmac::sign(&self.key, &claim(&ticket[..HEAD_BYTES], viewer));
        ticket[HEAD_BYTES..].copy_from_slice(mac.as_ref());
        Text::cut(&URL_SAFE_NO_PAD.encode(ticket))
    }

    /// The session that a ticket stands for, if it was given to this subject and is still good.
    #[must_use]
    pub fn check(&self, ticket: &str, viewer: &Viewer, at_ms: i64) -> Option<SessionId> {
        let ticket = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let (head, mac) = ticket.split_at_checked(HEAD_BYTES)?;
        hmac::verify(&self.key, &claim(head, viewer), mac).ok()?;
        let until_ms = i64::from_be_bytes(head[16..].try_into().ok()?);
        (at_ms < until_ms).then_some(SessionId(Uuid::from_slice(&head[..16]).ok()?))
    }
}

/// What is signed: the ticket's own bytes and whose they are.
fn claim(head: &[u8], viewer: &Viewer) -> Vec<u8> {
    let mut claim = Vec::with_capacity(64);
    claim.extend_from_slice(head);
    claim.extend_from_slice(viewer.tenant.0.as_bytes());
    claim.extend_from_slice(viewer.subject.as_bytes());
    claim.extend_from_slice(viewer.role.name().as_bytes());
    claim
}

#[cfg(test)]
mod tests {
    use protocol::TenantId;
    use protocol::frame::Role;

    use super::*;

    fn viewer(tenant: u128, subject: u128, role: Role) -> Viewer {
        Viewer { tenant: TenantId(Uuid::from_u128(tenant)), role, subject: Uuid::from_u128(subject), gyms: vec![], teams: vec![] }
    }

    #[test]
    fn a_ticket_is_good_for_its_subject_tenant_and_role_and_for_its_time() {
        let tickets = Tickets::new([7; 32], 1000);
        let member = viewer(1, 2, Role::Member);
        let session = SessionId(Uuid::from_u128(9));
        let ticket = tickets.issue(session, &member, 500);
        assert_eq!(tickets.check(&ticket, &member, 1499), Some(session));
        assert_eq!(tickets.check(&ticket, &member, 1500), None);
        for other in [viewer(2, 2, Role::Member), viewer(1, 3, Role::Member), viewer(1, 2, Role::Coach)] {
            assert_eq!(tickets.check(&ticket, &other, 600), None);
        }
        assert_eq!(Tickets::new([8; 32], 1000).check(&ticket, &member, 600), None);
    }

    #[test]
    fn a_changed_or_cut_ticket_is_none() {
        let tickets = Tickets::new([7; 32], 1000);
        let member = viewer(1, 2, Role::Member);
        let ticket = tickets.issue(SessionId(Uuid::from_u128(9)), &member, 0);
        for len in 0..ticket.len() {
            assert_eq!(tickets.check(&ticket[..len], &member, 1), None);
        }
        let changed = format!("A{}", &ticket[1..]);
        assert!(changed == ticket.as_str() || tickets.check(&changed, &member, 1).is_none());
        assert_eq!(tickets.check("no ticket", &member, 1), None);
    }
}

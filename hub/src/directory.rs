//! Who is connected: subject to live sessions.
//!
//! In: sessions as they begin and end, revocations, the drain. Out: closes, counts per user and per device. Serves revocation now; push and
//! presence later. One entry a subject; guards are never held across an await.

use std::sync::Arc;

use dashmap::DashMap;
use protocol::frame::Role;
use protocol::{CloseReason, SessionId, TenantId};
use uuid::Uuid;

use crate::auth::{Identity, Revoked};
use crate::session::Peer;

/// Whose sessions: tenant, role and subject of a token.
pub type Subject = (TenantId, Role, Uuid);

/// One live session of a subject.
struct Live {
    peer: Arc<Peer>,
    token: TokenMark,
    device: Option<Box<str>>,
}

/// What a revocation compares of a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenMark {
    /// `jti`.
    pub id: Option<Box<str>>,
    /// `iat`, UTC.
    pub issued_at_ms: i64,
}

impl TokenMark {
    /// The mark of a verified token.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        Self { id: identity.token_id.clone(), issued_at_ms: identity.issued_at_ms }
    }
}

/// A cap that a new session would pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// Sessions of one user.
    #[error("this user has {0} connections, which is as many as allowed")]
    OfUser(usize),
    /// Sessions of one device of a user.
    #[error("this device has {0} connections, which is as many as allowed")]
    OfDevice(usize),
}

/// All live sessions.
#[derive(Default)]
pub struct Directory {
    subjects: DashMap<Subject, Vec<Live>>,
}

impl Directory {
    /// Lists a session unless its user or device has as many as allowed.
    ///
    /// # Errors
    /// [`TooMany`] with the number that stands; the session closes `too_many_connections`.
    pub fn enter(
        &self,
        peer: &Arc<Peer>,
        token: TokenMark,
        device: Option<&str>,
        per_user_max: usize,
        per_device_max: usize,
    ) -> Result<(), TooMany> {
        let mut live = self.subjects.entry(subject_of(peer)).or_default();
        // Sessions that are ending no longer count: their sockets only wait for a goodbye.
        let standing = live.iter().filter(|one| one.peer.closing().is_none());
        let of_user = standing.clone().count();
        if of_user >= per_user_max {
            return Err(TooMany::OfUser(of_user));
        }
        if let Some(device) = device {
            let of_device = standing.filter(|one| one.device.as_deref() == Some(device)).count();
            if of_device >= per_device_max {
                return Err(TooMany::OfDevice(of_device));
            }
        }
        live.reserve_exact(1);
        live.push(Live { peer: peer.clone(), token, device: device.map(Into::into) });
        Ok(())
    }

    /// Takes a session off the list.
    pub fn leave(&self, peer: &Peer) {
        let subject = subject_of(peer);
        if let Some(mut live) = self.subjects.get_mut(&subject) {
            live.retain(|one| one.peer.session != peer.session);
        }
        self.subjects.remove_if(&subject, |_, live| live.is_empty());
    }

    /// A refreshed token counts from now on.
    pub fn refresh(&self, peer: &Peer, token: TokenMark) {
        if let Some(mut live) = self.subjects.get_mut(&subject_of(peer))
            && let Some(one) = live.iter_mut().find(|one| one.peer.session == peer.session)
        {
            one.token = token;
        }
    }

    /// Closes every session of a tenant that stands on what was revoked. Returns how many.
    pub fn revoke(&self, tenant: TenantId, revoked: &Revoked) -> usize {
        let mut closed = 0;
        for entry in self.subjects.iter().filter(|entry| entry.key().0 == tenant) {
            let (_, _, subject) = *entry.key();
            for one in entry.value() {
                let meant = match revoked {
                    Revoked::Token(id) => one.token.id.as_deref() == Some(id),
                    Revoked::Subject(who, before_ms) => *who == subject && one.token.issued_at_ms < *before_ms,
                    Revoked::IssuedBefore(before_ms) => one.token.issued_at_ms < *before_ms,
                };
                if meant {
                    one.peer.close(CloseReason::TokenRevoked);
                    closed += 1;
                }
            }
        }
        closed
    }

    /// Ends one session of a subject, if it is live here: the same client came back before its old connection was missed.
    pub fn replace(&self, subject: Subject, session: SessionId) -> bool {
        let Some(live) = self.subjects.get(&subject) else { return false };
        let Some(one) = live.iter().find(|one| one.peer.session == session) else { return false };
        one.peer.close(CloseReason::Replaced);
        true
    }

    /// Every live session.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Peer>> {
        self.subjects.iter().flat_map(|entry| entry.value().iter().map(|one| one.peer.clone()).collect::<Vec<_>>()).collect()
    }

    /// How many subjects are connected.
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.subjects.len()
    }

    /// How many sessions a role has.
    #[must_use]
    pub fn of_role(&self, role: Role) -> usize {
        self.subjects.iter().filter(|entry| entry.key().1 == role).map(|entry| entry.value().len()).sum()
    }

    /// Bytes that wait in all outboxes.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.subjects.iter().map(|entry| entry.value().iter().map(|one| one.peer.lock().bytes()).sum::<usize>()).sum()
    }

    /// How many sessions are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subjects.iter().map(|entry| entry.value().len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }
}

fn subject_of(peer: &Peer) -> Subject {
    (peer.viewer.tenant, peer.viewer.role, peer.viewer.subject)
}

#[cfg(test)]
mod tests {
    use protocol::wire::Encoding;
    use room::Viewer;

    use super::*;

    fn peer(subject: u128, session: u128) -> Arc<Peer> {
        let viewer = Viewer {
            tenant: TenantId(Uuid::from_u128(1)),
            role: Role::Member,
            subject: Uuid::from_u128(subject),
            gyms: vec![],
            teams: vec![],
        };
        Arc::new(Peer::new(SessionId(Uuid::from_u128(session)), Encoding::Json, Arc::new(viewer), i64::MAX, 1000))
    }

    fn mark(id: &str, issued_at_ms: i64) -> TokenMark {
        TokenMark { id: Some(id.into()), issued_at_ms }
    }

    #[test]
    fn a_user_and_a_device_have_as_many_sessions_as_allowed_and_not_one_more() {
        let directory = Directory::default();
        let enter = |session, device| directory.enter(&peer(5, session), TokenMark::default(), device, 3, 2);
        assert_eq!(enter(1, Some("phone")), Ok(()));
        assert_eq!(enter(2, Some("phone")), Ok(()));
        assert_eq!(enter(3, Some("phone")), Err(TooMany::OfDevice(2)));
        assert_eq!(enter(4, Some("watch")), Ok(()));
        assert_eq!(enter(5, None), Err(TooMany::OfUser(3)));
    }

    #[test]
    fn revocation_closes_what_it_names_and_nothing_else() {
        let directory = Directory::default();
        let (old, new, other) = (peer(5, 1), peer(5, 2), peer(6, 3));
        for (peer, token) in [(&old, mark("a", 100)), (&new, mark("b", 200)), (&other, mark("c", 100))] {
            directory.enter(peer, token, None, 9, 9).unwrap();
        }
        let tenant = TenantId(Uuid::from_u128(1));
        assert_eq!(directory.revoke(tenant, &Revoked::Subject(Uuid::from_u128(5), 150)), 1);
        assert_eq!((old.closing(), new.closing(), other.closing()), (Some(CloseReason::TokenRevoked), None, None));
        assert_eq!(directory.revoke(TenantId(Uuid::nil()), &Revoked::Token("c".into())), 0);
        assert_eq!(directory.revoke(tenant, &Revoked::Token("c".into())), 1);
    }

    #[test]
    fn whoever_left_is_gone() {
        let directory = Directory::default();
        let one = peer(5, 1);
        directory.enter(&one, TokenMark::default(), None, 9, 9).unwrap();
        directory.leave(&one);
        assert!(directory.is_empty());
    }
}

//! What is revoked: single tokens, subjects, whole tenants up to a time.
//!
//! In: rows of the store at start, the HTTP route later. Out: whether an identity is hit. In memory, bounded, and forgotten when every token
//! that could be hit has run out. What is held already takes no room; and when single tokens take all of theirs, subjects and tenants can still
//! be revoked. Closing live sessions is the directory's part.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use protocol::TenantId;
use uuid::Uuid;

use super::Identity;

/// Single tokens kept at most; who needs more revokes by subject or by time.
const TOKENS_MAX: usize = 100_000;
/// Subjects kept at most, far above what people revoke one by one; who needs more revokes by time. Tenants are as many as the operator has.
const SUBJECTS_MAX: usize = 1_000_000;

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// One token, by its `jti`.
    Token(String),
    /// All tokens of a subject issued before this time, UTC.
    Subject(Uuid, i64),
    /// All tokens of the tenant issued before this time, UTC.
    IssuedBefore(i64),
}

/// There are as many revocations as may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyRevocations {
    /// Single tokens.
    #[error("{TOKENS_MAX} revoked tokens are kept and no more fit: revoke by subject or by time")]
    Tokens,
    /// Subjects.
    #[error("{SUBJECTS_MAX} revoked subjects are kept and no more fit: revoke by time")]
    Subjects,
}

/// All revocations in force.
#[derive(Default)]
pub struct Revocations {
    kept: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Until when each counts.
    tokens: HashMap<(TenantId, Box<str>), i64>,
    /// Before when, and until when that counts.
    subjects: HashMap<(TenantId, Uuid), (i64, i64)>,
    tenants: HashMap<TenantId, (i64, i64)>,
}

impl Kept {
    fn has_room(&self, tenant: TenantId, revoked: &Revoked) -> Result<(), TooManyRevocations> {
        match revoked {
            Revoked::Token(id) if self.tokens.len() >= TOKENS_MAX && !self.tokens.contains_key(&(tenant, id.as_str().into())) => {
                Err(TooManyRevocations::Tokens)
            }
            Revoked::Subject(subject, _) if self.subjects.len() >= SUBJECTS_MAX && !self.subjects.contains_key(&(tenant, *subject)) => {
                Err(TooManyRevocations::Subjects)
            }
            Revoked::Token(_) | Revoked::Subject(..) | Revoked::IssuedBefore(_) => Ok(()),
        }
    }
}

impl Revocations {
    /// Whether one would be taken, to be asked before it is stored.
    ///
    /// # Errors
    /// [`TooManyRevocations`].
    pub fn has_room(&self, tenant: TenantId, revoked: &Revoked) -> Result<(), TooManyRevocations> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).has_room(tenant, revoked)
    }

    /// Takes one; `until_at_ms` is when every token that it could hit has run out.
    ///
    /// # Errors
    /// [`TooManyRevocations`]; nothing was taken.
    pub fn add(&self, tenant: TenantId, revoked: &Revoked, until_at_ms: i64) -> Result<(), TooManyRevocations> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.has_room(tenant, revoked)?;
        let later = |old: &mut (i64, i64), before_ms: i64| *old = (old.0.max(before_ms), old.1.max(until_at_ms));
        match revoked {
            Revoked::Token(id) => {
                let until = kept.tokens.entry((tenant, id.as_str().into())).or_default();
                *until = (*until).max(until_at_ms);
            }
            Revoked::Subject(subject, before_ms) => later(kept.subjects.entry((tenant, *subject)).or_default(), *before_ms),
            Revoked::IssuedBefore(before_ms) => later(kept.tenants.entry(tenant).or_default(), *before_ms),
        }
        Ok(())
    }

    /// Whether a token is revoked.
    #[must_use]
    pub fn hits(&self, identity: &Identity) -> bool {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let (tenant, subject) = (identity.viewer.tenant, identity.viewer.subject);
        let before = |time: Option<&(i64, i64)>| time.is_some_and(|(before_ms, _)| identity.issued_at_ms < *before_ms);
        before(kept.tenants.get(&tenant))
            || before(kept.subjects.get(&(tenant, subject)))
            || identity.token_id.as_ref().is_some_and(|id| kept.tokens.contains_key(&(tenant, id.clone())))
    }

    /// How many are in force.
    #[must_use]
    pub fn len(&self) -> usize {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.tokens.len() + kept.subjects.len() + kept.tenants.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what can hit nothing any more.
    pub fn forget(&self, at_ms: i64) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.tokens.retain(|_, until| *until > at_ms);
        kept.subjects.retain(|_, (_, until)| *until > at_ms);
        kept.tenants.retain(|_, (_, until)| *until > at_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(0xA));
    const OTHER: TenantId = TenantId(Uuid::from_u128(0xB));

    #[test]
    fn when_single_tokens_are_as_many_as_may_be_everything_else_is_still_taken() {
        let revocations = Revocations::default();
        for n in 0..TOKENS_MAX {
            revocations.add(TENANT, &Revoked::Token(n.to_string()), 10).unwrap();
        }
        let one_more = Revoked::Token("one more".to_owned());
        assert_eq!(revocations.has_room(TENANT, &one_more), Err(TooManyRevocations::Tokens));
        assert_eq!(revocations.add(TENANT, &one_more, 10), Err(TooManyRevocations::Tokens));
        assert_eq!(
            revocations.add(OTHER, &Revoked::Token("7".to_owned()), 10),
            Err(TooManyRevocations::Tokens),
            "another tenant's is another"
        );
        for revoked in [Revoked::Token("7".to_owned()), Revoked::Subject(Uuid::from_u128(1), 5), Revoked::IssuedBefore(5)] {
            assert_eq!(revocations.add(TENANT, &revoked, 20), Ok(()), "{revoked:?}");
        }
        revocations.forget(10);
        assert_eq!(revocations.len(), 3, "what was held is kept for longer");
        assert_eq!(revocations.add(TENANT, &one_more, 20), Ok(()));
    }
}

//! What is revoked: single tokens, subjects, whole tenants up to a time.
//!
//! In: rows of the store at start, the HTTP route later. Out: whether an identity is hit. In memory, bounded, and forgotten when every token
//! that could be hit has run out. Closing live sessions is the directory's part.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use protocol::TenantId;
use uuid::Uuid;

use super::Identity;

/// Revocations kept at most; a tenant that needs more revokes by time.
const REVOCATIONS_MAX: usize = 100_000;

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
#[error("{REVOCATIONS_MAX} revocations are kept and no more fit: revoke by subject or by time")]
pub struct TooManyRevocations;

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

impl Revocations {
    /// Takes one; `until_at_ms` is when every token that it could hit has run out.
    ///
    /// # Errors
    /// [`TooManyRevocations`]; nothing was taken.
    pub fn add(&self, tenant: TenantId, revoked: &Revoked, until_at_ms: i64) -> Result<(), TooManyRevocations> {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.tokens.len() + kept.subjects.len() >= REVOCATIONS_MAX {
            return Err(TooManyRevocations);
        }
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

//! Why a token is not good. The texts go to whoever sent it, so they never repeat what it said.

use protocol::{CloseReason, ErrorCode};

/// A token that opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No three parts, no JSON, too long, or it demands what this hub does not know (`crit`).
    #[error("not a signed token: {0}")]
    Malformed(&'static str),
    /// Its issuer is not configured.
    #[error("its issuer may not issue tokens for this hub")]
    UnknownIssuer,
    /// Its issuer has no such key, as far as is known here: a fetch may help.
    #[error("its issuer has no key of that name")]
    UnknownKey,
    /// It is signed with another algorithm than its key is for.
    #[error("its algorithm is not that of its key")]
    Algorithm,
    /// The signature does not fit.
    #[error("its signature does not fit")]
    Signature,
    /// It was made for somebody else.
    #[error("it was not issued for this hub")]
    Audience,
    /// It has run out.
    #[error("it has run out")]
    Expired,
    /// It is not good yet.
    #[error("it is not good yet: its clock or ours is wrong")]
    NotYet,
    /// A claim is missing or cannot mean what it should.
    #[error("its claim for the {0} is missing or means nothing here")]
    Claim(&'static str),
    /// It names no role of ours, or several.
    #[error("it names no role of this hub, or more than one")]
    Role,
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
}

impl AuthError {
    /// The entry of the catalogue.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Expired => ErrorCode::TokenExpired,
            Self::Revoked => ErrorCode::TokenRevoked,
            _ => ErrorCode::Unauthenticated,
        }
    }

    /// How a session ends over it.
    #[must_use]
    pub const fn close_reason(self) -> CloseReason {
        match self {
            Self::Expired => CloseReason::TokenExpired,
            Self::Revoked => CloseReason::TokenRevoked,
            _ => CloseReason::TokenInvalid,
        }
    }

    /// The word in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Claim(_) => "claim",
            Self::Role => "role",
            Self::Revoked => "revoked",
        }
    }
}

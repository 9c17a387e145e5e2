//! What a good token says.

use std::sync::Arc;

use room::Viewer;

/// Who a token speaks for, and what of the token is remembered: never the token itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// For rights and rooms.
    pub viewer: Arc<Viewer>,
    /// When it runs out, UTC: exactly its `exp`. A live socket closes then; the leeway is for other clocks at the door only.
    pub expires_at_ms: i64,
    /// When it was issued, UTC; 0 where it does not say, so that every revocation by time hits it.
    pub issued_at_ms: i64,
    /// Its `jti`, for revocation.
    pub token_id: Option<Box<str>>,
    /// What the tenant sold this person (`free`, `premium`, `team`), where the token says.
    pub tier: Option<Box<str>>,
}

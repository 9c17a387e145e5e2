//! Who asks: a bearer token into an identity, and an identity into rights.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use protocol::{ErrorCode, MemberId, TenantId};
use room::Viewer;
use room::rights::{self, Action, Object};
use uuid::Uuid;

use super::answer::{Answer, ApiError};
use super::{Api, ClientAddress};
use crate::auth::{AuthError, Identity};
use crate::metrics::Limit;

/// Somebody with a good token.
pub(super) struct Caller {
    pub(super) identity: Identity,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let verified = match bearer(parts) {
            Some(token) => api.verifier.verify_waiting(token, crate::clock::at_ms).await,
            None => Err(AuthError::Malformed("there is none: send Authorization: Bearer")),
        };
        let identity = match verified {
            Ok(identity) => identity,
            Err(error) => {
                api.metrics.token_refused(error);
                api.stranger(parts)?;
                return Err(error.into());
            }
        };
        api.rates.subject(identity.viewer.tenant, identity.viewer.subject).inspect_err(|_| api.metrics.limited(Limit::SubjectRequests))?;
        Ok(Self { identity })
    }
}

/// The token of `Authorization: Bearer`; the scheme's case does not matter (RFC 9110 section 11.1).
pub(super) fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Api {
    /// Counts a request of nobody known against its address.
    pub(super) fn stranger(&self, parts: &Parts) -> Result<(), ApiError> {
        let address = ClientAddress::of(&parts.extensions);
        self.rates.stranger(address).inspect_err(|_| self.metrics.limited(Limit::AddressRequests))
    }
}

impl Caller {
    pub(super) fn viewer(&self) -> &Viewer {
        &self.identity.viewer
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.identity.viewer.tenant
    }

    pub(super) fn subject(&self) -> Uuid {
        self.identity.viewer.subject
    }

    /// Whether the table of rights lets this caller do this to this.
    pub(super) fn may(&self, action: Action, object: &Object<'_>) -> Answer<()> {
        rights::allows(self.viewer(), action, object).map_err(ApiError::new)
    }

    /// Something of the caller's own tenant of which no more is known.
    pub(super) fn of_tenant(&self) -> Object<'static> {
        Object { tenant: Some(self.tenant()), ..Object::default() }
    }

    /// Refuses whoever the table never lets do this, before anything is read.
    pub(super) fn ever(&self, action: Action) -> Answer<()> {
        if action.rule(self.viewer().role) == rights::Rule::No { Err(ErrorCode::Forbidden.into()) } else { Ok(()) }
    }

    /// The member that a list is asked for: a member sees their own where none is named.
    pub(super) fn member_asked(&self, asked: Option<MemberId>) -> Option<MemberId> {
        match self.viewer().role {
            protocol::frame::Role::Member => asked.or(Some(MemberId(self.subject()))),
            _ => asked,
        }
    }
}

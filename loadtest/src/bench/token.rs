//! Tokens for the load's own issuer: HS256, which a hub in the `dev` profile takes from an issuer whose secret it was given.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use protocol::frame::Role;
use protocol::{GymId, TeamId, TenantId};
use serde_json::json;
use sha2::Sha256;
use uuid::Uuid;

/// `iss` of the tokens.
pub(super) const ISSUER: &str = "spotter:loadtest";
/// `aud` of the tokens.
pub(super) const AUDIENCE: &str = "spotter";
/// Longer than any run.
const LIFE_S: f64 = 24.0 * 3_600.0;
/// So that a hub whose clock is a little behind takes them too.
const EARLIER_S: f64 = 5.0;

/// Signs tokens of one tenant with a shared secret.
#[derive(Debug, Clone)]
pub struct Minter {
    secret: Vec<u8>,
    tenant: TenantId,
}

impl Minter {
    /// An issuer for a tenant.
    #[must_use]
    pub fn new(secret: &str, tenant: TenantId) -> Self {
        Self { secret: secret.as_bytes().to_vec(), tenant }
    }

    /// The tenant of all tokens.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// A token for somebody.
    #[must_use]
    pub fn token(&self, role: Role, subject: Uuid, gyms: &[GymId], teams: &[TeamId]) -> String {
        self.token_for(LIFE_S, role, subject, gyms, teams)
    }

    /// A token for somebody that runs out after so many seconds.
    #[must_use]
    pub fn token_for(&self, life_s: f64, role: Role, subject: Uuid, gyms: &[GymId], teams: &[TeamId]) -> String {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "jti": Uuid::now_v7(), "iat": now_s - EARLIER_S, "exp": now_s + life_s,
            "tenant": self.tenant, "roles": [role.name()], "gyms": gyms, "teams": teams,
        });
        let mut token = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.sign(token.as_bytes());
        token.push('.');
        token.push_str(&signature);
        token
    }

    fn sign(&self, text: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(text);
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_7515() {
        // RFC 7515, appendix A.1.
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let minter = Minter { secret: URL_SAFE_NO_PAD.decode(key).unwrap(), tenant: TenantId(Uuid::nil()) };
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        assert_eq!(minter.sign(signed.as_bytes()), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }
}

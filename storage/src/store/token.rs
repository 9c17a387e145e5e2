//! Revocations of tokens: by token, by subject, by time. Loaded at start, kept until no token lives that long.

use uuid::Uuid;

use super::Store;
use crate::db::{Row, values};
use crate::error::StoreError;
use crate::model::{Revocation, Revoked};

impl Store {
    /// Adds a revocation. The same again keeps the later times.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn revoke(&self, revocation: &Revocation) -> Result<(), StoreError> {
        const DO: &str = "revoke";
        let (kind, id, before_at_ms) = match &revocation.revoked {
            Revoked::Token(id) => ("token", id.clone(), None),
            Revoked::Subject(subject, before) => ("subject", subject.to_string(), Some(*before)),
            Revoked::IssuedBefore(before) => ("tenant", String::new(), Some(*before)),
        };
        let sql = "insert into revocations (tenant, kind, id, before_at_ms, until_at_ms) values ($1, $2, $3, $4, $5)
             on conflict (tenant, kind, id) do update set
             before_at_ms = case when excluded.before_at_ms > revocations.before_at_ms then excluded.before_at_ms else revocations.before_at_ms end,
             until_at_ms = case when excluded.until_at_ms > revocations.until_at_ms then excluded.until_at_ms else revocations.until_at_ms end";
        self.db.execute(DO, sql, &values![revocation.tenant, kind, id, before_at_ms, revocation.until_at_ms]).await.map(drop)
    }

    /// Revocations of all tenants that may still hit a token.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn revocations(&self, now_ms: i64) -> Result<Vec<Revocation>, StoreError> {
        const DO: &str = "read revocations";
        let sql = "select tenant, kind, id, before_at_ms, until_at_ms from revocations where until_at_ms > $1";
        self.db.fetch(DO, sql, &values![now_ms]).await?.iter().map(|row| revocation_of(row, DO)).collect()
    }
}

fn revocation_of(row: &Row, operation: &'static str) -> Result<Revocation, StoreError> {
    let id: String = row.get(operation, 2)?;
    let before = row.get::<Option<i64>>(operation, 3)?.unwrap_or(i64::MAX);
    let revoked = match row.get::<String>(operation, 1)?.as_str() {
        "token" => Revoked::Token(id),
        "subject" => Revoked::Subject(id.parse::<Uuid>().map_err(|error| crate::db::decode(operation, 2, error))?, before),
        _ => Revoked::IssuedBefore(before),
    };
    Ok(Revocation { tenant: row.id(operation, 0)?, revoked, until_at_ms: row.get(operation, 4)? })
}

//! `Idempotency-Key`: the first request takes the key, its answer is kept, and repeats hear the same for a day.

use protocol::TenantId;
use uuid::Uuid;

use super::Store;
use crate::db::values;
use crate::error::StoreError;
use crate::model::Idempotency;

/// A request that took its key and never answered (its node died) gives way after this time.
const ABANDONED_MS: i64 = 60_000;
/// Keys are good for this long.
pub(super) const LIFE_MS: i64 = 24 * 60 * 60 * 1000;

impl Store {
    /// Takes a key for a request, or says what became of it. `request` is a hash of method, path and body.
    ///
    /// # Errors
    /// [`StoreError`] as the database says; the request must not be carried out then.
    pub async fn take_key(
        &self,
        tenant: TenantId,
        subject: Uuid,
        key: &str,
        request: &[u8],
        now_ms: i64,
    ) -> Result<Idempotency, StoreError> {
        const DO: &str = "take an idempotency key";
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        let stale = "delete from idempotency where tenant = $1 and subject = $2 and name = $3
             and (at_ms < $4 or (status is null and at_ms < $5))";
        conn.execute(DO, stale, &values![tenant, subject, key, now_ms - LIFE_MS, now_ms - ABANDONED_MS]).await?;
        let take = "insert into idempotency (tenant, subject, name, request, at_ms) values ($1, $2, $3, $4, $5) on conflict do nothing";
        let taken = conn.execute(DO, take, &values![tenant, subject, key, request.to_vec(), now_ms]).await?;
        if taken == 1 {
            tx.commit(DO).await?;
            return Ok(Idempotency::New);
        }
        let sql = "select request, status, answer from idempotency where tenant = $1 and subject = $2 and name = $3";
        let row = conn.fetch_one(DO, sql, &values![tenant, subject, key]).await?;
        let Some(row) = row else { return Err(StoreError::Stale { operation: DO }) };
        if row.get::<Vec<u8>>(DO, 0)? != request {
            return Ok(Idempotency::Mismatch);
        }
        Ok(match row.opt_number(DO, 1)? {
            Some(status) => Idempotency::Answered { status, body: row.get::<Option<Vec<u8>>>(DO, 2)?.unwrap_or_default() },
            None => Idempotency::Running,
        })
    }

    /// Keeps the answer of the request that took the key.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn answer_key(&self, tenant: TenantId, subject: Uuid, key: &str, status: u16, body: &[u8]) -> Result<(), StoreError> {
        let sql = "update idempotency set status = $4, answer = $5 where tenant = $1 and subject = $2 and name = $3";
        self.db.execute("keep an answer", sql, &values![tenant, subject, key, status, body.to_vec()]).await.map(drop)
    }

    /// Lets a key go whose request failed before it changed anything.
    ///
    /// # Errors
    /// [`StoreError`] as the database says; the key then gives way by itself after a minute.
    pub async fn release_key(&self, tenant: TenantId, subject: Uuid, key: &str) -> Result<(), StoreError> {
        let sql = "delete from idempotency where tenant = $1 and subject = $2 and name = $3 and status is null";
        self.db.execute("release a key", sql, &values![tenant, subject, key]).await.map(drop)
    }
}

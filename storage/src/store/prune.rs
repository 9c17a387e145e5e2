//! Retention: what is older than its kind may be goes, in steps small enough for others to go on.
//!
//! Readings are not among it: those are packed first, and go as chunks (`history/forget.rs`).

use super::Store;
use super::idempotency::LIFE_MS;
use crate::db::values;
use crate::error::StoreError;

/// Rows deleted in one statement.
const STEP: i64 = 5_000;

/// What may be forgotten. Times are UTC; nothing is kept that began before them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// Events by kind and time; `*` is every kind that is not named.
    pub events_before_ms: Vec<(String, i64)>,
    /// Quarantined rows before this time.
    pub quarantine_before_ms: Option<i64>,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Events.
    pub events: u64,
    /// Quarantined rows.
    pub quarantine: u64,
    /// Idempotency keys and revocations that ran out.
    pub expired: u64,
}

impl Store {
    /// Forgets one step of what may be forgotten; call again while it returns anything.
    ///
    /// # Errors
    /// [`StoreError`] as the database says; what went is gone, the rest goes next time.
    pub async fn prune(&self, retention: &Retention, now_ms: i64) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let named: Vec<String> = retention.events_before_ms.iter().map(|(kind, _)| kind.clone()).filter(|kind| kind != "*").collect();
        for (kind, before) in &retention.events_before_ms {
            pruned.events += self.delete_events(kind, *before, &named).await?;
        }
        if let Some(before) = retention.quarantine_before_ms {
            let sql = "delete from quarantine where entry in (select entry from quarantine where received_at_ms < $1 limit $2)";
            pruned.quarantine = self.db.execute("prune the quarantine", sql, &values![before, STEP]).await?;
        }
        pruned.expired = self.db.execute("prune keys", "delete from idempotency where at_ms < $1", &values![now_ms - LIFE_MS]).await?;
        let revocations = "delete from revocations where until_at_ms < $1";
        pruned.expired += self.db.execute("prune revocations", revocations, &values![now_ms]).await?;
        Ok(pruned)
    }

    async fn delete_events(&self, kind: &str, before: i64, named: &[String]) -> Result<u64, StoreError> {
        const DO: &str = "delete old events";
        if kind != "*" {
            let sql = "delete from events where cursor in (select cursor from events where kind = $1 and at_ms < $2 limit $3)";
            return self.db.execute(DO, sql, &values![kind, before, STEP]).await;
        }
        let others = if self.db.is_postgres() { "kind <> all($3)" } else { "kind not in (select value from json_each($3))" };
        let sql = format!("delete from events where cursor in (select cursor from events where at_ms < $1 and {others} limit $2)");
        let mut params = values![before, STEP].to_vec();
        params.push(crate::db::Value::Texts(named.to_vec()));
        self.db.execute(DO, sql, &params).await
    }
}

//! A whole gym as a shard needs it at start, and what is stored of boots.

use protocol::{GymId, TenantId};

use super::{Store, gym, visit, workout};
use crate::db::{Db, Row, Value, values};
use crate::error::StoreError;
use crate::model::{BootRecord, GymSeed, QuarantineRecord, SourceKey};
use crate::ranges;
use crate::writer::{key_of, key_parts};

impl Store {
    /// Everything a shard needs of a gym. Fine-grained right checks do not apply: the node itself asks.
    ///
    /// # Errors
    /// [`StoreError`] as the database says; none when there is no such gym.
    pub async fn gym_seed(&self, id: GymId) -> Result<Option<GymSeed>, StoreError> {
        const BOOTS: &str = "exists (select 1 from workout_ranges r join workouts t on t.workout = r.workout
             where r.source = b.source and r.boot = b.boot and t.gym = $1 and t.stage <> 'sealed')";
        let Some(found) = gym::gyms(&self.db, "gym = $1", &values![id]).await?.into_iter().next() else { return Ok(None) };
        Ok(Some(GymSeed {
            tenant: found.tenant,
            gym: found.gym,
            machines: gym::machines(&self.db, "x.gym = $1", &values![id]).await?,
            workouts: workout::details(&self.db, "t.gym = $1 and t.stage <> 'sealed'", &values![id]).await?,
            boots: boots(&self.db, BOOTS, &values![id]).await?,
            visits: visit::visits(&self.db, "t.gym = $1 and t.state = 'active'", &values![id]).await?,
        }))
    }

    /// What is stored of every boot of a source, newest boot first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn boots(&self, source: &SourceKey, limit: u32) -> Result<Vec<BootRecord>, StoreError> {
        let (tenant, kind, owner) = key_parts(source);
        let which = "s.tenant = $1 and s.kind = $2 and s.owner = $3 and s.sensor = $4 order by b.boot desc limit $5";
        boots(&self.db, which, &values![tenant, kind, owner, source.sensor(), limit]).await
    }

    /// What is stored of one boot, so that a source that comes back hears it at once.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn boot(&self, source: &SourceKey, boot: u32) -> Result<Option<BootRecord>, StoreError> {
        let (tenant, kind, owner) = key_parts(source);
        let which = "s.tenant = $1 and s.kind = $2 and s.owner = $3 and s.sensor = $4 and b.boot = $5";
        Ok(boots(&self.db, which, &values![tenant, kind, owner, source.sensor(), boot]).await?.into_iter().next())
    }

    /// The newest rows in quarantine of the tenant's machines and members, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn quarantine(&self, tenant: TenantId, limit: u32) -> Result<Vec<QuarantineRecord>, StoreError> {
        const DO: &str = "read the quarantine";
        let sql =
            "select s.tenant, s.kind, s.owner, s.sensor, q.boot, q.seq, q.code, q.detail, q.content, q.received_at_ms from quarantine q
             join sources s on s.source = q.source
             where s.tenant = $1 or s.kind = 'machine' and s.owner in (select machine from machines where tenant = $1)
             order by q.entry desc limit $2";
        let record = |row: &Row| {
            Ok(QuarantineRecord {
                source: Some(key_of(row, DO, 0)?),
                boot: row.number(DO, 4)?,
                seq: row.number(DO, 5)?,
                code: row.number(DO, 6)?,
                detail: row.get(DO, 7)?,
                content: row.get(DO, 8)?,
                received_at_ms: row.get(DO, 9)?,
            })
        };
        self.db.fetch(DO, sql, &values![tenant, limit]).await?.iter().map(record).collect()
    }
}

async fn boots(db: &Db, which: &'static str, params: &[Value]) -> Result<Vec<BootRecord>, StoreError> {
    const DO: &str = "read boots";
    let sql = format!(
        "select s.tenant, s.kind, s.owner, s.sensor, b.boot, b.nonce, b.anchor_at_ms, b.stored, b.lost, b.conflict from boots b
         join sources s on s.source = b.source where {which}"
    );
    let record = |row: &Row| {
        let ranges_of = |column| {
            let bytes: Vec<u8> = row.get(DO, column)?;
            ranges::from_bytes(&bytes).map_err(|error| crate::db::decode(DO, column, error))
        };
        Ok(BootRecord {
            source: key_of(row, DO, 0)?,
            boot: row.number(DO, 4)?,
            nonce: row.number(DO, 5)?,
            anchor_at_ms: row.get(DO, 6)?,
            stored: ranges_of(7)?,
            lost: ranges_of(8)?,
            conflict: row.get(DO, 9)?,
        })
    };
    db.fetch(DO, sql, params).await?.iter().map(record).collect()
}

//! Checksums of stored samples, raw or packed, to be compared with what a source says it sent, and between back ends.

use std::sync::Arc;

use protocol::TenantId;

use super::Store;
use super::sample::STEP;
use crate::canonical::Checksummer;
use crate::db::values;
use crate::error::StoreError;
use crate::history::read::{self, Stretch};
use crate::model::{Checksum, SampleRecord, SourceKey};
use crate::writer::{key_of, key_parts};

/// A source and its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceChecksum {
    /// Whose.
    pub source: Arc<SourceKey>,
    /// Over its samples in order of `(boot, seq)`.
    pub checksum: Checksum,
}

const DO: &str = "checksum samples";

impl Store {
    /// Checksum of the samples of one source, reps, sets and strokes not among them.
    ///
    /// # Errors
    /// [`StoreError`] as the database says; a source without rows is the empty checksum.
    pub async fn checksum(&self, source: &SourceKey) -> Result<Checksum, StoreError> {
        let (tenant, kind, owner) = key_parts(source);
        let sql = "select source from sources where tenant = $1 and kind = $2 and owner = $3 and sensor = $4";
        let row = self.db.fetch_one(DO, sql, &values![tenant, kind, owner, source.sensor()]).await?;
        let Some(row) = row else { return Ok(Checksummer::default().finish()) };
        self.checksum_of(row.get(DO, 0)?, &Arc::new(source.clone())).await
    }

    /// Checksums of every source of the tenant's machines and members' devices, by kind, owner and sensor.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn checksums(&self, tenant: TenantId) -> Result<Vec<SourceChecksum>, StoreError> {
        let sql = "select tenant, kind, owner, sensor, source from sources
             where tenant = $1 or kind = 'machine' and owner in (select machine from machines where tenant = $1)";
        let mut checksums = Vec::new();
        for row in self.db.fetch(DO, sql, &values![tenant]).await? {
            let source = key_of(&row, DO, 0)?;
            let checksum = self.checksum_of(row.get(DO, 4)?, &source).await?;
            checksums.push(SourceChecksum { source, checksum });
        }
        checksums.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(checksums)
    }

    async fn checksum_of(&self, source: i64, key: &Arc<SourceKey>) -> Result<Checksum, StoreError> {
        let mut sum = Checksummer::default();
        let sql = "select boot from boots where source = $1 order by boot";
        for row in self.db.fetch(DO, sql, &values![source]).await? {
            let stretch = Stretch { source, key: Arc::clone(key), boot: row.number(DO, 0)?, from_seq: 0, to_seq: u32::MAX };
            let take = |record: &SampleRecord| sum.add(record.boot, record.seq, record.dev_ms, &record.reading);
            read::each(&self.db, &stretch, read::ALWAYS, STEP, take).await?;
        }
        Ok(sum.finish())
    }
}

//! Checksums of stored samples, to be compared with what a source says it sent, and between back ends.

use std::sync::Arc;

use protocol::TenantId;

use super::Store;
use super::sample::{STEP, reading_columns, reading_of};
use crate::canonical::Checksummer;
use crate::db::values;
use crate::error::StoreError;
use crate::model::{Checksum, SourceKey};
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
        let (kind, owner) = key_parts(source);
        let sql = "select source from sources where kind = $1 and owner = $2 and sensor = $3";
        let row = self.db.fetch_one(DO, sql, &values![kind, owner, source.sensor()]).await?;
        let Some(row) = row else { return Ok(Checksummer::default().finish()) };
        self.checksum_of(row.get(DO, 0)?).await
    }

    /// Checksums of every source of the tenant's machines and members, by kind, owner and sensor.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn checksums(&self, tenant: TenantId) -> Result<Vec<SourceChecksum>, StoreError> {
        let sql = "select kind, owner, sensor, source from sources
             where owner in (select machine from machines where tenant = $1 union select member from members where tenant = $1)";
        let mut checksums = Vec::new();
        for row in self.db.fetch(DO, sql, &values![tenant]).await? {
            let checksum = self.checksum_of(row.get(DO, 3)?).await?;
            checksums.push(SourceChecksum { source: key_of(&row, DO, 0)?, checksum });
        }
        checksums.sort_by(|a, b| a.source.cmp(&b.source));
        Ok(checksums)
    }

    async fn checksum_of(&self, source: i64) -> Result<Checksum, StoreError> {
        let sql = format!(
            "select t.boot, t.seq, t.dev_ms, {} from samples t where t.source = $1 and (t.boot, t.seq) > ($2, $3)
             order by t.boot, t.seq limit $4",
            reading_columns()
        );
        let mut sum = Checksummer::default();
        let mut after = (-1_i64, 0_i64);
        loop {
            let rows = self.db.fetch(DO, sql.clone(), &values![source, after.0, after.1, STEP]).await?;
            for row in &rows {
                let (boot, seq) = (row.number(DO, 0)?, row.number(DO, 1)?);
                sum.add(boot, seq, row.get(DO, 2)?, &reading_of(row, DO, 3)?);
                after = (boot.into(), seq.into());
            }
            if rows.len() < STEP as usize {
                return Ok(sum.finish());
            }
        }
    }
}

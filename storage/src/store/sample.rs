//! Samples of a workout: as they are by page, or put together by time.
//!
//! A workout's ranges are first put together to disjoint stretches, so that no reading is read twice; each stretch is then one walk of the
//! index `(source, boot, seq)`, of raw rows and chunks. Whole minutes are answered from the minutes of the chunks.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::field::RR_BIT;
use protocol::{Field, Reading, SeqRanges, TenantId, WorkoutId};

use super::Store;
use crate::db::{Db, Row, decode, values};
use crate::error::StoreError;
use crate::history::read::{self, Stretch};
use crate::history::rollup;
use crate::model::{Bucket, FieldSummary, SampleCursor, SamplePage, SampleRecord, SourceKey};
use crate::packed::{FieldSum, MINUTE_MS, Minute};
use crate::writer::key_of;

/// Readings in one page at most.
const PAGE_MAX: u32 = 5_000;
/// Readings read at once while they are put together.
pub(crate) const STEP: u32 = 5_000;
/// Shortest bucket.
const RESOLUTION_MIN_MS: i64 = 1_000;

/// Which samples of a workout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleQuery {
    /// The workout.
    pub workout: WorkoutId,
    /// Only those at this time or later, by anchor and device time.
    pub from_at_ms: Option<i64>,
    /// Only those before this time.
    pub to_at_ms: Option<i64>,
}

impl SampleQuery {
    fn bounds(&self) -> (i64, i64) {
        (self.from_at_ms.unwrap_or(i64::MIN), self.to_at_ms.unwrap_or(i64::MAX))
    }

    /// Whether whole minutes answer it: no bucket and no bound cuts one.
    fn is_of_minutes(&self, resolution_ms: i64) -> bool {
        let times = [Some(resolution_ms), self.from_at_ms, self.to_at_ms];
        times.into_iter().flatten().all(|time_ms| time_ms % MINUTE_MS == 0)
    }
}

impl Store {
    /// A page of samples in order of `(source, boot, seq)`, 1 to 5,000 of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such workout.
    pub async fn samples(
        &self,
        tenant: TenantId,
        query: SampleQuery,
        after: Option<SampleCursor>,
        limit: u32,
    ) -> Result<SamplePage, StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut page = SamplePage::default();
        for stretch in self.stretches_of(tenant, query.workout).await? {
            let mut from_seq = stretch.from_seq;
            if let Some(after) = after {
                let (here, there) = ((stretch.source, stretch.boot), (after.source, after.boot));
                if here < there || (here == there && stretch.to_seq <= after.seq) {
                    continue;
                }
                if here == there {
                    from_seq = from_seq.max(after.seq + 1);
                }
            }
            let room = limit - page.samples.len() as u32;
            let rows = read::samples(&self.db, &stretch, from_seq, query.bounds(), room).await?;
            page.samples.extend(rows);
            if page.samples.len() as u32 == limit {
                let last = page.samples.last().map(|last| (last.boot, last.seq));
                page.next = last.map(|(boot, seq)| SampleCursor { source: stretch.source, boot, seq });
                break;
            }
        }
        Ok(page)
    }

    /// Samples put together by source and stretches of `resolution_ms` (at least 1,000): smallest, mean, largest of each field.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such workout.
    pub async fn buckets(&self, tenant: TenantId, query: SampleQuery, resolution_ms: i64) -> Result<Vec<Bucket>, StoreError> {
        let resolution_ms = resolution_ms.max(RESOLUTION_MIN_MS);
        let mut sums: BTreeMap<(i64, i64), Minute> = BTreeMap::new();
        let mut keys: BTreeMap<i64, Arc<SourceKey>> = BTreeMap::new();
        for stretch in self.stretches_of(tenant, query.workout).await? {
            keys.entry(stretch.source).or_insert_with(|| Arc::clone(&stretch.key));
            let mut add = |at_ms: i64, minute: &Minute| {
                sums.entry((stretch.source, at_ms - at_ms.rem_euclid(resolution_ms))).or_default().join(minute);
            };
            if query.is_of_minutes(resolution_ms) {
                rollup::minutes(&self.db, &stretch, query.bounds(), &mut add).await?;
            } else {
                let take = |record: &SampleRecord| add(record.at_ms, &Minute::of(&record.reading));
                read::each(&self.db, &stretch, query.bounds(), STEP, take).await?;
            }
        }
        let bucket = |((source, at_ms), sum): ((i64, i64), Minute)| bucket_of(sum, Arc::clone(&keys[&source]), at_ms);
        Ok(sums.into_iter().map(bucket).collect())
    }

    async fn stretches_of(&self, tenant: TenantId, workout: WorkoutId) -> Result<Vec<Stretch>, StoreError> {
        if self.workout_member(tenant, workout).await?.is_none() {
            return Err(StoreError::NotFound { operation: "read samples", id: workout.0 });
        }
        stretches(&self.db, workout).await
    }
}

/// The stretches of a workout in order of `(source, boot, seq)`.
pub(crate) async fn stretches(db: &Db, workout: WorkoutId) -> Result<Vec<Stretch>, StoreError> {
    const DO: &str = "read the ranges of a workout";
    let sql = "select s.tenant, s.kind, s.owner, s.sensor, r.source, r.boot, r.from_seq, r.to_seq from workout_ranges r
         join sources s on s.source = r.source where r.workout = $1";
    let mut boots: BTreeMap<(i64, u32), (Arc<SourceKey>, SeqRanges)> = BTreeMap::new();
    for row in db.fetch(DO, sql, &values![workout]).await? {
        let key = key_of(&row, DO, 0)?;
        let (_, ranges) = boots.entry((row.get(DO, 4)?, row.number(DO, 5)?)).or_insert_with(|| (key, SeqRanges::new()));
        ranges.insert(row.number(DO, 6)?, row.number(DO, 7)?);
    }
    let mut stretches = Vec::new();
    for ((source, boot), (key, ranges)) in boots {
        stretches.extend(ranges.iter().map(|range| Stretch {
            source,
            key: Arc::clone(&key),
            boot,
            from_seq: *range.start(),
            to_seq: *range.end(),
        }));
    }
    Ok(stretches)
}

/// `dev_ms, received_at_ms, ..` and all fields, of the table called `t`.
pub(crate) fn reading_columns() -> String {
    Field::ALL.iter().map(|field| format!("t.{}", field.name())).chain(["t.rr".to_owned()]).collect::<Vec<_>>().join(", ")
}

/// Reads what [`reading_columns`] names.
pub(crate) fn reading_of(row: &Row, operation: &'static str, column: usize) -> Result<Reading, StoreError> {
    let mut mask = 0;
    let mut values = smallvec::SmallVec::new();
    for (place, field) in Field::ALL.into_iter().enumerate() {
        if let Some(value) = row.get::<Option<i32>>(operation, column + place)? {
            mask |= field.mask();
            values.push(value);
        }
    }
    if let Some(rr) = row.get::<Option<Vec<u8>>>(operation, column + 31)? {
        mask |= RR_BIT;
        values.extend(rr.as_chunks::<2>().0.iter().map(|&pair| i32::from(u16::from_be_bytes(pair))));
    }
    Reading::from_parts(mask, values).map_err(|error| decode(operation, column, error))
}

fn bucket_of(sum: Minute, source: Arc<SourceKey>, at_ms: i64) -> Bucket {
    let summary =
        |(field, sum): (Field, FieldSum)| FieldSummary { field, min: sum.min, avg: sum.sum as f64 / sum.count as f64, max: sum.max };
    Bucket { source, at_ms, count: sum.count, fields: sum.fields.into_iter().map(summary).collect() }
}

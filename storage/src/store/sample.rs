//! Samples of a workout: as they are by page, or put together by time.
//!
//! A workout's ranges are first put together to disjoint stretches, so that no reading is read twice; each stretch is then one walk of the
//! index `(source, boot, seq)`.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::field::RR_BIT;
use protocol::{Field, Reading, SeqRanges, TenantId, WorkoutId};

use super::Store;
use crate::db::{Db, Row, decode, values};
use crate::error::StoreError;
use crate::model::{Bucket, FieldSummary, SampleCursor, SamplePage, SampleRecord, SourceKey};
use crate::writer::key_of;

/// Readings in one page at most.
const PAGE_MAX: u32 = 5_000;
/// Readings read at once while they are put together.
pub(super) const STEP: u32 = 5_000;
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
}

/// A stretch of one boot that belongs to a workout and to no other stretch of it.
pub(super) struct Stretch {
    pub(super) source: i64,
    pub(super) key: Arc<SourceKey>,
    pub(super) boot: u32,
    pub(super) from_seq: u32,
    pub(super) to_seq: u32,
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
            let rows = samples(&self.db, &stretch, from_seq, query.bounds(), room).await?;
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
        let mut sums: BTreeMap<(i64, i64), Sum> = BTreeMap::new();
        let mut keys: BTreeMap<i64, Arc<SourceKey>> = BTreeMap::new();
        for stretch in self.stretches_of(tenant, query.workout).await? {
            keys.entry(stretch.source).or_insert_with(|| Arc::clone(&stretch.key));
            let mut next = Some(stretch.from_seq);
            while let Some(from_seq) = next {
                let rows = samples(&self.db, &stretch, from_seq, query.bounds(), STEP).await?;
                for row in &rows {
                    let at_ms = row.at_ms - row.at_ms.rem_euclid(resolution_ms);
                    sums.entry((stretch.source, at_ms)).or_default().add(&row.reading);
                }
                let full = rows.len() == STEP as usize;
                next = rows.last().filter(|_| full).and_then(|last| last.seq.checked_add(1)).filter(|&seq| seq <= stretch.to_seq);
            }
        }
        let bucket = |((source, at_ms), sum): ((i64, i64), Sum)| sum.into_bucket(Arc::clone(&keys[&source]), at_ms);
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
pub(super) async fn stretches(db: &Db, workout: WorkoutId) -> Result<Vec<Stretch>, StoreError> {
    const DO: &str = "read the ranges of a workout";
    let sql = "select s.kind, s.owner, s.sensor, r.source, r.boot, r.from_seq, r.to_seq from workout_ranges r
         join sources s on s.source = r.source where r.workout = $1";
    let mut boots: BTreeMap<(i64, u32), (Arc<SourceKey>, SeqRanges)> = BTreeMap::new();
    for row in db.fetch(DO, sql, &values![workout]).await? {
        let key = key_of(&row, DO, 0)?;
        let (_, ranges) = boots.entry((row.get(DO, 3)?, row.number(DO, 4)?)).or_insert_with(|| (key, SeqRanges::new()));
        ranges.insert(row.number(DO, 5)?, row.number(DO, 6)?);
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
pub(super) fn reading_columns() -> String {
    Field::ALL.iter().map(|field| format!("t.{}", field.name())).chain(["t.rr".to_owned()]).collect::<Vec<_>>().join(", ")
}

/// Reads what [`reading_columns`] names.
pub(super) fn reading_of(row: &Row, operation: &'static str, column: usize) -> Result<Reading, StoreError> {
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

async fn samples(
    db: &Db,
    stretch: &Stretch,
    from_seq: u32,
    (from_at_ms, to_at_ms): (i64, i64),
    limit: u32,
) -> Result<Vec<SampleRecord>, StoreError> {
    const DO: &str = "read samples";
    let sql = format!(
        "select t.seq, t.at_ms, t.dev_ms, t.received_at_ms, t.corrected_at_ms, {} from samples t
         where t.source = $1 and t.boot = $2 and t.seq between $3 and $4 and t.at_ms >= $5 and t.at_ms < $6 order by t.seq limit $7",
        reading_columns()
    );
    let params = values![stretch.source, stretch.boot, from_seq, stretch.to_seq, from_at_ms, to_at_ms, limit];
    let record = |row: &Row| {
        Ok(SampleRecord {
            source: Arc::clone(&stretch.key),
            boot: stretch.boot,
            seq: row.number(DO, 0)?,
            at_ms: row.get(DO, 1)?,
            dev_ms: row.get(DO, 2)?,
            received_at_ms: row.get(DO, 3)?,
            corrected_at_ms: row.get(DO, 4)?,
            reading: reading_of(row, DO, 5)?,
        })
    };
    db.fetch(DO, sql, &params).await?.iter().map(record).collect()
}

#[derive(Default)]
struct Sum {
    count: u64,
    fields: BTreeMap<Field, (i32, i64, i32, u64)>,
}

impl Sum {
    fn add(&mut self, reading: &Reading) {
        self.count += 1;
        for (field, value) in reading.iter() {
            let (min, sum, max, count) = self.fields.entry(field).or_insert((value, 0, value, 0));
            *min = value.min(*min);
            *max = value.max(*max);
            *sum += i64::from(value);
            *count += 1;
        }
    }

    fn into_bucket(self, source: Arc<SourceKey>, at_ms: i64) -> Bucket {
        let summary = |(field, (min, sum, max, count)): (Field, (i32, i64, i32, u64))| FieldSummary {
            field,
            min,
            avg: sum as f64 / count as f64,
            max,
        };
        Bucket { source, at_ms, count: self.count, fields: self.fields.into_iter().map(summary).collect() }
    }
}

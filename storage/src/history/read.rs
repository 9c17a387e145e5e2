//! Readings as they are, wherever they lie: raw rows and packed chunks in one order.
//!
//! Raw rows are asked first: packing moves a row from raw to packed in one transaction, so that a row which is no longer raw is packed when
//! the chunks are asked. What is seen twice is the same row twice, and counted once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::db::{Conn, Db, Row, decode, values};
use crate::error::StoreError;
use crate::model::{SampleRecord, SourceKey};
use crate::packed::{self, Chunk};
use crate::store::{reading_columns, reading_of};

const DO: &str = "read samples";
/// Chunks decoded at once.
const CHUNKS_STEP: u32 = 4;

/// A stretch of one boot.
#[derive(Clone)]
pub(crate) struct Stretch {
    pub(crate) source: i64,
    pub(crate) key: Arc<SourceKey>,
    pub(crate) boot: u32,
    pub(crate) from_seq: u32,
    pub(crate) to_seq: u32,
}

/// From this time on, and before that.
pub(crate) type Bounds = (i64, i64);

/// All times.
pub(crate) const ALWAYS: Bounds = (i64::MIN, i64::MAX);

/// The first `limit` readings of a stretch from `from_seq` on, in order of seq.
pub(crate) async fn samples(
    db: &Db,
    stretch: &Stretch,
    from_seq: u32,
    bounds: Bounds,
    limit: u32,
) -> Result<Vec<SampleRecord>, StoreError> {
    let raw = raw(db, stretch, from_seq, bounds, limit).await?;
    let limit = limit as usize;
    let to_seq = if raw.len() == limit { raw.last().map_or(stretch.to_seq, |last| last.seq) } else { stretch.to_seq };
    let mut found: BTreeMap<u32, SampleRecord> = raw.into_iter().map(|record| (record.seq, record)).collect();
    let mut next = Some(from_seq);
    let mut packed_count = 0;
    while let Some(from_seq) = next.filter(|&from_seq| from_seq <= to_seq && packed_count < limit) {
        let chunks = chunks(db, stretch, from_seq, to_seq, bounds).await?;
        next = chunks.last().filter(|_| chunks.len() == CHUNKS_STEP as usize).and_then(|(last_seq, _)| last_seq.checked_add(1));
        for (_, chunk) in chunks {
            let records = records(stretch, chunk)
                .filter(|record| (from_seq..=to_seq).contains(&record.seq) && record.at_ms >= bounds.0 && record.at_ms < bounds.1);
            for record in records {
                packed_count += 1;
                found.insert(record.seq, record);
            }
        }
    }
    Ok(found.into_values().take(limit).collect())
}

fn records(stretch: &Stretch, chunk: Chunk) -> impl Iterator<Item = SampleRecord> {
    let (source, boot) = (Arc::clone(&stretch.key), stretch.boot);
    chunk.rows.into_iter().map(move |row| SampleRecord {
        source: Arc::clone(&source),
        boot,
        seq: row.seq,
        at_ms: chunk.anchor_at_ms.wrapping_add(row.dev_ms),
        dev_ms: row.dev_ms,
        received_at_ms: row.received_at_ms,
        corrected_at_ms: row.corrected_at_ms,
        reading: row.reading,
    })
}

/// Raw rows only.
pub(crate) async fn raw(
    db: &Db,
    stretch: &Stretch,
    from_seq: u32,
    (from_at_ms, to_at_ms): Bounds,
    limit: u32,
) -> Result<Vec<SampleRecord>, StoreError> {
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

/// The next few chunks that touch `from_seq..=to_seq`, each with its last seq.
async fn chunks(db: &Db, stretch: &Stretch, from_seq: u32, to_seq: u32, bounds: Bounds) -> Result<Vec<(u32, Chunk)>, StoreError> {
    let sql = "select to_seq, chunk from packed where source = $1 and boot = $2 and to_seq >= $3 and from_seq <= $4
         and chunk is not null and to_at_ms >= $5 and from_at_ms < $6 order by from_seq limit $7";
    let params = values![stretch.source, stretch.boot, from_seq, to_seq, bounds.0, bounds.1, CHUNKS_STEP];
    let rows = db.fetch(DO, sql, &params).await?;
    rows.iter().map(|row| Ok((row.number(DO, 0)?, chunk_of(row, 1)?))).collect()
}

/// A chunk from its column.
pub(crate) fn chunk_of(row: &Row, column: usize) -> Result<Chunk, StoreError> {
    let bytes: Vec<u8> = row.get(DO, column)?;
    packed::decode(&bytes).map_err(|damaged| decode(DO, column, damaged))
}

/// Fingerprints of packed readings by seq, for those of `seqs` that are packed. Inside the caller's transaction.
pub(crate) async fn fingerprints(conn: &mut Conn<'_>, (source, boot): (i64, u32), seqs: &[u32]) -> Result<Vec<(u32, i64)>, StoreError> {
    const DO: &str = "compare duplicates with what is packed";
    let mut found = Vec::new();
    let mut rest = seqs;
    while let (Some(&first), Some(&last)) = (rest.first(), rest.last()) {
        let sql = "select to_seq, chunk from packed where source = $1 and boot = $2 and to_seq >= $3 and from_seq <= $4
             and chunk is not null order by from_seq limit 1";
        let Some(row) = conn.fetch_one(DO, sql, &values![source, boot, first, last]).await? else { break };
        let to_seq: u32 = row.number(DO, 0)?;
        let (here, later) = rest.split_at(rest.partition_point(|&seq| seq <= to_seq));
        let chunk = chunk_of(&row, 1)?;
        for packed in chunk.rows.iter().filter(|packed| here.binary_search(&packed.seq).is_ok()) {
            found.push((packed.seq, super::pack::fingerprint_of(boot, packed)));
        }
        rest = later;
    }
    Ok(found)
}

/// Adds every reading of a stretch to whoever wants it, in order of seq, step by step.
pub(crate) async fn each(
    db: &Db,
    stretch: &Stretch,
    bounds: Bounds,
    step: u32,
    mut take: impl FnMut(&SampleRecord),
) -> Result<(), StoreError> {
    let mut next = Some(stretch.from_seq);
    while let Some(from_seq) = next {
        let records = samples(db, stretch, from_seq, bounds, step).await?;
        records.iter().for_each(&mut take);
        let full = records.len() == step as usize;
        next = records.last().filter(|_| full).and_then(|last| last.seq.checked_add(1)).filter(|&seq| seq <= stretch.to_seq);
    }
    Ok(())
}

//! One transaction of packing: raw rows of a boot out, chunks in, or nothing.
//!
//! The row of `boots` is locked, so that no row of the boot comes or goes meanwhile. Chunks that the raw rows fall among (late readings) are taken
//! apart and made anew, so that spans of chunks never overlap. What was packed is unpacked and compared before anything is deleted.

use protocol::Field;

use super::read::chunk_of;
use crate::canonical;
use crate::db::{Conn, Db, Row, decode, values};
use crate::error::StoreError;
use crate::packed::{self, PackedRow, ROWS_MAX};
use crate::store::{reading_columns, reading_of};

const DO: &str = "pack readings";
/// Chunks are cut at midnight UTC, so that what may be forgotten is whole chunks.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Chunks taken apart in one transaction at most.
const APART_MAX: usize = 8;
/// Fields that the hub derives from the notification before.
const DERIVABLE: [Field; 6] = [Field::Speed, Field::Cadence, Field::Power, Field::StepRate, Field::StrokeRate, Field::Distance];

/// Seqs of a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) source: i64,
    pub(crate) boot: u32,
    pub(crate) from_seq: u32,
    pub(crate) to_seq: u32,
}

/// What a transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Packed {
    /// Rows that were raw.
    pub(crate) samples: u64,
    pub(crate) chunks: u64,
    /// Of chunks and their minutes.
    pub(crate) bytes: u64,
    /// Where to go on; none when nothing raw is left in the span.
    pub(crate) next_seq: Option<u32>,
}

/// Whether binaries that read raw rows only know already that they would read too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Older {
    Told,
    Untold,
}

/// Packs the first raw rows of a span that are from before a time. None where there is nothing to pack.
///
/// Older binaries are told in the transaction of the first chunk: neither stands without the other.
pub(crate) async fn span(db: &Db, span: Span, before_at_ms: i64, older: Older) -> Result<Option<Packed>, StoreError> {
    let mut tx = db.begin(DO).await?;
    let mut conn = tx.conn();
    let Some(anchor_at_ms) = lock(&mut conn, span).await? else { return Ok(None) };
    let mut raw = raw_rows(&mut conn, span, before_at_ms).await?;
    let apart = overlapped(&mut conn, span, &raw).await?;
    let full = raw.len() == ROWS_MAX;
    if let Some(beyond) = apart.get(APART_MAX) {
        raw.retain(|row| row.seq < beyond.from_seq);
    }
    let cut = full || apart.len() > APART_MAX;
    let Some((first, last)) = raw.first().zip(raw.last()).map(|(first, last)| (first.seq, last.seq)) else { return Ok(None) };

    let mut packed = Packed { samples: raw.len() as u64, next_seq: if cut { last.checked_add(1) } else { None }, ..Packed::default() };
    delete_raw(&mut conn, Span { from_seq: first, to_seq: last, ..span }, anchor_at_ms, &raw).await?;
    let mut rows = raw;
    for chunk in apart.into_iter().take(APART_MAX) {
        let sql = "delete from packed where source = $1 and boot = $2 and from_seq = $3";
        conn.execute(DO, sql, &values![span.source, span.boot, chunk.from_seq]).await?;
        rows.extend(chunk.rows);
    }
    rows.sort_unstable_by_key(|row| row.seq);
    rows.dedup_by_key(|row| row.seq);
    for rows in cut_up(anchor_at_ms, &rows) {
        packed.bytes += insert(&mut conn, (span.source, span.boot), anchor_at_ms, rows).await?;
        packed.chunks += 1;
    }
    if older == Older::Untold {
        conn.execute(DO, "update schema_versions set agrees = 2 where version = 2 and agrees < 2", &[]).await?;
    }
    tx.commit(DO).await?;
    Ok(Some(packed))
}

/// The anchor of a boot, its row locked until the end of the transaction; none without such a boot.
pub(crate) async fn lock(conn: &mut Conn<'_>, span: Span) -> Result<Option<i64>, StoreError> {
    let lock = if conn.is_postgres() { "for update" } else { "" };
    let sql = format!("select anchor_at_ms from boots where source = $1 and boot = $2 {lock}");
    conn.fetch_one(DO, sql, &values![span.source, span.boot]).await?.map(|row| row.get(DO, 0)).transpose()
}

async fn raw_rows(conn: &mut Conn<'_>, span: Span, before_at_ms: i64) -> Result<Vec<PackedRow>, StoreError> {
    let sql = format!(
        "select t.seq, t.dev_ms, t.received_at_ms, t.corrected_at_ms, t.fingerprint, {} from samples t
         where t.source = $1 and t.boot = $2 and t.seq between $3 and $4 and t.at_ms < $5 order by t.seq limit $6",
        reading_columns()
    );
    let params = values![span.source, span.boot, span.from_seq, span.to_seq, before_at_ms, ROWS_MAX as u32];
    let mut derived = 0;
    conn.fetch(DO, sql, &params).await?.iter().map(|row| row_of(row, span.boot, &mut derived)).collect()
}

fn row_of(row: &Row, boot: u32, derived: &mut u32) -> Result<PackedRow, StoreError> {
    let mut packed = PackedRow {
        seq: row.number(DO, 0)?,
        dev_ms: row.get(DO, 1)?,
        received_at_ms: row.get(DO, 2)?,
        corrected_at_ms: row.get(DO, 3)?,
        reading: reading_of(row, DO, 5)?,
        derived: 0,
        fingerprint: None,
    };
    explain(boot, &mut packed, row.get(DO, 4)?, *derived);
    *derived = packed.derived;
    Ok(packed)
}

/// Finds which fields were left out of the stored fingerprint; keeps the fingerprint itself where nothing explains it.
fn explain(boot: u32, row: &mut PackedRow, stored: i64, likely: u32) {
    let present = row.reading.mask();
    let derivable: Vec<u32> = DERIVABLE.iter().map(|field| field.mask()).filter(|mask| mask & present != 0).collect();
    let subsets = (0..1_u32 << derivable.len())
        .map(|subset| derivable.iter().enumerate().filter(|(place, _)| subset & (1 << place) != 0).fold(0, |all, (_, mask)| all | mask));
    for derived in std::iter::once(likely & present).chain(subsets) {
        row.derived = derived;
        if fingerprint_of(boot, row) == stored {
            return;
        }
    }
    (row.derived, row.fingerprint) = (0, Some(stored));
}

/// The fingerprint that the raw row had.
pub(crate) fn fingerprint_of(boot: u32, row: &PackedRow) -> i64 {
    row.fingerprint.unwrap_or_else(|| {
        let mut bytes = Vec::with_capacity(96);
        canonical::reading(boot, row.seq, row.dev_ms, &row.reading.only(!row.derived), &mut bytes);
        canonical::fingerprint(&bytes)
    })
}

/// A chunk that raw rows fall among.
struct Apart {
    from_seq: u32,
    rows: Vec<PackedRow>,
}

async fn overlapped(conn: &mut Conn<'_>, span: Span, raw: &[PackedRow]) -> Result<Vec<Apart>, StoreError> {
    let (Some(first), Some(last)) = (raw.first(), raw.last()) else { return Ok(Vec::new()) };
    let sql = "select from_seq, chunk from packed where source = $1 and boot = $2 and to_seq >= $3 and from_seq <= $4
         and chunk is not null order by from_seq limit $5";
    let params = values![span.source, span.boot, first.seq, last.seq, APART_MAX as u32 + 1];
    let rows = conn.fetch(DO, sql, &params).await?;
    rows.iter().map(|row| Ok(Apart { from_seq: row.number(DO, 0)?, rows: chunk_of(row, 1)?.rows })).collect()
}

/// Deletes exactly the rows that were read.
async fn delete_raw(conn: &mut Conn<'_>, span: Span, anchor_at_ms: i64, rows: &[PackedRow]) -> Result<(), StoreError> {
    let at_ms = rows.iter().map(|row| anchor_at_ms.wrapping_add(row.dev_ms));
    let (from_at_ms, to_at_ms) = (at_ms.clone().min().unwrap_or_default(), at_ms.max().unwrap_or_default());
    let sql = "delete from samples where source = $1 and boot = $2 and seq between $3 and $4 and at_ms between $5 and $6";
    let params = values![span.source, span.boot, span.from_seq, span.to_seq, from_at_ms, to_at_ms];
    let deleted = conn.execute(DO, sql, &params).await?;
    // Somebody else packed them between the look and the lock, or the times do not follow from the anchor: not ours to guess.
    if deleted == rows.len() as u64 { Ok(()) } else { Err(StoreError::Stale { operation: DO }) }
}

/// At most [`ROWS_MAX`] rows of one day each.
pub(crate) fn cut_up(anchor_at_ms: i64, rows: &[PackedRow]) -> impl Iterator<Item = &[PackedRow]> {
    let day = move |row: &PackedRow| anchor_at_ms.wrapping_add(row.dev_ms).div_euclid(DAY_MS);
    rows.chunk_by(move |a, b| day(a) == day(b)).flat_map(|rows| rows.chunks(ROWS_MAX))
}

/// Writes one chunk with its minutes; returns their bytes.
pub(crate) async fn insert(conn: &mut Conn<'_>, key: (i64, u32), anchor_at_ms: i64, rows: &[PackedRow]) -> Result<u64, StoreError> {
    let chunk = packed::encode(anchor_at_ms, rows).map_err(|error| decode(DO, 0, error))?;
    let back = packed::decode(&chunk).map_err(|error| decode(DO, 0, error))?;
    if back.rows != rows {
        return Err(decode(DO, 0, "a chunk does not read back as what was packed: nothing was changed"));
    }
    let at_ms = rows.iter().map(|row| anchor_at_ms.wrapping_add(row.dev_ms));
    let minutes = packed::minutes_encode(&packed::minutes_of(at_ms.clone().zip(rows.iter().map(|row| &row.reading))));
    let bytes = (chunk.len() + minutes.len()) as u64;
    let (from_at_ms, to_at_ms) = (at_ms.clone().min().unwrap_or_default(), at_ms.max().unwrap_or_default());
    let (from_seq, to_seq) = (rows.first().map_or(0, |row| row.seq), rows.last().map_or(0, |row| row.seq));
    let sql = "insert into packed (source, boot, from_seq, to_seq, from_at_ms, to_at_ms, samples, chunk, minutes)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let params = values![key.0, key.1, from_seq, to_seq, from_at_ms, to_at_ms, rows.len() as i64, chunk, minutes];
    conn.execute(DO, sql, &params).await?;
    Ok(bytes)
}

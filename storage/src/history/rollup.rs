//! Minutes of a stretch: from the minutes of chunks that lie in it whole, from readings where a chunk is cut or rows are raw.
//!
//! All questions are put to one snapshot of the database: a row that is packed meanwhile must be counted once, and sums cannot tell.

use super::read::{Bounds, Stretch, chunk_of};
use crate::db::{Db, Row, decode, values};
use crate::error::StoreError;
use crate::packed::{self, MINUTE_MS, Minute, minutes_of};
use crate::store::{STEP, reading_columns, reading_of};

const DO: &str = "read minutes";
/// Chunks asked for at once.
const CHUNKS_STEP: u32 = 64;

/// Gives every minute of a stretch within bounds of whole minutes; one minute may come in parts.
pub(crate) async fn minutes(db: &Db, stretch: &Stretch, bounds: Bounds, take: &mut impl FnMut(i64, &Minute)) -> Result<(), StoreError> {
    let mut tx = db.snapshot(DO).await?;
    let mut conn = tx.conn();
    let mut from_seq = stretch.from_seq;
    let sql = format!(
        "select t.seq, t.at_ms, {} from samples t
         where t.source = $1 and t.boot = $2 and t.seq between $3 and $4 and t.at_ms >= $5 and t.at_ms < $6 order by t.seq limit $7",
        reading_columns()
    );
    loop {
        let params = values![stretch.source, stretch.boot, from_seq, stretch.to_seq, bounds.0, bounds.1, STEP];
        let rows = conn.fetch(DO, sql.clone(), &params).await?;
        for row in &rows {
            let at_ms: i64 = row.get(DO, 1)?;
            take(at_ms - at_ms.rem_euclid(MINUTE_MS), &Minute::of(&reading_of(row, DO, 2)?));
        }
        let last: Option<u32> = rows.last().map(|row| row.number(DO, 0)).transpose()?;
        match last.filter(|_| rows.len() == STEP as usize).and_then(|last| last.checked_add(1)) {
            Some(next) if next <= stretch.to_seq => from_seq = next,
            _ => break,
        }
    }
    let mut after_seq = -1_i64;
    loop {
        let sql = "select from_seq, to_seq, minutes from packed where source = $1 and boot = $2 and to_seq >= $3 and from_seq <= $4
             and to_at_ms >= $5 and from_at_ms < $6 and from_seq > $7 order by from_seq limit $8";
        let (first, last) = (stretch.from_seq, stretch.to_seq);
        let params = values![stretch.source, stretch.boot, first, last, bounds.0, bounds.1, after_seq, CHUNKS_STEP];
        let rows = conn.fetch(DO, sql, &params).await?;
        for row in &rows {
            let (first, last): (u32, u32) = (row.number(DO, 0)?, row.number(DO, 1)?);
            if first >= stretch.from_seq && last <= stretch.to_seq {
                whole(row, bounds, take)?;
            } else {
                let sql = "select chunk from packed where source = $1 and boot = $2 and from_seq = $3 and chunk is not null";
                let Some(row) = conn.fetch_one(DO, sql, &values![stretch.source, stretch.boot, first]).await? else { continue };
                cut(&row, stretch, bounds, take)?;
            }
            after_seq = first.into();
        }
        if rows.len() < CHUNKS_STEP as usize {
            return Ok(());
        }
    }
}

fn whole(row: &Row, bounds: Bounds, take: &mut impl FnMut(i64, &Minute)) -> Result<(), StoreError> {
    let bytes: Vec<u8> = row.get(DO, 2)?;
    let minutes = packed::minutes_decode(&bytes).map_err(|damaged| decode(DO, 2, damaged))?;
    minutes.iter().filter(|(at_ms, _)| within(**at_ms, bounds)).for_each(|(&at_ms, minute)| take(at_ms, minute));
    Ok(())
}

/// Of a chunk that reaches beyond the stretch only what lies in it.
fn cut(row: &Row, stretch: &Stretch, bounds: Bounds, take: &mut impl FnMut(i64, &Minute)) -> Result<(), StoreError> {
    let chunk = chunk_of(row, 0)?;
    let rows = chunk.rows.iter().filter(|row| (stretch.from_seq..=stretch.to_seq).contains(&row.seq));
    let timed = rows.map(|row| (chunk.anchor_at_ms.wrapping_add(row.dev_ms), &row.reading)).filter(|(at_ms, _)| within(*at_ms, bounds));
    minutes_of(timed).iter().for_each(|(&at_ms, minute)| take(at_ms, minute));
    Ok(())
}

const fn within(at_ms: i64, bounds: Bounds) -> bool {
    at_ms >= bounds.0 && at_ms < bounds.1
}

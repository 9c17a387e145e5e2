//! Rows that come after their workout was added up: the workout is marked in the same transaction, and added up again a little later.
//!
//! From its first adding up to its seal a workout has the mark [`UNDER_WAY_AT_MS`]. What comes in that time leaves a mark of its own, which the
//! seal does not take away; where nothing came, the seal takes it away, and nothing is added up twice.

use std::collections::BTreeMap;

use protocol::WorkoutId;

use super::plan::{Key, Planned};
use crate::db::{Conn, Db, tuples, values};
use crate::error::StoreError;
use crate::open::now_ms;

/// The mark of a workout whose totals were asked for and are not sealed. Long ago: where a binary that does not know it seals, the workout is
/// added up once more, and that takes the mark away.
pub(crate) const UNDER_WAY_AT_MS: i64 = 0;

/// Marks a workout as under way, before its rows are read. A mark that is there stays: totals that were told before may be those that are sealed.
pub(crate) async fn under_way(db: &Db, workout: WorkoutId) -> Result<(), StoreError> {
    const DO: &str = "mark a workout as under way";
    let mut tx = db.begin(DO).await?;
    let mut conn = tx.conn();
    let sql = "update workouts set late_at_ms = $2 where workout = $1 and revision is null and late_at_ms is null";
    conn.execute(DO, sql, &values![workout, UNDER_WAY_AT_MS]).await?;
    let shares = conn.is_postgres();
    tx.commit(DO).await?;
    if !shares {
        return Ok(());
    }
    // A batch that looked for marks before this one and commits after the rows are read would be in no totals. It holds its boots, so it is waited for; a boot
    // that is made from now on sees the mark.
    let mut tx = db.begin(DO).await?;
    let sql = "select 1 from boots b where exists (select 1 from workout_ranges r where r.workout = $1 and r.source = b.source and r.boot = b.boot)
         order by b.source, b.boot for share of b";
    tx.conn().fetch(DO, sql, &values![workout]).await?;
    tx.commit(DO).await
}

/// Marks the workouts, sealed or under way, that any of these rows belongs to. Wider than need be (from the first to the last seq of a boot): adding up
/// again finds the same totals then, and no revision is made.
pub(crate) async fn mark(conn: &mut Conn<'_>, fresh: &[Planned<'_>]) -> Result<(), StoreError> {
    const DO: &str = "mark workouts with late rows";
    let mut spans: BTreeMap<Key, (u32, u32)> = BTreeMap::new();
    for planned in fresh {
        let seq = planned.row.seq;
        let span = spans.entry(planned.key()).or_insert((seq, seq));
        *span = (span.0.min(seq), span.1.max(seq));
    }
    if spans.is_empty() {
        return Ok(());
    }
    let spans: Vec<[i64; 4]> =
        spans.into_iter().map(|((source, boot), (first, last))| [source, boot.into(), first.into(), last.into()]).collect();
    let (k, params) = tuples(conn.is_postgres(), ["source", "boot", "first", "last"], &spans);
    let sql = format!(
        "update workouts set late_at_ms = {} where (revision is not null or late_at_ms is not null) and workout in (
             select r.workout from {k} join workout_ranges r
             on r.source = k.source and r.boot = k.boot and r.to_seq >= k.first and r.from_seq <= k.last)",
        now_ms()
    );
    conn.execute(DO, sql, &params).await.map(drop)
}

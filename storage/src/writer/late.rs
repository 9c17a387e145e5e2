//! Rows that come after their workout was sealed: the workout is marked in the same transaction, and added up again a little later.

use std::collections::BTreeMap;

use super::plan::{Key, Planned};
use crate::db::{Conn, tuples};
use crate::error::StoreError;
use crate::open::now_ms;

/// Marks the sealed workouts that any of these rows belongs to. Wider than need be (from the first to the last seq of a boot): adding up
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
        "update workouts set late_at_ms = {} where revision is not null and workout in (
             select r.workout from {k} join workout_ranges r
             on r.source = k.source and r.boot = k.boot and r.to_seq >= k.first and r.from_seq <= k.last)",
        now_ms()
    );
    conn.execute(DO, sql, &params).await.map(drop)
}

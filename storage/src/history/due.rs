//! What is due for packing: a workout sealed long enough ago, or the next boot with raw rows of days gone by.

use protocol::WorkoutId;

use super::pack::Span;
use crate::db::{Db, Row, values};
use crate::error::StoreError;

/// A sealed workout with the revision that is packed and its stretches.
pub(crate) struct Due {
    pub(crate) workout: WorkoutId,
    revision: u32,
    pub(crate) spans: Vec<Span>,
}

/// Where a walk over boots with raw rows stands: this seq comes next.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Walk {
    pub(crate) source: i64,
    pub(crate) boot: u32,
    pub(crate) from_seq: u32,
}

/// Workouts that are looked at in one step.
pub(crate) const AT_ONCE: u32 = 16;

/// The next few workouts behind one whose present revision was sealed before this time and is not packed.
pub(crate) async fn sealed(db: &Db, before_at_ms: i64, behind: WorkoutId) -> Result<Vec<Due>, StoreError> {
    const DO: &str = "find sealed workouts to pack";
    let sql = "select w.workout, w.revision from workouts w
         join workout_totals t on t.workout = w.workout and t.revision = w.revision
         where w.revision is not null and (w.packed_revision is null or w.packed_revision <> w.revision)
         and w.late_at_ms is null and t.at_ms <= $1 and w.workout > $3 order by w.workout limit $2";
    let mut due = Vec::new();
    for row in db.fetch(DO, sql, &values![before_at_ms, AT_ONCE, behind]).await? {
        let (workout, revision) = (row.id::<WorkoutId>(DO, 0)?, row.number(DO, 1)?);
        let sql = "select source, boot, from_seq, to_seq from workout_ranges where workout = $1 order by source, boot, from_seq";
        let spans = db.fetch(DO, sql, &values![workout]).await?;
        let span = |row: &Row| {
            Ok(Span { source: row.get(DO, 0)?, boot: row.number(DO, 1)?, from_seq: row.number(DO, 2)?, to_seq: row.number(DO, 3)? })
        };
        due.push(Due { workout, revision, spans: spans.iter().map(span).collect::<Result<_, StoreError>>()? });
    }
    Ok(due)
}

/// Notes that a workout is packed, unless late rows came meanwhile.
pub(crate) async fn packed(db: &Db, due: &Due) -> Result<(), StoreError> {
    let sql = "update workouts set packed_revision = revision where workout = $1 and revision = $2 and late_at_ms is null";
    db.execute("note that a workout is packed", sql, &values![due.workout, due.revision]).await.map(drop)
}

/// What a few steps of a walk found.
pub(crate) enum Found {
    /// Raw rows to pack, and where the walk goes on after this boot.
    Rows(Span, Walk),
    /// Nothing yet; the walk goes on here.
    Nothing(Walk),
    /// The walk is over.
    End,
}

/// The next boot, from the walk's place on, with raw rows from before a time.
///
/// Walks the key one boot at a time: what lies between is never read.
pub(crate) async fn loose(db: &Db, mut walk: Walk, before_at_ms: i64) -> Result<Found, StoreError> {
    const DO: &str = "find raw rows to pack";
    const BOOTS_AT_ONCE: usize = 64;
    for _ in 0..BOOTS_AT_ONCE {
        let sql = "select source, boot, seq from samples where (source, boot, seq) >= ($1, $2, $3) order by source, boot, seq limit 1";
        let Some(row) = db.fetch_one(DO, sql, &values![walk.source, walk.boot, walk.from_seq]).await? else { return Ok(Found::End) };
        let (source, boot, from_seq): (i64, u32, u32) = (row.get(DO, 0)?, row.number(DO, 1)?, row.number(DO, 2)?);
        walk = match boot.checked_add(1) {
            Some(boot) => Walk { source, boot, from_seq: 0 },
            None => Walk { source: source + 1, boot: 0, from_seq: 0 },
        };
        let sql = "select 1 from samples where source = $1 and boot = $2 and seq >= $3 and at_ms < $4 limit 1";
        if db.fetch_one(DO, sql, &values![source, boot, from_seq, before_at_ms]).await?.is_some() {
            return Ok(Found::Rows(Span { source, boot, from_seq, to_seq: u32::MAX }, walk));
        }
    }
    Ok(Found::Nothing(walk))
}

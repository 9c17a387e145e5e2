//! What a member did in a gym on one of its days: the sum of the workouts that began on it, in the gym's time zone.
//!
//! A day is always made whole from the totals of its workouts, so that it does not matter how often, in which order or on how many nodes it is
//! made. A workout belongs to the day it began on, also when it went on over midnight. Made after a seal and after each amendment.

use protocol::frame::Totals;
use protocol::totals::join;
use protocol::{GymId, MemberId, WorkoutId};

use super::Zone;
use super::due::AT_ONCE;
use crate::db::{Conn, Db, Row, values};
use crate::error::StoreError;
use crate::open::now_ms;
use crate::words::json;

const DO: &str = "add up a day";
/// Nodes make days one after another, so that none writes over a newer one; any number that nobody else uses in the database.
const LOCK: i64 = 0x5370_6f74_7465_7204;

/// A workout that was sealed or amended and is not in its day yet.
pub(super) struct Undone {
    pub(super) workout: WorkoutId,
    gym: GymId,
    member: MemberId,
    started_at_ms: i64,
    revision: u32,
}

/// The next few behind one whose days are to be made.
pub(super) async fn undone(db: &Db, behind: WorkoutId) -> Result<Vec<Undone>, StoreError> {
    const DO: &str = "find days to add up";
    let sql = "select workout, gym, member, started_at_ms, revision from workouts
         where revision is not null and (rolled_revision is null or rolled_revision <> revision) and workout > $2 order by workout limit $1";
    let undone_of = |row: &Row| {
        Ok(Undone {
            workout: row.id(DO, 0)?,
            gym: row.id(DO, 1)?,
            member: row.id(DO, 2)?,
            started_at_ms: row.get(DO, 3)?,
            revision: row.number(DO, 4)?,
        })
    };
    db.fetch(DO, sql, &values![AT_ONCE, behind]).await?.iter().map(undone_of).collect()
}

/// Makes the day of one workout.
pub(super) async fn make(db: &Db, undone: &Undone) -> Result<(), StoreError> {
    let mut tx = db.begin(DO).await?;
    let mut conn = tx.conn();
    renew(&mut conn, undone.member, undone.gym, undone.started_at_ms).await?;
    let sql = "update workouts set rolled_revision = $2 where workout = $1 and revision = $2";
    conn.execute(DO, sql, &values![undone.workout, undone.revision]).await?;
    tx.commit(DO).await
}

/// A gym's time zone changes with the caller's transaction: its days are added up anew after it.
pub(crate) async fn other_days(conn: &mut Conn<'_>, gym: GymId) -> Result<(), StoreError> {
    lock(conn).await?;
    conn.execute(DO, "delete from days where gym = $1", &values![gym]).await?;
    let sql = "update workouts set rolled_revision = null where gym = $1 and rolled_revision is not null";
    conn.execute(DO, sql, &values![gym]).await.map(drop)
}

async fn lock(conn: &mut Conn<'_>) -> Result<(), StoreError> {
    if conn.is_postgres() {
        conn.fetch(DO, "select pg_advisory_xact_lock($1)", &values![LOCK]).await?;
    }
    Ok(())
}

/// Makes one day of a member in a gym anew, inside the caller's transaction.
pub(crate) async fn renew(conn: &mut Conn<'_>, member: MemberId, gym: GymId, started_at_ms: i64) -> Result<(), StoreError> {
    lock(conn).await?;
    let row = conn.fetch_one(DO, "select time_zone from gyms where gym = $1", &values![gym]).await?;
    let zone = Zone::named(&row.map_or(Ok(String::new()), |row| row.get(DO, 0))?);
    let day = zone.day_of(started_at_ms);
    let (from_at_ms, to_at_ms) = zone.bounds_of(day);
    let sql = "select t.totals from workouts w join workout_totals t on t.workout = w.workout and t.revision = w.revision
         where w.member = $1 and w.gym = $2 and w.started_at_ms >= $3 and w.started_at_ms < $4";
    let rows = conn.fetch(DO, sql, &values![member, gym, from_at_ms, to_at_ms]).await?;
    let mut totals = Totals::default();
    for row in &rows {
        join(&mut totals, &row.json(DO, 0)?);
    }
    let sql = "insert into days (member, gym, day, workouts, totals, at_ms) values ($1, $2, $3, $4, $5, $6)
         on conflict (member, gym, day) do update set workouts = excluded.workouts, totals = excluded.totals, at_ms = excluded.at_ms";
    let params = values![member, gym, day.to_string(), rows.len() as i64, json(&totals), now_ms()];
    conn.execute(DO, sql, &params).await.map(drop)
}

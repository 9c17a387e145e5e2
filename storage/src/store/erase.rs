//! Erasure of one member: out of every table, out of packed chunks, for good.
//!
//! Another tenant may have the same subject: every statement keeps to what lies in no gym (and no board, team or request) of another tenant.
//!
//! First the ids are written down as hashes that must not come back, in one transaction with the member's own row and with the request itself, so that
//! the member is gone for every question at once and whoever starts after a crash knows what to finish. Then boot by boot, each under its lock: what lies in the
//! member's workouts goes, the ranges that refuse it stay and are widened to what was still under way. Last what people and rooms wrote, and the
//! request. Each step may be repeated, by several nodes at once. What writers have in hand meanwhile, they drop themselves (`tombstone.rs`, `writer/facts.rs`). What
//! is deleted is overwritten in place by SQLite (`secure_delete`); Postgres needs [`Store::scrub`].

use std::collections::BTreeMap;

use protocol::{MemberId, SeqRanges, TenantId};
use uuid::Uuid;

use super::Store;
use super::tombstone::{delete, mark_member, mark_of, mark_workout, ranges_of, stand_alone, take_out};
use crate::db::{Conn, values};
use crate::error::StoreError;
use crate::history::pack::{self, Span};
use crate::words::json;

const DO: &str = "erase a member";
/// Raw rows deleted in one statement.
const STEP: u32 = 5_000;

/// Of the member (`$1`), in a gym that is not another tenant's than `$2`. A gym that nobody knows is nobody else's.
const THEIRS: &str = "member = $1 and gym not in (select gym from gyms where tenant <> $2)";
/// Their workouts.
const WORKOUTS: &str = "select workout from workouts where member = $1 and gym not in (select gym from gyms where tenant <> $2)";

/// Rows that went, by table, and chunks that were made anew without the member's readings.
pub type Erased = BTreeMap<&'static str, u64>;

/// An erasure that was asked for and is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// The tenant.
    pub tenant: TenantId,
    /// Who is erased.
    pub member: MemberId,
    /// Who asked.
    pub by: Option<Uuid>,
    /// When.
    pub at_ms: i64,
}

impl Store {
    /// Erases a member of the tenant and everything that is theirs. Asked for again it finishes what was cut, and finds nothing more.
    ///
    /// `by` is noted in the audit, with the hash of the member's id and numbers of rows.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has, and had, no such member. After any other error the request may stand:
    /// [`Self::unfinished_erasures`] has it then.
    pub async fn erase_member(&self, tenant: TenantId, member: MemberId, by: Option<Uuid>, now_ms: i64) -> Result<Erased, StoreError> {
        let mut gone = self.ask_erasure(tenant, member, by, now_ms).await?;
        self.finish_erasure(Erasure { tenant, member, by, at_ms: now_ms }, &mut gone).await?;
        Ok(gone)
    }

    /// Erasures that were asked for before a time and are not finished, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn unfinished_erasures(&self, before_at_ms: i64) -> Result<Vec<Erasure>, StoreError> {
        const DO: &str = "list unfinished erasures";
        let sql = "select tenant, member, by_subject, at_ms from erasures where at_ms <= $1 order by at_ms, member";
        let rows = self.db.fetch(DO, sql, &values![before_at_ms]).await?;
        let read = |row: &crate::db::Row| {
            Ok(Erasure { tenant: row.id(DO, 0)?, member: row.id(DO, 1)?, by: row.get(DO, 2)?, at_ms: row.get(DO, 3)? })
        };
        rows.iter().map(read).collect()
    }

    /// Everything after the mark, to the end of the request. `gone` has the rows that went, also those that went with the mark.
    ///
    /// # Errors
    /// [`StoreError`] as the database says: the request stands, call again.
    pub async fn finish_erasure(&self, Erasure { tenant, member, by, at_ms }: Erasure, gone: &mut Erased) -> Result<(), StoreError> {
        self.erase_own_sources(tenant, member, gone).await?;
        let sql = format!("select distinct source, boot from workout_ranges where workout in ({WORKOUTS}) order by source, boot");
        for row in self.db.fetch(DO, sql, &values![member, tenant]).await? {
            self.erase_boot(tenant, member, (row.get(DO, 0)?, row.number(DO, 1)?), gone).await?;
        }
        self.erase_words(tenant, member, gone).await?;
        gone.retain(|_, rows| *rows > 0);
        let mut tx = self.db.begin(DO).await?;
        let sql = "insert into audit (tenant, action, subject, by_subject, at_ms, counts) values ($1, 'erase', $2, $3, $4, $5)";
        tx.conn().execute(DO, sql, &values![tenant, mark_of(member.0), by, at_ms, json(gone)]).await?;
        tx.conn().execute(DO, "delete from erasures where tenant = $1 and member = $2", &values![tenant, member]).await?;
        tx.commit(DO).await
    }

    /// Whether a stretch of the member's workouts in the tenant is still open: rooms close them in their own time.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn trains_now(&self, tenant: TenantId, member: MemberId) -> Result<bool, StoreError> {
        const OPEN: i64 = 0xffff_ffff;
        let sql = format!("select 1 from workout_ranges where workout in ({WORKOUTS}) and to_seq = $3 limit 1");
        Ok(self.db.fetch_one("look for an open stretch", sql, &values![member, tenant, OPEN]).await?.is_some())
    }

    /// Asks for an erasure, for good: from here on the member is gone for every question, nothing of theirs is stored any more, and
    /// [`Self::unfinished_erasures`] has the request until [`Self::finish_erasure`]. Returns the rows that went already.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has, and had, no such member.
    pub async fn ask_erasure(&self, tenant: TenantId, member: MemberId, by: Option<Uuid>, now_ms: i64) -> Result<Erased, StoreError> {
        let mut gone = Erased::new();
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        stand_alone(&mut conn).await?;
        let own = "select 1 from members where member = $1 and tenant = $2";
        let known = conn.fetch_one(DO, own, &values![member, tenant]).await?.is_some();
        let audited = "select 1 from audit where subject = $1 and tenant = $2 and action = 'mark' limit 1";
        if !known && conn.fetch_one(DO, audited, &values![mark_of(member.0), tenant]).await?.is_none() {
            return Err(StoreError::NotFound { operation: DO, id: member.0 });
        }
        mark_member(&mut conn, tenant, member, now_ms).await?;
        let theirs = values![member, tenant];
        for row in conn.fetch(DO, WORKOUTS, &theirs).await? {
            mark_workout(&mut conn, row.get(DO, 0)?, now_ms).await?;
        }
        if known {
            let sql = "insert into audit (tenant, action, subject, at_ms, counts) values ($1, 'mark', $2, $3, '{}')";
            conn.execute(DO, sql, &values![tenant, mark_of(member.0), now_ms]).await?;
        }
        let sql = "insert into erasures (tenant, member, by_subject, at_ms) values ($1, $2, $3, $4) on conflict do nothing";
        conn.execute(DO, sql, &values![tenant, member, by, now_ms]).await?;
        delete(&mut conn, &mut gone, "members", "member = $1 and tenant = $2", &theirs).await?;
        let named = "person = $1 and kind = 'member' and team not in (select team from teams where tenant <> $2)";
        delete(&mut conn, &mut gone, "team_people", named, &theirs).await?;
        delete_achievements(&mut conn, tenant, member, &mut gone).await?;
        delete(&mut conn, &mut gone, "days", THEIRS, &theirs).await?;
        tx.commit(DO).await?;
        Ok(gone)
    }

    /// The member's own devices, with all that they said.
    async fn erase_own_sources(&self, tenant: TenantId, member: MemberId, gone: &mut Erased) -> Result<(), StoreError> {
        // Another tenant may have the same subject. A source without tenant is of a binary before schema 5, and of whom it says.
        let sql = "select source from sources where kind = 'member' and owner = $1 and tenant in ($2, $3) order by source";
        for row in self.db.fetch(DO, sql, &values![member, tenant, Uuid::nil()]).await? {
            let source: i64 = row.get(DO, 0)?;
            let sql = "delete from samples where source = $1 and (boot, seq) in
                 (select boot, seq from samples where source = $1 order by boot, seq limit $2)";
            loop {
                let rows = self.db.execute(DO, sql, &values![source, STEP]).await?;
                *gone.entry("samples").or_default() += rows;
                if rows < STEP.into() {
                    break;
                }
            }
            let mut tx = self.db.begin(DO).await?;
            lock_source(&mut tx.conn(), source).await?;
            for table in ["samples", "packed", "reps", "sets", "strokes", "quarantine", "workout_ranges", "boots", "sources"] {
                delete(&mut tx.conn(), gone, table, "source = $1", &values![source]).await?;
            }
            tx.commit(DO).await?;
        }
        Ok(())
    }

    /// What one boot of a machine read in the member's workouts. Its ranges stay, so that it is refused when it comes again.
    async fn erase_boot(
        &self,
        tenant: TenantId,
        member: MemberId,
        (source, boot): (i64, u32),
        gone: &mut Erased,
    ) -> Result<(), StoreError> {
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        if pack::lock(&mut conn, Span { source, boot, from_seq: 0, to_seq: u32::MAX }).await?.is_none() {
            return Ok(());
        }
        let theirs = stretches(&mut conn, tenant, member, (source, boot)).await?;
        take_out(&mut conn, (source, boot), &theirs, gone).await?;
        let which = format!("source = $3 and boot = $4 and workout in ({WORKOUTS})");
        delete(&mut conn, gone, "workout_ranges", &which, &values![member, tenant, source, boot]).await?;
        tx.commit(DO).await
    }

    /// What rooms and people wrote of the member.
    async fn erase_words(&self, tenant: TenantId, member: MemberId, gone: &mut Erased) -> Result<(), StoreError> {
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        let theirs = values![member, tenant];
        let of_workout = format!("workout in ({WORKOUTS})");
        let of_visit = format!("visit in (select visit from visits where {THEIRS})");
        for (table, which) in [
            ("workout_ranges", of_workout.as_str()),
            ("workout_totals", &of_workout),
            ("logged_sets", &of_workout),
            (
                "logged_sets",
                "member = $1 and workout not in (select w.workout from workouts w join gyms g on g.gym = w.gym where w.member = $1 and g.tenant <> $2)",
            ),
            (
                "board_scores",
                "member = $1 and board not in (select b.board from boards b join gyms g on g.gym = b.gym where g.tenant <> $2)
                 and workout not in (select w.workout from workouts w join gyms g on g.gym = w.gym where w.member = $1 and g.tenant <> $2)",
            ),
            ("workouts", THEIRS),
            ("visit_machines", &of_visit),
            ("visits", THEIRS),
            ("events", THEIRS),
            ("days", THEIRS),
            ("idempotency", "subject = $1 and tenant = $2"),
        ] {
            delete(&mut conn, gone, table, which, &theirs).await?;
        }
        delete_achievements(&mut conn, tenant, member, gone).await?;
        // The fence stays: it is what makes an older claim powerless.
        let sql =
            format!("update claims set member = null, workout = null, ended_at_ms = coalesce(ended_at_ms, granted_at_ms) where {THEIRS}");
        *gone.entry("claims").or_default() += conn.execute(DO, sql, &theirs).await?;
        let id = member.0.to_string();
        let which = format!("tenant = $2 and ({} or {})", holds(&conn, "request"), holds(&conn, "answer"));
        delete(&mut conn, gone, "idempotency", &which, &values![id.as_str(), tenant]).await?;
        delete_refused(&mut conn, tenant, &id, gone).await?;
        tx.commit(DO).await
    }
}

/// Whether the bytes of a column hold the text `$1`.
fn holds(conn: &Conn<'_>, column: &str) -> String {
    if conn.is_postgres() {
        format!("position(convert_to($1, 'UTF8') in {column}) > 0")
    } else {
        format!("instr({column}, cast($1 as blob)) > 0")
    }
}

/// Under the nil gym are those of a binary before schema 8, and of whoever has the member.
async fn delete_achievements(conn: &mut Conn<'_>, tenant: TenantId, member: MemberId, gone: &mut Erased) -> Result<(), StoreError> {
    let which = format!("{THEIRS} and (gym <> $3 or not exists (select 1 from members m where m.member = $1 and m.tenant <> $2))");
    delete(conn, gone, "achievements", &which, &values![member, tenant, Uuid::nil()]).await
}

/// Facts that name the member and were put to quarantine in words, but those that name something of another tenant too.
async fn delete_refused(conn: &mut Conn<'_>, tenant: TenantId, id: &str, gone: &mut Erased) -> Result<(), StoreError> {
    let mut behind: i64 = 0;
    let sql = format!(
        "select entry, content from quarantine where entry > $2 and source is null and {} order by entry limit 500",
        holds(conn, "content")
    );
    loop {
        let page = conn.fetch(DO, sql.clone(), &values![id, behind]).await?;
        let Some(last) = page.last() else { return Ok(()) };
        behind = last.get(DO, 0)?;
        for row in &page {
            if !names_another(conn, tenant, &ids_in(&row.get::<Vec<u8>>(DO, 1)?)).await? {
                let entry: i64 = row.get(DO, 0)?;
                delete(conn, gone, "quarantine", "entry = $1", &values![entry]).await?;
            }
        }
    }
}

async fn names_another(conn: &mut Conn<'_>, tenant: TenantId, ids: &[Uuid]) -> Result<bool, StoreError> {
    let sql = "select 1 from gyms where gym = $1 and tenant <> $2
         union all select 1 from workouts w join gyms g on g.gym = w.gym where w.workout = $1 and g.tenant <> $2
         union all select 1 from boards b join gyms g on g.gym = b.gym where b.board = $1 and g.tenant <> $2 limit 1";
    for id in ids {
        if conn.fetch_one(DO, sql, &values![*id, tenant]).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The ids that a text names.
fn ids_in(text: &[u8]) -> Vec<Uuid> {
    let words = text.split(|byte| !byte.is_ascii_hexdigit() && *byte != b'-');
    words.filter(|word| word.len() == 36).filter_map(|word| Uuid::try_parse_ascii(word).ok()).collect()
}

/// Every boot of a source, lowest first, as batches lock them.
async fn lock_source(conn: &mut Conn<'_>, source: i64) -> Result<(), StoreError> {
    let lock = if conn.is_postgres() { "for update" } else { "" };
    let sql = format!("select boot from boots where source = $1 order by boot {lock}");
    conn.fetch(DO, sql, &values![source]).await.map(drop)
}

/// The member's stretches of a boot. One that is open ends with what is stored.
async fn stretches(conn: &mut Conn<'_>, tenant: TenantId, member: MemberId, (source, boot): (i64, u32)) -> Result<SeqRanges, StoreError> {
    let newest = ranges_of(conn, source, boot).await?.and_then(|(stored, _)| stored.iter().last().map(|range| *range.end())).unwrap_or(0);
    let sql = format!("select from_seq, to_seq from workout_ranges where source = $3 and boot = $4 and workout in ({WORKOUTS})");
    let mut theirs = SeqRanges::new();
    for row in conn.fetch(DO, sql, &values![member, tenant, source, boot]).await? {
        let (from, to): (u32, u32) = (row.number(DO, 0)?, row.number(DO, 1)?);
        let to = if to == u32::MAX { newest } else { to };
        if from <= to {
            theirs.insert(from, to);
        }
    }
    Ok(theirs)
}

//! Erasure of one member: out of every table, out of packed chunks, for good.
//!
//! First the ids are written down as hashes that must not come back, in one transaction with the member's own row, so that the member is
//! gone for every question at once. Then boot by boot, each under its lock: what lies in the member's workouts goes, the ranges that refuse it stay and are
//! widened to what was still under way. Last what people and rooms wrote. Each step may be repeated: an erasure that was cut is asked for again. What
//! is deleted is overwritten in place by SQLite (`secure_delete`); Postgres needs [`Store::scrub`].

use std::collections::BTreeMap;

use protocol::{MemberId, SeqRanges, TenantId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Store;
use crate::db::{Conn, Tx, Value, values};
use crate::error::StoreError;
use crate::history::pack::{self, Span};
use crate::history::read::chunk_of;
use crate::ranges;
use crate::words::json;
use crate::writer::Kind;

const DO: &str = "erase a member";
/// Raw rows deleted in one statement.
const STEP: u32 = 5_000;

/// Rows that went, by table, and chunks that were made anew without the member's readings.
pub type Erased = BTreeMap<&'static str, u64>;

/// What stands for an id that was erased.
pub(crate) fn mark_of(id: Uuid) -> Vec<u8> {
    Sha256::digest([b"erased".as_slice(), id.as_bytes()].concat()).to_vec()
}

/// Whether any of these ids was erased.
pub(crate) async fn any_erased(conn: &mut Conn<'_>, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let mut erased = Vec::new();
    for ids in ids.chunks(64) {
        let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
        let sql = format!("select subject from erased where subject in ({})", places.join(", "));
        let marks: Vec<(Vec<u8>, Uuid)> = ids.iter().map(|&id| (mark_of(id), id)).collect();
        let params: Vec<Value> = marks.iter().map(|(mark, _)| Value::from(mark.clone())).collect();
        for row in conn.fetch("ask who was erased", sql, &params).await? {
            let found: Vec<u8> = row.get(DO, 0)?;
            erased.extend(marks.iter().filter(|(mark, _)| *mark == found).map(|(_, id)| *id));
        }
    }
    Ok(erased)
}

impl Store {
    /// Erases a member of the tenant and everything that is theirs. Asked for again it finishes what was cut, and finds nothing more.
    ///
    /// `by` is noted in the audit, with the hash of the member's id and numbers of rows.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has, and had, no such member.
    pub async fn erase_member(&self, tenant: TenantId, member: MemberId, by: Option<Uuid>, now_ms: i64) -> Result<Erased, StoreError> {
        let mut gone = Erased::new();
        self.mark_erased(tenant, member, now_ms, &mut gone).await?;
        self.erase_own_sources(tenant, member, &mut gone).await?;
        let sql = "select distinct r.source, r.boot from workout_ranges r join workouts w on w.workout = r.workout
             where w.member = $1 order by r.source, r.boot";
        for row in self.db.fetch(DO, sql, &values![member]).await? {
            self.erase_boot(member, row.get(DO, 0)?, row.number(DO, 1)?, &mut gone).await?;
        }
        self.erase_words(member, &mut gone).await?;
        gone.retain(|_, rows| *rows > 0);
        let sql = "insert into audit (tenant, action, subject, by_subject, at_ms, counts) values ($1, 'erase', $2, $3, $4, $5)";
        self.db.execute(DO, sql, &values![tenant, mark_of(member.0), by, now_ms, json(&gone)]).await?;
        Ok(gone)
    }

    /// Whether a stretch of the member's workouts is still open: rooms close them in their own time.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn trains_now(&self, member: MemberId) -> Result<bool, StoreError> {
        const OPEN: i64 = 0xffff_ffff;
        let sql = "select 1 from workout_ranges r join workouts w on w.workout = r.workout where w.member = $1 and r.to_seq = $2 limit 1";
        Ok(self.db.fetch_one("look for an open stretch", sql, &values![member, OPEN]).await?.is_some())
    }

    /// From here on the member is gone for every question, and nothing of theirs is stored any more.
    async fn mark_erased(&self, tenant: TenantId, member: MemberId, now_ms: i64, gone: &mut Erased) -> Result<(), StoreError> {
        let mut tx = self.db.begin(DO).await?;
        let own = "select 1 from members where member = $1 and tenant = $2";
        let known = tx.conn().fetch_one(DO, own, &values![member, tenant]).await?.is_some();
        let audited = "select 1 from audit where subject = $1 and tenant = $2 and action = 'mark' limit 1";
        if !known && tx.conn().fetch_one(DO, audited, &values![mark_of(member.0), tenant]).await?.is_none() {
            return Err(StoreError::NotFound { operation: DO, id: member.0 });
        }
        let mut ids = vec![member.0];
        for row in tx.conn().fetch(DO, "select workout from workouts where member = $1", &values![member]).await? {
            ids.push(row.get(DO, 0)?);
        }
        for id in ids {
            let sql = "insert into erased (subject, at_ms) values ($1, $2) on conflict do nothing";
            tx.conn().execute(DO, sql, &values![mark_of(id), now_ms]).await?;
        }
        if known {
            let sql = "insert into audit (tenant, action, subject, at_ms, counts) values ($1, 'mark', $2, $3, '{}')";
            tx.conn().execute(DO, sql, &values![tenant, mark_of(member.0), now_ms]).await?;
        }
        delete(&mut tx, gone, "members", "member = $1", &values![member]).await?;
        delete(&mut tx, gone, "team_people", "person = $1 and kind = 'member'", &values![member]).await?;
        delete(&mut tx, gone, "achievements", "member = $1", &values![member]).await?;
        delete(&mut tx, gone, "days", "member = $1", &values![member]).await?;
        tx.commit(DO).await
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
                delete(&mut tx, gone, table, "source = $1", &values![source]).await?;
            }
            tx.commit(DO).await?;
        }
        Ok(())
    }

    /// What one boot of a machine read in the member's workouts. Its ranges stay, so that it is refused when it comes again.
    async fn erase_boot(&self, member: MemberId, source: i64, boot: u32, gone: &mut Erased) -> Result<(), StoreError> {
        let mut tx = self.db.begin(DO).await?;
        let span = Span { source, boot, from_seq: 0, to_seq: u32::MAX };
        let Some(anchor_at_ms) = pack::lock(&mut tx.conn(), span).await? else { return Ok(()) };
        let theirs = refuse(&mut tx.conn(), member, source, boot).await?;
        for (from, to) in theirs.iter().map(|range| (*range.start(), *range.end())) {
            for table in Kind::ALL.map(Kind::table).into_iter().chain(["quarantine"]) {
                let which = "source = $1 and boot = $2 and seq between $3 and $4";
                delete(&mut tx, gone, table, which, &values![source, boot, from, to]).await?;
            }
            let sql =
                "select from_seq, chunk from packed where source = $1 and boot = $2 and to_seq >= $3 and from_seq <= $4 order by from_seq";
            for row in tx.conn().fetch(DO, sql, &values![source, boot, from, to]).await? {
                let first: u32 = row.number(DO, 0)?;
                let of_chunk = "source = $1 and boot = $2 and from_seq = $3";
                delete(&mut tx, gone, "packed", of_chunk, &values![source, boot, first]).await?;
                // Minutes alone cannot be parted: where the readings are gone already, all of them go.
                if row.get::<Option<Vec<u8>>>(DO, 1)?.is_none() {
                    continue;
                }
                let mut rows = chunk_of(&row, 1)?.rows;
                rows.retain(|row| !(from..=to).contains(&row.seq));
                for rows in pack::cut_up(anchor_at_ms, &rows) {
                    pack::insert(&mut tx.conn(), (source, boot), anchor_at_ms, rows).await?;
                    *gone.entry("packed_again").or_default() += 1;
                }
            }
        }
        let sql =
            "delete from workout_ranges where source = $1 and boot = $2 and workout in (select workout from workouts where member = $3)";
        *gone.entry("workout_ranges").or_default() += tx.conn().execute(DO, sql, &values![source, boot, member]).await?;
        tx.commit(DO).await
    }

    /// What rooms and people wrote of the member.
    async fn erase_words(&self, member: MemberId, gone: &mut Erased) -> Result<(), StoreError> {
        let mut tx = self.db.begin(DO).await?;
        let own = values![member];
        let of_workout = "workout in (select workout from workouts where member = $1)";
        for (table, which) in [
            ("workout_ranges", of_workout),
            ("workout_totals", of_workout),
            ("logged_sets", of_workout),
            ("logged_sets", "member = $1"),
            ("workouts", "member = $1"),
            ("visit_machines", "visit in (select visit from visits where member = $1)"),
            ("visits", "member = $1"),
            ("events", "member = $1"),
            ("days", "member = $1"),
            ("board_scores", "member = $1"),
            ("achievements", "member = $1"),
            ("idempotency", "subject = $1"),
        ] {
            delete(&mut tx, gone, table, which, &own).await?;
        }
        // The fence stays: it is what makes an older claim powerless.
        let sql = "update claims set member = null, workout = null, ended_at_ms = coalesce(ended_at_ms, granted_at_ms) where member = $1";
        *gone.entry("claims").or_default() += tx.conn().execute(DO, sql, &own).await?;
        let id = member.0.to_string();
        let holds = |column: &str, postgres: bool| {
            if postgres {
                format!("position(convert_to($1, 'UTF8') in {column}) > 0")
            } else {
                format!("instr({column}, cast($1 as blob)) > 0")
            }
        };
        let postgres = self.db.is_postgres();
        let which = format!("source is null and {}", holds("content", postgres));
        delete(&mut tx, gone, "quarantine", &which, &values![id.as_str()]).await?;
        let which = format!("{} or {}", holds("request", postgres), holds("answer", postgres));
        delete(&mut tx, gone, "idempotency", &which, &values![id.as_str()]).await?;
        tx.commit(DO).await
    }
}

async fn delete(tx: &mut Tx, gone: &mut Erased, table: &'static str, which: &str, params: &[Value]) -> Result<(), StoreError> {
    let rows = tx.conn().execute(DO, format!("delete from {table} where {which}"), params).await?;
    *gone.entry(table).or_default() += rows;
    Ok(())
}

/// Every boot of a source, lowest first, as batches lock them.
async fn lock_source(conn: &mut Conn<'_>, source: i64) -> Result<(), StoreError> {
    let lock = if conn.is_postgres() { "for update" } else { "" };
    let sql = format!("select boot from boots where source = $1 order by boot {lock}");
    conn.fetch(DO, sql, &values![source]).await.map(drop)
}

/// The member's stretches of a boot, which count as stored from now on whether they came or not. One that is open ends with what is stored.
async fn refuse(conn: &mut Conn<'_>, member: MemberId, source: i64, boot: u32) -> Result<SeqRanges, StoreError> {
    let row = conn.fetch_one(DO, "select stored, lost from boots where source = $1 and boot = $2", &values![source, boot]).await?;
    let Some(row) = row else { return Ok(SeqRanges::new()) };
    let read = |column| {
        let bytes: Vec<u8> = row.get(DO, column)?;
        ranges::from_bytes(&bytes).map_err(|error| crate::db::decode(DO, column, error))
    };
    let (mut stored, mut lost) = (read(0)?, read(1)?);
    let newest = stored.iter().last().map_or(0, |range| *range.end());
    let sql = "select r.from_seq, r.to_seq from workout_ranges r join workouts w on w.workout = r.workout
         where w.member = $1 and r.source = $2 and r.boot = $3";
    let mut theirs = SeqRanges::new();
    for row in conn.fetch(DO, sql, &values![member, source, boot]).await? {
        let (from, to): (u32, u32) = (row.number(DO, 0)?, row.number(DO, 1)?);
        let to = if to == u32::MAX { newest } else { to };
        if from <= to {
            theirs.insert(from, to);
        }
    }
    for range in theirs.iter() {
        stored.insert(*range.start(), *range.end());
        lost.remove(*range.start(), *range.end());
    }
    let sql = "update boots set stored = $1, lost = $2 where source = $3 and boot = $4";
    conn.execute(DO, sql, &values![ranges::to_bytes(&stored), ranges::to_bytes(&lost), source, boot]).await?;
    Ok(theirs)
}

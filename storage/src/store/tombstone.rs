//! Who was erased, as those ask who write: hashes of ids that must not come back, and the lock that puts writers and the mark in an order.
//!
//! A member is erased in a tenant: another may have the same subject. So a member has two marks: of tenant and id together, which decides, and of the id alone,
//! which says that somebody of that id was erased somewhere, and is the only one that a binary of schema 7 or less makes and reads. The audit says whose such a one is.
//! A workout's id stands in one tenant only, and has the mark of the id.
//!
//! A transaction that writes what may be of a member takes [`stand_by`] before it asks [`any_erased`]; the mark of an erasure is made under
//! [`stand_alone`]. So a writer either commits before the mark, and the erasure finds its rows, or sees the mark. In SQLite there is one writer at a time anyway.
//! [`take_out`] is the one place where readings of a machine are erased.

use std::collections::BTreeSet;

use protocol::{MemberId, SeqRanges, TenantId};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::erase::Erased;
use crate::db::{Conn, Value, values};
use crate::error::StoreError;
use crate::history::pack::{self, Span};
use crate::history::read::chunk_of;
use crate::ranges;
use crate::writer::Kind;

const DO: &str = "ask who was erased";
/// Of writers and marks; any number of our own.
const LOCK: i64 = 0x5370_6f74_7465_7206;

/// What stands for an id that was erased.
pub(crate) fn mark_of(id: Uuid) -> Vec<u8> {
    Sha256::digest([b"erased".as_slice(), id.as_bytes()].concat()).to_vec()
}

/// What stands for a member of a tenant who was erased.
fn mark_in(tenant: TenantId, member: MemberId) -> Vec<u8> {
    Sha256::digest([b"erased".as_slice(), tenant.0.as_bytes(), member.0.as_bytes()].concat()).to_vec()
}

/// Until the end of this transaction nobody is marked. A statement of its own: the next one sees what was marked before.
pub(crate) async fn stand_by(conn: &mut Conn<'_>) -> Result<(), StoreError> {
    if conn.is_postgres() {
        conn.fetch(DO, "select pg_advisory_xact_lock_shared($1)", &values![LOCK]).await?;
    }
    Ok(())
}

/// Waits for writers that stand by, and holds up the next ones until the end of this transaction. To be taken first, with nothing locked.
pub(crate) async fn stand_alone(conn: &mut Conn<'_>) -> Result<(), StoreError> {
    if conn.is_postgres() {
        conn.fetch(DO, "select pg_advisory_xact_lock($1)", &values![LOCK]).await?;
    }
    Ok(())
}

/// Writes down that a workout was erased.
pub(crate) async fn mark_workout(conn: &mut Conn<'_>, workout: Uuid, now_ms: i64) -> Result<(), StoreError> {
    put(conn, mark_of(workout), now_ms).await
}

/// Writes down that a member of a tenant was erased.
pub(crate) async fn mark_member(conn: &mut Conn<'_>, tenant: TenantId, member: MemberId, now_ms: i64) -> Result<(), StoreError> {
    put(conn, mark_in(tenant, member), now_ms).await?;
    put(conn, mark_of(member.0), now_ms).await
}

async fn put(conn: &mut Conn<'_>, mark: Vec<u8>, now_ms: i64) -> Result<(), StoreError> {
    let sql = "insert into erased (subject, at_ms) values ($1, $2) on conflict do nothing";
    conn.execute("mark who was erased", sql, &values![mark, now_ms]).await.map(drop)
}

/// Which of these members of tenants were erased.
pub(crate) async fn erased_of(
    conn: &mut Conn<'_>,
    members: &BTreeSet<(TenantId, MemberId)>,
) -> Result<BTreeSet<(TenantId, MemberId)>, StoreError> {
    let ids: BTreeSet<Uuid> = members.iter().map(|(_, member)| member.0).collect();
    let somewhere = any_erased(conn, &ids.into_iter().collect::<Vec<_>>()).await?;
    let mut erased = BTreeSet::new();
    for &(tenant, member) in members.iter().filter(|(_, member)| somewhere.contains(&member.0)) {
        let sql = "select 1 from erased where subject = $1
             union all select 1 from audit where tenant = $2 and subject = $3 and action = 'mark' limit 1";
        if conn.fetch_one(DO, sql, &values![mark_in(tenant, member), tenant, mark_of(member.0)]).await?.is_some() {
            erased.insert((tenant, member));
        }
    }
    Ok(erased)
}

/// Which of these ids were erased; a member's, in whatever tenant.
pub(crate) async fn any_erased(conn: &mut Conn<'_>, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    let mut erased = Vec::new();
    for ids in ids.chunks(64) {
        let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
        let sql = format!("select subject from erased where subject in ({})", places.join(", "));
        let marks: Vec<(Vec<u8>, Uuid)> = ids.iter().map(|&id| (mark_of(id), id)).collect();
        let params: Vec<Value> = marks.iter().map(|(mark, _)| Value::from(mark.clone())).collect();
        for row in conn.fetch(DO, sql, &params).await? {
            let found: Vec<u8> = row.get(DO, 0)?;
            erased.extend(marks.iter().filter(|(mark, _)| *mark == found).map(|(_, id)| *id));
        }
    }
    Ok(erased)
}

/// Takes these stretches out of a boot and refuses them from now on, whether they came or not. Locks the boot; nothing where there is none.
pub(crate) async fn take_out(
    conn: &mut Conn<'_>,
    (source, boot): (i64, u32),
    stretches: &SeqRanges,
    gone: &mut Erased,
) -> Result<(), StoreError> {
    let Some(anchor_at_ms) = pack::lock(conn, Span { source, boot, from_seq: 0, to_seq: u32::MAX }).await? else { return Ok(()) };
    refuse(conn, source, boot, stretches).await?;
    for (from, to) in stretches.iter().map(|range| (*range.start(), *range.end())) {
        for table in Kind::ALL.map(Kind::table).into_iter().chain(["quarantine"]) {
            let which = "source = $1 and boot = $2 and seq between $3 and $4";
            delete(conn, gone, table, which, &values![source, boot, from, to]).await?;
        }
        let sql =
            "select from_seq, chunk from packed where source = $1 and boot = $2 and to_seq >= $3 and from_seq <= $4 order by from_seq";
        for row in conn.fetch(DO, sql, &values![source, boot, from, to]).await? {
            let first: u32 = row.number(DO, 0)?;
            let of_chunk = "source = $1 and boot = $2 and from_seq = $3";
            delete(conn, gone, "packed", of_chunk, &values![source, boot, first]).await?;
            // Minutes alone cannot be parted: where the readings are gone already, all of them go.
            if row.get::<Option<Vec<u8>>>(DO, 1)?.is_none() {
                continue;
            }
            let mut rows = chunk_of(&row, 1)?.rows;
            rows.retain(|row| !(from..=to).contains(&row.seq));
            for rows in pack::cut_up(anchor_at_ms, &rows) {
                pack::insert(conn, (source, boot), anchor_at_ms, rows).await?;
                *gone.entry("packed_again").or_default() += 1;
            }
        }
    }
    Ok(())
}

/// Ranges of a boot as they are stored: `stored` and `lost`.
pub(crate) async fn ranges_of(conn: &mut Conn<'_>, source: i64, boot: u32) -> Result<Option<(SeqRanges, SeqRanges)>, StoreError> {
    let row = conn.fetch_one(DO, "select stored, lost from boots where source = $1 and boot = $2", &values![source, boot]).await?;
    let Some(row) = row else { return Ok(None) };
    let read = |column| {
        let bytes: Vec<u8> = row.get(DO, column)?;
        ranges::from_bytes(&bytes).map_err(|error| crate::db::decode(DO, column, error))
    };
    Ok(Some((read(0)?, read(1)?)))
}

async fn refuse(conn: &mut Conn<'_>, source: i64, boot: u32, stretches: &SeqRanges) -> Result<(), StoreError> {
    let Some((mut stored, mut lost)) = ranges_of(conn, source, boot).await? else { return Ok(()) };
    for range in stretches.iter() {
        stored.insert(*range.start(), *range.end());
        lost.remove(*range.start(), *range.end());
    }
    let sql = "update boots set stored = $1, lost = $2 where source = $3 and boot = $4";
    conn.execute(DO, sql, &values![ranges::to_bytes(&stored), ranges::to_bytes(&lost), source, boot]).await.map(drop)
}

/// Deletes and counts.
pub(crate) async fn delete(
    conn: &mut Conn<'_>,
    gone: &mut Erased,
    table: &'static str,
    which: &str,
    params: &[Value],
) -> Result<(), StoreError> {
    let rows = conn.execute(DO, format!("delete from {table} where {which}"), params).await?;
    *gone.entry(table).or_default() += rows;
    Ok(())
}

//! Retention: what is older than its rule says goes, a bounded step at a time.
//!
//! Readings go before their minutes do: a chunk whose time has come is emptied, and its row goes with its minutes. Rules are by gym, then by
//! tenant, then the default. Raw rows have no rule of their own: they are packed first. The rows of `boots` stay, so that an old buffer is
//! refused for good. In Postgres the partitions of months gone by go when they are empty.

use std::time::Duration;

use super::millis;
use crate::db::{Db, Value, values};
use crate::error::StoreError;
use crate::options::{History as Rules, Keep, Whose};
use crate::store::{Retention, Store};
use crate::writer::months;

const DO: &str = "forget old readings";
/// Chunks in one statement.
const STEP: u32 = 200;

/// What went in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Forgotten {
    pub(super) chunks: u64,
    pub(super) rows: u64,
    pub(super) partitions: u64,
}

/// What may be forgotten now, each kind by itself: one that fails holds up no other. Says the first error beside what went.
pub(super) async fn step(db: &Db, rules: &Rules, now_ms: i64) -> (Forgotten, Option<StoreError>) {
    let (mut gone, mut failed) = (Forgotten::default(), None);
    let mut count = |went: Result<u64, StoreError>| {
        went.unwrap_or_else(|error| {
            failed.get_or_insert(error);
            0
        })
    };
    let before = |span: Duration| now_ms.saturating_sub(millis(span));
    for (of, keep) in scopes(rules) {
        if let Some(span) = keep.packed {
            gone.chunks += count(empty_chunks(db, &of, before(span)).await);
        }
        if let Some(span) = keep.rollups {
            gone.chunks += count(forget_chunks(db, &of, before(span)).await);
            gone.rows += count(forget_days(db, &of, before(span)).await);
        }
    }
    let retention = Retention {
        events_before_ms: rules.events.iter().map(|(kind, span)| (kind.clone(), before(*span))).collect(),
        quarantine_before_ms: rules.quarantine.map(before),
    };
    let pruned = Store::new(db.clone()).prune(&retention, now_ms).await;
    gone.rows += count(pruned.map(|pruned| pruned.events + pruned.quarantine + pruned.expired));
    gone.partitions = count(drop_empty_months(db, now_ms).await);
    (gone, failed)
}

/// The index `packed_kept` has those that are not empty yet: what was emptied before is not walked over.
async fn empty_chunks(db: &Db, of: &Scope, before_at_ms: i64) -> Result<u64, StoreError> {
    let sql = format!(
        "update packed set chunk = null where (source, boot, from_seq) in (
             select p.source, p.boot, p.from_seq from packed p where p.chunk is not null and p.to_at_ms < $1 and {} limit $2)",
        of.condition("p")
    );
    db.execute(DO, sql, &of.params(before_at_ms)).await
}

async fn forget_chunks(db: &Db, of: &Scope, before_at_ms: i64) -> Result<u64, StoreError> {
    let sql = format!(
        "delete from packed where (source, boot, from_seq) in (
             select p.source, p.boot, p.from_seq from packed p where p.to_at_ms < $1 and {} limit $2)",
        of.condition("p")
    );
    db.execute(DO, sql, &of.params(before_at_ms)).await
}

/// Days are named by the gym's calendar, which is at most a day off UTC: they go when the whole day has.
async fn forget_days(db: &Db, of: &Scope, before_at_ms: i64) -> Result<u64, StoreError> {
    let day = super::Zone::named("UTC").day_of(before_at_ms.saturating_sub(super::pack::DAY_MS)).to_string();
    let sql = format!(
        "delete from days where (member, gym, day) in (select d.member, d.gym, d.day from days d where d.day < $1 and {} limit $2)",
        of.days()
    );
    let mut params = of.params(0);
    params[0] = Value::from(day);
    db.execute(DO, sql, &params).await
}

/// Whose things a rule is for, without those that a narrower rule is for.
enum Scope {
    Gym(protocol::GymId),
    /// A tenant, but for these gyms.
    Tenant(protocol::TenantId, Vec<protocol::GymId>),
    /// Everybody, but for these.
    Others(Vec<protocol::TenantId>, Vec<protocol::GymId>),
}

fn scopes(rules: &Rules) -> Vec<(Scope, Keep)> {
    let gyms: Vec<protocol::GymId> =
        rules.rules.iter().filter_map(|(whose, _)| if let Whose::Gym(gym) = whose { Some(*gym) } else { None }).collect();
    let tenants: Vec<protocol::TenantId> =
        rules.rules.iter().filter_map(|(whose, _)| if let Whose::Tenant(tenant) = whose { Some(*tenant) } else { None }).collect();
    let mut scopes: Vec<(Scope, Keep)> = rules
        .rules
        .iter()
        .map(|(whose, keep)| match whose {
            Whose::Gym(gym) => (Scope::Gym(*gym), *keep),
            Whose::Tenant(tenant) => (Scope::Tenant(*tenant, gyms.clone()), *keep),
        })
        .collect();
    scopes.push((Scope::Others(tenants, gyms), rules.keep));
    scopes
}

/// `x in (..)` of ids that are bound from `$from` on.
fn list(from: usize, count: usize) -> String {
    (from..from + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

impl Scope {
    /// The source of a chunk is a machine of such a gym, or a member of such a tenant; `$1` and `$2` are taken.
    fn condition(&self, table: &str) -> String {
        let owners = match self {
            Self::Gym(_) => "select machine from machines where gym = $3".to_owned(),
            Self::Tenant(_, gyms) => format!(
                "select machine from machines where tenant = $3{} union all select member from members where tenant = $3",
                but("gym", 4, gyms.len())
            ),
            Self::Others(tenants, gyms) if tenants.is_empty() && gyms.is_empty() => return "true".to_owned(),
            Self::Others(tenants, gyms) => {
                let others = format!(
                    "select machine from machines where {} union all select member from members where {}",
                    any_of(&[("tenant", 3, tenants.len()), ("gym", 3 + tenants.len(), gyms.len())]),
                    any_of(&[("tenant", 3, tenants.len())])
                );
                return format!("{table}.source in (select source from sources where owner not in ({others}))");
            }
        };
        format!("{table}.source in (select source from sources where owner in ({owners}))")
    }

    fn days(&self) -> String {
        match self {
            Self::Gym(_) => "d.gym = $3".to_owned(),
            Self::Tenant(_, gyms) => format!("d.gym in (select gym from gyms where tenant = $3{})", but("gym", 4, gyms.len())),
            Self::Others(tenants, gyms) if tenants.is_empty() && gyms.is_empty() => "true".to_owned(),
            Self::Others(tenants, gyms) => format!(
                "d.gym not in (select gym from gyms where {})",
                any_of(&[("tenant", 3, tenants.len()), ("gym", 3 + tenants.len(), gyms.len())])
            ),
        }
    }

    fn params(&self, before_at_ms: i64) -> Vec<Value> {
        let mut params = values![before_at_ms, STEP].to_vec();
        match self {
            Self::Gym(gym) => params.push((*gym).into()),
            Self::Tenant(tenant, gyms) => {
                params.push((*tenant).into());
                params.extend(gyms.iter().map(|gym| Value::from(*gym)));
            }
            Self::Others(tenants, gyms) => {
                params.extend(tenants.iter().map(|tenant| Value::from(*tenant)));
                params.extend(gyms.iter().map(|gym| Value::from(*gym)));
            }
        }
        params
    }
}

fn but(column: &str, from: usize, count: usize) -> String {
    if count == 0 { String::new() } else { format!(" and {column} not in ({})", list(from, count)) }
}

fn any_of(lists: &[(&str, usize, usize)]) -> String {
    let some = lists.iter().filter(|(.., count)| *count > 0);
    let all: Vec<String> = some.map(|(column, from, count)| format!("{column} in ({})", list(*from, *count))).collect();
    if all.is_empty() { "false".to_owned() } else { all.join(" or ") }
}

/// Drops the partitions of months before the last one that hold no row: under a lock, looked at again.
async fn drop_empty_months(db: &Db, now_ms: i64) -> Result<u64, StoreError> {
    const DO: &str = "drop empty partitions";
    if !db.is_postgres() {
        return Ok(0);
    }
    let sql = "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'samples'::regclass";
    let mut dropped = 0;
    for row in db.fetch(DO, sql, &[]).await? {
        let Some(month) = months::month_named(&row.get::<String>(DO, 0)?) else { continue };
        let name = months::name(month);
        if month + 1 >= months::month_of(now_ms) || !is_empty(db, &name).await? {
            continue;
        }
        let mut tx = db.begin(DO).await?;
        let mut conn = tx.conn();
        // A writer that waits for this lock longer than a moment is worth more than an empty table.
        conn.script(DO, "set local lock_timeout = '500ms'").await?;
        conn.script(DO, format!("lock table samples, {name} in access exclusive mode")).await?;
        if conn.fetch_one(DO, format!("select 1 from {name} limit 1"), &[]).await?.is_none() {
            conn.script(DO, format!("drop table {name}")).await?;
            tx.commit(DO).await?;
            dropped += 1;
        }
    }
    Ok(dropped)
}

async fn is_empty(db: &Db, table: &str) -> Result<bool, StoreError> {
    Ok(db.fetch_one(DO, format!("select 1 from {table} limit 1"), &[]).await?.is_none())
}

//! Which facts are of members who were erased, and what goes with them.
//!
//! In: a batch of facts, in the transaction that is to write them. Out: the places of those that are not written. Owned: finding the tenant that a fact is of (by its
//! gym, or by that of its board or workout), marks of workouts that an erasure could not know, readings of their stretches. Where nobody of these ids was erased
//! in any tenant, which is the rule, this is one question. A fact of a gym that nobody knows is dropped where its member was erased anywhere.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{BoardId, GymId, MemberId, RoomName, SeqRanges, TenantId, WorkoutId};
use uuid::Uuid;

use super::boots::Known;
use super::sources::ERASED;
use crate::db::{Conn, values};
use crate::error::StoreError;
use crate::model::Fact;
use crate::open::now_ms;
use crate::store::Erased;
use crate::store::tombstone::{any_erased, erased_of, mark_workout, stand_by, take_out};

const DO: &str = "ask whose facts these are";

/// What a fact says of whose it is.
#[derive(Debug, Clone, Copy, Default)]
struct About {
    gym: Option<GymId>,
    member: Option<MemberId>,
    workout: Option<WorkoutId>,
    board: Option<BoardId>,
}

/// Places of facts about members, and training, that were erased; nobody else is until the end of the transaction. A workout that an erasure could not know,
/// because it was on its way, is erased here, and so are the readings of its stretches and of those that end only now.
pub(super) async fn drop_those(conn: &mut Conn<'_>, known: &Known, facts: &[Fact]) -> Result<BTreeSet<usize>, StoreError> {
    let about: Vec<About> = facts.iter().map(about).collect();
    let ids: BTreeSet<Uuid> =
        about.iter().flat_map(|about| [about.member.map(|id| id.0), about.workout.map(|id| id.0)]).flatten().collect();
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    stand_by(conn).await?;
    let marked: BTreeSet<Uuid> = any_erased(conn, &ids.into_iter().collect::<Vec<_>>()).await?.into_iter().collect();
    if marked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut workouts: BTreeSet<WorkoutId> = about.iter().filter_map(|about| about.workout).filter(|id| marked.contains(&id.0)).collect();
    let mut dropped = of_erased(conn, &about, &marked).await?;
    for place in &dropped {
        if let Fact::Claim { workout, .. } | Fact::Workout { workout, .. } = &facts[*place]
            && workouts.insert(*workout)
        {
            mark_workout(conn, workout.0, now_ms()).await?;
        }
    }
    let of_theirs = |about: &About| about.workout.is_some_and(|workout| workouts.contains(&workout));
    dropped.extend(about.iter().enumerate().filter(|(_, about)| of_theirs(about)).map(|(place, _)| place));
    take_stretches(conn, known, dropped.iter().map(|place| &facts[*place])).await?;
    Ok(dropped)
}

/// Places of what names a member who was erased in its tenant.
async fn of_erased(conn: &mut Conn<'_>, about: &[About], marked: &BTreeSet<Uuid>) -> Result<BTreeSet<usize>, StoreError> {
    let mut gyms: BTreeMap<WorkoutId, GymId> = about.iter().filter_map(|about| about.workout.zip(about.gym)).collect();
    let mut tenants: BTreeMap<GymId, Option<TenantId>> = BTreeMap::new();
    let mut whose: BTreeMap<usize, (Option<TenantId>, MemberId)> = BTreeMap::new();
    for (place, about) in about.iter().enumerate() {
        let Some(member) = about.member.filter(|member| marked.contains(&member.0)) else { continue };
        let mut gym = about.gym;
        if let Some(board) = about.board {
            gym = gym_in(conn, "select gym from boards where board = $1", board.0).await?;
        }
        if let (None, Some(workout)) = (gym, about.workout) {
            gym = gym_of(conn, &mut gyms, workout).await?;
        }
        let tenant = match gym {
            Some(gym) => tenant_of(conn, &mut tenants, gym).await?,
            None => None,
        };
        whose.insert(place, (tenant, member));
    }
    let members = whose.values().filter_map(|(tenant, member)| tenant.map(|tenant| (tenant, *member))).collect();
    let erased = erased_of(conn, &members).await?;
    let gone = |&(tenant, member): &(Option<TenantId>, MemberId)| tenant.is_none_or(|tenant| erased.contains(&(tenant, member)));
    Ok(whose.into_iter().filter(|(_, whose)| gone(whose)).map(|(place, _)| place).collect())
}

async fn gym_of(conn: &mut Conn<'_>, gyms: &mut BTreeMap<WorkoutId, GymId>, workout: WorkoutId) -> Result<Option<GymId>, StoreError> {
    if let Some(gym) = gyms.get(&workout) {
        return Ok(Some(*gym));
    }
    let gym = gym_in(conn, "select gym from workouts where workout = $1", workout.0).await?;
    gyms.extend(gym.map(|gym| (workout, gym)));
    Ok(gym)
}

async fn gym_in(conn: &mut Conn<'_>, sql: &'static str, id: Uuid) -> Result<Option<GymId>, StoreError> {
    conn.fetch_one(DO, sql, &values![id]).await?.map(|row| row.id(DO, 0)).transpose()
}

async fn tenant_of(
    conn: &mut Conn<'_>,
    tenants: &mut BTreeMap<GymId, Option<TenantId>>,
    gym: GymId,
) -> Result<Option<TenantId>, StoreError> {
    if let Some(tenant) = tenants.get(&gym) {
        return Ok(*tenant);
    }
    let row = conn.fetch_one(DO, "select tenant from gyms where gym = $1", &values![gym]).await?;
    let tenant = row.map(|row| row.id(DO, 0)).transpose()?;
    tenants.insert(gym, tenant);
    Ok(tenant)
}

/// Readings of closed stretches, by source and boot, in the order in which batches lock them.
async fn take_stretches(conn: &mut Conn<'_>, known: &Known, dropped: impl Iterator<Item = &Fact>) -> Result<(), StoreError> {
    let mut stretches: BTreeMap<(i64, u32), SeqRanges> = BTreeMap::new();
    for fact in dropped {
        if let Fact::WorkoutRange { range, .. } = fact
            && range.to_seq != u32::MAX
            && let Some(source) = known.sources.get(&range.source)
            && source != ERASED
            && range.from_seq <= range.to_seq
        {
            stretches.entry((source, range.boot)).or_default().insert(range.from_seq, range.to_seq);
        }
    }
    let mut gone = Erased::new();
    for (boot, stretches) in stretches {
        take_out(conn, boot, &stretches, &mut gone).await?;
    }
    if !gone.is_empty() {
        tracing::info!(rows = gone.values().sum::<u64>(), "readings that were on their way while their member was erased were erased too");
    }
    Ok(())
}

/// Where, of whom and of whose training a fact tells.
fn about(fact: &Fact) -> About {
    match *fact {
        Fact::Claim { gym, member, workout, .. } | Fact::Workout { gym, member, workout, .. } => {
            About { gym: Some(gym), member: Some(member), workout: Some(workout), board: None }
        }
        Fact::BoardScore { board, member, workout, .. } => {
            About { gym: None, member: Some(member), workout: Some(workout), board: Some(board) }
        }
        Fact::LoggedSet { member, workout, .. } => About { member: Some(member), workout: Some(workout), ..About::default() },
        Fact::Visit { gym, member, .. } => About { gym: Some(gym), member: Some(member), ..About::default() },
        Fact::WorkoutRange { workout, .. } | Fact::Totals { workout, .. } => About { workout: Some(workout), ..About::default() },
        Fact::Event { gym, room, member, .. } => {
            let workout = match room {
                RoomName::Workout(workout) => Some(workout),
                _ => None,
            };
            About { gym: Some(gym), member, workout, board: None }
        }
        Fact::ClaimEnded { .. } | Fact::Ticket { .. } | Fact::Maintenance { .. } | Fact::Stop { .. } | Fact::AddUp { .. } => {
            About::default()
        }
    }
}

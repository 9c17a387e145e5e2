//! Provisioning in bulk: the same request twice changes nothing, one transaction each.
//!
//! An id that another tenant uses is `Conflict`; a gym or gateway that is not the tenant's is `NotFound`.

use protocol::{GatewayId, GymId, MachineId, TeamId, TenantId};
use uuid::Uuid;

use super::Store;
use crate::db::{Conn, Value, values};
use crate::error::StoreError;
use crate::history;
use crate::model::{GatewayRecord, GymRecord, MachineRecord, MemberRecord, StaffRecord, TeamRecord};
use crate::words::{json, word};

impl Store {
    /// Creates or changes gyms.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for an id of another tenant; nothing of the request stands then.
    pub async fn put_gyms(&self, tenant: TenantId, gyms: &[GymRecord]) -> Result<(), StoreError> {
        const DO: &str = "provision gyms";
        let mut tx = self.db.begin(DO).await?;
        for gym in gyms {
            let zone = "select 1 from gyms where gym = $1 and tenant = $2 and time_zone <> $3";
            if tx.conn().fetch_one(DO, zone, &values![gym.gym, tenant, &gym.time_zone]).await?.is_some() {
                history::other_days(&mut tx.conn(), gym.gym).await?;
            }
            let sql = "insert into gyms (gym, tenant, name, time_zone, units, addresses) values ($1, $2, $3, $4, $5, $6)
                 on conflict (gym) do update set name = excluded.name, time_zone = excluded.time_zone, units = excluded.units,
                 addresses = excluded.addresses where gyms.tenant = excluded.tenant";
            let params = values![gym.gym, tenant, &gym.name, &gym.time_zone, word(&gym.units), json(&gym.addresses)];
            owned(&mut tx.conn(), DO, gym.gym.0, sql, &params).await?;
        }
        tx.commit(DO).await
    }

    /// Creates or changes gateways of the tenant's gyms.
    ///
    /// # Errors
    /// As for gyms, and [`StoreError::NotFound`] for a foreign gym.
    pub async fn put_gateways(&self, tenant: TenantId, gateways: &[GatewayRecord]) -> Result<(), StoreError> {
        const DO: &str = "provision gateways";
        let mut tx = self.db.begin(DO).await?;
        for gateway in gateways {
            own_gym(&mut tx.conn(), DO, tenant, gateway.gym).await?;
            let sql = "insert into gateways (gateway, tenant, gym, name) values ($1, $2, $3, $4)
                 on conflict (gateway) do update set gym = excluded.gym, name = excluded.name where gateways.tenant = excluded.tenant";
            let params = values![gateway.gateway, tenant, gateway.gym, &gateway.name];
            owned(&mut tx.conn(), DO, gateway.gateway.0, sql, &params).await?;
        }
        tx.commit(DO).await
    }

    /// Creates or changes machines of the tenant's gyms, and binds them to gateways. A removed machine comes back.
    ///
    /// # Errors
    /// As for gateways.
    pub async fn put_machines(&self, tenant: TenantId, machines: &[MachineRecord]) -> Result<(), StoreError> {
        const DO: &str = "provision machines";
        let mut tx = self.db.begin(DO).await?;
        for machine in machines {
            own_gym(&mut tx.conn(), DO, tenant, machine.gym).await?;
            if let Some(gateway) = machine.gateway {
                own_gateway(&mut tx.conn(), DO, tenant, gateway).await?;
            }
            let sql = "insert into machines (machine, tenant, gym, name, kind, location, gateway, powered) values ($1, $2, $3, $4, $5, $6, $7, $8)
                 on conflict (machine) do update set gym = excluded.gym, name = excluded.name, kind = excluded.kind,
                 location = excluded.location, gateway = excluded.gateway, powered = excluded.powered, removed_at_ms = null
                 where machines.tenant = excluded.tenant";
            let params = values![
                machine.machine,
                tenant,
                machine.gym,
                &machine.name,
                word(&machine.kind),
                &machine.location,
                machine.gateway,
                machine.powered
            ];
            owned(&mut tx.conn(), DO, machine.machine.0, sql, &params).await?;
        }
        tx.commit(DO).await
    }

    /// Takes a machine out of its gym; what it recorded stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such machine.
    pub async fn remove_machine(&self, tenant: TenantId, machine: MachineId, at_ms: i64) -> Result<(), StoreError> {
        const DO: &str = "remove a machine";
        let sql = "update machines set removed_at_ms = coalesce(removed_at_ms, $3) where machine = $1 and tenant = $2";
        found(self.db.execute(DO, sql, &values![machine, tenant, at_ms]).await?, DO, machine.0)
    }

    /// Creates or changes members: handle, consents, units, ceiling and maximum. Teams and achievements are not set here.
    ///
    /// # Errors
    /// As for gyms.
    pub async fn put_members(&self, tenant: TenantId, members: &[MemberRecord]) -> Result<(), StoreError> {
        const DO: &str = "provision members";
        let mut tx = self.db.begin(DO).await?;
        for member in members {
            let sql = "insert into members (member, tenant, handle, wall, processing, health, marketing, units, ceiling_bpm, max_heart_rate_bpm)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (member) do update set handle = excluded.handle, wall = excluded.wall,
                 processing = excluded.processing, health = excluded.health, marketing = excluded.marketing, units = excluded.units,
                 ceiling_bpm = excluded.ceiling_bpm, max_heart_rate_bpm = excluded.max_heart_rate_bpm where members.tenant = excluded.tenant";
            let consents = member.consents;
            let params = values![
                member.member,
                tenant,
                member.handle.as_ref(),
                consents.wall,
                consents.processing,
                consents.health,
                consents.marketing,
                word(&member.units),
                member.ceiling_bpm,
                member.max_heart_rate_bpm
            ];
            owned(&mut tx.conn(), DO, member.member.0, sql, &params).await?;
        }
        tx.commit(DO).await
    }

    /// Creates or changes staff.
    ///
    /// # Errors
    /// As for gateways.
    pub async fn put_staff(&self, tenant: TenantId, staff: &[StaffRecord]) -> Result<(), StoreError> {
        const DO: &str = "provision staff";
        let mut tx = self.db.begin(DO).await?;
        for person in staff {
            for &gym in &person.gyms {
                own_gym(&mut tx.conn(), DO, tenant, gym).await?;
            }
            let sql = "insert into staff (staff, tenant, role, name, gyms) values ($1, $2, $3, $4, $5)
                 on conflict (staff) do update set role = excluded.role, name = excluded.name, gyms = excluded.gyms
                 where staff.tenant = excluded.tenant";
            let params = values![person.staff, tenant, word(&person.role), &person.name, json(&person.gyms)];
            owned(&mut tx.conn(), DO, person.staff.0, sql, &params).await?;
        }
        tx.commit(DO).await
    }

    /// Creates or changes teams with exactly these people, who must be the tenant's.
    ///
    /// # Errors
    /// As for gyms, and [`StoreError::NotFound`] for a foreign person.
    pub async fn put_teams(&self, tenant: TenantId, teams: &[TeamRecord]) -> Result<(), StoreError> {
        const DO: &str = "provision teams";
        let mut tx = self.db.begin(DO).await?;
        for team in teams {
            let sql = "insert into teams (team, tenant, name, sport) values ($1, $2, $3, $4)
                 on conflict (team) do update set name = excluded.name, sport = excluded.sport where teams.tenant = excluded.tenant";
            let params = values![team.team, tenant, &team.name, team.sport.as_ref()];
            owned(&mut tx.conn(), DO, team.team.0, sql, &params).await?;
            tx.conn().execute(DO, "delete from team_people where team = $1", &values![team.team]).await?;
            for staff in &team.staff {
                join_team(&mut tx.conn(), tenant, team.team, staff.0, "staff").await?;
            }
            for member in &team.members {
                join_team(&mut tx.conn(), tenant, team.team, member.0, "member").await?;
            }
        }
        tx.commit(DO).await
    }
}

pub(super) async fn owned(
    conn: &mut Conn<'_>,
    operation: &'static str,
    id: Uuid,
    sql: &'static str,
    params: &[Value],
) -> Result<(), StoreError> {
    if conn.execute(operation, sql, params).await? == 0 { Err(StoreError::Conflict { operation, id }) } else { Ok(()) }
}

pub(super) const fn found(rows: u64, operation: &'static str, id: Uuid) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::NotFound { operation, id }) } else { Ok(()) }
}

pub(super) async fn own_gym(conn: &mut Conn<'_>, operation: &'static str, tenant: TenantId, gym: GymId) -> Result<(), StoreError> {
    let row = conn.fetch_one(operation, "select 1 from gyms where gym = $1 and tenant = $2", &values![gym, tenant]).await?;
    found(row.is_some().into(), operation, gym.0)
}

async fn own_gateway(conn: &mut Conn<'_>, operation: &'static str, tenant: TenantId, gateway: GatewayId) -> Result<(), StoreError> {
    let sql = "select 1 from gateways where gateway = $1 and tenant = $2";
    let row = conn.fetch_one(operation, sql, &values![gateway, tenant]).await?;
    found(row.is_some().into(), operation, gateway.0)
}

async fn join_team(conn: &mut Conn<'_>, tenant: TenantId, team: TeamId, person: Uuid, kind: &'static str) -> Result<(), StoreError> {
    const DO: &str = "provision teams";
    let own = match kind {
        "staff" => "select 1 from staff where staff = $1 and tenant = $2",
        _ => "select 1 from members where member = $1 and tenant = $2",
    };
    let row = conn.fetch_one(DO, own, &values![person, tenant]).await?;
    found(row.is_some().into(), DO, person)?;
    let sql = "insert into team_people (team, person, kind) values ($1, $2, $3) on conflict do nothing";
    conn.execute(DO, sql, &values![team, person, kind]).await.map(drop)
}

//! Members, staff and teams.

use std::collections::BTreeMap;

use protocol::{MemberId, StaffId, TeamId, TenantId};

use super::Store;
use super::provision::found;
use crate::db::{Row, values};
use crate::error::StoreError;
use crate::model::{Consents, MemberRecord, StaffRecord, TeamRecord};

const MEMBER_COLUMNS: &str = "member, handle, wall, processing, health, marketing, units, ceiling_bpm, max_heart_rate_bpm";

impl Store {
    /// A member of the tenant with teams and achievements.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn member(&self, tenant: TenantId, member: MemberId) -> Result<Option<MemberRecord>, StoreError> {
        const DO: &str = "read a member";
        let sql = format!("select {MEMBER_COLUMNS} from members where tenant = $1 and member = $2");
        let Some(row) = self.db.fetch_one(DO, sql, &values![tenant, member]).await? else { return Ok(None) };
        let mut record = member_of(&row, DO)?;
        let teams = "select p.team from team_people p join teams t on t.team = p.team
             where t.tenant = $1 and p.person = $2 and p.kind = 'member' order by p.team";
        for row in self.db.fetch(DO, teams, &values![tenant, member]).await? {
            record.teams.push(row.id(DO, 0)?);
        }
        // Those under the nil gym are of a binary before schema 8, and of whoever's member this is.
        let achieved =
            "select name, min(at_ms) from achievements where member = $2 and (gym = $3 or gym in (select gym from gyms where tenant = $1))
             group by name order by 2, 1";
        for row in self.db.fetch(DO, achieved, &values![tenant, member, uuid::Uuid::nil()]).await? {
            record.achievements.push(row.text(DO, 0)?);
        }
        Ok(Some(record))
    }

    /// A page of the tenant's members in order of their ids, without teams and achievements.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn members(&self, tenant: TenantId, after: Option<MemberId>, limit: u32) -> Result<Vec<MemberRecord>, StoreError> {
        const DO: &str = "read members";
        let after = after.unwrap_or(MemberId(uuid::Uuid::nil()));
        let sql = format!("select {MEMBER_COLUMNS} from members where tenant = $1 and member > $2 order by member limit $3");
        self.db.fetch(DO, sql, &values![tenant, after, limit]).await?.iter().map(|row| member_of(row, DO)).collect()
    }

    /// Sets or clears a member's heart-rate ceiling.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such member.
    pub async fn set_ceiling(&self, tenant: TenantId, member: MemberId, ceiling_bpm: Option<u16>) -> Result<(), StoreError> {
        const DO: &str = "set a ceiling";
        let sql = "update members set ceiling_bpm = $3 where member = $1 and tenant = $2";
        found(self.db.execute(DO, sql, &values![member, tenant, ceiling_bpm]).await?, DO, member.0)
    }

    /// Sets a member's consents.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such member.
    pub async fn set_consents(&self, tenant: TenantId, member: MemberId, consents: Consents) -> Result<(), StoreError> {
        const DO: &str = "set consents";
        let Consents { processing, health, marketing, wall } = consents;
        let sql = "update members set processing = $3, health = $4, marketing = $5, wall = $6 where member = $1 and tenant = $2";
        found(self.db.execute(DO, sql, &values![member, tenant, processing, health, marketing, wall]).await?, DO, member.0)
    }

    /// One person of the tenant's staff.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn staff(&self, tenant: TenantId, staff: StaffId) -> Result<Option<StaffRecord>, StoreError> {
        const DO: &str = "read staff";
        let sql = "select staff, role, name, gyms from staff where tenant = $1 and staff = $2";
        let Some(row) = self.db.fetch_one(DO, sql, &values![tenant, staff]).await? else { return Ok(None) };
        Ok(Some(StaffRecord { staff: row.id(DO, 0)?, role: row.word(DO, 1)?, name: row.text(DO, 2)?, gyms: row.json(DO, 3)? }))
    }

    /// The tenant's teams with their people.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn teams(&self, tenant: TenantId) -> Result<Vec<TeamRecord>, StoreError> {
        const DO: &str = "read teams";
        let mut teams: BTreeMap<TeamId, TeamRecord> = BTreeMap::new();
        for row in self.db.fetch(DO, "select team, name, sport from teams where tenant = $1", &values![tenant]).await? {
            let team = row.id(DO, 0)?;
            let (staff, members) = (Vec::new(), Vec::new());
            teams.insert(team, TeamRecord { team, name: row.text(DO, 1)?, sport: row.opt_text(DO, 2)?, staff, members });
        }
        let sql =
            "select p.team, p.kind, p.person from team_people p join teams t on t.team = p.team where t.tenant = $1 order by p.person";
        for row in self.db.fetch(DO, sql, &values![tenant]).await? {
            let Some(team) = teams.get_mut(&row.id(DO, 0)?) else { continue };
            match row.get::<String>(DO, 1)?.as_str() {
                "staff" => team.staff.push(row.id(DO, 2)?),
                _ => team.members.push(row.id(DO, 2)?),
            }
        }
        Ok(teams.into_values().collect())
    }
}

fn member_of(row: &Row, operation: &'static str) -> Result<MemberRecord, StoreError> {
    Ok(MemberRecord {
        member: row.id(operation, 0)?,
        handle: row.opt_text(operation, 1)?,
        consents: Consents {
            wall: row.get(operation, 2)?,
            processing: row.get(operation, 3)?,
            health: row.get(operation, 4)?,
            marketing: row.get(operation, 5)?,
        },
        units: row.word(operation, 6)?,
        ceiling_bpm: row.opt_number(operation, 7)?,
        max_heart_rate_bpm: row.opt_number(operation, 8)?,
        teams: Vec::new(),
        achievements: Vec::new(),
    })
}

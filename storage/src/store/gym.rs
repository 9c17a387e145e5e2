//! Gyms, gateways and machines with their maintenance logs and fault tickets.

use protocol::frame::{HeldClaim, OpenTicket};
use protocol::{GatewayId, GymId, MachineId, TenantId};
use uuid::Uuid;

use super::Store;
use super::provision::found;
use crate::db::{Db, Row, Value, values};
use crate::error::StoreError;
use crate::model::{GatewayRecord, GymRecord, MachineRecord, MachineSeed, MaintenanceEntry, TenantGym, TicketClose, TicketRecord};

/// Entries of a maintenance log or list of tickets in one answer.
const LIST_MAX: i64 = 1_000;

impl Store {
    /// All gyms of all tenants, for the start of a node.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn all_gyms(&self) -> Result<Vec<TenantGym>, StoreError> {
        gyms(&self.db, "true", &[]).await
    }

    /// The tenant's gyms by name.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn gyms(&self, tenant: TenantId) -> Result<Vec<GymRecord>, StoreError> {
        Ok(gyms(&self.db, "tenant = $1", &values![tenant]).await?.into_iter().map(|found| found.gym).collect())
    }

    /// One gym of the tenant.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn gym(&self, tenant: TenantId, gym: GymId) -> Result<Option<GymRecord>, StoreError> {
        let found = gyms(&self.db, "tenant = $1 and gym = $2", &values![tenant, gym]).await?;
        Ok(found.into_iter().next().map(|found| found.gym))
    }

    /// One gateway of the tenant.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn gateway(&self, tenant: TenantId, gateway: GatewayId) -> Result<Option<GatewayRecord>, StoreError> {
        const DO: &str = "read a gateway";
        let sql = "select gateway, gym, name from gateways where tenant = $1 and gateway = $2";
        let Some(row) = self.db.fetch_one(DO, sql, &values![tenant, gateway]).await? else { return Ok(None) };
        Ok(Some(GatewayRecord { gateway: row.id(DO, 0)?, gym: row.id(DO, 1)?, name: row.text(DO, 2)? }))
    }

    /// Machines of a gym of the tenant by name, with maintenance, tickets and claim.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn machines(&self, tenant: TenantId, gym: GymId) -> Result<Vec<MachineSeed>, StoreError> {
        machines(&self.db, "x.tenant = $1 and x.gym = $2", &values![tenant, gym]).await
    }

    /// One machine of the tenant.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn machine(&self, tenant: TenantId, machine: MachineId) -> Result<Option<MachineSeed>, StoreError> {
        let found = machines(&self.db, "x.tenant = $1 and x.machine = $2", &values![tenant, machine]).await?;
        Ok(found.into_iter().next())
    }

    /// Appends to a machine's maintenance log; `open` takes it out of use, `!open` gives it back. The same entry twice is one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such machine.
    pub async fn log_maintenance(&self, tenant: TenantId, machine: MachineId, entry: &MaintenanceEntry) -> Result<(), StoreError> {
        const DO: &str = "append to a maintenance log";
        let mut tx = self.db.begin(DO).await?;
        let own = "select 1 from machines where machine = $1 and tenant = $2";
        let row = tx.conn().fetch_one(DO, own, &values![machine, tenant]).await?;
        found(row.is_some().into(), DO, machine.0)?;
        let sql = "insert into maintenance (machine, open, text, by_staff, at_ms) values ($1, $2, $3, $4, $5) on conflict do nothing";
        tx.conn().execute(DO, sql, &values![machine, entry.open, &entry.text, entry.by, entry.at_ms]).await?;
        tx.commit(DO).await
    }

    /// A machine's maintenance log, newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn maintenance_log(&self, tenant: TenantId, machine: MachineId) -> Result<Vec<MaintenanceEntry>, StoreError> {
        const DO: &str = "read a maintenance log";
        let sql = "select m.open, m.text, m.by_staff, m.at_ms from maintenance m join machines x on x.machine = m.machine
             where x.tenant = $1 and m.machine = $2 order by m.at_ms desc, m.entry desc limit $3";
        let rows = self.db.fetch(DO, sql, &values![tenant, machine, LIST_MAX]).await?;
        let entry = |row: &Row| {
            let by: Option<Uuid> = row.get(DO, 2)?;
            Ok(MaintenanceEntry { open: row.get(DO, 0)?, text: row.text(DO, 1)?, by, at_ms: row.get(DO, 3)? })
        };
        rows.iter().map(entry).collect()
    }

    /// Tickets of a gym of the tenant, open ones first, newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn tickets(&self, tenant: TenantId, gym: GymId) -> Result<Vec<TicketRecord>, StoreError> {
        const DO: &str = "read tickets";
        let sql = "select t.ticket, t.machine, t.severity, t.text, t.opened_at_ms, t.closed_at_ms, t.closed_by from tickets t
             join gyms g on g.gym = t.gym where g.tenant = $1 and t.gym = $2
             order by case when t.closed_at_ms is null then 0 else 1 end, t.opened_at_ms desc limit $3";
        let rows = self.db.fetch(DO, sql, &values![tenant, gym, LIST_MAX]).await?;
        rows.iter().map(|row| ticket_of(row, DO)).collect()
    }

    /// Closes a ticket. Closing twice keeps the first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such ticket.
    pub async fn close_ticket(&self, tenant: TenantId, close: TicketClose) -> Result<TicketRecord, StoreError> {
        const DO: &str = "close a ticket";
        let sql = "update tickets set closed_at_ms = coalesce(closed_at_ms, $3), closed_by = coalesce(closed_by, $4)
             where ticket = $1 and gym in (select gym from gyms where tenant = $2)";
        let TicketClose { ticket, by, at_ms } = close;
        found(self.db.execute(DO, sql, &values![ticket, tenant, at_ms, by]).await?, DO, ticket.0)?;
        let sql = "select ticket, machine, severity, text, opened_at_ms, closed_at_ms, closed_by from tickets where ticket = $1";
        let row = self.db.fetch_one(DO, sql, &values![ticket]).await?;
        row.map_or(Err(StoreError::NotFound { operation: DO, id: ticket.0 }), |row| ticket_of(&row, DO))
    }
}

fn ticket_of(row: &Row, operation: &'static str) -> Result<TicketRecord, StoreError> {
    Ok(TicketRecord {
        machine: row.id(operation, 1)?,
        ticket: OpenTicket {
            ticket: row.id(operation, 0)?,
            severity: row.word(operation, 2)?,
            text: row.text(operation, 3)?,
            opened_at_ms: row.get(operation, 4)?,
        },
        closed_at_ms: row.get(operation, 5)?,
        closed_by: row.get(operation, 6)?,
    })
}

pub(super) async fn gyms(db: &Db, which: &'static str, params: &[Value]) -> Result<Vec<TenantGym>, StoreError> {
    const DO: &str = "read gyms";
    let sql = format!("select tenant, gym, name, time_zone, units, addresses from gyms where {which} order by name, gym");
    let gym_of = |row: &Row| {
        Ok(TenantGym {
            tenant: row.id(DO, 0)?,
            gym: GymRecord {
                gym: row.id(DO, 1)?,
                name: row.text(DO, 2)?,
                time_zone: row.text(DO, 3)?,
                units: row.word(DO, 4)?,
                addresses: row.json(DO, 5)?,
            },
        })
    };
    db.fetch(DO, sql, params).await?.iter().map(gym_of).collect()
}

/// Machines with what the database knows of their state; `which` speaks of `machines x`.
pub(super) async fn machines(db: &Db, which: &'static str, params: &[Value]) -> Result<Vec<MachineSeed>, StoreError> {
    const DO: &str = "read machines";
    let sql = format!(
        "select x.machine, x.gym, x.name, x.kind, x.location, x.gateway, x.powered, c.fence, c.member, c.workout, c.may_control,
             c.ended_at_ms, m.open
         from machines x
         left join claims c on c.machine = x.machine and c.fence = (select max(y.fence) from claims y where y.machine = x.machine)
         left join maintenance m on m.machine = x.machine
             and m.entry = (select y.entry from maintenance y where y.machine = x.machine order by y.at_ms desc, y.entry desc limit 1)
         where {which} and x.removed_at_ms is null order by x.name, x.machine"
    );
    let mut machines = Vec::new();
    for row in db.fetch(DO, sql, params).await? {
        machines.push(machine_of(&row, DO)?);
    }
    let sql = format!(
        "select t.ticket, t.machine, t.severity, t.text, t.opened_at_ms, t.closed_at_ms, t.closed_by from tickets t
         join machines x on x.machine = t.machine where {which} and t.closed_at_ms is null order by t.opened_at_ms"
    );
    for row in db.fetch(DO, sql, params).await? {
        let found = ticket_of(&row, DO)?;
        if let Some(machine) = machines.iter_mut().find(|machine| machine.record.machine == found.machine) {
            machine.tickets.push(found.ticket);
        }
    }
    for machine in &mut machines {
        machine.tickets.sort_by_key(|ticket| std::cmp::Reverse(ticket.severity));
    }
    Ok(machines)
}

fn machine_of(row: &Row, operation: &'static str) -> Result<MachineSeed, StoreError> {
    let record = MachineRecord {
        machine: row.id(operation, 0)?,
        gym: row.id(operation, 1)?,
        name: row.text(operation, 2)?,
        kind: row.word(operation, 3)?,
        location: row.text(operation, 4)?,
        gateway: row.opt_id(operation, 5)?,
        powered: row.get(operation, 6)?,
    };
    let fence = row.opt_number(operation, 7)?.unwrap_or(0);
    let ended: Option<i64> = row.get(operation, 11)?;
    let held = row.opt_id(operation, 8)?.zip(row.opt_id(operation, 9)?).filter(|_| ended.is_none());
    Ok(MachineSeed {
        record,
        maintenance: row.get::<Option<bool>>(operation, 12)?.unwrap_or(false),
        tickets: Vec::new(),
        claim: held.map(|(member, workout)| HeldClaim { member, fence, workout }),
        may_control: row.get::<Option<bool>>(operation, 10)?.unwrap_or(false),
        fence,
    })
}

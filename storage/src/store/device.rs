//! Enrolment, keys and revocation of devices; each change and its entry in the log in one transaction.
//!
//! A code is used once because one statement takes it; a key names one device for ever because it is the primary key. A gateway or machine has one
//! device: whoever redeems a code takes the place of the one before, under the lock of the gateway's or machine's row, and a unique index says so too.

use protocol::device::KEY_BYTES;
use protocol::frame::Role;
use protocol::{DeviceId, GymId, HubId, TenantId};
use uuid::Uuid;

use super::Store;
use super::provision::found;
use crate::db::{Conn, Row, decode, values};
use crate::error::StoreError;
use crate::model::{Actor, DeviceDeed, DeviceEntry, DeviceKey, DeviceRecord, Enrolment, Redeemed};
use crate::words::word;

/// Entries of one look at the log.
const LOG_MAX: i64 = 200;
/// Codes that ran out this long ago are forgotten; what they did stands in the log.
const CODES_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
const COLUMNS: &str = "d.device, d.tenant, d.gym, d.role, d.subject, d.name, d.enrolled_at_ms, d.revoked_at_ms, d.cloned_at_ms, k.key, k.added_at_ms, k.until_at_ms";

impl Store {
    /// The installation that devices sign for: what is stored, or `drawn` from now on.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn hub_id(&self, drawn: HubId) -> Result<HubId, StoreError> {
        const DO: &str = "name the installation";
        self.db.execute(DO, "insert into installation (id, hub) values (1, $1) on conflict (id) do nothing", &values![drawn.0]).await?;
        let row = self.db.fetch_one(DO, "select hub from installation where id = 1", &[]).await?;
        row.map_or(Ok(drawn), |row| row.id(DO, 0))
    }

    /// Keeps a code for a gateway or machine of the gym.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the gym has no such gateway or machine.
    pub async fn offer_enrolment(&self, tenant: TenantId, offer: &Enrolment, by: Actor, at_ms: i64) -> Result<(), StoreError> {
        const DO: &str = "offer an enrolment";
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        standing(&mut conn, DO, (tenant, offer.gym), offer.role, offer.subject).await?;
        conn.execute(DO, "delete from enrolments where until_at_ms < $1", &values![at_ms - CODES_KEPT_MS]).await?;
        let sql = "insert into enrolments (code, tenant, gym, role, subject, name, until_at_ms) values ($1, $2, $3, $4, $5, $6, $7)";
        let Enrolment { code_hash, gym, role, subject, name, until_at_ms } = offer;
        conn.execute(DO, sql, &values![code_hash.to_vec(), tenant, *gym, word(role), *subject, name, *until_at_ms]).await?;
        let noted = Noted { tenant, subject: *subject, device: None };
        note(&mut conn, DO, noted, DeviceDeed::CodeGiven, Some(by), at_ms).await?;
        tx.commit(DO).await
    }

    /// Makes a device of a code and a key. The code is good no more; the device that its gateway or machine had before is revoked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a code that is unknown, used or ran out, or whose gateway or machine is not in its gym any more;
    /// [`StoreError::Conflict`] for a key that was enrolled before: the code stays good then.
    pub async fn redeem(&self, code_hash: [u8; 32], key: [u8; KEY_BYTES], device: DeviceId, at_ms: i64) -> Result<Redeemed, StoreError> {
        const DO: &str = "redeem an enrolment";
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        let take = "update enrolments set used_at_ms = $2 where code = $1 and used_at_ms is null and until_at_ms > $2
             returning tenant, gym, role, subject, name";
        let offer = conn.fetch_one(DO, take, &values![code_hash.to_vec(), at_ms]).await?;
        let offer = offer.ok_or(StoreError::NotFound { operation: DO, id: device.0 })?;
        let (tenant, gym, role, subject) = (offer.id(DO, 0)?, offer.id(DO, 1)?, offer.word(DO, 2)?, offer.get(DO, 3)?);
        standing(&mut conn, DO, (tenant, gym), role, subject).await?;
        let made = DeviceRecord {
            device,
            tenant,
            gym,
            role,
            subject,
            name: offer.text(DO, 4)?,
            enrolled_at_ms: at_ms,
            revoked_at_ms: None,
            cloned_at_ms: None,
            keys: vec![DeviceKey { key, added_at_ms: at_ms, until_at_ms: None }],
        };
        add_key(&mut conn, DO, device, key, at_ms).await?;
        let replace = "update devices set revoked_at_ms = $3 where tenant = $1 and subject = $2 and revoked_at_ms is null returning device";
        let rows = conn.fetch(DO, replace, &values![tenant, subject, at_ms]).await?;
        let replaced = rows.iter().map(|row| row.id(DO, 0)).collect::<Result<Vec<DeviceId>, _>>()?;
        let sql = "insert into devices (device, tenant, gym, role, subject, name, enrolled_at_ms) values ($1, $2, $3, $4, $5, $6, $7)";
        conn.execute(DO, sql, &values![device.0, tenant, made.gym, word(&made.role), subject, &made.name, at_ms]).await?;
        for old in &replaced {
            note(&mut conn, DO, Noted { tenant, subject, device: Some(*old) }, DeviceDeed::Replaced, None, at_ms).await?;
        }
        note(&mut conn, DO, Noted { tenant, subject, device: Some(device) }, DeviceDeed::Enrolled, Some(made.actor()), at_ms).await?;
        tx.commit(DO).await?;
        Ok(Redeemed { device: made, replaced })
    }

    /// Gives a device its next key; the one that signed for it is good until `until_at_ms`, any other no more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where the device is not there or revoked, [`StoreError::Conflict`] for a key that was enrolled before.
    pub async fn rotate_device_key(
        &self,
        device: DeviceId,
        old: [u8; KEY_BYTES],
        new: [u8; KEY_BYTES],
        until_at_ms: i64,
        at_ms: i64,
    ) -> Result<DeviceRecord, StoreError> {
        const DO: &str = "rotate a device's key";
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        // The device's row is locked, so that two rotations at once come one after the other.
        let lock = "update devices set device = device where device = $1 and revoked_at_ms is null";
        found(conn.execute(DO, lock, &values![device.0]).await?, DO, device.0)?;
        let ends = "update device_keys set until_at_ms = case when key <> $2 then $4 when until_at_ms is null or until_at_ms > $3 then $3 else until_at_ms end
             where device = $1 and (until_at_ms is null or until_at_ms > $4)";
        conn.execute(DO, ends, &values![device.0, old.to_vec(), until_at_ms, at_ms]).await?;
        add_key(&mut conn, DO, device, new, at_ms).await?;
        let record = one(&mut conn, DO, device).await?;
        let noted = Noted { tenant: record.tenant, subject: record.subject, device: Some(device) };
        note(&mut conn, DO, noted, DeviceDeed::KeyRotated, Some(record.actor()), at_ms).await?;
        tx.commit(DO).await?;
        Ok(record)
    }

    /// Notes that somebody revoked a device, that its key was seen twice, or that somebody cleared it. The same again changes nothing and is
    /// noted all the same.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a device that is not the tenant's.
    pub async fn mark_device(
        &self,
        tenant: TenantId,
        device: DeviceId,
        deed: DeviceDeed,
        by: Option<Actor>,
        at_ms: i64,
    ) -> Result<DeviceRecord, StoreError> {
        const DO: &str = "mark a device";
        let sql = match deed {
            DeviceDeed::Cloned => "update devices set cloned_at_ms = coalesce(cloned_at_ms, $3) where device = $1 and tenant = $2",
            DeviceDeed::Cleared => "update devices set cloned_at_ms = null where device = $1 and tenant = $2 and $3 > 0",
            _ => "update devices set revoked_at_ms = coalesce(revoked_at_ms, $3) where device = $1 and tenant = $2",
        };
        let mut tx = self.db.begin(DO).await?;
        let mut conn = tx.conn();
        found(conn.execute(DO, sql, &values![device.0, tenant, at_ms]).await?, DO, device.0)?;
        let record = one(&mut conn, DO, device).await?;
        let noted = Noted { tenant, subject: record.subject, device: Some(device) };
        note(&mut conn, DO, noted, deed, by, at_ms).await?;
        tx.commit(DO).await?;
        Ok(record)
    }

    /// Devices of a gym, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn devices(&self, tenant: TenantId, gym: GymId) -> Result<Vec<DeviceRecord>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from devices d join device_keys k on k.device = d.device where d.tenant = $1 and d.gym = $2
             order by d.enrolled_at_ms desc, d.device, k.added_at_ms desc"
        );
        const DO: &str = "list devices";
        gather(&self.db.fetch(DO, sql, &values![tenant, gym]).await?, DO)
    }

    /// Every device of every tenant that is not revoked, and those that are: who comes with an old key is told so.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn all_devices(&self) -> Result<Vec<DeviceRecord>, StoreError> {
        const DO: &str = "read all devices";
        let sql =
            format!("select {COLUMNS} from devices d join device_keys k on k.device = d.device order by d.device, k.added_at_ms desc");
        gather(&self.db.fetch(DO, sql, &[]).await?, DO)
    }

    /// What happened to the devices of a gateway or machine, newest first, the last 200.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn device_log(&self, tenant: TenantId, subject: Uuid) -> Result<Vec<DeviceEntry>, StoreError> {
        const DO: &str = "read the log of devices";
        let sql =
            "select device, what, by_role, by_id, at_ms from device_log where tenant = $1 and subject = $2 order by entry desc limit $3";
        self.db.fetch(DO, sql, &values![tenant, subject, LOG_MAX]).await?.iter().map(|row| entry_of(row, DO)).collect()
    }
}

impl DeviceRecord {
    /// The device's own deeds are those of the gateway or machine that it speaks for.
    const fn actor(&self) -> Actor {
        Actor { role: self.role, id: self.subject }
    }
}

/// Whose log an entry stands in.
struct Noted {
    tenant: TenantId,
    subject: Uuid,
    device: Option<DeviceId>,
}

async fn note(
    conn: &mut Conn<'_>,
    operation: &'static str,
    Noted { tenant, subject, device }: Noted,
    deed: DeviceDeed,
    by: Option<Actor>,
    at_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into device_log (tenant, subject, device, what, by_role, by_id, at_ms) values ($1, $2, $3, $4, $5, $6, $7)";
    let role = by.map(|by| word(&by.role));
    let params = values![tenant, subject, device.map(|device| device.0), deed.name(), role, by.map(|by| by.id), at_ms];
    conn.execute(operation, sql, &params).await.map(drop)
}

/// The gateway or machine is there, and its row is locked until the end of the transaction: devices of it are made one after another.
async fn standing(
    conn: &mut Conn<'_>,
    operation: &'static str,
    (tenant, gym): (TenantId, GymId),
    role: Role,
    subject: Uuid,
) -> Result<(), StoreError> {
    let row = match role {
        Role::Gateway => "select 1 from gateways where gateway = $1 and tenant = $2 and gym = $3",
        _ => "select 1 from machines where machine = $1 and tenant = $2 and gym = $3 and removed_at_ms is null",
    };
    let lock = if conn.is_postgres() { "for no key update" } else { "" };
    let own = conn.fetch_one(operation, format!("{row} {lock}"), &values![subject, tenant, gym]).await?;
    found(own.is_some().into(), operation, subject)
}

async fn add_key(
    conn: &mut Conn<'_>,
    operation: &'static str,
    device: DeviceId,
    key: [u8; KEY_BYTES],
    at_ms: i64,
) -> Result<(), StoreError> {
    let sql = "insert into device_keys (key, device, added_at_ms) values ($1, $2, $3) on conflict (key) do nothing";
    let added = conn.execute(operation, sql, &values![key.to_vec(), device.0, at_ms]).await?;
    if added == 0 { Err(StoreError::Conflict { operation, id: device.0 }) } else { Ok(()) }
}

async fn one(conn: &mut Conn<'_>, operation: &'static str, device: DeviceId) -> Result<DeviceRecord, StoreError> {
    let sql = format!(
        "select {COLUMNS} from devices d join device_keys k on k.device = d.device where d.device = $1 order by k.added_at_ms desc"
    );
    let rows = conn.fetch(operation, sql, &values![device.0]).await?;
    gather(&rows, operation)?.pop().ok_or(StoreError::NotFound { operation, id: device.0 })
}

/// Rows of devices with one key each, in order of the devices, as devices with their keys.
fn gather(rows: &[Row], operation: &'static str) -> Result<Vec<DeviceRecord>, StoreError> {
    let mut devices: Vec<DeviceRecord> = Vec::new();
    for row in rows {
        let key: Vec<u8> = row.get(operation, 9)?;
        let key = key.try_into().map_err(|_| decode(operation, 9, "a key has 32 bytes"))?;
        let key = DeviceKey { key, added_at_ms: row.get(operation, 10)?, until_at_ms: row.get(operation, 11)? };
        let device = row.id(operation, 0)?;
        match devices.last_mut().filter(|last| last.device == device) {
            Some(last) => last.keys.push(key),
            None => devices.push(DeviceRecord {
                device,
                tenant: row.id(operation, 1)?,
                gym: row.id(operation, 2)?,
                role: row.word(operation, 3)?,
                subject: row.get(operation, 4)?,
                name: row.text(operation, 5)?,
                enrolled_at_ms: row.get(operation, 6)?,
                revoked_at_ms: row.get(operation, 7)?,
                cloned_at_ms: row.get(operation, 8)?,
                keys: vec![key],
            }),
        }
    }
    Ok(devices)
}

fn entry_of(row: &Row, operation: &'static str) -> Result<DeviceEntry, StoreError> {
    let role: Option<String> = row.get(operation, 2)?;
    let id: Option<Uuid> = row.get(operation, 3)?;
    let by = role.as_deref().and_then(Role::from_name).zip(id).map(|(role, id)| Actor { role, id });
    Ok(DeviceEntry { device: row.opt_id(operation, 0)?, what: row.get(operation, 1)?, by, at_ms: row.get(operation, 4)? })
}

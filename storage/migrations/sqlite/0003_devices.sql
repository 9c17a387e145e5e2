-- Schema 3: machine identity. Nothing that schema 1 knows is changed.

-- The installation that devices sign for; one row, drawn at the first start.
create table installation (id integer primary key, hub blob not null);

-- Codes as hashes: who reads the database cannot enrol. Kept after their use, as part of the log.
create table enrolments (
    code blob primary key, tenant blob not null, gym blob not null, role text not null, subject blob not null, name text not null,
    until_at_ms integer not null, used_at_ms integer
);
create table devices (
    device blob primary key, tenant blob not null, gym blob not null, role text not null, subject blob not null, name text not null,
    enrolled_at_ms integer not null, revoked_at_ms integer, cloned_at_ms integer
);
create index devices_gym on devices (gym);
create index devices_subject on devices (tenant, subject);
-- A key names one device, for ever: one that comes again is a copy or a mistake.
create table device_keys (key blob primary key, device blob not null, added_at_ms integer not null, until_at_ms integer);
create index device_keys_device on device_keys (device);
create table device_log (
    entry integer primary key autoincrement, tenant blob not null, subject blob not null, device blob, what text not null, by_role text, by_id blob,
    at_ms integer not null
);
create index device_log_subject on device_log (tenant, subject, entry);

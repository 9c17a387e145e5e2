-- Schema 3: machine identity. Nothing that schema 1 knows is changed.

-- The installation that devices sign for; one row, drawn at the first start.
create table installation (id bigint primary key, hub uuid not null);

-- Codes as hashes: who reads the database cannot enrol. Kept after their use, as part of the log.
create table enrolments (
    code bytea primary key, tenant uuid not null, gym uuid not null, role text not null, subject uuid not null, name text not null,
    until_at_ms bigint not null, used_at_ms bigint
);
create table devices (
    device uuid primary key, tenant uuid not null, gym uuid not null, role text not null, subject uuid not null, name text not null,
    enrolled_at_ms bigint not null, revoked_at_ms bigint, cloned_at_ms bigint
);
create index devices_gym on devices (gym);
create index devices_subject on devices (tenant, subject);
-- A key names one device, for ever: one that comes again is a copy or a mistake.
create table device_keys (key bytea primary key, device uuid not null, added_at_ms bigint not null, until_at_ms bigint);
create index device_keys_device on device_keys (device);
create table device_log (
    entry bigint generated always as identity primary key, tenant uuid not null, subject uuid not null, device uuid, what text not null, by_role text, by_id uuid,
    at_ms bigint not null
);
create index device_log_subject on device_log (tenant, subject, entry);

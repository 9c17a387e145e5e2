-- Schema 7. What retention looks for, of everybody and of a rule's sources, so that it does not walk over what it emptied before. On a
-- large store both may be made beforehand without holding anybody up: the same with `create index concurrently`.
create index if not exists packed_kept on packed (to_at_ms) where chunk is not null;
create index if not exists packed_kept_of on packed (source, to_at_ms) where chunk is not null;
-- A gateway or machine has one device that is not revoked, whoever redeems what at once: of two the one enrolled last.
update devices set revoked_at_ms = enrolled_at_ms where revoked_at_ms is null and exists (
    select 1 from devices n where n.tenant = devices.tenant and n.subject = devices.subject and n.revoked_at_ms is null
    and (n.enrolled_at_ms, n.device) > (devices.enrolled_at_ms, devices.device)
);
create unique index devices_standing on devices (tenant, subject) where revoked_at_ms is null;

-- Schema 5. A member's own device is one source a tenant: two tenants may have the same subject. A machine's id stands in one tenant only; its
-- sources stay under the nil tenant.
alter table sources add column tenant uuid not null default '00000000-0000-0000-0000-000000000000';
update sources set tenant = m.tenant from members m where sources.kind = 'member' and m.member = sources.owner;
create unique index sources_by_tenant on sources (tenant, kind, owner, sensor);
create index sources_owner on sources (kind, owner, sensor);
alter table sources drop constraint sources_kind_owner_sensor_key;
-- A binary of schema 4 or less names no tenant: it goes on with the row that is there, as it did.
create function sources_without_tenant() returns trigger language plpgsql as $$
begin
    if exists (select 1 from sources s where s.kind = new.kind and s.owner = new.owner and s.sensor = new.sensor) then
        return null;
    end if;
    return new;
end
$$;
create trigger sources_without_tenant before insert on sources for each row
    when (new.tenant = '00000000-0000-0000-0000-000000000000') execute function sources_without_tenant();

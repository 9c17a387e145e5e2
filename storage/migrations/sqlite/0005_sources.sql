-- Schema 5. A member's own device is one source a tenant: two tenants may have the same subject. A machine's id stands in one tenant only; its
-- sources stay under the nil tenant. A table constraint cannot be taken away in SQLite, so the table is made again with the same numbers.
create table sources_by_tenant (
    source integer primary key autoincrement, tenant blob not null default x'00000000000000000000000000000000', kind text not null,
    owner blob not null, sensor text not null, unique (tenant, kind, owner, sensor)
);
insert into sources_by_tenant (source, tenant, kind, owner, sensor)
    select s.source,
        coalesce((select m.tenant from members m where m.member = s.owner and s.kind = 'member'), x'00000000000000000000000000000000'),
        s.kind, s.owner, s.sensor
    from sources s;
drop table sources;
alter table sources_by_tenant rename to sources;
create index sources_owner on sources (kind, owner, sensor);
-- A binary of schema 4 or less names no tenant: it goes on with the row that is there, as it did.
create trigger sources_without_tenant before insert on sources
when new.tenant = x'00000000000000000000000000000000'
    and exists (select 1 from sources s where s.kind = new.kind and s.owner = new.owner and s.sensor = new.sensor)
begin
    select raise(ignore);
end;

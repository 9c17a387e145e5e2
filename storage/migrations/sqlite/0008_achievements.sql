-- Schema 8. An achievement is of a gym: two tenants may have the same subject. Rows under the nil gym are of a binary before, and of the tenant
-- whose member stands under that id. A primary key cannot be taken away in SQLite, so the table is made again.
create table achievements_by_gym (
    member blob not null, gym blob not null default x'00000000000000000000000000000000', name text not null, at_ms integer not null,
    primary key (member, gym, name)
) without rowid;
insert into achievements_by_gym (member, name, at_ms) select member, name, at_ms from achievements;
drop table achievements;
alter table achievements_by_gym rename to achievements;

-- Schema 8. An achievement is of a gym: two tenants may have the same subject. Rows under the nil gym are of a binary before, and of the tenant
-- whose member stands under that id.
alter table achievements add column gym uuid not null default '00000000-0000-0000-0000-000000000000';
alter table achievements drop constraint achievements_pkey;
alter table achievements add primary key (member, gym, name);

-- Schema 2: packed readings, days, what was erased, the audit of it.

-- Readings of one boot in columns (`storage/src/packed`); spans of seq of one boot do not overlap. `chunk` goes before `minutes` does.
create table packed (
    source bigint not null, boot bigint not null, from_seq bigint not null, to_seq bigint not null,
    from_at_ms bigint not null, to_at_ms bigint not null, samples bigint not null, chunk bytea, minutes bytea not null,
    primary key (source, boot, from_seq)
);
create index packed_at on packed (to_at_ms);
-- Packed bytes do not get smaller: the server need not try.
alter table packed alter column chunk set storage external;
alter table packed alter column minutes set storage external;

-- The revision that was packed, and the one that is in its day. Another one than `revision` is work to do.
alter table workouts add column packed_revision bigint;
alter table workouts add column rolled_revision bigint;
create index workouts_unpacked on workouts (workout) where revision is not null and (packed_revision is null or packed_revision <> revision);
create index workouts_unrolled on workouts (workout) where revision is not null and (rolled_revision is null or rolled_revision <> revision);

-- What a member did in a gym on one of its days; the day is `YYYY-MM-DD` in the gym's time zone.
create table days (
    member uuid not null, gym uuid not null, day text not null, workouts bigint not null, totals text not null, at_ms bigint not null,
    primary key (member, gym, day)
);
create index days_gym on days (gym, day);

-- SHA-256 of ids that must not come back. An action, when, by whom, on what (by its SHA-256): never what was in it.
create table erased (subject bytea primary key, at_ms bigint not null);
create table audit (
    entry bigint generated always as identity primary key, tenant uuid not null, action text not null, subject bytea not null, by_subject uuid,
    at_ms bigint not null, counts text not null
);
create index audit_tenant on audit (tenant, entry);
create index events_member on events (member, cursor) where member is not null;
create index claims_member on claims (member) where member is not null;
create index logged_sets_member on logged_sets (member);

-- The planner needs no samples of what people wrote, and they would outlive an erasure.
alter table members alter column handle set statistics 0;
alter table logged_sets alter column note set statistics 0, alter column exercise set statistics 0, alter column tempo set statistics 0;
alter table sets alter column note set statistics 0, alter column exercise set statistics 0, alter column tempo set statistics 0;
alter table events alter column event set statistics 0;
alter table sources alter column sensor set statistics 0;
alter table quarantine alter column content set statistics 0, alter column detail set statistics 0;
alter table idempotency alter column answer set statistics 0, alter column request set statistics 0;

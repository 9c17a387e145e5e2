-- Schema 2: packed readings, days, what was erased, the audit of it.

-- Readings of one boot in columns (`storage/src/packed`); spans of seq of one boot do not overlap. `chunk` goes before `minutes` does.
create table packed (
    source integer not null, boot integer not null, from_seq integer not null, to_seq integer not null,
    from_at_ms integer not null, to_at_ms integer not null, samples integer not null, chunk blob, minutes blob not null,
    primary key (source, boot, from_seq)
);
create index packed_at on packed (to_at_ms);

-- The revision that was packed, and the one that is in its day. Another one than `revision` is work to do.
alter table workouts add column packed_revision integer;
alter table workouts add column rolled_revision integer;
create index workouts_unpacked on workouts (workout) where revision is not null and (packed_revision is null or packed_revision <> revision);
create index workouts_unrolled on workouts (workout) where revision is not null and (rolled_revision is null or rolled_revision <> revision);

-- What a member did in a gym on one of its days; the day is `YYYY-MM-DD` in the gym's time zone.
create table days (
    member blob not null, gym blob not null, day text not null, workouts integer not null, totals text not null, at_ms integer not null,
    primary key (member, gym, day)
) without rowid;
create index days_gym on days (gym, day);

-- SHA-256 of ids that must not come back. An action, when, by whom, on what (by its SHA-256): never what was in it.
create table erased (subject blob primary key, at_ms integer not null) without rowid;
create table audit (
    entry integer primary key autoincrement, tenant blob not null, action text not null, subject blob not null, by_subject blob,
    at_ms integer not null, counts text not null
);
create index audit_tenant on audit (tenant, entry);
create index events_member on events (member, cursor) where member is not null;
create index claims_member on claims (member) where member is not null;
create index logged_sets_member on logged_sets (member);


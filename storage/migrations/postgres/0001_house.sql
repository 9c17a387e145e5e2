-- Schema 1. Times are UTC milliseconds (*_at_ms) or a device's own (dev_ms). Facts carry no foreign keys: what happened is
-- kept, also when the thing it happened to was provisioned late or is gone.

-- The house.
create table node_starts (id bigint primary key, starts bigint not null);
insert into node_starts (id, starts) values (1, 0);

create table gyms (
    gym uuid primary key, tenant uuid not null, name text not null, time_zone text not null, units text not null, addresses text not null
);
create index gyms_tenant on gyms (tenant);
create table gateways (gateway uuid primary key, tenant uuid not null, gym uuid not null, name text not null);
create table machines (
    machine uuid primary key, tenant uuid not null, gym uuid not null, name text not null, kind text not null, location text not null,
    gateway uuid, powered boolean not null, removed_at_ms bigint
);
create index machines_gym on machines (gym);
create table maintenance (
    entry bigint generated always as identity primary key, machine uuid not null, open boolean not null, text text not null, by_staff uuid, at_ms bigint not null,
    unique (machine, at_ms, open)
);
create table tickets (
    ticket uuid primary key, gym uuid not null, machine uuid not null, severity text not null, text text not null,
    opened_at_ms bigint not null, closed_at_ms bigint, closed_by uuid
);
create index tickets_gym on tickets (gym, opened_at_ms);

-- People.
create table members (
    member uuid primary key, tenant uuid not null, handle text, wall boolean not null, processing boolean not null, health boolean not null,
    marketing boolean not null, units text not null, ceiling_bpm bigint
);
create index members_tenant on members (tenant, member);
create table achievements (member uuid not null, name text not null, at_ms bigint not null, primary key (member, name));
create table staff (staff uuid primary key, tenant uuid not null, role text not null, name text not null, gyms text not null);
create table teams (team uuid primary key, tenant uuid not null, name text not null, sport text);
create table team_people (team uuid not null, person uuid not null, kind text not null, primary key (team, kind, person));
create index team_people_person on team_people (person);

-- Claims, visits, workouts.
create table claims (
    machine uuid not null, fence bigint not null, gym uuid, member uuid, workout uuid, may_control boolean, granted_at_ms bigint, ended_at_ms bigint,
    reason text, primary key (machine, fence)
);
create table visits (
    visit uuid primary key, gym uuid not null, member uuid not null, state text not null, started_at_ms bigint not null, ended_at_ms bigint
);
create index visits_gym on visits (gym, started_at_ms);
create index visits_member on visits (member, started_at_ms);
create table visit_machines (visit uuid not null, machine uuid not null, primary key (visit, machine));
create table workouts (
    workout uuid primary key, gym uuid not null, member uuid not null, visit uuid not null, stage text not null, started_at_ms bigint not null,
    ended_at_ms bigint, revision bigint, late_at_ms bigint
);
create index workouts_gym on workouts (gym, started_at_ms);
create index workouts_member on workouts (member, started_at_ms);
create index workouts_late on workouts (late_at_ms) where late_at_ms is not null;
create index workouts_open on workouts (gym) where stage <> 'sealed';
create table workout_ranges (
    workout uuid not null, source bigint not null, boot bigint not null, from_seq bigint not null, to_seq bigint not null,
    primary key (workout, source, boot, from_seq)
);
create index workout_ranges_boot on workout_ranges (source, boot, to_seq);
create table workout_totals (workout uuid not null, revision bigint not null, totals text not null, at_ms bigint not null, primary key (workout, revision));
create table logged_sets (
    id uuid primary key, workout uuid not null, member uuid not null, logged_at_ms bigint not null,
    set_no bigint not null, exercise text, target_reps bigint not null, reps bigint not null, load_hg bigint not null, seconds bigint not null,
    rest_s bigint not null, tempo text, note text
);
create index logged_sets_workout on logged_sets (workout);
create table stops (
    stop uuid primary key, gym uuid not null, machine uuid not null, outcome text not null, code bigint, at_ms bigint not null
);

-- Events in the order they were committed.
create table events (
    cursor bigint generated always as identity primary key, id uuid not null unique, gym uuid not null, room text not null, member uuid, kind text not null, at_ms bigint not null,
    event text not null
);
create index events_gym on events (gym, cursor);
create index events_kind on events (kind, at_ms);

-- Tokens and requests.
create table revocations (tenant uuid not null, kind text not null, id text not null, before_at_ms bigint, until_at_ms bigint not null, primary key (tenant, kind, id));
create table idempotency (
    tenant uuid not null, subject uuid not null, name text not null, request bytea not null, status bigint, answer bytea, at_ms bigint not null,
    primary key (tenant, subject, name)
);
create index idempotency_at on idempotency (at_ms);

-- What sources said. `boots` is the one authority on what is stored; it outlives the rows.
create table sources (source bigint generated always as identity primary key, kind text not null, owner uuid not null, sensor text not null, unique (kind, owner, sensor));
create table boots (
    source bigint not null, boot bigint not null, nonce bigint not null, anchor_at_ms bigint not null, stored bytea not null, lost bytea not null,
    conflict boolean not null, primary key (source, boot)
) with (fillfactor = 50);
create table samples (
    source bigint not null, boot bigint not null, seq bigint not null,
    at_ms bigint not null, dev_ms bigint not null, received_at_ms bigint not null, corrected_at_ms bigint not null, fingerprint bigint not null,
    speed_centikmh integer, cadence_half_rpm integer, power_w integer, heart_rate_bpm integer,
    distance_m integer, energy_kcal integer, elapsed_s integer, incline_permille integer,
    resistance_tenths integer, pace_s_per_500m integer, stroke_rate_half_spm integer, stroke_count integer,
    step_count integer, step_per_min integer, stride_tenths integer, contact integer,
    avg_speed_centikmh integer, avg_cadence_half_rpm integer, avg_power_w integer, avg_stroke_rate_half_spm integer,
    avg_step_rate integer, avg_pace_s_per_500m integer, energy_per_hour_kcal integer, energy_per_minute_kcal integer,
    ramp_angle_decideg integer, elev_gain_dm integer, elev_loss_dm integer, met_tenths integer,
    remaining_s integer, floor_count integer, force_on_belt_n integer,
    rr bytea
) partition by range (at_ms);
create unique index samples_key on samples (source, boot, seq, at_ms);
create index samples_at on samples using brin (at_ms);

create table reps (
    source bigint not null, boot bigint not null, seq bigint not null,
    at_ms bigint not null, dev_ms bigint not null, received_at_ms bigint not null, corrected_at_ms bigint not null, fingerprint bigint not null,
    set_no bigint not null, rep bigint not null, load_hg bigint not null, range_mm bigint not null, mean_mm_s bigint not null, peak_mm_s bigint not null,
    peak_power_w bigint not null, concentric_ms bigint not null, eccentric_ms bigint not null,
    primary key (source, boot, seq)
);
create table sets (
    source bigint not null, boot bigint not null, seq bigint not null,
    at_ms bigint not null, dev_ms bigint not null, received_at_ms bigint not null, corrected_at_ms bigint not null, fingerprint bigint not null,
    set_no bigint not null, exercise text, target_reps bigint not null, reps bigint not null, load_hg bigint not null, seconds bigint not null,
    rest_s bigint not null, tempo text, note text,
    primary key (source, boot, seq)
);
create table strokes (
    source bigint not null, boot bigint not null, seq bigint not null,
    at_ms bigint not null, dev_ms bigint not null, received_at_ms bigint not null, corrected_at_ms bigint not null, fingerprint bigint not null,
    stroke bigint not null, drive_ms bigint not null, recovery_ms bigint not null, length_cm bigint not null, peak_force_n bigint not null, work_j bigint not null,
    primary key (source, boot, seq)
);
create table quarantine (
    entry bigint generated always as identity primary key, source bigint, boot bigint not null, seq bigint not null, code bigint not null, detail text not null, content bytea not null,
    fingerprint bigint not null, received_at_ms bigint not null,
    unique (source, boot, seq, code, fingerprint)
);

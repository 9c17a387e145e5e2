-- Schema 1. Times are UTC milliseconds (*_at_ms) or a device's own (dev_ms). Facts carry no foreign keys: what happened is
-- kept, also when the thing it happened to was provisioned late or is gone.

-- The house.
create table node_starts (id integer primary key, starts integer not null);
insert into node_starts (id, starts) values (1, 0);

create table gyms (
    gym blob primary key, tenant blob not null, name text not null, time_zone text not null, units text not null, addresses text not null
);
create index gyms_tenant on gyms (tenant);
create table gateways (gateway blob primary key, tenant blob not null, gym blob not null, name text not null);
create table machines (
    machine blob primary key, tenant blob not null, gym blob not null, name text not null, kind text not null, location text not null,
    gateway blob, powered boolean not null, removed_at_ms integer
);
create index machines_gym on machines (gym);
create table maintenance (
    entry integer primary key autoincrement, machine blob not null, open boolean not null, text text not null, by_staff blob, at_ms integer not null,
    unique (machine, at_ms, open)
);
create table tickets (
    ticket blob primary key, gym blob not null, machine blob not null, severity text not null, text text not null,
    opened_at_ms integer not null, closed_at_ms integer, closed_by blob
);
create index tickets_gym on tickets (gym, opened_at_ms);

-- People.
create table members (
    member blob primary key, tenant blob not null, handle text, wall boolean not null, processing boolean not null, health boolean not null,
    marketing boolean not null, units text not null, ceiling_bpm integer
);
create index members_tenant on members (tenant, member);
create table achievements (member blob not null, name text not null, at_ms integer not null, primary key (member, name));
create table staff (staff blob primary key, tenant blob not null, role text not null, name text not null, gyms text not null);
create table teams (team blob primary key, tenant blob not null, name text not null, sport text);
create table team_people (team blob not null, person blob not null, kind text not null, primary key (team, kind, person));
create index team_people_person on team_people (person);

-- Claims, visits, workouts.
create table claims (
    machine blob not null, fence integer not null, gym blob, member blob, workout blob, may_control boolean, granted_at_ms integer, ended_at_ms integer,
    reason text, primary key (machine, fence)
);
create table visits (
    visit blob primary key, gym blob not null, member blob not null, state text not null, started_at_ms integer not null, ended_at_ms integer
);
create index visits_gym on visits (gym, started_at_ms);
create index visits_member on visits (member, started_at_ms);
create table visit_machines (visit blob not null, machine blob not null, primary key (visit, machine));
create table workouts (
    workout blob primary key, gym blob not null, member blob not null, visit blob not null, stage text not null, started_at_ms integer not null,
    ended_at_ms integer, revision integer, late_at_ms integer
);
create index workouts_gym on workouts (gym, started_at_ms);
create index workouts_member on workouts (member, started_at_ms);
create index workouts_late on workouts (late_at_ms) where late_at_ms is not null;
create index workouts_open on workouts (gym) where stage <> 'sealed';
create table workout_ranges (
    workout blob not null, source integer not null, boot integer not null, from_seq integer not null, to_seq integer not null,
    primary key (workout, source, boot, from_seq)
);
create index workout_ranges_boot on workout_ranges (source, boot, to_seq);
create table workout_totals (workout blob not null, revision integer not null, totals text not null, at_ms integer not null, primary key (workout, revision));
create table logged_sets (
    id blob primary key, workout blob not null, member blob not null, logged_at_ms integer not null,
    set_no integer not null, exercise text, target_reps integer not null, reps integer not null, load_hg integer not null, seconds integer not null,
    rest_s integer not null, tempo text, note text
);
create index logged_sets_workout on logged_sets (workout);
create table stops (
    stop blob primary key, gym blob not null, machine blob not null, outcome text not null, code integer, at_ms integer not null
);

-- Events in the order they were committed.
create table events (
    cursor integer primary key autoincrement, id blob not null unique, gym blob not null, room text not null, member blob, kind text not null, at_ms integer not null,
    event text not null
);
create index events_gym on events (gym, cursor);
create index events_kind on events (kind, at_ms);

-- Tokens and requests.
create table revocations (tenant blob not null, kind text not null, id text not null, before_at_ms integer, until_at_ms integer not null, primary key (tenant, kind, id));
create table idempotency (
    tenant blob not null, subject blob not null, name text not null, request blob not null, status integer, answer blob, at_ms integer not null,
    primary key (tenant, subject, name)
);
create index idempotency_at on idempotency (at_ms);

-- What sources said. `boots` is the one authority on what is stored; it outlives the rows.
create table sources (source integer primary key autoincrement, kind text not null, owner blob not null, sensor text not null, unique (kind, owner, sensor));
create table boots (
    source integer not null, boot integer not null, nonce integer not null, anchor_at_ms integer not null, stored blob not null, lost blob not null,
    conflict boolean not null, primary key (source, boot)
) without rowid;
create table samples (
    source integer not null, boot integer not null, seq integer not null,
    at_ms integer not null, dev_ms integer not null, received_at_ms integer not null, corrected_at_ms integer not null, fingerprint integer not null,
    speed_centikmh integer, cadence_half_rpm integer, power_w integer, heart_rate_bpm integer,
    distance_m integer, energy_kcal integer, elapsed_s integer, incline_permille integer,
    resistance_tenths integer, pace_s_per_500m integer, stroke_rate_half_spm integer, stroke_count integer,
    step_count integer, step_per_min integer, stride_tenths integer, contact integer,
    avg_speed_centikmh integer, avg_cadence_half_rpm integer, avg_power_w integer, avg_stroke_rate_half_spm integer,
    avg_step_rate integer, avg_pace_s_per_500m integer, energy_per_hour_kcal integer, energy_per_minute_kcal integer,
    ramp_angle_decideg integer, elev_gain_dm integer, elev_loss_dm integer, met_tenths integer,
    remaining_s integer, floor_count integer, force_on_belt_n integer,
    rr blob,
    primary key (source, boot, seq, at_ms)
) without rowid;

create table reps (
    source integer not null, boot integer not null, seq integer not null,
    at_ms integer not null, dev_ms integer not null, received_at_ms integer not null, corrected_at_ms integer not null, fingerprint integer not null,
    set_no integer not null, rep integer not null, load_hg integer not null, range_mm integer not null, mean_mm_s integer not null, peak_mm_s integer not null,
    peak_power_w integer not null, concentric_ms integer not null, eccentric_ms integer not null,
    primary key (source, boot, seq)
) without rowid;
create table sets (
    source integer not null, boot integer not null, seq integer not null,
    at_ms integer not null, dev_ms integer not null, received_at_ms integer not null, corrected_at_ms integer not null, fingerprint integer not null,
    set_no integer not null, exercise text, target_reps integer not null, reps integer not null, load_hg integer not null, seconds integer not null,
    rest_s integer not null, tempo text, note text,
    primary key (source, boot, seq)
) without rowid;
create table strokes (
    source integer not null, boot integer not null, seq integer not null,
    at_ms integer not null, dev_ms integer not null, received_at_ms integer not null, corrected_at_ms integer not null, fingerprint integer not null,
    stroke integer not null, drive_ms integer not null, recovery_ms integer not null, length_cm integer not null, peak_force_n integer not null, work_j integer not null,
    primary key (source, boot, seq)
) without rowid;
create table quarantine (
    entry integer primary key autoincrement, source integer, boot integer not null, seq integer not null, code integer not null, detail text not null, content blob not null,
    fingerprint integer not null, received_at_ms integer not null,
    unique (source, boot, seq, code, fingerprint)
);

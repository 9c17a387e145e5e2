-- Boards: leaderboards and the boards of classes. What a workout brings is derived from its totals; kept so that a restart and a page
-- of results need not add up again.
create table boards (
    board blob primary key, gym blob not null, name text not null, metric text not null, machines text not null,
    starts_at_ms integer not null, ends_at_ms integer not null, every_ms integer not null
);
create index boards_gym on boards (gym, ends_at_ms);
create table board_scores (
    board blob not null, workout blob not null, member blob not null, base integer not null, score integer,
    primary key (board, workout)
);
create index board_scores_member on board_scores (member);

-- The member's own maximum, for heart-rate zones on boards.
alter table members add column max_heart_rate_bpm integer;

-- Boards: leaderboards and the boards of classes. What a workout brings is derived from its totals; kept so that a restart and a page
-- of results need not add up again.
create table boards (
    board uuid primary key, gym uuid not null, name text not null, metric text not null, machines text not null,
    starts_at_ms bigint not null, ends_at_ms bigint not null, every_ms bigint not null
);
create index boards_gym on boards (gym, ends_at_ms);
create table board_scores (
    board uuid not null, workout uuid not null, member uuid not null, base bigint not null, score bigint,
    primary key (board, workout)
);
create index board_scores_member on board_scores (member);

-- The member's own maximum, for heart-rate zones on boards.
alter table members add column max_heart_rate_bpm bigint;

//! Boards: leaderboards and the boards of classes, made by staff or the operator's own service.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use protocol::frame::BoardMetric;
use protocol::limits::BOARDS_PER_GYM_MAX;
use protocol::text::Text;
use protocol::{BoardId, ErrorCode, GymId, MachineId, MemberId, TenantId};
use room::board::STAYS_MS;
use room::rights::{Action, Object};
use serde::{Deserialize, Serialize};
use storage::{BoardRecord, BoardSeed, Store, StoreError};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::Api;
use super::super::answer::{Answer, ApiError};
use super::super::bulk::{self, Many, Record, Results};
use super::super::caller::Caller;
use super::super::extract::{Asked, At, Body};

/// Machines that a board may name.
const MACHINES_MAX: usize = 1024;
/// Longest board: a year and a day.
const LONGEST_MS: i64 = 366 * 24 * 60 * 60 * 1000;
/// How often watchers may be told, milliseconds: 1 to 2 Hz.
const EVERY_MS: std::ops::RangeInclusive<u16> = 500..=1_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_boards, put_boards)).routes(routes!(get_board, delete_board))
}

/// What a board counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Metric {
    /// Metres.
    Distance,
    /// Kilocalories.
    Energy,
    /// Repetitions.
    Reps,
    /// Strokes.
    Strokes,
    /// Seconds.
    Duration,
}

impl From<Metric> for BoardMetric {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Distance => Self::Distance,
            Metric::Energy => Self::Energy,
            Metric::Reps => Self::Reps,
            Metric::Strokes => Self::Strokes,
            Metric::Duration => Self::Duration,
        }
    }
}

impl From<BoardMetric> for Metric {
    fn from(metric: BoardMetric) -> Self {
        match metric {
            BoardMetric::Distance => Self::Distance,
            BoardMetric::Energy => Self::Energy,
            BoardMetric::Reps => Self::Reps,
            BoardMetric::Strokes => Self::Strokes,
            BoardMetric::Duration => Self::Duration,
        }
    }
}

const fn once_a_second() -> u16 {
    1_000
}

/// A leaderboard or the board of a class. Members are on it only with their consent to be on walls.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
struct Board {
    /// Drawn by whoever makes it.
    #[schema(value_type = Uuid)]
    board: BoardId,
    /// Its gym.
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    name: Text<64>,
    /// What it counts; fixed once made.
    metric: Metric,
    /// Machines whose workouts count, such as those of the class room; empty for all of the gym.
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>, max_items = 1024, required = false)]
    machines: Vec<MachineId>,
    /// When counting begins, UTC, milliseconds.
    starts_at_ms: i64,
    /// When it ends; at most a year later.
    ends_at_ms: i64,
    /// How often its watchers are told.
    #[serde(default = "once_a_second")]
    #[schema(minimum = 500, maximum = 1000, default = 1000, required = false)]
    every_ms: u16,
}

impl Board {
    /// Good, and in a gym that has room for one more; `open` are the boards that each gym has.
    fn checked_among(self, open: &mut BTreeMap<GymId, BTreeSet<BoardId>>) -> Result<BoardRecord, (Uuid, ApiError)> {
        let id = self.board.0;
        let record = self.checked().map_err(|error| (id, error))?;
        let here = open.entry(record.gym).or_default();
        here.insert(record.board);
        if here.len() > BOARDS_PER_GYM_MAX {
            here.remove(&record.board);
            let full = ApiError::detailed(ErrorCode::Unprocessable, "a gym has at most 64 boards at a time: take one down first");
            return Err((id, full));
        }
        Ok(record)
    }

    fn checked(self) -> Result<BoardRecord, ApiError> {
        let wrong = |what: &str| Err(ApiError::detailed(ErrorCode::Unprocessable, what));
        if self.name.is_empty() {
            return wrong("name: at least one character");
        }
        if self.machines.len() > MACHINES_MAX {
            return wrong("machines: at most 1,024");
        }
        if self.starts_at_ms < 0 || self.ends_at_ms <= self.starts_at_ms || self.ends_at_ms - self.starts_at_ms > LONGEST_MS {
            return wrong("ends_at_ms: after starts_at_ms, and at most a year");
        }
        if !EVERY_MS.contains(&self.every_ms) {
            return wrong("every_ms: 500 to 1000");
        }
        let Self { board, gym, name, metric, machines, starts_at_ms, ends_at_ms, every_ms } = self;
        Ok(BoardRecord { board, gym, name, metric: metric.into(), machines, starts_at_ms, ends_at_ms, every_ms })
    }
}

impl From<BoardRecord> for Board {
    fn from(record: BoardRecord) -> Self {
        let BoardRecord { board, gym, name, metric, machines, starts_at_ms, ends_at_ms, every_ms } = record;
        Self { board, gym, name, metric: metric.into(), machines, starts_at_ms, ends_at_ms, every_ms }
    }
}

impl Record for BoardRecord {
    const ASKS: (&'static str, &'static str) = ("put_boards", "boards");
    fn id(&self) -> Uuid {
        self.board.0
    }
    async fn put(store: &Store, tenant: TenantId, records: &[Self]) -> Result<(), StoreError> {
        store.put_boards(tenant, records).await
    }
}

/// A line of a board's results.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Standing {
    /// 1 for the best; equal scores share it.
    rank: u32,
    /// The handle that the member agreed to show.
    #[schema(value_type = String)]
    name: Text<48>,
    /// What was done, in the unit of the metric.
    score: u32,
}

/// A board with what is settled of it: workouts that are sealed, and all of them once it is over. What runs now is told in its room.
#[derive(Debug, Serialize, ToSchema)]
struct BoardResults {
    /// The board.
    #[serde(flatten)]
    board: Board,
    /// The best first.
    standings: Vec<Standing>,
}

impl From<BoardSeed> for BoardResults {
    fn from(seed: BoardSeed) -> Self {
        let record = crate::seed::board_record(seed.clone());
        let mut members: BTreeMap<MemberId, (Text<48>, u32)> = BTreeMap::new();
        for part in record.parts {
            if let (Some(name), Some(score)) = (part.name, part.score) {
                let (_, sum) = members.entry(part.member).or_insert((name, 0));
                *sum = sum.saturating_add(score);
            }
        }
        let mut scores: Vec<(Text<48>, u32)> = members.into_values().collect();
        scores.sort_by_key(|(_, score)| Reverse(*score));
        let rank = |score: u32| 1 + scores.iter().filter(|(_, other)| *other > score).count() as u32;
        let standings = scores.iter().map(|(name, score)| Standing { rank: rank(*score), name: name.clone(), score: *score }).collect();
        Self { board: seed.record.into(), standings }
    }
}

/// Boards of which gym.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OfGym {
    /// The gym.
    #[param(value_type = Uuid)]
    gym: GymId,
}

/// Creates or changes boards. Who may not write in one of the gyms writes none. Their rooms are open at once; a gym has at most 64 that are not over for a day.
#[utoipa::path(put, path = "/v1/boards", tag = "boards", request_body = Many<Board>, responses((status = 200, body = Results)),
    extensions(("x-right" = json!("http.board.write"))))]
async fn put_boards(State(api): State<Api>, caller: Caller, Body(many): Body<Many<Board>>) -> Answer<Json<Results>> {
    let many = many.checked()?;
    let mut open: BTreeMap<GymId, BTreeSet<BoardId>> = BTreeMap::new();
    for gym in many.iter().map(|board| board.gym).collect::<BTreeSet<_>>() {
        api.gym_of(&caller, gym, Action::HttpBoardWrite).await?;
        let standing = api.ask("boards", "boards", api.store.boards_of(caller.tenant(), gym)).await?;
        let since_ms = crate::clock::at_ms() - STAYS_MS;
        open.insert(gym, standing.iter().filter(|board| board.ends_at_ms > since_ms).map(|board| board.board).collect());
    }
    let boards = many.into_iter().map(|board| board.checked_among(&mut open)).collect();
    let (results, stored) = bulk::put(&api, caller.tenant(), boards).await?;
    for board in stored {
        if let Some(seed) = api.ask("board", "boards", api.store.board(caller.tenant(), board.board)).await? {
            api.add_board(board.gym, crate::seed::board_record(seed));
        }
    }
    Ok(Json(results))
}

impl Api {
    /// A board that the caller may do this to.
    async fn board_of(&self, caller: &Caller, board: BoardId, action: Action) -> Answer<BoardSeed> {
        caller.ever(action)?;
        let found = self.ask("board", "boards", self.store.board(caller.tenant(), board)).await?;
        let seed = found.ok_or(ErrorCode::NotFound)?;
        caller.may(action, &Object { gym: Some(seed.record.gym), ..caller.of_tenant() })?;
        Ok(seed)
    }
}

/// Boards of a gym, the newest first.
#[utoipa::path(get, path = "/v1/boards", tag = "boards", params(OfGym), responses((status = 200, body = [Board])),
    extensions(("x-right" = json!("http.board.read"))))]
async fn list_boards(State(api): State<Api>, caller: Caller, Asked(of): Asked<OfGym>) -> Answer<Json<Vec<Board>>> {
    api.gym_of(&caller, of.gym, Action::HttpBoardRead).await?;
    let boards = api.ask("boards", "boards", api.store.boards_of(caller.tenant(), of.gym)).await?;
    Ok(Json(boards.into_iter().map(Board::from).collect()))
}

/// A board with its results. Names only of members who agree to be on walls now.
#[utoipa::path(get, path = "/v1/boards/{board}", tag = "boards", params(("board" = Uuid, Path, description = "The board")),
    responses((status = 200, body = BoardResults)), extensions(("x-right" = json!("http.board.read"))))]
async fn get_board(State(api): State<Api>, caller: Caller, At(board): At<BoardId>) -> Answer<Json<BoardResults>> {
    Ok(Json(api.board_of(&caller, board, Action::HttpBoardRead).await?.into()))
}

/// Takes a board down, with its results; the workouts stay.
#[utoipa::path(delete, path = "/v1/boards/{board}", tag = "boards", params(("board" = Uuid, Path, description = "The board")),
    responses((status = 200, body = super::Done)), extensions(("x-right" = json!("http.board.write"))))]
async fn delete_board(State(api): State<Api>, caller: Caller, At(board): At<BoardId>) -> Answer<Json<super::Done>> {
    api.board_of(&caller, board, Action::HttpBoardWrite).await?;
    api.ask("remove_board", "boards", api.store.remove_board(caller.tenant(), board)).await?;
    api.remove_board(board);
    Ok(Json(super::Done::YES))
}

//! Boards: made, changed, taken down, and read with what was counted.

use std::collections::BTreeMap;

use protocol::{BoardId, GymId, TenantId};

use super::Store;
use super::provision::{found, own_gym, owned};
use crate::db::{Db, Row, Value, values};
use crate::error::StoreError;
use crate::model::{BoardRecord, BoardScore, BoardSeed};
use crate::words::{json, word};

/// Boards in one answer.
const LIST_MAX: i64 = 1_000;

impl Store {
    /// Creates or changes boards of the tenant's gyms.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] for a foreign gym; [`StoreError::Conflict`] for an id that stands in another gym or counts another
    /// metric. Nothing of the request stands then.
    pub async fn put_boards(&self, tenant: TenantId, boards: &[BoardRecord]) -> Result<(), StoreError> {
        const DO: &str = "provision boards";
        let mut tx = self.db.begin(DO).await?;
        for board in boards {
            own_gym(&mut tx.conn(), DO, tenant, board.gym).await?;
            let sql = "insert into boards (board, gym, name, metric, machines, starts_at_ms, ends_at_ms, every_ms)
                 values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (board) do update set name = excluded.name, machines = excluded.machines,
                 starts_at_ms = excluded.starts_at_ms, ends_at_ms = excluded.ends_at_ms, every_ms = excluded.every_ms
                 where boards.gym = excluded.gym and boards.metric = excluded.metric";
            let BoardRecord { board, gym, name, metric, machines, starts_at_ms, ends_at_ms, every_ms } = board;
            let params = values![*board, *gym, name, word(metric), json(machines), *starts_at_ms, *ends_at_ms, *every_ms];
            owned(&mut tx.conn(), DO, board.0, sql, &params).await?;
        }
        tx.commit(DO).await
    }

    /// Boards of a gym of the tenant, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn boards_of(&self, tenant: TenantId, gym: GymId) -> Result<Vec<BoardRecord>, StoreError> {
        let which = "g.tenant = $1 and b.gym = $2 order by b.starts_at_ms desc, b.board limit $3";
        boards(&self.db, which, &values![tenant, gym, LIST_MAX]).await
    }

    /// One board of the tenant with what was counted.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn board(&self, tenant: TenantId, board: BoardId) -> Result<Option<BoardSeed>, StoreError> {
        let found = boards(&self.db, "g.tenant = $1 and b.board = $2", &values![tenant, board]).await?;
        Ok(with_scores(&self.db, found, "s.board = $1", &values![board]).await?.into_iter().next())
    }

    /// Takes a board down, with what was counted; the workouts stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the tenant has no such board.
    pub async fn remove_board(&self, tenant: TenantId, board: BoardId) -> Result<(), StoreError> {
        const DO: &str = "remove a board";
        let mut tx = self.db.begin(DO).await?;
        let sql = "delete from boards where board = $1 and gym in (select gym from gyms where tenant = $2)";
        let removed = tx.conn().execute(DO, sql, &values![board, tenant]).await?;
        found(removed, DO, board.0)?;
        tx.conn().execute(DO, "delete from board_scores where board = $1", &values![board]).await?;
        tx.commit(DO).await
    }

    /// Boards of a gym that are not over since `since_ms`, with what was counted, for the start of a node.
    ///
    /// # Errors
    /// [`StoreError`] as the database says.
    pub async fn board_seeds(&self, gym: GymId, since_ms: i64) -> Result<Vec<BoardSeed>, StoreError> {
        let params = values![gym, since_ms];
        let found = boards(&self.db, "b.gym = $1 and b.ends_at_ms > $2 order by b.starts_at_ms", &params).await?;
        with_scores(&self.db, found, "b.gym = $1 and b.ends_at_ms > $2", &params).await
    }
}

async fn boards(db: &Db, which: &'static str, params: &[Value]) -> Result<Vec<BoardRecord>, StoreError> {
    const DO: &str = "read boards";
    let sql = format!(
        "select b.board, b.gym, b.name, b.metric, b.machines, b.starts_at_ms, b.ends_at_ms, b.every_ms from boards b
         join gyms g on g.gym = b.gym where {which}"
    );
    let board_of = |row: &Row| {
        Ok(BoardRecord {
            board: row.id(DO, 0)?,
            gym: row.id(DO, 1)?,
            name: row.text(DO, 2)?,
            metric: row.word(DO, 3)?,
            machines: row.json(DO, 4)?,
            starts_at_ms: row.get(DO, 5)?,
            ends_at_ms: row.get(DO, 6)?,
            every_ms: row.number(DO, 7)?,
        })
    };
    db.fetch(DO, sql, params).await?.iter().map(board_of).collect()
}

async fn with_scores(db: &Db, found: Vec<BoardRecord>, which: &'static str, params: &[Value]) -> Result<Vec<BoardSeed>, StoreError> {
    const DO: &str = "read what boards counted";
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select s.board, s.workout, s.member, s.base, s.score, case when m.wall then m.handle end, t.totals from board_scores s
         join boards b on b.board = s.board join gyms g on g.gym = b.gym
         left join members m on m.member = s.member and m.tenant = g.tenant
         left join workout_totals t on t.workout = s.workout
             and t.revision = (select max(u.revision) from workout_totals u where u.workout = s.workout)
         where {which} order by s.workout"
    );
    let mut scores: BTreeMap<BoardId, Vec<BoardScore>> = BTreeMap::new();
    for row in db.fetch(DO, sql, params).await? {
        let totals: Option<String> = row.get(DO, 6)?;
        scores.entry(row.id(DO, 0)?).or_default().push(BoardScore {
            workout: row.id(DO, 1)?,
            member: row.id(DO, 2)?,
            base: row.number(DO, 3)?,
            score: row.opt_number(DO, 4)?,
            name: row.opt_text(DO, 5)?,
            totals: if totals.is_some() { Some(row.json(DO, 6)?) } else { None },
        });
    }
    Ok(found.into_iter().map(|record| BoardSeed { scores: scores.remove(&record.board).unwrap_or_default(), record }).collect())
}

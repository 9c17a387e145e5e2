//! Fresh rows into their tables. A row that the database refuses is found in at most three tries: the batch, chunks of it, rows.
//!
//! Each try stands under a savepoint, so that the neighbours of a poison row are stored in the same transaction. In SQLite a savepoint copies each
//! page before it is changed, which costs as much as the rows: there a batch is tried without one first, and again with care if it is refused.

use protocol::{ErrorCode, Field};

use super::copy;
use super::plan::{Plan, Planned};
use crate::db::{Conn, Value};
use crate::error::StoreError;
use crate::model::{Row, RowWhat};

const DO: &str = "write fresh rows";
/// Rows of the second try: small enough that few good rows are tried a third time.
const CHUNK_ROWS: usize = 128;
/// Rows in one statement with values; each count is a prepared statement of its own.
const VALUES_ROWS: [usize; 3] = [64, 8, 1];
/// Up to so many rows go to Postgres with values too: COPY ends with a small packet of its own, and sqlx leaves the socket's delay
/// (Nagle) on, so that each COPY may wait 40 ms for the server's acknowledgement.
const COPY_ROWS_MIN: usize = 65;

/// What becomes of a batch of which a row is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// All of it is refused, and the transaction is over. SQLite only.
    Whole,
    /// The row goes to quarantine and the rest is stored.
    Row,
}

/// Tables of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sample,
    Rep,
    Set,
    Stroke,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Sample, Self::Rep, Self::Set, Self::Stroke];

    /// The table of a row; none for poison and what is lost.
    pub(crate) const fn of(row: &Row) -> Option<Self> {
        match row.what {
            RowWhat::Reading(_) => Some(Self::Sample),
            RowWhat::Rep(_) => Some(Self::Rep),
            RowWhat::Set(_) => Some(Self::Set),
            RowWhat::Stroke(_) => Some(Self::Stroke),
            RowWhat::Poison { .. } | RowWhat::Lost { .. } => None,
        }
    }

    pub(crate) const fn table(self) -> &'static str {
        match self {
            Self::Sample => "samples",
            Self::Rep => "reps",
            Self::Set => "sets",
            Self::Stroke => "strokes",
        }
    }
}

/// Columns that every table of rows begins with.
pub(crate) const HEAD: &str = "source, boot, seq, at_ms, dev_ms, received_at_ms, corrected_at_ms, fingerprint";

/// The columns of a table after [`HEAD`]; of samples only those that some row fills.
pub(crate) struct Columns {
    pub(crate) kind: Kind,
    pub(crate) mask: u32,
}

impl Columns {
    fn of(kind: Kind, rows: &[Planned<'_>]) -> Self {
        let mask = rows.iter().fold(0, |mask, planned| match &planned.row.what {
            RowWhat::Reading(reading) => mask | reading.mask(),
            _ => mask,
        });
        Self { kind, mask }
    }

    /// `table (columns)`.
    pub(crate) fn target(&self) -> String {
        let rest = match self.kind {
            Kind::Sample => {
                let fields = Field::ALL.into_iter().filter(|field| self.mask & field.mask() != 0).map(Field::name);
                fields.chain((self.mask & protocol::field::RR_BIT != 0).then_some("rr")).fold(String::new(), |all, name| all + ", " + name)
            }
            Kind::Rep => ", set_no, rep, load_hg, range_mm, mean_mm_s, peak_mm_s, peak_power_w, concentric_ms, eccentric_ms".to_owned(),
            Kind::Set => ", set_no, target_reps, reps, load_hg, seconds, rest_s, exercise, tempo, note".to_owned(),
            Kind::Stroke => ", stroke, drive_ms, recovery_ms, length_cm, peak_force_n, work_j".to_owned(),
        };
        format!("{} ({HEAD}{rest})", self.kind.table())
    }

    pub(crate) fn count(&self) -> usize {
        8 + match self.kind {
            Kind::Sample => self.mask.count_ones() as usize,
            Kind::Rep | Kind::Set => 9,
            Kind::Stroke => 6,
        }
    }
}

/// Writes what is fresh; what the database refuses goes from `fresh` to quarantine.
pub(crate) async fn fresh(conn: &mut Conn<'_>, plan: &mut Plan<'_>, care: Care) -> Result<(), StoreError> {
    let fresh = std::mem::take(&mut plan.fresh);
    for kind in Kind::ALL {
        let mut rows: Vec<Planned<'_>> = fresh.iter().filter(|planned| Kind::of(planned.row) == Some(kind)).copied().collect();
        if rows.is_empty() {
            continue;
        }
        // In the order of the table: a page that takes several rows is found once.
        rows.sort_unstable_by_key(|planned| (planned.key(), planned.row.seq));
        if care == Care::Whole {
            with_values(conn, &Columns::of(kind, &rows), &rows, care).await?;
            plan.fresh.extend(rows);
            continue;
        }
        for (planned, refusal) in split(conn, kind, &rows).await? {
            match refusal {
                None => plan.fresh.push(planned),
                Some(detail) => plan.quarantine(planned, ErrorCode::ReadingPoison, detail),
            }
        }
    }
    Ok(())
}

/// Tries all, then chunks, then rows. Each row comes back with why it was refused, if it was.
async fn split<'r>(conn: &mut Conn<'_>, kind: Kind, rows: &[Planned<'r>]) -> Result<Vec<(Planned<'r>, Option<String>)>, StoreError> {
    let mut done = Vec::with_capacity(rows.len());
    let stored = |rows: &[Planned<'r>], done: &mut Vec<_>| done.extend(rows.iter().map(|&planned| (planned, None)));
    if attempt(conn, kind, rows).await?.is_none() {
        stored(rows, &mut done);
        return Ok(done);
    }
    for chunk in rows.chunks(CHUNK_ROWS) {
        if attempt(conn, kind, chunk).await?.is_none() {
            stored(chunk, &mut done);
            continue;
        }
        for row in chunk {
            done.push((*row, attempt(conn, kind, std::slice::from_ref(row)).await?));
        }
    }
    Ok(done)
}

/// One try under a savepoint: none when written, the database's words when refused.
async fn attempt(conn: &mut Conn<'_>, kind: Kind, rows: &[Planned<'_>]) -> Result<Option<String>, StoreError> {
    conn.script(DO, "savepoint rows").await?;
    let columns = Columns::of(kind, rows);
    let copies = conn.is_postgres() && rows.len() >= COPY_ROWS_MIN;
    let written = if copies { copy::write(conn, &columns, rows).await } else { with_values(conn, &columns, rows, Care::Row).await };
    match written {
        Ok(()) => conn.script(DO, "release savepoint rows").await.map(|()| None),
        Err(StoreError::Refused { source, .. }) => {
            conn.script(DO, "rollback to savepoint rows").await?;
            Ok(Some(source.to_string()))
        }
        Err(error) => Err(error),
    }
}

async fn with_values(conn: &mut Conn<'_>, columns: &Columns, rows: &[Planned<'_>], care: Care) -> Result<(), StoreError> {
    let mut rest = rows;
    for size in VALUES_ROWS {
        if rest.len() < size {
            continue;
        }
        let sql = insert_of(columns, size, conn.is_postgres(), care);
        let (chunks, remainder) = rest.split_at(rest.len() / size * size);
        for chunk in chunks.chunks(size) {
            let mut params = Vec::with_capacity(size * columns.count());
            for planned in chunk {
                push(columns, planned, &mut params);
            }
            conn.execute(DO, sql.clone(), &params).await?;
        }
        rest = remainder;
    }
    Ok(())
}

/// Anonymous places for SQLite: it looks for the name of each numbered one in a list, which for 800 of them takes longer than the insert.
fn insert_of(columns: &Columns, rows: usize, postgres: bool, care: Care) -> String {
    let width = columns.count();
    let place = |place: usize| if postgres { format!("${place}") } else { "?".to_owned() };
    let one = |row: usize| (1..=width).map(|column| place(row * width + column)).collect::<Vec<_>>().join(",");
    let all: Vec<String> = (0..rows).map(|row| format!("({})", one(row))).collect();
    // Without `or rollback` a statement of many rows would keep what it changes, to take itself back alone.
    let insert = if care == Care::Whole { "insert or rollback into" } else { "insert into" };
    format!("{insert} {} values {}", columns.target(), all.join(","))
}

/// The values of a row in order of [`Columns::target`].
fn push(columns: &Columns, planned: &Planned<'_>, params: &mut Vec<Value>) {
    let Planned { row, source, at_ms, fingerprint } = *planned;
    let head = [source, row.boot.into(), row.seq.into(), at_ms, row.dev_ms, row.received_at_ms, row.corrected_at_ms, fingerprint];
    params.extend(head.map(|number| Value::Int(Some(number))));
    match &row.what {
        RowWhat::Reading(reading) => {
            let fields = Field::ALL.into_iter().filter(|field| columns.mask & field.mask() != 0);
            params.extend(fields.map(|field| Value::Int(reading.get(field).map(i64::from))));
            if columns.mask & protocol::field::RR_BIT != 0 {
                params.push(Value::Bytes(rr_bytes(reading)));
            }
        }
        RowWhat::Rep(_) | RowWhat::Stroke(_) => params.extend(numbers(&row.what).into_iter().map(|number| Value::Int(Some(number)))),
        RowWhat::Set(set) => {
            params.extend(numbers(&row.what).into_iter().map(|number| Value::Int(Some(number))));
            params.extend([Value::from(set.exercise.as_ref()), Value::from(set.tempo.as_ref()), Value::from(set.note.as_ref())]);
        }
        RowWhat::Poison { .. } | RowWhat::Lost { .. } => {}
    }
}

/// The number columns of reps, sets and strokes in order of [`Columns::target`].
pub(crate) fn numbers(what: &RowWhat) -> Vec<i64> {
    match what {
        RowWhat::Rep(rep) => vec![
            rep.set.into(),
            rep.rep.into(),
            rep.load_hg.into(),
            rep.range_mm.into(),
            rep.mean_mm_s.into(),
            rep.peak_mm_s.into(),
            rep.peak_power_w.into(),
            rep.concentric_ms.into(),
            rep.eccentric_ms.into(),
        ],
        RowWhat::Set(set) => {
            vec![set.set.into(), set.target_reps.into(), set.reps.into(), set.load_hg.into(), set.seconds.into(), set.rest_s.into()]
        }
        RowWhat::Stroke(stroke) => vec![
            stroke.stroke.into(),
            stroke.drive_ms.into(),
            stroke.recovery_ms.into(),
            stroke.length_cm.into(),
            stroke.peak_force_n.into(),
            stroke.work_j.into(),
        ],
        RowWhat::Reading(_) | RowWhat::Poison { .. } | RowWhat::Lost { .. } => Vec::new(),
    }
}

/// RR intervals as big-endian u16; none when the reading carries no list, empty when it carries an empty one.
pub(crate) fn rr_bytes(reading: &protocol::Reading) -> Option<Vec<u8>> {
    let has = reading.mask() & protocol::field::RR_BIT != 0;
    has.then(|| reading.rr().iter().flat_map(|&interval| u16::try_from(interval).unwrap_or(u16::MAX).to_be_bytes()).collect())
}

//! Reads the store beside the hub: an independent witness of what is stored, with its own SQL and none of the hub's code.
//!
//! In: a SQLite file or a Postgres URL. Out: rows as canonical bytes (`docs/LOADTEST.md`), counts, totals. The one thing it writes is the
//! removal of rows, as retention does, for the test that an old buffer stays refused.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use protocol::frame::{RepDetail, SetDetail, StrokeDetail, Totals};
use protocol::text::Text;
use protocol::{Field, MachineId, WorkoutId};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::gateway::{Checksum, Details, Key, Said, canonical_bytes};

/// A store, open.
pub enum Database {
    /// SQLite.
    Sqlite(SqlitePool),
    /// Postgres.
    Postgres(PgPool),
}

/// A stretch of one source's boot that belongs to a workout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The machine.
    pub machine: MachineId,
    /// Which sensor.
    pub sensor: String,
    /// The run.
    pub boot: u32,
    /// First seq.
    pub from_seq: u32,
    /// Last seq.
    pub to_seq: u32,
}

/// Something that was put to quarantine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarantined {
    /// The machine; none for facts and for members' own devices.
    pub machine: Option<MachineId>,
    /// The run.
    pub boot: u32,
    /// Its number.
    pub seq: u32,
    /// Number of the error.
    pub code: u16,
    /// Why, in words.
    pub detail: String,
}

/// Tables of what is no reading: their numbers, then their words.
const DETAILS: [(&str, &[&str], &[&str]); 3] = [
    ("reps", &["set_no", "rep", "load_hg", "range_mm", "mean_mm_s", "peak_mm_s", "peak_power_w", "concentric_ms", "eccentric_ms"], &[]),
    ("sets", &["set_no", "target_reps", "reps", "load_hg", "seconds", "rest_s"], &["exercise", "tempo", "note"]),
    ("strokes", &["stroke", "drive_ms", "recovery_ms", "length_cm", "peak_force_n", "work_j"], &[]),
];
/// After owner, sensor, boot, seq and device time.
const FIRST_DETAIL: usize = 5;

/// Runs the same lines with either pool; `$pool` is named in them.
macro_rules! on {
    ($database:expr, $pool:ident => $body:expr) => {
        match $database {
            Database::Sqlite($pool) => $body,
            Database::Postgres($pool) => $body,
        }
    };
}

impl Database {
    /// Opens a SQLite file.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub async fn sqlite(path: &Path) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(20));
        let pool =
            SqlitePoolOptions::new().max_connections(1).connect_with(options).await.context("could not open the hub's SQLite file")?;
        Ok(Self::Sqlite(pool))
    }

    /// Connects to Postgres.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub async fn postgres(url: &str) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new().max_connections(2).connect(url).await.context("could not reach the hub's Postgres")?;
        Ok(Self::Postgres(pool))
    }

    /// All readings of machines, with how many keys stand in it twice.
    ///
    /// # Errors
    /// Where the schema is another than this reader knows.
    pub async fn checksum(&self) -> anyhow::Result<(Checksum, u64)> {
        let fields: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
        let sql = format!(
            "select sources.owner, sources.sensor, samples.boot, samples.seq, samples.dev_ms, {} from samples join sources on \
             sources.source = samples.source where sources.kind = 'machine'",
            fields.join(", ")
        );
        let (mut sum, mut duplicate) = (Checksum::default(), 0);
        on!(self, pool => {
            let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(pool);
            while let Some(row) = rows.try_next().await.context("could not read the samples")? {
                let machine = MachineId(row.try_get::<Uuid, _>(0)?);
                let sensor: String = row.try_get(1)?;
                let (boot, seq, dev_ms): (i64, i64, i64) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
                let (mut mask, mut values) = (0_u32, Vec::with_capacity(8));
                for (at, field) in Field::ALL.into_iter().enumerate() {
                    if let Some(value) = row.try_get::<Option<i32>, _>(5 + at)? {
                        mask |= field.mask();
                        values.push(value);
                    }
                }
                let mut bytes = Vec::with_capacity(80);
                canonical_bytes(machine, &sensor, boot as u32, seq as u32, dev_ms, mask, &values, &mut bytes);
                duplicate += u64::from(!sum.add((machine, Text::cut(&sensor), boot as u32, seq as u32), bytes));
            }
        });
        Ok((sum, duplicate))
    }

    /// All repetitions, sets and strokes of machines, with how many keys stand in it twice.
    ///
    /// # Errors
    /// Where the schema is another than this reader knows.
    pub async fn details(&self) -> anyhow::Result<(Details, u64)> {
        let (mut details, mut duplicate) = (Details::default(), 0);
        for (table, numbers, words) in DETAILS {
            let columns =
                numbers.iter().map(|column| format!("cast(t.{column} as bigint)")).chain(words.iter().map(|column| format!("t.{column}")));
            let columns = columns.collect::<Vec<_>>().join(", ");
            let sql = format!(
                "select sources.owner, sources.sensor, t.boot, t.seq, t.dev_ms, {columns} from {table} t join sources on \
                 sources.source = t.source where sources.kind = 'machine'"
            );
            on!(self, pool => {
                let mut rows = sqlx::query(AssertSqlSafe(sql)).fetch(pool);
                while let Some(row) = rows.try_next().await.with_context(|| format!("could not read the {table}"))? {
                    let number = |at: usize| row.try_get::<i64, _>(FIRST_DETAIL + at);
                    let word = |at: usize| row.try_get::<Option<String>, _>(FIRST_DETAIL + numbers.len() + at);
                    let said = detail(
                        table,
                        &(0..numbers.len()).map(number).collect::<Result<Vec<_>, _>>()?,
                        &(0..words.len()).map(word).collect::<Result<Vec<_>, _>>()?,
                    );
                    let sensor: String = row.try_get(1)?;
                    let (boot, seq): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
                    let key: Key = (MachineId(row.try_get::<Uuid, _>(0)?), Text::cut(&sensor), boot as u32, seq as u32);
                    duplicate += u64::from(!details.add(key, row.try_get(4)?, said));
                }
            });
        }
        Ok((details, duplicate))
    }

    /// Everything in quarantine, in order of machine, boot and seq.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn quarantine(&self) -> anyhow::Result<Vec<Quarantined>> {
        let sql = "select sources.owner, quarantine.boot, quarantine.seq, quarantine.code, quarantine.detail from quarantine left join \
                   sources on sources.source = quarantine.source and sources.kind = 'machine'";
        let mut found = Vec::new();
        on!(self, pool => {
            for row in sqlx::query(sql).fetch_all(pool).await.context("could not read the quarantine")? {
                found.push(Quarantined {
                    machine: row.try_get::<Option<Uuid>, _>(0)?.map(MachineId),
                    boot: row.try_get::<i64, _>(1)? as u32,
                    seq: row.try_get::<i64, _>(2)? as u32,
                    code: row.try_get::<i64, _>(3)? as u16,
                    detail: row.try_get(4)?,
                });
            }
        });
        found.sort();
        Ok(found)
    }

    /// Runs a statement of a fault: a lock, a constraint that refuses rows.
    ///
    /// # Errors
    /// What the database said.
    pub async fn run(&self, sql: &'static str) -> anyhow::Result<()> {
        on!(self, pool => sqlx::query(sql).execute(pool).await.map(drop).with_context(|| format!("could not run `{sql}`")))
    }

    /// The number that a query answers.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn count(&self, sql: &'static str) -> anyhow::Result<i64> {
        on!(self, pool => sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.with_context(|| format!("could not ask `{sql}`")))
    }

    /// Transactions of this database so far, by Postgres' own counters, which are up to 10 s late; none on SQLite.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn transactions(&self) -> anyhow::Result<Option<i64>> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(_) => {
                let sql = "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";
                Ok(Some(self.count(sql).await?))
            }
        }
    }

    /// The newest totals of each workout that has some, with its revision.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn totals(&self) -> anyhow::Result<BTreeMap<WorkoutId, (i64, Totals)>> {
        let sql = "select workout, revision, totals from workout_totals order by workout, revision";
        let mut totals = BTreeMap::new();
        on!(self, pool => {
            for row in sqlx::query(sql).fetch_all(pool).await.context("could not read the totals")? {
                let text: String = row.try_get(2)?;
                let of = serde_json::from_str(&text).context("totals are no JSON")?;
                totals.insert(WorkoutId(row.try_get::<Uuid, _>(0)?), (row.try_get(1)?, of));
            }
        });
        Ok(totals)
    }

    /// What belongs to a workout.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn ranges(&self, workout: WorkoutId) -> anyhow::Result<Vec<Range>> {
        let (sqlite, postgres) = (
            "select sources.owner, sources.sensor, boot, from_seq, to_seq from workout_ranges join sources using (source) where workout = ?",
            "select sources.owner, sources.sensor, boot, from_seq, to_seq from workout_ranges join sources using (source) where workout = $1",
        );
        let mut ranges = Vec::new();
        let sql = if matches!(self, Self::Sqlite(_)) { sqlite } else { postgres };
        on!(self, pool => {
            for row in sqlx::query(sql).bind(workout.0).fetch_all(pool).await.context("could not read the ranges of a workout")? {
                ranges.push(Range {
                    machine: MachineId(row.try_get::<Uuid, _>(0)?),
                    sensor: row.try_get(1)?,
                    boot: row.try_get::<i64, _>(2)? as u32,
                    from_seq: row.try_get::<i64, _>(3)? as u32,
                    to_seq: row.try_get::<i64, _>(4)? as u32,
                });
            }
        });
        Ok(ranges)
    }

    /// Removes the readings of a machine, as retention does; the ranges of its boots stay.
    ///
    /// # Errors
    /// Where they cannot be removed.
    pub async fn remove_samples_of(&self, machine: MachineId) -> anyhow::Result<u64> {
        let (sqlite, postgres) = (
            "delete from samples where source in (select source from sources where owner = ?)",
            "delete from samples where source in (select source from sources where owner = $1)",
        );
        match self {
            Self::Sqlite(pool) => {
                Ok(sqlx::query(sqlite).bind(machine.0).execute(pool).await.context("could not remove samples")?.rows_affected())
            }
            Self::Postgres(pool) => {
                Ok(sqlx::query(postgres).bind(machine.0).execute(pool).await.context("could not remove samples")?.rows_affected())
            }
        }
    }

    /// Boots after the first of their source that have readings, and those of them whose first reading is stored as of another time than it
    /// came at, by more than 20 s. Means something where nothing of them was held back.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn restarted_boots(&self) -> anyhow::Result<(i64, i64)> {
        macro_rules! first_readings {
            ($of:literal) => {
                concat!(
                    "select count(*) from samples s where s.boot > (select min(b.boot) from boots b where b.source = s.source)
                     and s.seq = (select min(f.seq) from samples f where f.source = s.source and f.boot = s.boot)",
                    $of
                )
            };
        }
        let misplaced = first_readings!(" and abs(s.at_ms - s.received_at_ms) > 20000");
        Ok((self.count(first_readings!("")).await?, self.count(misplaced).await?))
    }

    /// How many readings of a machine are stored.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn samples_of(&self, machine: MachineId) -> anyhow::Result<i64> {
        let (sqlite, postgres) = (
            "select count(*) from samples where source in (select source from sources where owner = ?)",
            "select count(*) from samples where source in (select source from sources where owner = $1)",
        );
        let sql = if matches!(self, Self::Sqlite(_)) { sqlite } else { postgres };
        on!(self, pool => sqlx::query_scalar::<_, i64>(sql).bind(machine.0).fetch_one(pool).await.context("could not count samples"))
    }
}

/// What a row of one of [`DETAILS`] says.
fn detail(table: &str, numbers: &[i64], words: &[Option<String>]) -> Said {
    let (long, short) = (|at: usize| numbers[at] as u32, |at: usize| numbers[at] as u16);
    match table {
        "reps" => Said::Rep(RepDetail {
            set: short(0),
            rep: short(1),
            load_hg: long(2),
            range_mm: short(3),
            mean_mm_s: short(4),
            peak_mm_s: short(5),
            peak_power_w: short(6),
            concentric_ms: short(7),
            eccentric_ms: short(8),
        }),
        "sets" => Said::Set(SetDetail {
            set: short(0),
            target_reps: short(1),
            reps: short(2),
            load_hg: long(3),
            seconds: short(4),
            rest_s: short(5),
            exercise: words[0].as_deref().map(Text::cut),
            tempo: words[1].as_deref().map(Text::cut),
            note: words[2].as_deref().map(Text::cut),
        }),
        _ => Said::Stroke(StrokeDetail {
            stroke: long(0),
            drive_ms: short(1),
            recovery_ms: short(2),
            length_cm: short(3),
            peak_force_n: short(4),
            work_j: short(5),
        }),
    }
}

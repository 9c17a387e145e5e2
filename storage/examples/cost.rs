//! What a reading costs, raw and packed, indexes included, measured on a real database with real workouts.
//!
//! `cargo run --release -p storage --example cost -- sqlite:FILE|postgres://.. WORKOUT.jsonl..` stores each workout as a bike's source would have said it
//! (received 5 to 60 ms late, by a fixed series), seals it, measures, packs it, measures again, compares checksums, and prints one JSON object.
//! Give it an empty database: it counts whole tables.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]
#![expect(clippy::disallowed_methods, reason = "it is its own hub: it runs the driver")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{MachineKind, WorkoutStage};
use protocol::text::Text;
use protocol::{Field, GymId, MachineId, MemberId, Reading, TenantId, VisitId, WorkoutId};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};
use storage::{Fact, GymRecord, History, MachineRecord, Options, Row, RowWhat, SourceKey, Storage, Units, WorkoutRange, packed};
use uuid::Uuid;

/// Each workout so many times, so that pages and index levels weigh as they do in the large.
const COPIES: u128 = 20;
const ANCHOR_AT_MS: i64 = 1_795_262_400_000;
const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const GYM: GymId = GymId(Uuid::from_u128(2));

fn main() {
    let mut words = std::env::args().skip(1);
    let url = words.next().expect("a database");
    let workouts: Vec<(String, Vec<Row>)> = words.map(|path| read(Path::new(&path))).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("{}", runtime.block_on(measure(&url, &workouts)));
}

/// A workout's lines as rows of one source.
fn read(path: &Path) -> (String, Vec<Row>) {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let source = Arc::new(SourceKey::Machine(MachineId(Uuid::from_u128(0)), Text::cut("ftms")));
    let mut noise = 1_u64;
    let rows = text.lines().skip(1).enumerate().map(|(place, line)| {
        let line: Value = serde_json::from_str(line).unwrap();
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let late_ms = 5 + (noise >> 33) as i64 % 56;
        let dev_ms = line["t"].as_i64().unwrap();
        let at_ms = ANCHOR_AT_MS + dev_ms;
        Row {
            source: Arc::clone(&source),
            boot: 1,
            nonce: 7,
            seq: place as u32 + 1,
            absorbed: Vec::new(),
            dev_ms,
            received_at_ms: at_ms + late_ms,
            corrected_at_ms: at_ms + 3,
            anchor_at_ms: ANCHOR_AT_MS,
            what: RowWhat::Reading(reading(&line, dev_ms)),
            derived: 0,
        }
    });
    (name, rows.collect())
}

fn reading(line: &Value, dev_ms: i64) -> Reading {
    let mut reading = Reading::new();
    let mut put = |field: Field, value: Option<f64>| {
        if let Some(value) = value.filter(|value| *value >= f64::from(field.bounds().0)) {
            reading.set(field, value.round() as i32);
        }
    };
    let number = |key: &str| line[key].as_f64();
    put(Field::HeartRate, number("hr").filter(|bpm| *bpm >= 1.0));
    put(Field::Distance, number("dist_m"));
    put(Field::Elapsed, Some((dev_ms / 1_000) as f64));
    put(Field::Power, number("w"));
    put(Field::Speed, number("spd_mps").map(|speed| speed * 360.0));
    put(Field::Cadence, number("cad").map(|cadence| cadence * 2.0));
    reading
}

async fn measure(url: &str, workouts: &[(String, Vec<Row>)]) -> Value {
    let each: Vec<Value> = workouts.iter().map(|(name, rows)| codec(name, rows)).collect();
    let none = History { pack_after: None, loose_after: None, ..History::default() };
    let samples = store(url, none, workouts).await;
    let raw = size(url, "samples").await;
    let before = checksums(url, None).await;
    let after = checksums(url, Some(samples)).await;
    let packed = size(url, "packed").await;
    let per = |bytes: i64| (bytes as f64 / samples as f64 * 100.0).round() / 100.0;
    json!({ "workouts": each, "samples": samples, "raw_bytes_per_sample": per(raw), "packed_bytes_per_sample": per(packed), "same_checksums": before == after })
}

/// The codec alone: chunks and minutes of one workout.
fn codec(name: &str, rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let RowWhat::Reading(reading) = &row.what else { unreachable!("all rows are readings") };
        let (seq, dev_ms, received_at_ms, corrected_at_ms) = (row.seq, row.dev_ms, row.received_at_ms, row.corrected_at_ms);
        packed::PackedRow { seq, dev_ms, received_at_ms, corrected_at_ms, reading: reading.clone(), derived: 0, fingerprint: None }
    };
    let rows: Vec<packed::PackedRow> = rows.iter().map(row).collect();
    let (mut chunks, mut minutes) = (0, 0);
    for rows in rows.chunks(packed::ROWS_MAX) {
        chunks += packed::encode(ANCHOR_AT_MS, rows).unwrap().len();
        minutes += packed::minutes_encode(&packed::minutes_of(rows.iter().map(|row| (ANCHOR_AT_MS + row.dev_ms, &row.reading)))).len();
    }
    let per = |bytes: usize| (bytes as f64 / rows.len() as f64 * 100.0).round() / 100.0;
    json!({ "name": name, "samples": rows.len(), "chunk_bytes_per_sample": per(chunks), "minutes_bytes_per_sample": per(minutes) })
}

async fn open(url: &str, history: History) -> (Storage, tokio::task::JoinHandle<()>) {
    let mut options = Options::new(url);
    options.history = history;
    let mut storage = storage::open(options).await.unwrap();
    let mut reports = std::mem::replace(&mut storage.reports, tokio::sync::mpsc::channel(1).1);
    let listener = tokio::spawn(async move { while reports.recv().await.is_some() {} });
    (storage, listener)
}

/// Stores and seals every workout, each copy on a machine of its own. Returns the readings.
async fn store(url: &str, history: History, workouts: &[(String, Vec<Row>)]) -> u64 {
    let (Storage { recorder, store, driver, counters, .. }, listener) = open(url, history).await;
    let driver = tokio::spawn(driver.run());
    let gym =
        GymRecord { gym: GYM, name: Text::cut("Gym"), time_zone: Text::cut("Europe/Rome"), units: Units::Metric, addresses: Vec::new() };
    store.put_gyms(TENANT, &[gym]).await.unwrap();
    let mut samples = 0;
    let mut number = 0x10_0000;
    for copy in 0..COPIES {
        for (_, rows) in workouts {
            number += 1;
            let machine = MachineId(Uuid::from_u128(number));
            let record = MachineRecord {
                machine,
                gym: GYM,
                name: Text::cut(&format!("Bike {number}")),
                kind: MachineKind::Bike,
                location: Text::cut(""),
                gateway: None,
                powered: false,
            };
            store.put_machines(TENANT, &[record]).await.unwrap();
            let source = Arc::new(SourceKey::Machine(machine, Text::cut("ftms")));
            for row in rows {
                // Every copy is heard with another delay.
                let late_ms = (copy as i64 * 7 + i64::from(row.seq) * 13) % 11;
                let row = Row { source: Arc::clone(&source), received_at_ms: row.received_at_ms + late_ms, ..row.clone() };
                while recorder.try_keep(row.clone()).is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            samples += rows.len() as u64;
            seal(&recorder, &source, number, rows.len() as u32);
        }
    }
    while counters.now().stored < samples {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    recorder.drain(Duration::from_secs(60)).await;
    driver.await.unwrap();
    listener.abort();
    samples
}

fn seal(recorder: &storage::Recorder, source: &Arc<SourceKey>, number: u128, to_seq: u32) {
    let workout = WorkoutId(Uuid::from_u128(number));
    let range = WorkoutRange { source: Arc::clone(source), boot: 1, from_seq: 1, to_seq };
    let (member, visit, stage) = (MemberId(Uuid::from_u128(number)), VisitId(Uuid::from_u128(number)), WorkoutStage::Ended);
    let facts = [
        Fact::Workout { workout, gym: GYM, member, visit, stage, started_at_ms: ANCHOR_AT_MS, ended_at_ms: None },
        Fact::WorkoutRange { workout, range },
        Fact::Totals { workout, revision: 0, totals: protocol::frame::Totals::default() },
    ];
    facts.into_iter().for_each(|fact| recorder.persist(fact).unwrap());
}

/// Checksums of all sources; with `packs`, after so many readings were packed.
async fn checksums(url: &str, packs: Option<u64>) -> Vec<storage::SourceChecksum> {
    let pack_after = packs.map(|_| Duration::ZERO);
    let look_every = Duration::from_millis(50);
    let (Storage { recorder, store, driver, counters, .. }, listener) =
        open(url, History { pack_after, loose_after: None, look_every, ..History::default() }).await;
    let driver = tokio::spawn(driver.run());
    while counters.now().packed_samples < packs.unwrap_or(0) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sums = store.checksums(TENANT).await.unwrap();
    recorder.drain(Duration::from_secs(60)).await;
    driver.await.unwrap();
    listener.abort();
    sums
}

/// Bytes of a table with its indexes, without what is free in it.
async fn size(url: &str, table: &str) -> i64 {
    if url.starts_with("postgres") {
        let mut conn = sqlx::PgConnection::connect(url).await.unwrap();
        let sql = "select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint from pg_class c
             where c.relkind = 'r' and (c.relname = $1 or c.relname like $1 || '_y%')";
        return sqlx::query_scalar(AssertSqlSafe(sql)).bind(table).fetch_one(&mut conn).await.unwrap();
    }
    let mut conn = sqlx::SqliteConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe("vacuum")).execute(&mut conn).await.unwrap();
    let sql = "select coalesce(sum(pgsize), 0) from dbstat where name in (select name from sqlite_master where tbl_name = $1)";
    sqlx::query_scalar(AssertSqlSafe(sql)).bind(table).fetch_one(&mut conn).await.unwrap()
}

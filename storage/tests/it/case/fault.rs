//! What the storage survives: locks, drains, kills in mid-batch, a second node.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::SeqRanges;
use protocol::text::Text;
use storage::{Fact, Options, Report, Row};
use tokio::time::{Instant, sleep};

use super::store::{persist, range_fact};
use crate::support::rows::{machine, row, rows, source};
use crate::support::{Bench, House, PATIENCE};

pub(crate) async fn a_locked_database_holds_rows_and_loses_none(bench: &Bench) {
    let mut options = bench.options();
    options.write_deadline = Duration::from_millis(300);
    options.queue_rows = 500;
    options.batch_rows = 200;
    options.drain_rows_per_s = 1_000;
    let mut house = House::open(options).await;
    let bike = source(1);
    house.keep(rows(&bike, 1, 1..=10)).await;
    house.until("stored before the lock", |heard| heard.stored_count() == 10).await;

    let lock = Lock::take(bench).await;
    let mut refused: Vec<Row> = Vec::new();
    for row in rows(&bike, 1, 11..=2_000) {
        if house.recorder.try_keep(row.clone()).is_err() {
            refused.push(row);
        }
    }
    house.until("away", |heard| heard.has(&Report::Away)).await;
    assert_eq!(house.heard.stored_count(), 10, "nothing is told as stored while the database is locked");
    assert!(refused.len() >= 1_000, "memory is bounded: {} refused", refused.len());
    lock.release().await;
    let released = Instant::now();

    house.until("back", |heard| heard.has(&Report::Back)).await;
    house.until("the backlog is stored", |heard| heard.stored_count() >= 510).await;
    assert!(released.elapsed() >= Duration::from_millis(200), "a backlog leaves the database air: {:?}", released.elapsed());
    house.keep(refused).await;
    house.until("all stored", |heard| heard.stored_count() == 2_000).await;
    assert_eq!(bench.number("select count(*) from samples").await, 2_000);
    house.close().await;
}

/// Somebody else holds the tables.
enum Lock {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Lock {
    async fn take(bench: &Bench) -> Self {
        use sqlx::Connection as _;
        if bench.is_postgres() {
            let mut conn = sqlx::PgConnection::connect(&bench.url).await.unwrap();
            sqlx::raw_sql("begin; lock table samples in access exclusive mode").execute(&mut conn).await.unwrap();
            return Self::Postgres(conn);
        }
        let mut conn = sqlx::SqliteConnection::connect(&bench.url).await.unwrap();
        sqlx::raw_sql("begin exclusive").execute(&mut conn).await.unwrap();
        Self::Sqlite(conn)
    }

    async fn release(self) {
        use sqlx::Connection as _;
        match self {
            Self::Sqlite(mut conn) => {
                sqlx::raw_sql("rollback").execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
            Self::Postgres(mut conn) => {
                sqlx::raw_sql("rollback").execute(&mut conn).await.unwrap();
                conn.close().await.unwrap();
            }
        }
    }
}

pub(crate) async fn a_drain_writes_what_waits(bench: &Bench) {
    let mut options = bench.options();
    options.batch_wait = Duration::from_secs(60);
    let house = House::open(options).await;
    for row in rows(&source(1), 1, 1..=300) {
        house.recorder.try_keep(row).unwrap();
    }
    let began = Instant::now();
    let recorder = house.recorder.clone();
    house.close().await;
    assert!(began.elapsed() < Duration::from_secs(20), "a drain does not wait for a batch to fill");
    assert_eq!(bench.number("select count(*) from samples").await, 300);
    assert!(recorder.try_keep(row(&source(1), 1, 301)).is_err(), "nothing is taken after a drain");

    // Locked for good: the drain ends at its deadline and says what is left.
    let mut options = bench.options();
    options.write_deadline = Duration::from_millis(200);
    let house = House::open(options).await;
    let lock = Lock::take(bench).await;
    for row in rows(&source(1), 1, 301..=310) {
        house.recorder.try_keep(row).unwrap();
    }
    let left = house.recorder.drain(Duration::from_secs(1)).await;
    assert_eq!(left.rows, 10);
    lock.release().await;
}

/// What the gateways of the crash test remember: rows not yet told as stored are sent again.
struct Producer {
    unsent: BTreeMap<(u128, u32), Row>,
    stored: BTreeMap<u128, SeqRanges>,
}

pub(crate) async fn a_killed_writer_loses_and_doubles_nothing(bench: &Bench) {
    const SOURCES: u128 = 4;
    const SEQS: u32 = 1_500;
    let all = (1..=SEQS).flat_map(|seq| (0..SOURCES).map(move |number| ((number, seq), row(&source(number), 1, seq))));
    let mut producer = Producer { unsent: all.collect(), stored: BTreeMap::new() };
    for life in 0..12_u64 {
        let mut options = bench.options();
        options.batch_wait = Duration::from_millis(3);
        options.batch_rows = 97;
        let house = House::open(options).await;
        for row in producer.unsent.values() {
            house.recorder.try_keep(row.clone()).unwrap();
        }
        let house = live_for(house, Duration::from_millis(5 + life * 17 % 61), &mut producer).await;
        house.crash().await;
    }
    let mut house = bench.open().await;
    house.keep(producer.unsent.values().cloned().collect::<Vec<_>>()).await;
    let open = producer.unsent.len() as u64;
    house.until("the rest stored", |heard| heard.stored_count() == open).await;
    house.close().await;
    assert_eq!(bench.number("select count(*) from samples").await, i64::from(SEQS) * SOURCES as i64);
    assert_eq!(
        bench.number("select count(*) from (select distinct source, boot, seq from samples) x").await,
        i64::from(SEQS) * SOURCES as i64
    );
    assert_eq!(bench.number("select count(*) from quarantine").await, 0);
    for (number, stored) in producer.stored {
        for seqs in stored.iter() {
            let count = format!(
                "select count(*) from samples t join sources s on s.source = t.source where s.owner = {} and t.seq between {} and {}",
                owner(bench, number),
                seqs.start(),
                seqs.end()
            );
            assert_eq!(bench.number(&count).await, i64::from(seqs.end() - seqs.start()) + 1, "what was told as stored is there");
        }
    }
}

pub(crate) async fn a_row_that_was_told_as_stored_has_the_facts_before_it(bench: &Bench) {
    // More facts than one transaction takes, the row's stretch the last of them.
    const FACTS: i64 = 2_000;
    let mut options = bench.options();
    options.batch_wait = Duration::from_millis(200);
    let mut house = House::open(options).await;
    let text = Text::cut("filter");
    for at_ms in 1..FACTS {
        house.recorder.persist(Fact::Maintenance { machine: machine(1), open: true, text: text.clone(), at_ms }).unwrap();
    }
    house.recorder.persist(range_fact(1, 1, 1)).unwrap();
    house.recorder.try_keep(row(&source(1), 1, 1)).unwrap();
    house.until("the row stored", |heard| heard.stored_count() == 1).await;
    house.crash().await;
    assert_eq!(bench.number("select count(*) from workout_ranges").await, 1, "it belongs to its workout");
    assert_eq!(bench.number("select count(*) from maintenance").await, FACTS - 1);
}

pub(crate) async fn facts_that_fill_a_transaction_wait_for_no_rows(bench: &Bench) {
    // Rows are turned away while facts are owed, so that none may come for long.
    let house = House::open(Options { batch_wait: Duration::from_secs(3_600), ..bench.options() }).await;
    let text = Text::cut("filter");
    let fact = |at_ms| Fact::Maintenance { machine: machine(1), open: true, text: text.clone(), at_ms };
    persist(&house, (1..=1_024).map(fact)).await;
    house.close().await;
    assert_eq!(bench.number("select count(*) from maintenance").await, 1_024);
}

fn owner(bench: &Bench, number: u128) -> String {
    let uuid = machine(number).0;
    if bench.is_postgres() { format!("'{uuid}'") } else { format!("x'{}'", uuid.simple()) }
}

/// Listens for a while, so that the crash comes at any instant, and forgets what was told as stored, as a gateway does.
async fn live_for(mut house: House, life: Duration, producer: &mut Producer) -> House {
    let end = Instant::now() + life;
    while let Ok(report) = tokio::time::timeout_at(end, house.reports.recv()).await {
        let Some(Report::Stored { source, seqs, rejected, .. }) = report else { continue };
        assert_eq!(rejected, []);
        let number = source.machine().unwrap().0.as_u128() - machine(0).0.as_u128();
        for seq in seqs.iter().flatten() {
            producer.unsent.remove(&(number, seq));
        }
        producer.stored.entry(number).or_default().union(&seqs);
    }
    house
}

pub(crate) async fn two_nodes_store_each_row_once(bench: &Bench) {
    const SOURCES: u128 = 8;
    let (mut one, mut two) = (bench.open().await, bench.open().await);
    for part in 0..10_u32 {
        let seqs = part * 50 + 1..=(part + 1) * 50;
        for number in 0..SOURCES {
            one.keep(rows(&source(number), 1, seqs.clone())).await;
            two.keep(rows(&source(SOURCES - 1 - number), 1, seqs.clone())).await;
        }
    }
    let all = SOURCES as u64 * 500;
    one.until("all of one", |heard| heard.stored_count() == all).await;
    two.until("all of two", |heard| heard.stored_count() == all).await;
    assert_eq!(one.counters.now().stored + two.counters.now().stored, all);
    assert_eq!(bench.number("select count(*) from samples").await, all as i64);
    assert_eq!(bench.number("select count(*) from quarantine").await, 0);
    one.close().await;
    two.close().await;
}

/// Waits for a condition of counters.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "did not come: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

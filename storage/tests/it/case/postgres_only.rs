//! What only a server can do: stop in mid-load and come back, cut connections, spread months over partitions.

use std::time::Duration;

use storage::{Report, Row};

use super::fault::eventually;
use crate::support::postgres::Server;
use crate::support::rows::{row, rows, source};
use crate::support::{Bench, House};

pub(crate) async fn all(server: &Server) {
    if server.is_own() {
        let bench = Bench::postgres(server, "stopped_server").await;
        a_stopped_server_loses_nothing(server, &bench).await;
        bench.remove(server).await;
    }
    let bench = Bench::postgres(server, "months_are_partitions").await;
    months_are_partitions(&bench).await;
    bench.remove(server).await;
    let bench = Bench::postgres(server, "cut_connections").await;
    cut_connections_lose_nothing(&bench).await;
    bench.remove(server).await;
    let bench = Bench::postgres(server, "scrubs").await;
    a_scrub_takes_its_time_and_names_what_is_left(&bench).await;
    bench.remove(server).await;
    super::transfer::there_and_back(server).await;
}

/// Statements of the store may take no longer than 200 ms here; one table is held by somebody for longer, one is large.
async fn a_scrub_takes_its_time_and_names_what_is_left(bench: &Bench) {
    use sqlx::{Connection as _, Executor as _};
    let mut options = bench.options();
    options.query_deadline = Duration::from_millis(200);
    let house = House::open(options).await;
    bench.sql("alter table quarantine alter column content set storage external").await;
    let large = "insert into quarantine (boot, seq, code, detail, content, fingerprint, received_at_ms) select 0, i, 0, '',
         convert_to((select string_agg(md5(random()::text), '') from generate_series(1, 300)), 'UTF8'), i, 0 from generate_series(1, 8000) i";
    bench.sql(large).await;
    let size = bench.number("select pg_total_relation_size('quarantine')").await;
    assert!(size > 64 * 1024 * 1024, "{size} bytes");
    let mut holder = sqlx::PgConnection::connect(&bench.url).await.unwrap();
    // Held by a transaction with no snapshot: nothing old is seen by it.
    holder.execute("begin; lock table board_scores in access share mode").await.unwrap();
    let asked: Vec<_> = (0..4)
        .map(|_| {
            let store = house.store.clone();
            tokio::spawn(async move { store.scrub().await.unwrap() })
        })
        .collect();
    for scrub in asked {
        let left = scrub.await.unwrap();
        assert!(left.contains(&"quarantine".to_owned()) && left.contains(&"board_scores".to_owned()), "{left:?}");
        assert!(!left.contains(&"packed".to_owned()), "the others are clean: {left:?}");
    }
    drop(holder);
    house.close().await;
}

async fn months_are_partitions(bench: &Bench) {
    let mut house = bench.open().await;
    let bike = source(1);
    let month_later = |seq: u32| {
        let mut row = row(&bike, 1, seq);
        row.dev_ms = i64::from(seq) * 31 * 86_400_000;
        row
    };
    house.keep((1..=14).map(month_later)).await;
    house.until("stored", |heard| heard.stored_count() == 14).await;
    let partitions = "select count(*) from pg_inherits where inhparent = 'samples'::regclass";
    assert_eq!(bench.number(partitions).await, 14);

    bench.sql("drop table samples_y2026m12").await;
    assert_eq!(bench.number("select count(*) from samples").await, 13);
    // The writer remembers a partition that is gone: the row is not poison, it gets its partition again.
    let mut late = row(&bike, 2, 1);
    late.dev_ms = 31 * 86_400_000;
    house.keep([late]).await;
    house.until("stored again", |heard| heard.stored_count() == 15).await;
    assert_eq!(house.heard.rejected, []);
    house.close().await;
}

async fn cut_connections_lose_nothing(bench: &Bench) {
    let mut options = bench.options();
    options.batch_rows = 50;
    options.batch_wait = Duration::from_millis(1);
    let mut house = House::open(options).await;
    let sent: Vec<Row> = (0..5).flat_map(|number| rows(&source(number), 1, 1..=800)).collect();
    for (round, part) in sent.chunks(400).enumerate() {
        house.keep(part.to_vec()).await;
        if round % 2 == 1 {
            bench
                .sql(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
                )
                .await;
        }
    }
    house.until("all stored", |heard| heard.stored_count() == 4_000).await;
    assert_eq!(bench.number("select count(*) from samples").await, 4_000);
    assert!(house.counters.now().retries > 0, "the cuts hit something");
    assert_eq!(house.heard.rejected, []);
    house.close().await;
}

async fn a_stopped_server_loses_nothing(server: &Server, bench: &Bench) {
    let mut options = bench.options();
    options.queue_rows = 400;
    options.batch_rows = 100;
    options.write_deadline = Duration::from_secs(1);
    let mut house = House::open(options).await;
    let bike = source(1);
    house.keep(rows(&bike, 1, 1..=200)).await;
    house.until("some stored", |heard| heard.stored_count() >= 100).await;
    server.cut();
    let mut refused = Vec::new();
    for row in rows(&bike, 1, 201..=1_500) {
        if house.recorder.try_keep(row.clone()).is_err() {
            refused.push(row);
        }
    }
    let counters = std::sync::Arc::clone(&house.counters);
    eventually("away", || counters.now().away).await;
    assert!(refused.len() >= 800, "memory is bounded: {} refused", refused.len());
    assert!(house.store.ping().await.is_err());
    server.go().await;
    house.until("back", |heard| heard.has(&Report::Back)).await;
    house.keep(refused).await;
    house.until("all stored", |heard| heard.stored_count() == 1_500).await;
    assert_eq!(bench.number("select count(*) from samples").await, 1_500);
    house.store.ping().await.unwrap();
    house.close().await;
}

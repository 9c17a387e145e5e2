//! Backup and restore of Postgres, with its own tools, as docs/OPERATE.md tells: a dump is taken while rows come, the database is lost, the dump comes back.

use std::process::Command;

use crate::support::postgres::Server;
use crate::support::rows::{rows, source};
use crate::support::{Bench, House};

/// Runs a tool of the server's version.
fn tool(server: &Server, name: &str, words: &[&str]) {
    let done = Command::new(server.tool(name)).args(words).output().unwrap();
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
}

pub(crate) async fn a_dump_comes_back_and_what_it_missed_is_stored_once(server: &Server) {
    let before = Bench::postgres(server, "dumped").await;
    let bike = source(1);
    let mut house = before.open().await;
    house.keep(rows(&bike, 1, 1..=500)).await;
    house.until("stored", |heard| heard.stored_count() == 500).await;
    let files = tempfile::tempdir().unwrap();
    let dump = files.path().join("spotter.dump").display().to_string();
    tool(server, "pg_dump", &["--format=custom", "--file", &dump, &before.url]);
    house.keep(rows(&bike, 1, 501..=800)).await;
    house.until("stored", |heard| heard.stored_count() == 800).await;
    let started = house.node_start;
    house.close().await;
    before.remove(server).await;

    let after = Bench::postgres(server, "restored").await;
    tool(server, "pg_restore", &["--exit-on-error", "--no-owner", "--dbname", &after.url, &dump]);
    let starts = storage::restored(&after.url).await.unwrap();
    assert!(starts >= started + storage::STARTS_AT_RESTORE);
    let mut house = House::open(after.options()).await;
    assert_eq!(house.node_start, starts + 1, "the next start is above all that were");
    assert_eq!(after.number("select count(*) from samples").await, 500);
    // The gateway's whole buffer comes again.
    house.keep(rows(&bike, 1, 1..=800)).await;
    house.until("all stored", |heard| heard.stored_count() == 800).await;
    assert_eq!(after.number("select count(*) from samples").await, 800);
    assert_eq!(house.heard.rejected, []);
    house.close().await;
    after.remove(server).await;
}

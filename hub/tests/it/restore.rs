//! Backup and restore, done: a copy is taken while the hub writes, the store is lost, the copy comes back, and the gateways' buffers fill what is missing.

use std::path::Path;
use std::process::Command;

use loadtest::Peer;
use protocol::frame::{Bind, MachineHello, Role, Sample};
use protocol::text::Text;
use protocol::{SeqRanges, ServerFrame};

use crate::house::{BIKE, GATEWAY, TENANT, TestHub, bike_hello, claim, sample};

/// Runs `spotter store …` on the store of a folder, and answers what it said.
fn store(folder: &Path, words: &[&str]) -> (bool, String) {
    let url = format!("store.url=sqlite:{}", folder.join("spotter.db").display());
    let done = Command::new(env!("CARGO_BIN_EXE_spotter")).args(["store"]).args(words).args(["--profile", "dev", "--set", &url]).output();
    let done = done.expect("the binary runs");
    (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

async fn said(gateway: &mut Peer, seqs: std::ops::RangeInclusive<u32>) {
    let last = *seqs.end();
    gateway.send_all(&seqs.map(|seq| sample(seq, 100).into()).collect::<Vec<_>>()).await.expect("sent");
    stored(gateway, last).await;
}

async fn stored(gateway: &mut Peer, through: u32) {
    let all = |frame: &ServerFrame| match frame {
        ServerFrame::Ack(ack) => ack.acks.iter().any(|one| one.stored.contains(through)).then_some(()),
        _ => None,
    };
    gateway.expect("stored", all).await.expect("stored");
}

async fn rows(hub: &TestHub) -> u64 {
    hub.node().hub.store.checksums(TENANT).await.expect("read").iter().map(|source| source.checksum.rows).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_comes_back_and_the_gateways_fill_what_it_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let hub = TestHub::beside(folder.path(), &listener, true).await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    let (_, before) = claim(&mut phone, &mut gateway, &code).await;
    said(&mut gateway, 1..=200).await;
    let backup = folder.path().join("backup.db");
    let name = backup.display().to_string();
    let (ok, words) = store(folder.path(), &["backup", &name]);
    assert!(ok && words.contains("checked"), "{words}");
    let (ok, words) = store(folder.path(), &["backup", &name]);
    assert!(!ok && words.contains("exists already"), "a backup is never overwritten: {words}");
    // The hub went on, told that these are stored, and then its disk was lost.
    said(&mut gateway, 201..=300).await;
    drop((gateway, phone));
    drop(hub);
    let (ok, words) = store(folder.path(), &["restore", &name]);
    assert!(!ok && words.contains("exists already"), "a store that is there is never overwritten: {words}");
    // Of a hub that was killed, only the file itself is moved away: what is in its log belongs to what is gone.
    std::fs::remove_file(folder.path().join("spotter.db")).expect("lost");
    let log = folder.path().join("spotter.db-wal");
    std::fs::write(&log, b"frames of the store that is gone").expect("written");
    let (ok, words) = store(folder.path(), &["restore", &name]);
    assert!(!ok && words.contains("spotter.db-wal exists already"), "a log is never played into a restored store: {words}");
    for log in [log, folder.path().join("spotter.db-shm")] {
        if log.exists() {
            std::fs::remove_file(log).expect("moved away too");
        }
    }
    // Nor is what an earlier restore that was cut left behind.
    std::fs::write(folder.path().join("spotter.db.partial-wal"), b"frames of a restore that was cut").expect("written");
    let (ok, words) = store(folder.path(), &["restore", &name]);
    let place = folder.path().join("spotter.db").display().to_string();
    assert!(ok && words.contains(&format!("the store {place} is back")), "it says where it put the store: {words}");

    let hub = TestHub::beside(folder.path(), &listener, false).await;
    assert_eq!(rows(&hub).await, 200, "what the backup had");
    // A gateway that keeps its readings for a day lists them all; the hub asks for them, and keeps what it does not have.
    let mut gateway = hub.peer(Role::Gateway, GATEWAY.0).await;
    gateway.send(MachineHello { ..bike_hello() }).await.expect("sent");
    let held = SeqRanges::from_iter([(1, 300)]);
    let bind = Bind {
        slot: 1,
        machine: Some(BIKE),
        sensor: Text::cut("ftms"),
        boot: 1,
        nonce: 7,
        clock: 0,
        held,
        quirk: None,
        claim_from_seq: None,
    };
    gateway.send(bind).await.expect("sent");
    let asked = |frame: &ServerFrame| if let ServerFrame::Resend(asked) = frame { Some((asked.from, asked.to)) } else { None };
    let (from, to) = gateway.expect("resend", asked).await.expect("asked");
    assert!(from <= 201 && to == 300, "at least what is missing: {from} to {to}");
    let again: Vec<Sample> = (from..=to).map(|seq| sample(seq, 100)).collect();
    gateway.send_all(&again.into_iter().map(Into::into).collect::<Vec<_>>()).await.expect("sent");
    stored(&mut gateway, 300).await;
    assert_eq!(rows(&hub).await, 300, "lost 0, twice 0");
    let fence = hub.node().hub.store.machine(TENANT, BIKE).await.expect("read").expect("the bike").fence;
    assert_eq!(fence, before, "the claim of before is known");
    let starts = words.rsplit(' ').next().and_then(|number| number.trim().parse::<u64>().ok()).expect("the counter was told");
    assert!(starts >= storage::STARTS_AT_RESTORE, "no fence is given twice: {words}");
}

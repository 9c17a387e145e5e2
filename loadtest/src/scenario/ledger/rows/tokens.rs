//! A token runs out in the middle of a session, or is revoked. The session is closed with its reason, in its time, and nobody comes
//! back with that token. Everybody else goes on.

use std::time::Duration;

use anyhow::Context as _;
use protocol::{CloseReason, RoomName};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::peer::{Follower, HungUp, Options};
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

const SESSIONS: usize = 3;
/// A token lives so long here; the session begins at once.
const LIFE: Duration = Duration::from_secs(2);
/// For how long after its end the door takes a token, for clocks that differ; 30 s by default.
const LEEWAY: Duration = Duration::from_secs(1);
const EXPIRED_WITHIN: Duration = Duration::from_secs(5);
const REVOKED_WITHIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(15);

pub(in crate::scenario::ledger) const EXPIRED: Row = Row {
    name: "token-expired",
    about: "a token runs out mid-session",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(8),
    alone: false,
    run: |case| Box::pin(expired(case)),
};

pub(in crate::scenario::ledger) const REVOKED: Row = Row {
    name: "token-revoked",
    about: "a token is revoked mid-session",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(6),
    alone: false,
    run: |case| Box::pin(revoked(case)),
};

async fn expired(case: Case) -> anyhow::Result<Found> {
    let mut load = Load::of(&case);
    load.set = vec![format!("auth.leeway={}s", LEEWAY.as_secs())];
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    let ends = Instant::now() + LIFE;
    let token = ground.floor.world.token_for(&ground.bench, LIFE, Uuid::now_v7());
    let ended = watch_to_the_end(&ground, &token).await?;
    judge(&mut ground, &ended.join_all().await, ends, EXPIRED_WITHIN, CloseReason::TokenExpired);
    ground.found.set("closed_by", "token_expired");
    sleep((ends + LEEWAY * 2).saturating_duration_since(Instant::now())).await;
    refused(&mut ground, &token, CloseReason::TokenExpired).await;
    ground.finish().await
}

async fn revoked(case: Case) -> anyhow::Result<Found> {
    let mut ground = Ground::open(&case, Load::of(&case)).await?;
    ground.begin();
    let subject = Uuid::now_v7();
    let token = ground.floor.world.token_for(&ground.bench, Duration::from_secs(3_600), subject);
    let ended = watch_to_the_end(&ground, &token).await?;
    sleep(Duration::from_millis(500 + case.dice().below(1_000))).await;
    let asked = Instant::now();
    let closed = ground.floor.world.revoke(&ground.bench, subject).await?;
    ground.found.require(closed == SESSIONS as u64, || format!("the revocation closed {closed} sockets of {SESSIONS}"));
    judge(&mut ground, &ended.join_all().await, asked, REVOKED_WITHIN, CloseReason::TokenRevoked);
    refused(&mut ground, &token, CloseReason::TokenRevoked).await;
    ground.finish().await
}

/// Nobody comes back with that token.
async fn refused(ground: &mut Ground, token: &str, reason: CloseReason) {
    let again = Follower::connect(&ground.bench.ws_url(), options(ground, token)).await;
    let told = again.err().and_then(|error| error.close_reason());
    ground.found.require(told == Some(reason), || format!("who came back with the token heard {told:?}, not {}", reason.name()));
}

fn options(ground: &Ground, token: &str) -> Options {
    let stand = &ground.floor.stands[0];
    Options::new(token).room(RoomName::Floor(ground.floor.world.gym)).room(RoomName::Machine(stand.machine))
}

/// How a session ended: with which code, when, and after how many values.
struct Ended {
    code: Option<u16>,
    at: Instant,
    values: u64,
}

async fn watch_to_the_end(ground: &Ground, token: &str) -> anyhow::Result<JoinSet<Ended>> {
    let mut watching = JoinSet::new();
    for _ in 0..SESSIONS {
        let follower = Follower::connect(&ground.bench.ws_url(), options(ground, token)).await.context("a session could not begin")?;
        watching.spawn(end_of(follower));
    }
    Ok(watching)
}

async fn end_of(mut follower: Follower) -> Ended {
    let read = async {
        loop {
            if let Err(error) = follower.read().await {
                return error.get_ref().and_then(|cause| cause.downcast_ref::<HungUp>()).map(|said| said.code);
            }
        }
    };
    let code = tokio::time::timeout(PATIENCE, read).await.unwrap_or(None);
    Ended { code, at: Instant::now(), values: follower.values() }
}

fn judge(ground: &mut Ground, ended: &[Ended], due: Instant, within: Duration, reason: CloseReason) {
    let late = ended.iter().map(|one| one.at.saturating_duration_since(due)).max().unwrap_or_default();
    ground.found.set("closed_ms", late.as_millis() as u64);
    ground.found.require(ended.iter().all(|one| one.code == Some(reason.code())), || {
        format!("sessions ended with {:?}, not {}", ended.iter().map(|one| one.code).collect::<Vec<_>>(), reason.name())
    });
    ground.found.require(late <= within, || format!("sessions were closed {late:?} late, at most {within:?}"));
    ground.found.require(ended.iter().all(|one| one.at + Duration::from_secs(1) >= due), || "a session ended before its time".to_owned());
    ground.found.require(ended.iter().all(|one| one.values > 0), || "a session saw nothing before it ended".to_owned());
}

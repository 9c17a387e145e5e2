//! Boards: made once, changed, counted, read by their own tenant only.

use protocol::frame::{BoardMetric, Totals};
use protocol::text::Text;
use protocol::{BoardId, MemberId, TenantId, WorkoutId};
use storage::{BoardRecord, Consents, Fact, MemberRecord, StoreError};
use uuid::Uuid;

use super::store::{GYM, MEMBER, WORKOUT, persist, provision, workout_fact};
use crate::support::rows::{ANCHOR_AT_MS, machine};
use crate::support::{Bench, tenant};

const BOARD: BoardId = BoardId(Uuid::from_u128(0xb0a));
const OTHER: TenantId = TenantId(Uuid::from_u128(0xbad));

fn class() -> BoardRecord {
    BoardRecord {
        board: BOARD,
        gym: GYM,
        name: Text::cut("Spin"),
        metric: BoardMetric::Distance,
        machines: vec![machine(1)],
        starts_at_ms: ANCHOR_AT_MS,
        ends_at_ms: ANCHOR_AT_MS + 3_600_000,
        every_ms: 1_000,
    }
}

fn score(workout: WorkoutId, member: MemberId, base: u32, score: Option<u32>) -> Fact {
    Fact::BoardScore { board: BOARD, workout, member, base, score }
}

pub(crate) async fn a_board_is_put_changed_and_taken_down_by_its_own_tenant(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    assert!(matches!(store.put_boards(OTHER, &[class()]).await, Err(StoreError::NotFound { .. })));
    store.put_boards(tenant(), &[class()]).await.unwrap();
    store.put_boards(tenant(), &[BoardRecord { name: Text::cut("Spin 2"), ..class() }]).await.unwrap();
    let other_metric = BoardRecord { metric: BoardMetric::Reps, ..class() };
    assert!(matches!(store.put_boards(tenant(), &[other_metric]).await, Err(StoreError::Conflict { .. })));
    assert_eq!(store.boards_of(tenant(), GYM).await.unwrap(), [BoardRecord { name: Text::cut("Spin 2"), ..class() }]);
    assert_eq!(store.boards_of(OTHER, GYM).await.unwrap(), []);
    assert_eq!(store.board(OTHER, BOARD).await.unwrap(), None);
    assert!(matches!(store.remove_board(OTHER, BOARD).await, Err(StoreError::NotFound { .. })));
    store.remove_board(tenant(), BOARD).await.unwrap();
    assert_eq!(store.board(tenant(), BOARD).await.unwrap(), None);
    house.close().await;
}

pub(crate) async fn what_a_board_counted_is_kept_once_and_named_only_with_consent(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    store.put_boards(tenant(), &[class()]).await.unwrap();
    let (quiet, theirs) = (MemberId(Uuid::from_u128(0x9e)), WorkoutId(Uuid::from_u128(0x9f)));
    store.put_members(tenant(), &[MemberRecord { handle: Some(Text::cut("Zoe")), ..MemberRecord::new(quiet) }]).await.unwrap();
    let totals = Totals { distance_m: 900, ..Totals::default() };
    let facts = [
        workout_fact(protocol::frame::WorkoutStage::Live),
        score(WORKOUT, MEMBER, 100, None),
        // Said again with another beginning: the first stays.
        score(WORKOUT, MEMBER, 700, None),
        score(theirs, quiet, 0, Some(50)),
        score(theirs, quiet, 0, None),
        Fact::Totals { workout: WORKOUT, revision: 0, totals },
    ];
    persist(&house, facts).await;
    let seed = store.board(tenant(), BOARD).await.unwrap().unwrap();
    let kept: Vec<_> = seed.scores.iter().map(|score| (score.member, score.base, score.score, score.name.as_deref())).collect();
    assert_eq!(kept, [(quiet, 0, Some(50), None), (MEMBER, 100, None, Some("Ada"))]);
    assert_eq!(seed.scores[1].totals, Some(totals));
    store.set_consents(tenant(), MEMBER, Consents::default()).await.unwrap();
    let seeds = store.board_seeds(GYM, ANCHOR_AT_MS).await.unwrap();
    assert!(seeds[0].scores.iter().all(|score| score.name.is_none()), "{seeds:?}");
    assert_eq!(store.board_seeds(GYM, ANCHOR_AT_MS + 3_600_000).await.unwrap(), []);
    house.close().await;
}

pub(crate) async fn a_board_names_no_member_of_another_tenant(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    store.put_boards(tenant(), &[class()]).await.unwrap();
    // Somebody trains here whom nobody provisioned, and another tenant has a member of that id.
    let theirs = MemberId(Uuid::from_u128(0x9e));
    let consents = Consents { wall: true, ..Consents::default() };
    let zoe = MemberRecord { handle: Some(Text::cut("Zoe")), consents, ..MemberRecord::new(theirs) };
    store.put_members(OTHER, &[zoe]).await.unwrap();
    persist(&house, [score(WORKOUT, theirs, 0, Some(50))]).await;
    for seed in [store.board(tenant(), BOARD).await.unwrap().unwrap(), store.board_seeds(GYM, ANCHOR_AT_MS).await.unwrap().remove(0)] {
        let kept: Vec<_> = seed.scores.iter().map(|score| (score.score, score.name.as_deref())).collect();
        assert_eq!(kept, [(Some(50), None)]);
    }
    house.close().await;
}

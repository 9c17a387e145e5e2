//! Workouts out as files and in again, through the routes.

use activity::Format;
use protocol::frame::{SetDetail, Totals};
use protocol::{Field, Reading};
use std::sync::Arc;
use storage::{Row, RowWhat, SourceKey, WorkoutRange};

use super::*;

/// Three points of a ride.
pub(super) const TCX: &str = "<?xml version=\"1.0\"?><TrainingCenterDatabase><Activities><Activity Sport=\"Biking\"><Lap StartTime=\"2026-01-02T03:04:05Z\">
    <Calories>3</Calories><Track>
    <Trackpoint><Time>2026-01-02T03:04:05Z</Time><DistanceMeters>0</DistanceMeters><HeartRateBpm><Value>100</Value></HeartRateBpm></Trackpoint>
    <Trackpoint><Time>2026-01-02T03:04:06Z</Time><DistanceMeters>8.4</DistanceMeters><Cadence>80</Cadence></Trackpoint>
    <Trackpoint><Time>2026-01-02T03:04:08Z</Time><DistanceMeters>25.2</DistanceMeters><HeartRateBpm><Value>104</Value></HeartRateBpm></Trackpoint>
    </Track></Lap></Activity></Activities></TrainingCenterDatabase>";

fn alex() -> TokenRequest {
    who(TENANT, Role::Member, MEMBER.0, &[GYM], &[])
}

fn uploads() -> String {
    format!("/v1/members/{MEMBER}/uploads")
}

impl House {
    /// The bytes of an answer.
    async fn bytes(&self, path: &str) -> Vec<u8> {
        let mut request = self.request("GET", path, &alex(), Value::Null).body();
        request.extensions_mut().insert(ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.into_body().collect().await.unwrap().to_bytes().to_vec()
    }

    async fn upload(&self, file: &[u8]) -> Told {
        let builder = Request::builder().method("POST").uri(uploads()).header("authorization", format!("Bearer {}", self.token(&alex())));
        self.call(builder.body(Body::from(file.to_vec())).unwrap()).await
    }
}

#[tokio::test]
async fn a_file_that_comes_twice_is_one_workout_and_comes_out_again() {
    let house = House::open().await;
    house.furnish().await;
    let first = house.upload(TCX.as_bytes()).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.body);
    assert_eq!((&first.body["fresh"], &first.body["format"], &first.body["sport"]), (&json!(true), &json!("tcx"), &json!("cycling")));
    assert_eq!((&first.body["readings"], &first.body["overlaps"]), (&json!(3), &json!([])));
    let again = house.upload(TCX.as_bytes()).await;
    assert_eq!((&again.body["fresh"], &again.body["workout"]), (&json!(false), &first.body["workout"]));

    let path = format!("/v1/workouts/{}", first.body["workout"].as_str().unwrap());
    let told = house.ask("GET", &path, &alex(), Value::Null).await;
    let totals = &told.body["totals"];
    assert_eq!(
        (&told.body["stage"], &totals["distance_m"], &totals["energy_kcal"]),
        (&json!("sealed"), &json!(25), &json!(3)),
        "{}",
        told.body
    );
    assert_eq!((&totals["readings"], &totals["heart_rate_max_bpm"], &totals["duration_ms"]), (&json!(3), &json!(104), &json!(3000)));

    let fit = activity::read(&house.bytes(&format!("{path}/export.fit")).await).unwrap();
    assert_eq!((fit.format, fit.sport, fit.readings.len()), (Format::Fit, activity::Sport::Cycling, 3));
    assert_eq!(fit.readings[2].1.get(Field::Distance), Some(25));
    // The workout of the FIT file is another one, at the same time.
    let file = house.bytes(&format!("{path}/export.fit")).await;
    let other = house.upload(&file).await;
    assert_eq!((&other.body["fresh"], &other.body["overlaps"]), (&json!(true), &json!([first.body["workout"]])), "{}", other.body);
    assert_eq!(house.upload(&file).await.body["fresh"], json!(false), "a workout is written the same each time");
}

#[tokio::test]
async fn what_is_no_file_of_training_is_told_so() {
    let house = House::with(&[("limits.upload_bytes", "4KiB")]).await;
    house.furnish().await;
    house.upload(TCX.as_bytes()).await;
    let workouts = house.ask("GET", "/v1/workouts", &alex(), Value::Null).await.body["items"].clone();
    let uploaded =
        workouts.as_array().unwrap().iter().find(|one| one["stage"] == "sealed").unwrap()["workout"].as_str().unwrap().to_owned();
    let fit = house.bytes(&format!("/v1/workouts/{uploaded}/export.fit")).await;
    let mut changed = fit.clone();
    let end = changed.len() - 1;
    changed[end] ^= 1;
    let cases: [(&[u8], u16, u16); 7] = [
        (b"", 422, 704),
        (b"PK\x03\x04", 422, 704),
        (b"<!DOCTYPE x [<!ENTITY a \"b\">]><TrainingCenterDatabase/>", 422, 704),
        (&fit[..fit.len() - 9], 422, 705),
        (&changed, 422, 705),
        (&TCX.as_bytes()[..300], 422, 705),
        (&[b'<'; 5000], 413, 102),
    ];
    for (file, status, code) in cases {
        let told = house.upload(file).await;
        assert_eq!((told.status.as_u16(), &told.body["code"]), (status, &json!(code)), "{}", told.body);
    }
    let ahead = TCX.replace("2026-01-02T", "2089-01-02T");
    assert_eq!(house.upload(ahead.as_bytes()).await.body["code"], json!(702), "a clock that is decades ahead");
}

#[tokio::test]
async fn an_upload_with_a_key_is_answered_again_and_may_be_as_large_as_one_without() {
    let house = House::with(&[("limits.body_bytes", "1KiB")]).await;
    house.furnish().await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let builder = Request::builder().method("POST").uri(uploads()).header("authorization", format!("Bearer {}", house.token(&alex())));
        let padded = format!("{TCX}{}", " ".repeat(4_000));
        answers.push(house.call(builder.header("idempotency-key", "once").body(Body::from(padded)).unwrap()).await);
    }
    assert_eq!((answers[0].status, &answers[0].body), (StatusCode::OK, &answers[1].body), "the first answer, with fresh: true");
    assert_eq!(answers[1].headers["idempotency-replayed"], "true");
}

#[tokio::test]
async fn whoever_may_not_upload_is_told_before_the_file_is_read() {
    let house = House::open().await;
    house.furnish().await;
    let other = who(TENANT, Role::Member, id(0xbad), &[GYM], &[]);
    for key in [None, Some("once")] {
        let builder = Request::builder().method("POST").uri(uploads()).header("authorization", format!("Bearer {}", house.token(&other)));
        let builder = key.into_iter().fold(builder, |builder, key| builder.header("idempotency-key", key));
        let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let told = tokio::time::timeout(Duration::from_secs(5), house.call(builder.body(Body::from_stream(never)).unwrap())).await;
        let told = told.expect("answered at once");
        assert!(told.status.is_client_error(), "{} {}", told.status, told.body);
    }
}

/// A workout over two machines with a pause, a strap, sets, sealed and amended: the file says what is sealed.
#[tokio::test]
async fn an_exported_workout_has_the_sealed_totals_and_a_lap_for_each_machine() {
    let house = House::open().await;
    house.furnish().await;
    let (workout, start_ms) = (WorkoutId(id(0xcc)), 1_767_323_045_000);
    let bike = Arc::new(SourceKey::Machine(MACHINE, Text::cut("ftms")));
    let spare = Arc::new(SourceKey::Machine(SPARE, Text::cut("ftms")));
    let strap = Arc::new(SourceKey::Member(TENANT, MEMBER, Text::cut("strap")));
    let parts = [
        (&bike, 0..60, Field::Power),
        (&bike, 120..150, Field::Power),
        (&spare, 150..200, Field::Power),
        (&strap, 0..200, Field::HeartRate),
    ];
    let mut facts = vec![Fact::Workout {
        workout,
        gym: GYM,
        member: MEMBER,
        visit: VISIT,
        stage: WorkoutStage::Ended,
        started_at_ms: start_ms,
        ended_at_ms: Some(start_ms + 200_000),
    }];
    for (boot, (source, seconds, field)) in (1..).zip(parts) {
        let last = seconds.len() as u32 + 1;
        facts.push(Fact::WorkoutRange { workout, range: WorkoutRange { source: source.clone(), boot, from_seq: 1, to_seq: last } });
        for (seq, second) in (1..).zip(seconds) {
            let mut reading = Reading::new();
            reading.set(field, 100 + second % 100);
            if field == Field::Power {
                reading.set(Field::Distance, second * 5);
            }
            house.keep(source, boot, seq, start_ms, i64::from(second) * 1000, RowWhat::Reading(reading));
        }
        if source == &spare {
            let set = SetDetail {
                set: 1,
                exercise: None,
                target_reps: 0,
                reps: 8,
                load_hg: 425,
                seconds: 20,
                rest_s: 0,
                tempo: None,
                note: None,
            };
            house.keep(source, boot, last, start_ms, 199_000, RowWhat::Set(Box::new(set)));
        }
    }
    facts.into_iter().for_each(|fact| house.node.hub.recorder.persist(fact).unwrap());
    let store = &house.node.hub.store;
    let wanted = async {
        loop {
            let totals = store.add_up(TENANT, workout).await.unwrap_or_default();
            if totals.readings == 340 && totals.sets == 1 {
                return totals;
            }
            tokio::task::yield_now().await;
        }
    };
    let totals: Totals = tokio::time::timeout(Duration::from_secs(20), wanted).await.expect("rows are stored soon");
    house.node.hub.recorder.persist(Fact::Totals { workout, revision: 1, totals }).unwrap();

    let path = format!("/v1/workouts/{workout}/export.fit");
    let file = activity::read(&house.bytes(&path).await).unwrap();
    assert_eq!((file.readings.len(), file.sets.len(), file.sets[0].1.load_hg), (200, 1, 425));
    let distance = file.readings.iter().filter_map(|(_, reading)| reading.get(Field::Distance)).max();
    assert_eq!(distance.map(i64::from), Some(totals.distance_m));
    let sum = |field| file.readings.iter().filter_map(|(_, reading)| reading.get(field)).map(i64::from).sum::<i64>();
    assert_eq!((sum(Field::Power), sum(Field::HeartRate)), (totals.power_sum_w, totals.heart_rate_sum_bpm));
    let tcx = String::from_utf8(house.bytes(&format!("/v1/workouts/{workout}/export.tcx")).await).unwrap();
    assert_eq!(tcx.matches("<Lap ").count(), 2, "the pause on the bike is no lap");
    assert!(tcx.contains("<Notes>Bike 1</Notes>"), "{tcx}");
}

impl House {
    fn keep(&self, source: &Arc<SourceKey>, boot: u32, seq: u32, anchor_at_ms: i64, dev_ms: i64, what: RowWhat) {
        let at_ms = anchor_at_ms + dev_ms;
        let row = Row {
            source: source.clone(),
            boot,
            nonce: boot,
            seq,
            absorbed: Vec::new(),
            dev_ms,
            received_at_ms: at_ms,
            corrected_at_ms: at_ms,
            anchor_at_ms,
            what,
            derived: 0,
        };
        self.node.hub.recorder.try_keep(row).unwrap();
    }
}

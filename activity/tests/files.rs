//! Files that go out and come back, and files that are none.

#![expect(clippy::unwrap_used, reason = "a test: whatever fails here should end it")]

use std::sync::LazyLock;

use activity::{Device, Format, Origin, ReadError, SetDone, Sport, Timeline, Workout, read};
use proptest::prelude::*;
use protocol::frame::{MachineKind, SetDetail};
use protocol::text::Text;
use protocol::totals::BootTotals;
use protocol::{Field, Reading, WorkoutId};

const START_MS: i64 = 1_795_268_700_000;

fn reading(values: &[(Field, i32)]) -> Reading {
    let mut reading = Reading::new();
    values.iter().for_each(|&(field, value)| reading.set(field, value));
    reading
}

/// Two machines with a pause of five minutes on the first, a strap, two sets.
fn training() -> Workout {
    let (mut timeline, mut totals) = (Timeline::default(), protocol::frame::Totals::default());
    let bike = Origin { source: 1, boot: 7, machine: Some(0), counts: true };
    let rower = Origin { source: 2, boot: 1, machine: Some(1), counts: true };
    let strap = Origin { source: 3, boot: 2, machine: None, counts: false };
    let parts: [(Origin, Vec<i64>); 3] =
        [(bike, (0..600).chain(900..1_000).collect()), (rower, (1_060..1_600).collect()), (strap, (0..1_600).collect())];
    for (origin, seconds) in parts {
        let mut boot = BootTotals::default();
        for second in seconds {
            let at = second as i32;
            let said = match origin.machine {
                Some(0) => reading(&[
                    (Field::Speed, 2_500 + at % 700),
                    (Field::Cadence, 161 + at % 20),
                    (Field::Power, 150 + at % 90),
                    (Field::Distance, 40 + at * 7),
                    (Field::Energy, at / 6),
                    (Field::Incline, at % 50 - 25),
                    (Field::Resistance, 40),
                ]),
                Some(_) => reading(&[(Field::StrokeRate, 48), (Field::Power, 200), (Field::Distance, (at - 1_060) * 4)]),
                None => reading(&[(Field::HeartRate, 100 + at % 60)]),
            };
            timeline.add(origin, START_MS + second * 1000 + 250, &said).unwrap();
            boot.reading(second * 1000, &said);
        }
        boot.add_to(&mut totals, origin.counts);
    }
    let set = |set, load_hg| SetDetail {
        set,
        exercise: Some(Text::cut("bench press")),
        target_reps: 0,
        reps: 8,
        load_hg,
        seconds: 30,
        rest_s: 90,
        tempo: None,
        note: None,
    };
    Workout {
        workout: WorkoutId("0190a000-0000-7000-8000-00000000beef".parse().unwrap()),
        started_at_ms: START_MS,
        ended_at_ms: Some(START_MS + 1_900_000),
        sport: None,
        totals,
        machines: vec![Device::new("Bike <4> & more", MachineKind::Bike), Device::new("Rower", MachineKind::Rower)],
        timeline,
        sets: [(1_700, 825), (1_800, 833)]
            .into_iter()
            .enumerate()
            .map(|(place, (second, load_hg))| SetDone { at_ms: START_MS + second * 1000, set: set(place as u16 + 1, load_hg) })
            .collect(),
    }
}

#[test]
fn what_goes_into_a_fit_file_comes_out_of_it() {
    let workout = training();
    let file = read(&workout.to_fit().unwrap()).unwrap();
    assert_eq!((file.format, file.sport, file.started_at_ms), (Format::Fit, Sport::Other, START_MS));
    same_points(&workout, &file.readings, true);
    let sets: Vec<_> = file.sets.iter().map(|(_, set)| set.clone()).collect();
    assert_eq!(sets, workout.sets.iter().map(|done| done.set.clone()).collect::<Vec<_>>());
}

#[test]
fn what_goes_into_a_tcx_file_comes_out_of_it() {
    let workout = training();
    let file = read(workout.to_tcx().as_bytes()).unwrap();
    assert_eq!((file.format, file.started_at_ms), (Format::Tcx, START_MS));
    same_points(&workout, &file.readings, false);
}

/// Every second with its values; a TCX has no halves of a turn, no incline and no resistance.
fn same_points(workout: &Workout, found: &[(i64, Reading)], fit: bool) {
    let points: Vec<_> = workout.timeline.points().collect();
    assert_eq!(found.len(), points.len());
    let (mut distance_m, mut last_m) = (0, 0);
    for ((second, point), (dev_ms, reading)) in points.iter().zip(found) {
        assert_eq!(second * 1000, START_MS + dev_ms);
        distance_m += i64::from(point.distance_m);
        last_m = reading.get(Field::Distance).map_or(last_m, i64::from);
        assert_eq!(last_m, distance_m);
        for field in [Field::Speed, Field::Power, Field::HeartRate] {
            assert_eq!(reading.get(field), point.reading.get(field), "{field:?} at {second}");
        }
        if fit {
            assert_eq!(reading.get(Field::Incline), point.reading.get(Field::Incline));
            assert_eq!(reading.get(Field::Resistance), point.reading.get(Field::Resistance));
            let turns = |reading: &Reading| reading.get(Field::Cadence).or(reading.get(Field::StrokeRate));
            assert_eq!(turns(reading), turns(&point.reading));
        }
    }
    assert_eq!(last_m, workout.totals.distance_m);
    // What is added up from the file is what was sealed.
    let mut boot = BootTotals::default();
    found.iter().for_each(|(dev_ms, reading)| boot.reading(*dev_ms, reading));
    let mut totals = protocol::frame::Totals::default();
    boot.add_to(&mut totals, true);
    assert_eq!((totals.distance_m, totals.energy_kcal), (workout.totals.distance_m, workout.totals.energy_kcal));
    assert_eq!((totals.power_sum_w, totals.power_count), (workout.totals.power_sum_w, workout.totals.power_count));
    assert_eq!(totals.heart_rate_sum_bpm, workout.totals.heart_rate_sum_bpm);
}

#[test]
fn a_workout_without_a_reading_is_a_file_too() {
    let workout = Workout { timeline: Timeline::default(), machines: Vec::new(), ..training() };
    let file = read(&workout.to_fit().unwrap()).unwrap();
    assert_eq!((file.sport, file.readings.len(), file.sets.len()), (Sport::Strength, 0, 2));
    assert_eq!(read(workout.to_tcx().as_bytes()), Err(ReadError::NotAnActivity("no reading and no set in it")));
}

#[test]
fn what_is_not_an_activity_is_said_to_be_none() {
    let fit = training().to_fit().unwrap();
    for (bytes, why) in [
        (&b""[..], "empty"),
        (b"PK\x03\x04zip", "a zip"),
        (b"<html><body/></html>", "a page"),
        (b"<!DOCTYPE TrainingCenterDatabase [<!ENTITY a \"b\">]><TrainingCenterDatabase/>", "a document type"),
        (b"<TrainingCenterDatabase><Activities><Activity>&lol;</Activity></Activities></TrainingCenterDatabase>", "an entity"),
        (b"<TrainingCenterDatabase></TrainingCenterDatabase>", "nothing in it"),
    ] {
        assert!(matches!(read(bytes), Err(ReadError::NotAnActivity(_))), "{why}: {:?}", read(bytes));
    }
    for cut in [15, 100, fit.len() - 1] {
        assert_eq!(read(&fit[..cut]), Err(ReadError::Truncated), "cut at {cut}");
    }
    let mut changed = fit.clone();
    let middle = fit.len() / 2;
    changed[middle] ^= 1;
    assert!(matches!(read(&changed), Err(ReadError::Checksum { .. } | ReadError::Damaged(_) | ReadError::Truncated)));
    let tcx = training().to_tcx();
    assert!(matches!(read(&tcx.as_bytes()[..tcx.len() - 40]), Err(ReadError::Truncated | ReadError::Damaged(_))));
    let deep = format!("<TrainingCenterDatabase>{}", "<a>".repeat(100_000));
    assert_eq!(read(deep.as_bytes()), Err(ReadError::TooMuch("elements within each other")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The checksum is made right again, so that the decoder behind it is reached.
    #[test]
    fn no_change_of_a_fit_file_makes_the_reader_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = SHORT.0.clone();
        let end = bytes.len() - 2;
        for (place, value) in changes {
            bytes[14 + place.index(end - 14)] = value;
        }
        let crc = crc(&bytes[14..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&crc);
        if let Ok(file) = read(&bytes) {
            prop_assert!(file.readings.iter().all(|(_, reading)| reading.out_of_bounds().is_none()));
        }
    }

    #[test]
    fn no_change_of_a_tcx_document_makes_the_reader_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = SHORT.1.clone();
        for (place, value) in changes {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(file) = read(&bytes) {
            prop_assert!(file.readings.iter().all(|(_, reading)| reading.out_of_bounds().is_none()));
        }
    }
}

/// A short workout as FIT and TCX.
static SHORT: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let workout = short();
    (workout.to_fit().unwrap(), workout.to_tcx().into_bytes())
});

fn short() -> Workout {
    let mut timeline = Timeline::default();
    for second in 0..20 {
        let said = reading(&[(Field::Power, 150), (Field::HeartRate, 120), (Field::Distance, second * 5), (Field::Speed, 1_800)]);
        let origin = Origin { source: 1, boot: 1, machine: Some(0), counts: true };
        timeline.add(origin, START_MS + i64::from(second) * 1000, &said).unwrap();
    }
    Workout { timeline, ..training() }
}

/// The CRC of FIT files: 16 bits, reflected 0x8005.
fn crc(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }))
}

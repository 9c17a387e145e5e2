//! What goes in comes out, in order, within its bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::Field;

use super::*;

const UTC: i64 = 1_763_700_000_000;

fn reading(fields: &[(Field, i32)]) -> Reading {
    let mut reading = Reading::new();
    for &(field, value) in fields {
        reading.set(field, value);
    }
    reading
}

/// Rows of one source as a chart would draw them.
fn rows(ring: &Ring, source: u16) -> Vec<Row> {
    let of_source = ring.unpack().into_iter().filter(|columns| columns.source == source);
    let mut rows: Vec<Row> = of_source.flat_map(|columns| columns.columns.unpack().expect("columns make rows")).collect();
    rows.sort_by_key(|row| row.0);
    rows
}

/// A bike and a strap at 1 Hz, six fields and one, with the jitter that notifications have.
fn ride(second: u32) -> (Reading, Reading, i64) {
    let wave = (f64::from(second) / 17.0).sin();
    let noise = (second * 7_919 % 61) as i32 - 30;
    let bike = reading(&[
        (Field::Speed, 3_000 + (wave * 300.0) as i32 + noise),
        (Field::Cadence, 170 + (wave * 10.0) as i32),
        (Field::Power, 200 + (wave * 80.0) as i32 + noise),
        (Field::Distance, (second * 8) as i32),
        (Field::Energy, (second / 5) as i32),
        (Field::Elapsed, second as i32),
    ]);
    let strap = reading(&[(Field::HeartRate, 130 + (wave * 20.0) as i32)]);
    (bike, strap, i64::from(second) * 1_000 + i64::from(second * 104_729 % 97) - 48)
}

#[test]
fn a_quarter_of_an_hour_of_two_sources_fits() {
    let mut ring = Ring::default();
    for second in 1..=1_200 {
        let (bike, strap, dev_ms) = ride(second);
        let now = UTC + dev_ms;
        ring.push(0, second, dev_ms, UTC, &bike, now);
        ring.push(1, second, dev_ms, UTC, &strap, now);
        ring.expire(now);
    }
    for source in 0..2 {
        let rows = rows(&ring, source);
        assert!(rows.len() >= 900, "source {source}: {} rows in {} bytes", rows.len(), ring.bytes());
        assert!(rows.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    }
    assert!(ring.bytes() <= RING_BYTES_MAX, "{} bytes", ring.bytes());
}

#[test]
fn a_gap_is_filled_by_backfill_while_live_goes_on() {
    let mut ring = Ring::default();
    let push = |ring: &mut Ring, second: u32| {
        let (bike, _, dev_ms) = ride(second);
        ring.push(0, second, dev_ms, UTC, &bike, UTC + 700_000);
    };
    (1..=100).for_each(|second| push(&mut ring, second));
    for second in 400..=500 {
        push(&mut ring, second);
        push(&mut ring, second - 299);
        push(&mut ring, 700 - second);
    }
    (202..400).for_each(|second| push(&mut ring, second));
    let rows = rows(&ring, 0);
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), (1..=500).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.2 == ride(row.0).0 && row.1 == ride(row.0).2));
}

#[test]
fn what_is_older_than_a_quarter_of_an_hour_is_forgotten_and_not_taken() {
    let mut ring = Ring::default();
    let power = reading(&[(Field::Power, 1)]);
    ring.push(0, 1, 0, UTC, &power, UTC);
    ring.push(0, 2, 1_000, UTC, &power, UTC + RING_MS + 1_001);
    assert_eq!(rows(&ring, 0).len(), 1);
    ring.expire(UTC + RING_MS + 1);
    assert_eq!((rows(&ring, 0).len(), ring.bytes()), (0, 0));
}

#[test]
fn rr_intervals_are_left_out_and_the_rate_is_kept() {
    let mut ring = Ring::default();
    let mut beat = reading(&[(Field::HeartRate, 140)]);
    beat.set_rr(&[800, 810]);
    ring.push(0, 1, 0, UTC, &beat, UTC);
    assert_eq!(rows(&ring, 0)[0].2, reading(&[(Field::HeartRate, 140)]));
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let value = prop_oneof![3 => -200_i32..200, 1 => any::<i32>()];
    prop::collection::vec((0_usize..31, value), 1..8).prop_map(|fields| {
        let mut reading = Reading::new();
        fields.into_iter().for_each(|(at, value)| reading.set(Field::ALL[at], value));
        reading
    })
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_once_in_order(
        pushed in prop::collection::vec((0_u16..3, 1_u32..200, 0_i64..800_000, prop_oneof![Just(UTC), Just(UTC + 200), Just(UTC + 5_000)], any_reading()), 1..120),
    ) {
        let mut ring = Ring::default();
        let mut expected = BTreeMap::<(u16, u32), (i64, Reading)>::new();
        for (source, seq, dev_ms, offset_ms, reading) in pushed {
            ring.push(source, seq, dev_ms, offset_ms, &reading, UTC + 800_000);
            expected.entry((source, seq)).or_insert((dev_ms, reading));
        }
        prop_assume!(ring.bytes() < RING_BYTES_MAX - 2 * CHUNK_BYTES_MAX);
        let mut found = Vec::new();
        for columns in ring.unpack() {
            let rows = columns.columns.unpack().expect("columns make rows");
            prop_assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order of seq");
            found.extend(rows.into_iter().map(|(seq, dev_ms, reading)| ((columns.source, seq), (dev_ms, reading))));
        }
        found.sort_by_key(|row| row.0);
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_input_makes_it_larger_than_its_bound(
        pushed in prop::collection::vec((any::<u16>(), 1_u32.., any::<i64>(), any::<i64>(), any_reading()), 1..400),
    ) {
        let mut ring = Ring::default();
        for (source, seq, dev_ms, offset_ms, reading) in pushed {
            ring.push(source, seq, dev_ms, offset_ms, &reading, i64::MIN);
            prop_assert!(ring.bytes() <= RING_BYTES_MAX);
            prop_assert_eq!(ring.bytes(), ring.chunks.iter().map(Chunk::size).sum::<usize>());
        }
    }
}

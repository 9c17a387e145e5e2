//! A file of a real device, held against what another decoder read of them.

use activity::{Sport, read};
use protocol::Field;

#[test]
fn an_indoor_ride_of_an_edge_530_is_what_another_decoder_read() {
    let file = read(include_bytes!("data/edge530.fit")).unwrap();
    assert_eq!(file.sport, Sport::Cycling);
    let recording = std::fs::read_to_string("../loadtest/workouts/bike_edge530.jsonl").unwrap();
    let wanted: Vec<serde_json::Value> = recording.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(file.readings.len(), wanted.len());
    for ((dev_ms, reading), want) in file.readings.iter().zip(&wanted) {
        assert_eq!(Some(*dev_ms), want["t"].as_i64());
        let number = |name: &str| want[name].as_f64();
        let told = |field: Field| reading.get(field).map(f64::from);
        assert_eq!(told(Field::HeartRate), number("hr"), "{want}");
        assert_eq!(told(Field::Power), number("w"), "{want}");
        assert_eq!(told(Field::Cadence), number("cad").map(|cadence| cadence * 2.0), "{want}");
        assert_eq!(told(Field::Distance), number("dist_m").map(f64::floor), "{want}");
        assert_eq!(told(Field::Speed), number("spd_mps").map(|speed| (speed * 360.0).round()), "{want}");
    }
}

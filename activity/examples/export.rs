//! Writes a recording (JSON lines, as in `loadtest/workouts`) as a FIT or TCX file, for other readers to look at.
//!
//!   cargo run -p activity --example export -- RECORDING.jsonl OUT.fit

#![expect(clippy::unwrap_used, reason = "a tool for tests: what does not read ends it")]

use activity::{Device, Origin, Timeline, Workout};
use protocol::frame::{MachineKind, SetDetail, Totals};
use protocol::totals::BootTotals;
use protocol::{Field, Reading, WorkoutId};

const START_MS: i64 = 1_795_268_700_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, from, to] = arguments.as_slice() else { panic!("RECORDING.jsonl OUT.fit") };
    let text = std::fs::read_to_string(from).unwrap();
    let (mut timeline, mut boot, mut last_ms) = (Timeline::default(), BootTotals::default(), 0);
    for line in text.lines().skip(1) {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let mut reading = Reading::new();
        let fields = [
            ("hr", Field::HeartRate, 1.0),
            ("w", Field::Power, 1.0),
            ("cad", Field::Cadence, 2.0),
            ("spd_mps", Field::Speed, 360.0),
            ("dist_m", Field::Distance, 1.0),
        ];
        for (name, field, scale) in fields {
            let value = record[name].as_f64().map(|value| (value * scale).round() as i32);
            if let Some(value) = value.filter(|value| field != Field::HeartRate || *value > 0) {
                reading.set(field, value);
            }
        }
        last_ms = record["t"].as_i64().unwrap();
        let origin = Origin { source: 0, boot: 1, machine: Some(0), counts: true };
        timeline.add(origin, START_MS + last_ms, &reading).unwrap();
        boot.reading(last_ms, &reading);
    }
    let mut totals = Totals::default();
    boot.add_to(&mut totals, true);
    let set = SetDetail { set: 1, exercise: None, target_reps: 0, reps: 8, load_hg: 825, seconds: 30, rest_s: 0, tempo: None, note: None };
    let workout = Workout {
        workout: WorkoutId("0190a000-0000-7000-8000-00000000beef".parse().unwrap()),
        started_at_ms: START_MS,
        ended_at_ms: Some(START_MS + last_ms),
        sport: None,
        totals,
        machines: vec![Device::new("Bike 4", MachineKind::Bike)],
        timeline,
        sets: vec![activity::SetDone { at_ms: START_MS + last_ms, set }],
    };
    let bytes = if to.ends_with(".tcx") { workout.to_tcx().into_bytes() } else { workout.to_fit().unwrap() };
    std::fs::write(to, bytes).unwrap();
}

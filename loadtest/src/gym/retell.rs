//! A ride told by a machine of another kind: the shipped workouts are rides, and nobody runs 27 km/h.
//!
//! In: a stretch of a ride and the kind of the machine that shall play it. Out: the same effort, heart and rhythm at the speed, distance and rate
//! that a rower or a treadmill would show. For the demo only: `replay` sends what was recorded.

use protocol::frame::MachineKind;

use crate::workout::Workout;

/// Pedal turns to strokes: 85 rpm become 27 strokes a minute.
const TURNS_PER_STROKE: f64 = 3.2;
/// Riding to running: 27 km/h become 10.
const RIDE_PER_RUN: f64 = 2.7;
/// Watts of a rowing ergometer at 1 m/s; they grow with the cube of the speed (Concept2's own formula).
const ROWER_W: f64 = 2.8;

/// The stretch as a machine of this kind would have recorded it.
pub(super) fn retell(mut workout: Workout, kind: MachineKind) -> Workout {
    let mut rowed_m = 0.0;
    let mut before_ms = workout.records.first().map_or(0, |record| record.t);
    for record in &mut workout.records {
        match kind {
            MachineKind::Rower => {
                record.cad = record.cad.map(|cadence| (cadence / TURNS_PER_STROKE).round());
                record.spd_mps = record.w.map(|watts| (watts.max(0.0) / ROWER_W).cbrt());
                rowed_m += record.spd_mps.unwrap_or(0.0) * (record.t - before_ms) as f64 / 1_000.0;
                record.dist_m = Some(rowed_m);
            }
            MachineKind::Treadmill => {
                record.spd_mps = record.spd_mps.map(|speed| speed / RIDE_PER_RUN);
                record.dist_m = record.dist_m.map(|metres| metres / RIDE_PER_RUN);
            }
            _ => {}
        }
        before_ms = record.t;
    }
    workout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ride_rowed_has_a_stroke_rate_and_a_pace_that_people_row() {
        for workout in Workout::shipped() {
            let rowed = retell(workout.clone(), MachineKind::Rower);
            assert_eq!(rowed.records.len(), workout.records.len());
            assert!(rowed.records.iter().filter_map(|record| record.cad).all(|rate| rate <= 60.0));
            assert!(rowed.records.iter().filter_map(|record| record.spd_mps).all(|speed| speed < 8.0));
            assert!(rowed.records.windows(2).all(|pair| pair[0].dist_m <= pair[1].dist_m));
        }
    }
}

//! When each room is due: the same beat for all servers.
//!
//! Rooms share the period in steps, so that a thousand of them make small bursts instead of one large one; few rooms beat together.

use std::time::Duration;

/// Parts of a period among which many rooms are spread.
const STEPS: usize = 20;

/// So many rooms, each so often.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    rooms: usize,
    hz: f64,
    steps: usize,
}

impl Pace {
    /// `rooms` rooms, `hz` times a second each.
    #[must_use]
    pub const fn new(rooms: usize, hz: f64) -> Self {
        Self { rooms, hz, steps: if rooms >= STEPS { STEPS } else { 1 } }
    }

    /// From one step to the next.
    #[must_use]
    pub fn pause(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.hz / self.steps as f64)
    }

    /// The rooms of a step.
    pub fn turn(&self, step: usize) -> impl Iterator<Item = usize> + use<> {
        (step % self.steps..self.rooms).step_by(self.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_room_has_one_turn_in_a_period() {
        for rooms in [1, 19, 20, 250, 1_000] {
            let pace = Pace::new(rooms, 4.0);
            let steps = (0.25 / pace.pause().as_secs_f64()).round() as usize;
            let mut turns: Vec<usize> = (0..steps).flat_map(|step| pace.turn(step)).collect();
            turns.sort_unstable();
            assert_eq!(turns, (0..rooms).collect::<Vec<_>>());
        }
    }
}

//! Points and achievements of a workout.
//!
//! In: totals as they grow. Out: awards, each with the cause that its event id is derived from, so that the same progress told twice, after
//! a restart or at sealing, makes the same event and the store refuses the second. Achievements are earned once in a member's life;
//! the member's record says which were.

use protocol::frame::Totals;
use protocol::text::Text;

/// Steps of one ladder given in one go: whatever a machine claims, a frame storm it makes not.
const STEPS_AT_ONCE: i64 = 50;

/// Points each time a total passes another step.
struct Ladder {
    name: &'static str,
    value: fn(&Totals) -> i64,
    every: i64,
    points: u32,
    /// What one step is called, and how many of it.
    unit: (&'static str, i64),
}

const LADDERS: [Ladder; 4] = [
    Ladder { name: "distance", value: |totals| totals.distance_m, every: 1_000, points: 10, unit: ("km", 1) },
    Ladder { name: "energy", value: |totals| totals.energy_kcal, every: 100, points: 5, unit: ("kcal", 100) },
    Ladder { name: "reps", value: |totals| totals.reps as i64, every: 10, points: 2, unit: ("reps", 10) },
    Ladder { name: "sets", value: |totals| totals.sets as i64, every: 1, points: 3, unit: ("sets", 1) },
];

/// Earned once, when a total of one workout reaches this much.
struct Achievement {
    name: &'static str,
    value: fn(&Totals) -> i64,
    from: i64,
}

const ACHIEVEMENTS: [Achievement; 5] = [
    Achievement { name: "first_5_km", value: |totals| totals.distance_m, from: 5_000 },
    Achievement { name: "first_10_km", value: |totals| totals.distance_m, from: 10_000 },
    Achievement { name: "first_half_marathon", value: |totals| totals.distance_m, from: 21_098 },
    Achievement { name: "first_100_reps", value: |totals| totals.reps as i64, from: 100 },
    Achievement { name: "first_1000_strokes", value: |totals| totals.strokes as i64, from: 1_000 },
];

/// Something earned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Award {
    /// Points, for the `step`-th time on a ladder.
    Points { ladder: &'static str, step: i64, points: u32, reason: Text<64> },
    /// An achievement.
    Achievement { name: Text<64> },
}

/// What a workout has earned.
#[derive(Debug, Clone)]
pub(super) struct Points {
    total: u32,
    given: [i64; LADDERS.len()],
    achieved: Vec<Text<64>>,
}

impl Points {
    /// Nothing yet, of a member who has these achievements.
    pub(super) fn new(achieved: Vec<Text<64>>) -> Self {
        Self { total: 0, given: [0; LADDERS.len()], achieved }
    }

    /// The member has these too.
    pub(super) fn know(&mut self, achieved: &[Text<64>]) {
        let new: Vec<_> = achieved.iter().filter(|name| !self.achieved.contains(name)).cloned().collect();
        self.achieved.extend(new);
    }

    pub(super) const fn total(&self) -> u32 {
        self.total
    }

    /// Gives what these totals have earned and was not given before.
    pub(super) fn earn(&mut self, totals: &Totals, mut give: impl FnMut(Award)) {
        for (ladder, given) in LADDERS.iter().zip(&mut self.given) {
            let reached = (ladder.value)(totals) / ladder.every;
            for step in *given + 1..=reached.min(*given + STEPS_AT_ONCE) {
                *given = step;
                self.total = self.total.saturating_add(ladder.points);
                let reason = Text::cut(&format!("{} {}", step * ladder.unit.1, ladder.unit.0));
                give(Award::Points { ladder: ladder.name, step, points: ladder.points, reason });
            }
        }
        for achievement in ACHIEVEMENTS.iter().filter(|achievement| (achievement.value)(totals) >= achievement.from) {
            if !self.achieved.iter().any(|name| name.as_str() == achievement.name) {
                let name = Text::cut(achievement.name);
                self.achieved.push(name.clone());
                give(Award::Achievement { name });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earned(points: &mut Points, totals: Totals) -> Vec<Award> {
        let mut awards = Vec::new();
        points.earn(&totals, |award| awards.push(award));
        awards
    }

    #[test]
    fn each_kilometre_earns_once_however_often_it_is_told() {
        let mut points = Points::new(Vec::new());
        assert_eq!(earned(&mut points, Totals { distance_m: 999, ..Totals::default() }), []);
        let third = earned(&mut points, Totals { distance_m: 3_100, ..Totals::default() });
        assert_eq!(third.len(), 3);
        assert_eq!(third[2], Award::Points { ladder: "distance", step: 3, points: 10, reason: Text::cut("3 km") });
        assert_eq!(earned(&mut points, Totals { distance_m: 3_100, ..Totals::default() }), []);
        assert_eq!(points.total(), 30);
    }

    #[test]
    fn an_achievement_is_earned_once_in_a_life() {
        let mut points = Points::new(vec![Text::cut("first_5_km")]);
        let awards = earned(&mut points, Totals { distance_m: 10_000, ..Totals::default() });
        let names: Vec<_> = awards.into_iter().filter(|award| matches!(award, Award::Achievement { .. })).collect();
        assert_eq!(names, [Award::Achievement { name: Text::cut("first_10_km") }]);
    }

    #[test]
    fn a_machine_that_claims_the_moon_makes_no_storm() {
        let mut points = Points::new(Vec::new());
        assert!(earned(&mut points, Totals { distance_m: 384_400_000, ..Totals::default() }).len() < 60);
    }
}

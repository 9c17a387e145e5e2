//! Kinds of training, and what FIT and TCX call them.

use protocol::frame::MachineKind;
use rustyfit::profile::typedef;

/// What a stretch of training was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sport {
    /// On a treadmill or outside.
    Running,
    /// Slower than running.
    Walking,
    /// On a bike.
    Cycling,
    /// On a rower or in a boat.
    Rowing,
    /// On a cross trainer.
    Elliptical,
    /// On stairs that move.
    Stairs,
    /// With weights.
    Strength,
    /// Anything else, or several of these.
    Other,
}

const ALL: [(Sport, &str); 8] = [
    (Sport::Running, "running"),
    (Sport::Walking, "walking"),
    (Sport::Cycling, "cycling"),
    (Sport::Rowing, "rowing"),
    (Sport::Elliptical, "elliptical"),
    (Sport::Stairs, "stairs"),
    (Sport::Strength, "strength"),
    (Sport::Other, "other"),
];

impl Sport {
    /// One word, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL.into_iter().find(|(sport, _)| *sport == self).map_or("other", |(_, name)| name)
    }

    /// The sport of a word; anything unknown is [`Sport::Other`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        ALL.into_iter().find(|(_, known)| *known == name).map_or(Self::Other, |(sport, _)| sport)
    }

    /// What is done on a machine of a kind.
    #[must_use]
    pub const fn of_machine(kind: MachineKind) -> Self {
        match kind {
            MachineKind::Treadmill => Self::Running,
            MachineKind::CrossTrainer => Self::Elliptical,
            MachineKind::StepClimber | MachineKind::StairClimber => Self::Stairs,
            MachineKind::Rower => Self::Rowing,
            MachineKind::Bike => Self::Cycling,
            MachineKind::Strength => Self::Strength,
            MachineKind::Functional | MachineKind::Other => Self::Other,
        }
    }

    /// The sport of all of them where they agree.
    #[must_use]
    pub fn of_all(sports: impl IntoIterator<Item = Self>) -> Self {
        let mut sports = sports.into_iter();
        let Some(first) = sports.next() else { return Self::Other };
        if sports.all(|sport| sport == first) { first } else { Self::Other }
    }

    /// Sport and sub sport in FIT; in a gym everything is indoors.
    pub(crate) const fn to_fit(self) -> (typedef::Sport, typedef::SubSport) {
        match self {
            Self::Running => (typedef::Sport::RUNNING, typedef::SubSport::TREADMILL),
            Self::Walking => (typedef::Sport::WALKING, typedef::SubSport::INDOOR_WALKING),
            Self::Cycling => (typedef::Sport::CYCLING, typedef::SubSport::INDOOR_CYCLING),
            Self::Rowing => (typedef::Sport::ROWING, typedef::SubSport::INDOOR_ROWING),
            Self::Elliptical => (typedef::Sport::FITNESS_EQUIPMENT, typedef::SubSport::ELLIPTICAL),
            Self::Stairs => (typedef::Sport::FITNESS_EQUIPMENT, typedef::SubSport::STAIR_CLIMBING),
            Self::Strength => (typedef::Sport::TRAINING, typedef::SubSport::STRENGTH_TRAINING),
            Self::Other => (typedef::Sport::FITNESS_EQUIPMENT, typedef::SubSport::GENERIC),
        }
    }

    pub(crate) const fn from_fit(sport: u8, sub_sport: u8) -> Self {
        match (typedef::Sport(sport), typedef::SubSport(sub_sport)) {
            (_, typedef::SubSport::STRENGTH_TRAINING) => Self::Strength,
            (_, typedef::SubSport::ELLIPTICAL) => Self::Elliptical,
            (_, typedef::SubSport::STAIR_CLIMBING) => Self::Stairs,
            (_, typedef::SubSport::INDOOR_ROWING) | (typedef::Sport::ROWING, _) => Self::Rowing,
            (typedef::Sport::RUNNING, _) => Self::Running,
            (typedef::Sport::WALKING | typedef::Sport::HIKING, _) => Self::Walking,
            (typedef::Sport::CYCLING | typedef::Sport::E_BIKING, _) => Self::Cycling,
            _ => Self::Other,
        }
    }

    /// TCX knows three.
    pub(crate) const fn to_tcx(self) -> &'static str {
        match self {
            Self::Running | Self::Walking => "Running",
            Self::Cycling => "Biking",
            Self::Rowing | Self::Elliptical | Self::Stairs | Self::Strength | Self::Other => "Other",
        }
    }

    pub(crate) fn from_tcx(word: &str) -> Self {
        match word {
            "Running" => Self::Running,
            "Biking" => Self::Cycling,
            _ => Self::Other,
        }
    }

    /// Whether a cadence counts steps: files then say strides, half as many.
    pub(crate) const fn on_foot(self) -> bool {
        matches!(self, Self::Running | Self::Walking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sport_comes_back_from_fit_and_from_its_word() {
        for (sport, name) in ALL {
            let (fit, sub) = sport.to_fit();
            assert_eq!((Sport::from_fit(fit.0, sub.0), Sport::from_name(name), sport.name()), (sport, sport, name));
        }
    }
}

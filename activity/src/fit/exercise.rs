//! Names of exercises as the categories of FIT, by the words in them.

use rustyfit::profile::typedef::ExerciseCategory;

/// The first whose word is in the name; longer words stand before those that are part of them.
const WORDS: &[(&str, ExerciseCategory)] = &[
    ("bench press", ExerciseCategory::BENCH_PRESS),
    ("chest press", ExerciseCategory::BENCH_PRESS),
    ("shoulder press", ExerciseCategory::SHOULDER_PRESS),
    ("overhead press", ExerciseCategory::SHOULDER_PRESS),
    ("calf", ExerciseCategory::CALF_RAISE),
    ("carry", ExerciseCategory::CARRY),
    ("crunch", ExerciseCategory::CRUNCH),
    ("leg curl", ExerciseCategory::LEG_CURL),
    ("curl", ExerciseCategory::CURL),
    ("deadlift", ExerciseCategory::DEADLIFT),
    ("fly", ExerciseCategory::FLYE),
    ("hip thrust", ExerciseCategory::HIP_RAISE),
    ("lateral raise", ExerciseCategory::LATERAL_RAISE),
    ("leg raise", ExerciseCategory::LEG_RAISE),
    ("lunge", ExerciseCategory::LUNGE),
    ("clean", ExerciseCategory::OLYMPIC_LIFT),
    ("snatch", ExerciseCategory::OLYMPIC_LIFT),
    ("plank", ExerciseCategory::PLANK),
    ("pull up", ExerciseCategory::PULL_UP),
    ("pulldown", ExerciseCategory::PULL_UP),
    ("push up", ExerciseCategory::PUSH_UP),
    ("row", ExerciseCategory::ROW),
    ("shrug", ExerciseCategory::SHRUG),
    ("sit up", ExerciseCategory::SIT_UP),
    ("squat", ExerciseCategory::SQUAT),
    ("leg press", ExerciseCategory::SQUAT),
    ("triceps", ExerciseCategory::TRICEPS_EXTENSION),
];

/// The category of an exercise; what nobody knows is `UNKNOWN`.
pub(super) fn category(name: Option<&str>) -> ExerciseCategory {
    let plain: String = name.unwrap_or_default().to_lowercase().chars().map(|c| if c == '_' || c == '-' { ' ' } else { c }).collect();
    WORDS.iter().find(|(word, _)| plain.contains(word)).map_or(ExerciseCategory::UNKNOWN, |(_, category)| *category)
}

/// The word of a category, where it has one.
pub(super) fn name(category: u16) -> Option<&'static str> {
    WORDS.iter().find(|(_, known)| known.0 == category).map(|(word, _)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_found_by_the_words_of_its_name() {
        assert_eq!(category(Some("Barbell Bench-Press")), ExerciseCategory::BENCH_PRESS);
        assert_eq!(category(Some("seated_leg_curl")), ExerciseCategory::LEG_CURL);
        assert_eq!((category(Some("yodelling")), category(None)), (ExerciseCategory::UNKNOWN, ExerciseCategory::UNKNOWN));
        assert_eq!((name(ExerciseCategory::SQUAT.0), name(4_000)), (Some("squat"), None));
    }
}

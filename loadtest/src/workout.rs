//! Recorded workouts as JSON lines, and what a machine would have said during them.
//!
//! In: a file whose first line is about it and whose other lines are records `{"t", "hr", "w", "cad", "spd_mps", "dist_m"}`, `t` in
//! milliseconds, all else optional. Out: a [`Reading`] per record in FTMS units for a kind of machine. Pure but for [`Workout::read`].

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use protocol::frame::MachineKind;
use protocol::{Field, Reading};
use serde::Deserialize;

/// One recorded second.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Record {
    /// Since the start, milliseconds.
    pub t: i64,
    /// Heart rate, beats a minute.
    #[serde(default)]
    pub hr: Option<f64>,
    /// Power, watts.
    #[serde(default)]
    pub w: Option<f64>,
    /// Cadence or stroke rate, a minute.
    #[serde(default)]
    pub cad: Option<f64>,
    /// Speed, m/s.
    #[serde(default)]
    pub spd_mps: Option<f64>,
    /// Distance, metres.
    #[serde(default)]
    pub dist_m: Option<f64>,
}

/// A recorded workout.
#[derive(Debug, Clone, PartialEq)]
pub struct Workout {
    /// File name without its ending.
    pub name: String,
    /// Records in order of time.
    pub records: Vec<Record>,
}

impl Workout {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, a line is no record, or time runs backwards; the line is named.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("could not read the workout {}", path.display()))?;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Self::parse(name, &text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As [`Workout::read`].
    pub fn parse(name: String, text: &str) -> anyhow::Result<Self> {
        let mut records: Vec<Record> = Vec::new();
        for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
            let record: Record = serde_json::from_str(line).with_context(|| format!("line {} of {name}", number + 1))?;
            ensure!(records.last().is_none_or(|last| last.t < record.t), "line {} of {name}: time does not go on", number + 1);
            records.push(record);
        }
        ensure!(!records.is_empty(), "{name} has no records");
        Ok(Self { name, records })
    }

    /// Reads files, and every `*.jsonl` of folders, in order of their names.
    ///
    /// # Errors
    /// As [`Workout::read`], and where there is none.
    pub fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                let entries = std::fs::read_dir(path).with_context(|| format!("could not list {}", path.display()))?;
                let mut found: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
                found.retain(|file| file.extension().is_some_and(|ending| ending == "jsonl"));
                found.sort();
                files.extend(found);
            } else {
                files.push(path.clone());
            }
        }
        ensure!(!files.is_empty(), "no workouts: give files or folders with *.jsonl");
        files.iter().map(|file| Self::read(file)).collect()
    }

    /// The workouts that ship with the house; credits in `loadtest/workouts/README.md`.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        [
            ("bike_edge530", include_str!("../workouts/bike_edge530.jsonl")),
            ("bike_wattbike", include_str!("../workouts/bike_wattbike.jsonl")),
            ("ride_edge1000", include_str!("../workouts/ride_edge1000.jsonl")),
            ("run_m400", include_str!("../workouts/run_m400.jsonl")),
        ]
        .into_iter()
        .map(|(name, text)| Self::parse(name.to_owned(), text).expect("shipped workouts are read by a test"))
        .collect()
    }

    /// The first `count` records.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self { name: self.name.clone(), records: self.records[..count.min(self.records.len())].to_vec() }
    }

    /// So many records: the first ones, and all over again after the last where it has fewer.
    #[must_use]
    pub fn lasting(&self, count: usize) -> Self {
        let round_ms = self.duration_ms() + 1_000;
        let again = |at: usize| Record {
            t: self.records[at % self.records.len()].t + (at / self.records.len()) as i64 * round_ms,
            ..self.records[at % self.records.len()]
        };
        Self { name: self.name.clone(), records: (0..count).map(again).collect() }
    }

    /// The same under another name, as another kind of machine would have recorded it.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), records: self.records.clone() }
    }

    /// The kind of machine that the name speaks of; a bike where it does not say.
    #[must_use]
    pub fn kind(&self) -> MachineKind {
        if self.name.contains("lift") {
            MachineKind::Strength
        } else if self.name.contains("row") {
            MachineKind::Rower
        } else if self.name.contains("run") {
            MachineKind::Treadmill
        } else {
            MachineKind::Bike
        }
    }

    /// From the first to the last record.
    #[must_use]
    pub fn duration_ms(&self) -> i64 {
        self.records.last().map_or(0, |last| last.t) - self.records.first().map_or(0, |first| first.t)
    }

    /// What a machine of this kind says at record `index`.
    ///
    /// Strokes and steps are counted from the cadence, since the recordings do not have them.
    #[must_use]
    pub fn reading(&self, index: usize, kind: MachineKind) -> Reading {
        let record = &self.records[index];
        let mut reading = Reading::new();
        let mut put = |field: Field, value: Option<f64>| {
            let (low, high) = field.bounds();
            if let Some(value) = value.filter(|value| value.is_finite()) {
                reading.set(field, (value.round() as i64).clamp(low.into(), high.into()) as i32);
            }
        };
        put(Field::HeartRate, record.hr.filter(|bpm| *bpm >= 1.0));
        put(Field::Distance, record.dist_m.map(|metres| metres.min(f64::from((1 << 24) - 1))));
        put(Field::Elapsed, Some((record.t as f64 / 1_000.0).floor().min(65_535.0)));
        match kind {
            MachineKind::Rower => {
                put(Field::Power, record.w);
                put(Field::StrokeRate, record.cad.map(|cadence| (cadence * 2.0).min(254.0)));
                put(Field::Strokes, record.cad.map(|_| self.turns(index).rem_euclid(65_536.0).floor()));
                let pace = record.spd_mps.filter(|speed| *speed > 0.1).map(|speed| (500.0 / speed).min(65_534.0));
                put(Field::Pace, pace);
            }
            MachineKind::Treadmill => {
                put(Field::Speed, record.spd_mps.map(|speed| speed * 360.0));
                put(Field::Energy, Some(self.energy_kcal(index)));
            }
            MachineKind::CrossTrainer => {
                put(Field::Power, record.w);
                put(Field::Speed, record.spd_mps.map(|speed| speed * 360.0));
                put(Field::StepRate, record.cad);
            }
            _ => {
                put(Field::Power, record.w);
                put(Field::Speed, record.spd_mps.map(|speed| speed * 360.0));
                put(Field::Cadence, record.cad.map(|cadence| cadence * 2.0));
            }
        }
        reading
    }

    /// Turns, strokes or steps up to a record.
    fn turns(&self, index: usize) -> f64 {
        let until = &self.records[..=index];
        until.windows(2).map(|pair| pair[0].cad.unwrap_or(0.0) * (pair[1].t - pair[0].t) as f64 / 60_000.0).sum()
    }

    /// A rough count as consoles make it: 1 kcal a kg and km at 75 kg.
    fn energy_kcal(&self, index: usize) -> f64 {
        (self.records[index].dist_m.unwrap_or(0.0) * 0.075).min(65_534.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workout_that_lasts_longer_begins_again_and_time_goes_on() {
        let workout = Workout::shipped().into_iter().next().unwrap();
        let longer = workout.lasting(workout.records.len() * 2 + 3);
        assert_eq!(longer.records.len(), workout.records.len() * 2 + 3);
        assert!(longer.records.windows(2).all(|pair| pair[0].t < pair[1].t));
        assert_eq!(workout.lasting(5), workout.first(5));
    }

    #[test]
    fn the_shipped_workouts_are_read_and_say_something_possible() {
        for workout in Workout::shipped() {
            assert!(workout.records.len() >= 190, "{}", workout.name);
            for kind in [MachineKind::Bike, MachineKind::Rower, MachineKind::Treadmill, MachineKind::CrossTrainer] {
                for index in (0..workout.records.len()).step_by(37) {
                    let reading = workout.reading(index, kind);
                    assert_eq!(reading.out_of_bounds(), None, "{} {index} {kind:?}", workout.name);
                    assert!(reading.get(Field::HeartRate).is_some_and(|bpm| (40..220).contains(&bpm)), "{} {index}", workout.name);
                }
            }
        }
    }

    #[test]
    fn time_that_runs_backwards_is_refused_by_its_line() {
        let error = Workout::parse("x".to_owned(), "{}\n{\"t\":1000}\n{\"t\":1000}\n").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}

//! A workout as a TCX document: laps with their sums, and one trackpoint a second.

use std::fmt::Write as _;

use protocol::Field;
use quick_xml::escape::escape;

use super::time;
use crate::lap::Lap;
use crate::timeline::Point;
use crate::units;
use crate::workout::Workout;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<TrainingCenterDatabase xmlns=\"http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2\" \
xmlns:ax=\"http://www.garmin.com/xmlschemas/ActivityExtension/v2\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">
";

/// Adds text; a String takes everything.
macro_rules! say {
    ($out:expr, $($text:tt)+) => { write!($out, $($text)+).unwrap_or_default() };
}

pub(crate) fn write(workout: &Workout) -> String {
    let (from_s, to_s) = workout.span_s();
    let mut laps = workout.laps();
    if laps.is_empty() {
        laps.push(Lap { from_s, to_s, ..Lap::default() });
    }
    let mut out = String::from(HEAD);
    let id = time::format(from_s * 1000);
    say!(out, "<Activities><Activity Sport=\"{}\"><Id>{id}</Id>\n", workout.sport().to_tcx());
    let mut points = workout.timeline.points().peekable();
    let mut distance_m = 0;
    for (place, lap) in laps.iter().enumerate() {
        let next_s = laps.get(place + 1).map(|next| next.from_s);
        lap_head(&mut out, lap);
        out.push_str("<Track>\n");
        while let Some((second, point)) = points.next_if(|(second, _)| next_s.is_none_or(|next_s| *second < next_s)) {
            trackpoint(&mut out, second, point, &mut distance_m, workout.sport_of(lap.machine).on_foot());
        }
        out.push_str("</Track>");
        lap_tail(&mut out, workout, lap);
    }
    out.push_str("<Creator xsi:type=\"Device_t\"><Name>Spotter</Name><UnitId>0</UnitId><ProductID>1</ProductID>");
    out.push_str("<Version><VersionMajor>0</VersionMajor><VersionMinor>1</VersionMinor></Version></Creator>");
    out.push_str("</Activity></Activities></TrainingCenterDatabase>\n");
    out
}

fn lap_head(out: &mut String, lap: &Lap) {
    let (start, seconds) = (time::format(lap.from_s * 1000), lap.to_s - lap.from_s);
    say!(out, "<Lap StartTime=\"{start}\"><TotalTimeSeconds>{seconds}</TotalTimeSeconds>");
    say!(out, "<DistanceMeters>{}</DistanceMeters>", lap.distance_m);
    if let Some((_, max)) = lap.speed.avg_max() {
        say!(out, "<MaximumSpeed>{}</MaximumSpeed>", metres_per_s(max));
    }
    say!(out, "<Calories>{}</Calories>", lap.energy_kcal.min(u64::from(u16::MAX)));
    if let Some((avg, max)) = lap.heart_rate.avg_max() {
        say!(out, "<AverageHeartRateBpm><Value>{}</Value></AverageHeartRateBpm>", avg.clamp(1, 255));
        say!(out, "<MaximumHeartRateBpm><Value>{}</Value></MaximumHeartRateBpm>", max.clamp(1, 255));
    }
    out.push_str("<Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod>");
}

fn lap_tail(out: &mut String, workout: &Workout, lap: &Lap) {
    if let Some(machine) = lap.machine.and_then(|place| workout.machines.get(usize::from(place))) {
        // A control character is not a character of XML.
        let name: String = machine.name.chars().filter(|c| !c.is_control()).collect();
        say!(out, "<Notes>{}</Notes>", escape(&name));
    }
    if let Some((avg, max)) = lap.power.avg_max() {
        let (avg, max) = (avg.max(0), max.max(0));
        say!(out, "<Extensions><ax:LX><ax:MaxWatts>{max}</ax:MaxWatts><ax:AvgWatts>{avg}</ax:AvgWatts></ax:LX></Extensions>");
    }
    out.push_str("</Lap>\n");
}

fn metres_per_s(centikmh: i32) -> String {
    format!("{:.3}", f64::from(centikmh) / 360.0)
}

fn trackpoint(out: &mut String, second: i64, point: &Point, distance_m: &mut u64, on_foot: bool) {
    let value = |field| point.reading.get(field);
    say!(out, "<Trackpoint><Time>{}</Time>", time::format(second * 1000));
    *distance_m += u64::from(point.distance_m);
    if point.has_distance {
        say!(out, "<DistanceMeters>{distance_m}</DistanceMeters>");
    }
    if let Some(bpm) = value(Field::HeartRate).filter(|bpm| (1..=255).contains(bpm)) {
        say!(out, "<HeartRateBpm><Value>{bpm}</Value></HeartRateBpm>");
    }
    let cadence = units::half_turns(&point.reading).map(|half| half / 2).filter(|cadence| *cadence <= 254);
    if let Some(cadence) = cadence.filter(|_| !on_foot) {
        say!(out, "<Cadence>{cadence}</Cadence>");
    }
    let (speed, power, strides) = (value(Field::Speed), value(Field::Power), cadence.filter(|_| on_foot));
    if speed.is_some() || power.is_some() || strides.is_some() {
        out.push_str("<Extensions><ax:TPX>");
        if let Some(speed) = speed {
            say!(out, "<ax:Speed>{}</ax:Speed>", metres_per_s(speed));
        }
        if let Some(strides) = strides {
            say!(out, "<ax:RunCadence>{strides}</ax:RunCadence>");
        }
        if let Some(watts) = power {
            say!(out, "<ax:Watts>{}</ax:Watts>", watts.max(0));
        }
        out.push_str("</ax:TPX></Extensions>");
    }
    out.push_str("</Trackpoint>\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_speed_keeps_its_hundredths() {
        for speed in 0..=65_535 {
            let text = super::metres_per_s(speed);
            assert_eq!(crate::units::centikmh(text.parse().unwrap()), Some(speed));
        }
    }
}

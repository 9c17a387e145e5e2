//! A workout as a FIT activity file: file_id, device_info, records with timer events, sets, laps, one session, activity.
//!
//! A record is a second; its distance and calories go on over all machines. The session's sums are the workout's totals as they were sealed.
//! A hole of more than [`PAUSE_S`] seconds stops and starts the timer. What FIT cannot date (before 1998) is left out.

use rustyfit::profile::{mesgdef, typedef};
use rustyfit::proto::Message;
use rustyfit::{Encoder, StreamEncoder};

use super::exercise;
use super::sink::Sink;
use crate::lap::{Lap, Mean};
use crate::timeline::Point;
use crate::units::{self, FIT_EPOCH_S};
use crate::workout::{SetDone, Workout, WriteError};
use protocol::Field;

/// Seconds without a reading that count as a pause.
const PAUSE_S: i64 = 30;
/// The manufacturer of whoever has no number of their own.
const DEVELOPMENT: u16 = 255;
/// Bytes of a name; FIT fields have 255 at most, with their end.
const NAME_BYTES_MAX: usize = 64;

type Out<'a> = StreamEncoder<'a, &'a mut Sink>;

pub(crate) fn write(workout: &Workout) -> Result<Vec<u8>, WriteError> {
    let (mut sink, mut encoder) = (Sink::default(), Encoder::new());
    let mut out = encoder.stream(&mut sink);
    head(&mut out, workout)?;
    records(&mut out, workout)?;
    for set in &workout.sets {
        put_set(&mut out, set)?;
    }
    let laps = laps(workout);
    for (place, lap) in laps.iter().enumerate() {
        put(&mut out, lap_of(workout, lap, place))?;
    }
    put(&mut out, session_of(workout, laps.len()))?;
    put(&mut out, activity_of(workout))?;
    out.finish().map_err(|error| WriteError(error.to_string()))?;
    Ok(sink.bytes)
}

fn put(out: &mut Out<'_>, message: impl Into<Message>) -> Result<(), WriteError> {
    out.write_message(&mut message.into()).map_err(|error| WriteError(error.to_string()))
}

/// Seconds of FIT; a time that it cannot say is its invalid value, which is left out.
fn date(second: i64) -> typedef::DateTime {
    let since = second - FIT_EPOCH_S;
    typedef::DateTime(u32::try_from(since).ok().filter(|&since| units::AT_MS.contains(&(second * 1000)) && since > 0).unwrap_or(u32::MAX))
}

fn head(out: &mut Out<'_>, workout: &Workout) -> Result<(), WriteError> {
    let (from_s, _) = workout.span_s();
    let id = workout.workout.0.as_u128();
    let mut file = mesgdef::FileId::new();
    file.r#type = typedef::File::ACTIVITY;
    file.manufacturer = typedef::Manufacturer(DEVELOPMENT);
    file.product = 1;
    // The last bits of a UUID of version 7 are its random ones; a serial number of 0 means none.
    file.serial_number = ((id & u128::from(u32::MAX)) as u32).max(1);
    file.time_created = date(from_s);
    file.product_name = "Spotter".into();
    put(out, file)?;
    let names = std::iter::once("Spotter").chain(workout.machines.iter().map(|machine| machine.name.as_str()));
    for (index, name) in names.enumerate().take(usize::from(u8::MAX)) {
        let mut device = mesgdef::DeviceInfo::new();
        device.timestamp = date(from_s);
        device.device_index = typedef::DeviceIndex(u8::try_from(index).unwrap_or(u8::MAX - 1));
        device.manufacturer = typedef::Manufacturer(DEVELOPMENT);
        device.product = 1;
        device.product_name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].replace('\0', " ").into();
        put(out, device)?;
    }
    Ok(())
}

fn timer(out: &mut Out<'_>, second: i64, what: typedef::EventType) -> Result<(), WriteError> {
    let mut event = mesgdef::Event::new();
    event.timestamp = date(second);
    event.event = typedef::Event::TIMER;
    event.event_type = what;
    event.event_group = 0;
    put(out, event)
}

/// What has gone on since the beginning.
#[derive(Default)]
struct Sofar {
    distance_m: u64,
    energy_kcal: u64,
    climbed_dm: Option<i64>,
}

fn records(out: &mut Out<'_>, workout: &Workout) -> Result<(), WriteError> {
    let mut sofar = Sofar::default();
    let mut before: Option<i64> = None;
    for (second, point) in workout.timeline.points().filter(|(second, _)| units::AT_MS.contains(&(second * 1000))) {
        match before {
            None => timer(out, second, typedef::EventType::START)?,
            Some(before) if second - before > PAUSE_S => {
                timer(out, before, typedef::EventType::STOP_ALL)?;
                timer(out, second, typedef::EventType::START)?;
            }
            Some(_) => {}
        }
        before = Some(second);
        put(out, record_of(second, point, &mut sofar))?;
    }
    before.map_or(Ok(()), |last| timer(out, last, typedef::EventType::STOP_ALL))
}

fn record_of(second: i64, point: &Point, sofar: &mut Sofar) -> mesgdef::Record {
    let mut record = mesgdef::Record::new();
    record.timestamp = date(second);
    let value = |field| point.reading.get(field);
    if let Some(bpm) = value(Field::HeartRate) {
        record.heart_rate = u8::try_from(bpm).unwrap_or(u8::MAX);
    }
    if let Some(half) = units::half_turns(&point.reading) {
        record.cadence = u8::try_from(half / 2).unwrap_or(u8::MAX);
        record.fractional_cadence = if half % 2 == 1 { 64 } else { u8::MAX };
    }
    if let Some(watts) = value(Field::Power) {
        record.power = u16::try_from(watts.max(0)).unwrap_or(u16::MAX);
    }
    if let Some(speed) = value(Field::Speed) {
        let mm_per_s = units::mm_per_s(speed);
        record.enhanced_speed = mm_per_s;
        record.speed = u16::try_from(mm_per_s).unwrap_or(u16::MAX);
    }
    if let Some(incline) = value(Field::Incline) {
        record.grade = i16::try_from(incline * 10).unwrap_or(i16::MAX);
    }
    if let Some(tenths) = value(Field::Resistance) {
        record.resistance = u8::try_from((tenths + 5) / 10).unwrap_or(u8::MAX);
    }
    sofar.distance_m += u64::from(point.distance_m);
    sofar.energy_kcal += u64::from(point.energy_kcal);
    if point.has_distance {
        record.distance = u32::try_from(sofar.distance_m.saturating_mul(100)).unwrap_or(u32::MAX);
    }
    if point.has_energy {
        record.calories = u16::try_from(sofar.energy_kcal).unwrap_or(u16::MAX);
    }
    if point.climbed_dm != (0, 0) {
        let climbed = sofar.climbed_dm.unwrap_or(0) + i64::from(point.climbed_dm.0) - i64::from(point.climbed_dm.1);
        sofar.climbed_dm = Some(climbed);
    }
    if let Some(climbed_dm) = sofar.climbed_dm {
        // From 0 at the start, in fifths of a metre above -500 m.
        record.enhanced_altitude = u32::try_from(climbed_dm / 2 + 2_500).unwrap_or(u32::MAX);
    }
    record
}

fn put_set(out: &mut Out<'_>, done: &SetDone) -> Result<(), WriteError> {
    let ended_s = done.at_ms.div_euclid(1000);
    let mut set = mesgdef::Set::new();
    set.timestamp = date(ended_s);
    set.start_time = date(ended_s - i64::from(done.set.seconds));
    set.duration = u32::from(done.set.seconds) * 1000;
    set.repetitions = done.set.reps;
    // Sixteenths of a kilogram.
    set.weight = u16::try_from((u64::from(done.set.load_hg) * 8 + 2) / 5).unwrap_or(u16::MAX);
    set.set_type = typedef::SetType::ACTIVE;
    set.category = Box::new([exercise::category(done.set.exercise.as_deref())]);
    set.message_index = typedef::MessageIndex(done.set.set);
    put(out, set)?;
    if done.set.rest_s == 0 {
        return Ok(());
    }
    let mut rest = mesgdef::Set::new();
    rest.timestamp = date(ended_s + i64::from(done.set.rest_s));
    rest.start_time = date(ended_s);
    rest.duration = u32::from(done.set.rest_s) * 1000;
    rest.set_type = typedef::SetType::REST;
    put(out, rest)
}

/// A file has a lap at least.
fn laps(workout: &Workout) -> Vec<Lap> {
    let laps = workout.laps();
    if !laps.is_empty() {
        return laps;
    }
    let (from_s, to_s) = workout.span_s();
    vec![Lap { from_s, to_s, ..Lap::default() }]
}

/// Rounded average and largest as narrow numbers; invalid where there is none.
fn bpm(mean: Mean) -> (u8, u8) {
    mean.avg_max().map_or((u8::MAX, u8::MAX), |(avg, max)| (u8::try_from(avg).unwrap_or(u8::MAX), u8::try_from(max).unwrap_or(u8::MAX)))
}

fn watts(mean: Mean) -> (u16, u16) {
    let narrow = |watts: i32| u16::try_from(watts.max(0)).unwrap_or(u16::MAX);
    mean.avg_max().map_or((u16::MAX, u16::MAX), |(avg, max)| (narrow(avg), narrow(max)))
}

fn span_ms(from_s: i64, to_s: i64) -> u32 {
    u32::try_from((to_s - from_s).max(0).saturating_mul(1000)).unwrap_or(u32::MAX)
}

fn lap_of(workout: &Workout, lap: &Lap, place: usize) -> mesgdef::Lap {
    let mut out = mesgdef::Lap::new();
    out.message_index = typedef::MessageIndex(u16::try_from(place).unwrap_or(u16::MAX));
    (out.start_time, out.timestamp) = (date(lap.from_s), date(lap.to_s));
    (out.event, out.event_type) = (typedef::Event::LAP, typedef::EventType::STOP);
    out.lap_trigger = typedef::LapTrigger::FITNESS_EQUIPMENT;
    (out.sport, out.sub_sport) = workout.sport_of(lap.machine).to_fit();
    out.total_elapsed_time = span_ms(lap.from_s, lap.to_s);
    out.total_timer_time = out.total_elapsed_time;
    out.total_distance = u32::try_from(lap.distance_m.saturating_mul(100)).unwrap_or(u32::MAX);
    out.total_calories = u16::try_from(lap.energy_kcal).unwrap_or(u16::MAX);
    (out.avg_heart_rate, out.max_heart_rate) = bpm(lap.heart_rate);
    (out.avg_power, out.max_power) = watts(lap.power);
    if let Some((avg, max)) = lap.speed.avg_max() {
        (out.enhanced_avg_speed, out.enhanced_max_speed) = (units::mm_per_s(avg), units::mm_per_s(max));
    }
    out
}

fn session_of(workout: &Workout, laps: usize) -> mesgdef::Session {
    let (from_s, to_s) = workout.span_s();
    let totals = &workout.totals;
    let mut out = mesgdef::Session::new();
    out.message_index = typedef::MessageIndex(0);
    (out.start_time, out.timestamp) = (date(from_s), date(to_s));
    (out.event, out.event_type) = (typedef::Event::SESSION, typedef::EventType::STOP);
    out.trigger = typedef::SessionTrigger::ACTIVITY_END;
    (out.sport, out.sub_sport) = workout.sport().to_fit();
    out.total_elapsed_time = span_ms(from_s, to_s);
    out.total_timer_time = u32::try_from(workout.timer_ms()).unwrap_or(u32::MAX);
    out.total_distance = u32::try_from(totals.distance_m.max(0).saturating_mul(100)).unwrap_or(u32::MAX);
    out.total_calories = u16::try_from(totals.energy_kcal.max(0)).unwrap_or(u16::MAX);
    out.total_cycles = if totals.strokes > 0 { totals.strokes } else { u32::MAX };
    let heart = Mean::new(totals.heart_rate_sum_bpm, totals.heart_rate_count, totals.heart_rate_max_bpm);
    (out.avg_heart_rate, out.max_heart_rate) = bpm(heart);
    (out.avg_power, out.max_power) = watts(Mean::new(totals.power_sum_w, totals.power_count, totals.power_max_w));
    let climbed = workout
        .timeline
        .points()
        .fold((0_u64, 0_u64), |(up, down), (_, point)| (up + u64::from(point.climbed_dm.0), down + u64::from(point.climbed_dm.1)));
    if climbed != (0, 0) {
        let metres = |decimetres: u64| u16::try_from(decimetres / 10).unwrap_or(u16::MAX);
        (out.total_ascent, out.total_descent) = (metres(climbed.0), metres(climbed.1));
    }
    (out.first_lap_index, out.num_laps) = (0, u16::try_from(laps).unwrap_or(u16::MAX));
    out
}

fn activity_of(workout: &Workout) -> mesgdef::Activity {
    let (_, to_s) = workout.span_s();
    let mut out = mesgdef::Activity::new();
    out.timestamp = date(to_s);
    out.total_timer_time = u32::try_from(workout.timer_ms()).unwrap_or(u32::MAX);
    out.num_sessions = 1;
    out.r#type = typedef::Activity::MANUAL;
    (out.event, out.event_type) = (typedef::Event::ACTIVITY, typedef::EventType::STOP);
    out
}

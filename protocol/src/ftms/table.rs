//! The field tables: what each data record and sensor measurement carries, in order, as data.
//!
//! One row a value, in the order of the bytes (FTMS 1.0 section 4; GATT Specification Supplement 2024-11-06; HRS, CPS, CSCS and RSCS
//! 1.0). Decoder, encoder, readable form and mapping to readings are all driven from here. Two forms a row where the 2017 XML and
//! the supplement disagree: resistance (s16, then u8) and the pace of a treadmill (u8 in 0.1 km/min, then u16 in s/500 m).

use super::Characteristic;
use super::bits::Width::{self, S16, U8, U16, U24, U32};
use crate::Field;

/// When a value is in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Set(u8),
    Clear(u8),
}

impl When {
    pub(super) const fn holds(self, flags: u32) -> bool {
        match self {
            Self::Always => true,
            Self::Set(bit) => flags >> bit & 1 == 1,
            Self::Clear(bit) => flags >> bit & 1 == 0,
        }
    }
}

/// How a raw number becomes the integer of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Multiplied.
    Times(i64),
    /// 0.1 km/min to s/500 m.
    Pace,
    /// 1/256 m/s to 0.01 km/h.
    Mps256,
    /// 0.1 m to m.
    Decimetres,
    /// kJ to kcal.
    Kilojoules,
}

/// Bytes and unit of a value in one layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) width: Width,
    /// The readable value is the raw number divided by this.
    pub(super) divisor: u32,
    pub(super) scale: Scale,
}

/// One value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) when: When,
    pub(super) name: &'static str,
    /// In the 2017 layout, and in the supplement's.
    pub(super) forms: [Form; 2],
    /// Shares its flag with others, so it has a value that means "not available".
    pub(super) shared: bool,
    pub(super) field: Option<Field>,
}

/// One characteristic whose value is flags and fields.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) flag_bytes: usize,
    pub(super) rows: &'static [Row],
    /// Bits that are values by themselves.
    pub(super) flag_values: &'static [(u8, &'static str)],
    /// Bits with a meaning and neither field nor value.
    pub(super) other_bits: u32,
    /// Bit 0 is More Data, and its fields are there when it is clear.
    pub(super) split: bool,
}

const fn form(width: Width, divisor: u32, scale: Scale) -> Form {
    Form { width, divisor, scale }
}

/// A row of one form.
const fn row(when: When, name: &'static str, width: Width, divisor: u32, times: i64, field: Field) -> Row {
    let both = form(width, divisor, Scale::Times(times));
    Row { when, name, forms: [both, both], shared: false, field: Some(field) }
}

/// A row that shares its flag.
const fn shared(bit: u8, name: &'static str, width: Width, divisor: u32, times: i64, field: Field) -> Row {
    Row { shared: true, ..row(When::Set(bit), name, width, divisor, times, field) }
}

/// A row without a field in readings.
const fn plain(when: When, name: &'static str, width: Width, divisor: u32) -> Row {
    Row { field: None, ..row(when, name, width, divisor, 1, Field::Speed) }
}

const fn resistance(bit: u8, divisor_2017: u32) -> Row {
    let forms = [form(S16, divisor_2017, Scale::Times(10 / divisor_2017 as i64)), form(U8, 1, Scale::Times(10))];
    Row { forms, ..row(When::Set(bit), "resistance_level", U8, 1, 10, Field::Resistance) }
}

const fn belt_pace(bit: u8, name: &'static str, field: Field) -> Row {
    let forms = [form(U8, 10, Scale::Pace), form(U16, 1, Scale::Times(1))];
    Row { forms, ..row(When::Set(bit), name, U8, 1, 1, field) }
}

const fn on(bit: u8) -> When {
    When::Set(bit)
}
const LAST: When = When::Clear(0);

const fn energy(bit: u8) -> [Row; 3] {
    [
        shared(bit, "total_energy_kcal", U16, 1, 1, Field::Energy),
        shared(bit, "energy_per_hour_kcal", U16, 1, 1, Field::EnergyPerHour),
        shared(bit, "energy_per_minute_kcal", U8, 1, 1, Field::EnergyPerMinute),
    ]
}

const fn heart_rate(bit: u8) -> Row {
    row(on(bit), "heart_rate_bpm", U8, 1, 1, Field::HeartRate)
}
const fn met(bit: u8) -> Row {
    row(on(bit), "met", U8, 10, 1, Field::Met)
}
const fn elapsed(bit: u8) -> Row {
    row(on(bit), "elapsed_s", U16, 1, 1, Field::Elapsed)
}
const fn remaining(bit: u8) -> Row {
    row(on(bit), "remaining_s", U16, 1, 1, Field::Remaining)
}
const fn speed() -> Row {
    row(LAST, "speed_kmh", U16, 100, 1, Field::Speed)
}
const fn avg_speed() -> Row {
    row(on(1), "avg_speed_kmh", U16, 100, 1, Field::AvgSpeed)
}
const fn distance(bit: u8) -> Row {
    row(on(bit), "total_distance_m", U24, 1, 1, Field::Distance)
}
const fn power(bit: u8) -> Row {
    row(on(bit), "power_w", S16, 1, 1, Field::Power)
}
const fn avg_power(bit: u8) -> Row {
    row(on(bit), "avg_power_w", S16, 1, 1, Field::AvgPower)
}
const fn incline(bit: u8) -> [Row; 2] {
    [shared(bit, "inclination_pct", S16, 10, 1, Field::Incline), shared(bit, "ramp_angle_deg", S16, 10, 1, Field::RampAngle)]
}

const TREADMILL: &[Row] = &[
    speed(),
    avg_speed(),
    distance(2),
    incline(3)[0],
    incline(3)[1],
    shared(4, "elev_gain_pos_m", U16, 10, 1, Field::ElevGain),
    shared(4, "elev_gain_neg_m", U16, 10, 1, Field::ElevLoss),
    belt_pace(5, "pace", Field::Pace),
    belt_pace(6, "avg_pace", Field::AvgPace),
    energy(7)[0],
    energy(7)[1],
    energy(7)[2],
    heart_rate(8),
    met(9),
    elapsed(10),
    remaining(11),
    shared(12, "force_on_belt_n", S16, 1, 1, Field::Force),
    shared(12, "power_w", S16, 1, 1, Field::Power),
    // Reserved in FTMS 1.0: read with the quirk `treadmill-steps` only.
    row(on(13), "step_count", U24, 1, 1, Field::Steps),
];

const CROSS_TRAINER: &[Row] = &[
    speed(),
    avg_speed(),
    distance(2),
    shared(3, "step_per_min", U16, 1, 1, Field::StepRate),
    shared(3, "avg_step_rate", U16, 1, 1, Field::AvgStepRate),
    row(on(4), "stride_count", U16, 10, 1, Field::Strides),
    shared(5, "elev_gain_pos_m", U16, 1, 10, Field::ElevGain),
    shared(5, "elev_gain_neg_m", U16, 1, 10, Field::ElevLoss),
    incline(6)[0],
    incline(6)[1],
    resistance(7, 10),
    power(8),
    avg_power(9),
    energy(10)[0],
    energy(10)[1],
    energy(10)[2],
    heart_rate(11),
    met(12),
    elapsed(13),
    remaining(14),
];

const STEP_CLIMBER: &[Row] = &[
    row(LAST, "floors", U16, 1, 1, Field::Floors),
    row(LAST, "step_count", U16, 1, 1, Field::Steps),
    row(on(1), "step_per_min", U16, 1, 1, Field::StepRate),
    row(on(2), "avg_step_rate", U16, 1, 1, Field::AvgStepRate),
    row(on(3), "elev_gain_pos_m", U16, 1, 10, Field::ElevGain),
    energy(4)[0],
    energy(4)[1],
    energy(4)[2],
    heart_rate(5),
    met(6),
    elapsed(7),
    remaining(8),
];

const STAIR_CLIMBER: &[Row] = &[
    row(LAST, "floors", U16, 1, 1, Field::Floors),
    row(on(1), "step_per_min", U16, 1, 1, Field::StepRate),
    row(on(2), "avg_step_rate", U16, 1, 1, Field::AvgStepRate),
    row(on(3), "elev_gain_pos_m", U16, 1, 10, Field::ElevGain),
    row(on(4), "stride_count", U16, 1, 10, Field::Strides),
    energy(5)[0],
    energy(5)[1],
    energy(5)[2],
    heart_rate(6),
    met(7),
    elapsed(8),
    remaining(9),
];

const ROWER: &[Row] = &[
    row(LAST, "stroke_rate_spm", U8, 2, 1, Field::StrokeRate),
    row(LAST, "stroke_count", U16, 1, 1, Field::Strokes),
    row(on(1), "avg_stroke_rate_spm", U8, 2, 1, Field::AvgStrokeRate),
    distance(2),
    row(on(3), "pace_s_per_500m", U16, 1, 1, Field::Pace),
    row(on(4), "avg_pace_s_per_500m", U16, 1, 1, Field::AvgPace),
    power(5),
    avg_power(6),
    resistance(7, 1),
    energy(8)[0],
    energy(8)[1],
    energy(8)[2],
    heart_rate(9),
    met(10),
    elapsed(11),
    remaining(12),
];

const INDOOR_BIKE: &[Row] = &[
    speed(),
    avg_speed(),
    row(on(2), "cadence_rpm", U16, 2, 1, Field::Cadence),
    row(on(3), "avg_cadence_rpm", U16, 2, 1, Field::AvgCadence),
    distance(4),
    resistance(5, 1),
    power(6),
    avg_power(7),
    energy(8)[0],
    energy(8)[1],
    energy(8)[2],
    heart_rate(9),
    met(10),
    elapsed(11),
    remaining(12),
];

const KILOJOULES: Form = form(U16, 1, Scale::Kilojoules);

/// RR intervals follow to the end of the value where bit 4 is set.
const HEART_RATE: &[Row] = &[
    row(When::Clear(0), "heart_rate_bpm", U8, 1, 1, Field::HeartRate),
    row(on(0), "heart_rate_bpm", U16, 1, 1, Field::HeartRate),
    Row { forms: [KILOJOULES, KILOJOULES], ..row(on(3), "energy_expended_kj", U16, 1, 1, Field::Energy) },
];

/// Accumulated energy is work at the pedals, not what the member burnt: it is no field of a reading.
const CYCLING_POWER: &[Row] = &[
    row(When::Always, "power_w", S16, 1, 1, Field::Power),
    plain(on(0), "pedal_power_balance_pct", U8, 2),
    plain(on(2), "accumulated_torque_nm", U16, 32),
    plain(on(4), "cum_wheel_revs", U32, 1),
    plain(on(4), "last_wheel_event_2048", U16, 1),
    plain(on(5), "cum_crank_revs", U16, 1),
    plain(on(5), "last_crank_event_1024", U16, 1),
    plain(on(6), "max_force_n", S16, 1),
    plain(on(6), "min_force_n", S16, 1),
    plain(on(7), "max_torque_nm", S16, 32),
    plain(on(7), "min_torque_nm", S16, 32),
    // Two numbers of twelve bits: the readable form takes them apart.
    plain(on(8), super::names::ANGLES, U24, 1),
    plain(on(9), "top_dead_spot_deg", U16, 1),
    plain(on(10), "bottom_dead_spot_deg", U16, 1),
    plain(on(11), "accumulated_energy_kj", U16, 1),
];

const CSC: &[Row] = &[
    plain(on(0), "cum_wheel_revs", U32, 1),
    plain(on(0), "last_wheel_event_1024", U16, 1),
    plain(on(1), "cum_crank_revs", U16, 1),
    plain(on(1), "last_crank_event_1024", U16, 1),
];

const fn converted(when: When, name: &'static str, width: Width, divisor: u32, scale: Scale, field: Field) -> Row {
    let both = form(width, divisor, scale);
    Row { forms: [both, both], ..row(when, name, width, divisor, 1, field) }
}

const RSC: &[Row] = &[
    converted(When::Always, "speed_mps", U16, 256, Scale::Mps256, Field::Speed),
    row(When::Always, "cadence_per_min", U8, 1, 1, Field::StepRate),
    plain(on(0), "stride_length_cm", U16, 1),
    converted(on(1), "total_distance_m", U32, 10, Scale::Decimetres, Field::Distance),
];

const fn machine(flag_bytes: usize, rows: &'static [Row], flag_values: &'static [(u8, &'static str)]) -> Table {
    Table { flag_bytes, rows, flag_values, other_bits: 1, split: true }
}

const fn sensor(flag_bytes: usize, rows: &'static [Row], flag_values: &'static [(u8, &'static str)], other_bits: u32) -> Table {
    Table { flag_bytes, rows, flag_values, other_bits, split: false }
}

static TABLES: [Table; 10] = [
    machine(2, TREADMILL, &[]),
    machine(3, CROSS_TRAINER, &[(15, "movement_backward")]),
    machine(2, STEP_CLIMBER, &[]),
    machine(2, STAIR_CLIMBER, &[]),
    machine(2, ROWER, &[]),
    machine(2, INDOOR_BIKE, &[]),
    sensor(1, HEART_RATE, &[(2, "sensor_contact_supported")], 0b1_0110),
    // Balance reference, torque source and offset compensation say how to read other fields.
    sensor(2, CYCLING_POWER, &[], 1 << 1 | 1 << 3 | 1 << 12),
    sensor(1, CSC, &[], 0),
    sensor(1, RSC, &[(2, "running")], 0),
];

/// Bits that FTMS reserves and quirks may give a meaning.
pub(super) const fn extension_bits(characteristic: Characteristic) -> u32 {
    if matches!(characteristic, Characteristic::Treadmill) { 1 << 13 } else { 0 }
}

/// The table of a characteristic that has one.
pub(super) fn of(characteristic: Characteristic) -> Option<&'static Table> {
    use Characteristic as C;
    let records = [
        C::Treadmill,
        C::CrossTrainer,
        C::StepClimber,
        C::StairClimber,
        C::Rower,
        C::IndoorBike,
        C::HeartRate,
        C::CyclingPower,
        C::Csc,
        C::Rsc,
    ];
    records.iter().position(|&record| record == characteristic).map(|at| &TABLES[at])
}

impl Table {
    /// Bits that the definition knows.
    pub(super) fn known_bits(&self) -> u32 {
        let of_rows = self.rows.iter().fold(0, |bits, row| match row.when {
            When::Set(bit) | When::Clear(bit) => bits | 1 << bit,
            When::Always => bits,
        });
        self.flag_values.iter().fold(of_rows | self.other_bits, |bits, (bit, _)| bits | 1 << bit)
    }
}

//! What one reading can say: fields as integers in FTMS units, and the reading itself.
//!
//! A reading is a mask of fields and their values in order of the bits. Every field that an FTMS, heart rate, cycling or running
//! characteristic carries has a bit, so that nothing a machine says is lost on the way to storage. The first sixteen bits are
//! the common ones: their masks stay short in MessagePack.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::limits::RR_MAX;

macro_rules! fields {
    ($($bit:literal $variant:ident $name:literal $low:literal ..= $high:literal, $doc:literal;)+) => {
        /// One field of a reading; the discriminant is its bit in the mask.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Field { $(#[doc = $doc] $variant = $bit,)+ }

        impl Field {
            /// All fields in order of their bits.
            pub const ALL: [Self; 31] = [$(Self::$variant,)+];

            /// The name, the same in JSON, SQL and logs, with its unit.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }

            /// Smallest and largest value that a machine can mean; outside is a poison row.
            #[must_use]
            pub const fn bounds(self) -> (i32, i32) { match self { $(Self::$variant => ($low, $high),)+ } }

            /// What it is, in words.
            #[must_use]
            pub const fn doc(self) -> &'static str { match self { $(Self::$variant => $doc,)+ } }

            /// The field of a name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> { match name { $($name => Some(Self::$variant),)+ _ => None } }
        }
    };
}

fields! {
    0 Speed "speed_centikmh" 0..=65_535, "Speed in 0.01 km/h.";
    1 Cadence "cadence_half_rpm" 0..=65_535, "Cadence in 0.5 /min.";
    2 Power "power_w" -32_768..=32_767, "Power in watts.";
    3 HeartRate "heart_rate_bpm" 1..=65_535, "Heart rate in beats a minute; no reading is no field.";
    4 Distance "distance_m" 0..=2_147_483_647, "Distance in metres since the machine's own training session began.";
    5 Energy "energy_kcal" 0..=2_147_483_647, "Energy in kilocalories since the machine's own training session began.";
    6 Elapsed "elapsed_s" 0..=2_147_483_647, "Elapsed time in seconds.";
    7 Incline "incline_permille" -32_768..=32_767, "Inclination in 0.1 %.";
    8 Resistance "resistance_tenths" -327_680..=327_670, "Resistance level in tenths, without unit.";
    9 Pace "pace_s_per_500m" 0..=65_535, "Pace in seconds for 500 m.";
    10 StrokeRate "stroke_rate_half_spm" 0..=65_535, "Stroke rate in 0.5 /min.";
    11 Strokes "stroke_count" 0..=2_147_483_647, "Strokes since the machine's own training session began.";
    12 Steps "step_count" 0..=2_147_483_647, "Steps since the machine's own training session began.";
    13 StepRate "step_per_min" 0..=65_535, "Steps a minute.";
    14 Strides "stride_tenths" 0..=2_147_483_647, "Strides in tenths (a stride is two steps).";
    15 Contact "contact" 0..=1, "Skin contact of a heart rate sensor that can tell: 1 yes, 0 no.";
    16 AvgSpeed "avg_speed_centikmh" 0..=65_535, "Average speed in 0.01 km/h.";
    17 AvgCadence "avg_cadence_half_rpm" 0..=65_535, "Average cadence in 0.5 /min.";
    18 AvgPower "avg_power_w" -32_768..=32_767, "Average power in watts.";
    19 AvgStrokeRate "avg_stroke_rate_half_spm" 0..=65_535, "Average stroke rate in 0.5 /min.";
    20 AvgStepRate "avg_step_rate" 0..=65_535, "Average steps a minute.";
    21 AvgPace "avg_pace_s_per_500m" 0..=65_535, "Average pace in seconds for 500 m.";
    22 EnergyPerHour "energy_per_hour_kcal" 0..=65_535, "Energy rate in kilocalories an hour.";
    23 EnergyPerMinute "energy_per_minute_kcal" 0..=255, "Energy rate in kilocalories a minute.";
    24 RampAngle "ramp_angle_decideg" -32_768..=32_767, "Ramp angle in 0.1 degrees.";
    25 ElevGain "elev_gain_dm" 0..=655_350, "Positive elevation gain in 0.1 m.";
    26 ElevLoss "elev_loss_dm" 0..=655_350, "Negative elevation gain in 0.1 m.";
    27 Met "met_tenths" 0..=255, "Metabolic equivalent in 0.1.";
    28 Remaining "remaining_s" 0..=2_147_483_647, "Remaining time in seconds.";
    29 Floors "floor_count" 0..=2_147_483_647, "Floors climbed.";
    30 Force "force_on_belt_n" -32_768..=32_767, "Force on the belt in newtons.";
}

/// Bit 31: after the values of the other bits come RR intervals in 1/1024 s, oldest first.
pub const RR_BIT: u32 = 1 << 31;
/// The JSON name of the RR list.
pub const RR_NAME: &str = "rr_1024";

impl Field {
    /// The mask with this field alone.
    #[must_use]
    pub const fn mask(self) -> u32 {
        1 << self as u8
    }
}

/// Fields and values of one reading of a source. In MessagePack frames `mask, values...`; in JSON an object by field name.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Reading {
    mask: u32,
    values: SmallVec<[i32; 8]>,
}

/// Mask and values do not fit each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadingError {
    /// Fewer values than the mask has bits.
    #[error("the mask names {fields} fields and {values} values follow")]
    Short {
        /// Bits set, RR not counted.
        fields: u32,
        /// Values found.
        values: usize,
    },
    /// More RR intervals than a reading may carry.
    #[error("{0} RR intervals where at most {RR_MAX} are allowed: send them with more readings")]
    ManyRr(usize),
}

impl Reading {
    /// The empty reading.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a mask and its values. Values beyond the mask are RR intervals with [`RR_BIT`] and are ignored without.
    ///
    /// # Errors
    /// [`ReadingError`] where values are missing or RR intervals too many; the frame is malformed.
    pub fn from_parts(mask: u32, mut values: SmallVec<[i32; 8]>) -> Result<Self, ReadingError> {
        let fields = (mask & !RR_BIT).count_ones();
        if values.len() < fields as usize {
            return Err(ReadingError::Short { fields, values: values.len() });
        }
        if mask & RR_BIT == 0 {
            values.truncate(fields as usize);
        } else if values.len() - fields as usize > RR_MAX {
            return Err(ReadingError::ManyRr(values.len() - fields as usize));
        }
        // No interval is the same as none said: one reading has one form, or its second copy would be another content.
        let mask = if values.len() == fields as usize { mask & !RR_BIT } else { mask };
        Ok(Self { mask, values })
    }

    /// Which fields are there, [`RR_BIT`] included.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        self.mask
    }

    /// Values in order of the bits, then RR intervals.
    #[must_use]
    pub fn values(&self) -> &[i32] {
        &self.values
    }

    fn index(&self, field: Field) -> usize {
        (self.mask & (field.mask() - 1)).count_ones() as usize
    }

    /// The value of a field, if the reading has it.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<i32> {
        (self.mask & field.mask() != 0).then(|| self.values[self.index(field)])
    }

    /// Sets or replaces the value of a field.
    pub fn set(&mut self, field: Field, value: i32) {
        let at = self.index(field);
        if self.mask & field.mask() == 0 {
            self.values.insert(at, value);
            self.mask |= field.mask();
        } else {
            self.values[at] = value;
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: Field) -> Option<i32> {
        if self.mask & field.mask() == 0 {
            return None;
        }
        let value = self.values.remove(self.index(field));
        self.mask &= !field.mask();
        Some(value)
    }

    /// RR intervals in 1/1024 s, oldest first.
    #[must_use]
    pub fn rr(&self) -> &[i32] {
        &self.values[(self.mask & !RR_BIT).count_ones() as usize..]
    }

    /// Replaces the RR intervals; keeps the last [`RR_MAX`].
    pub fn set_rr(&mut self, rr: &[u16]) {
        self.set_intervals(rr[rr.len().saturating_sub(RR_MAX)..].iter().map(|&interval| i32::from(interval)));
    }

    /// Replaces the RR intervals by what somebody said, at most [`RR_MAX`]: [`Self::out_of_bounds`] judges it as it judges other values.
    fn set_intervals(&mut self, rr: impl Iterator<Item = i32>) {
        let fields = (self.mask & !RR_BIT).count_ones() as usize;
        self.values.truncate(fields);
        self.values.extend(rr);
        if self.values.len() == fields { self.mask &= !RR_BIT } else { self.mask |= RR_BIT }
    }

    /// Fields and values in order of the bits, RR left out.
    pub fn iter(&self) -> impl Iterator<Item = (Field, i32)> + '_ {
        Field::ALL.into_iter().filter(|field| self.mask & field.mask() != 0).zip(self.values.iter().copied())
    }

    /// Only the fields of `mask`.
    #[must_use]
    pub fn only(&self, mask: u32) -> Self {
        if self.mask & !mask == 0 {
            return self.clone();
        }
        let mut reading = Self::new();
        for (field, value) in self.iter().filter(|(field, _)| mask & field.mask() != 0) {
            reading.mask |= field.mask();
            reading.values.push(value);
        }
        if mask & self.mask & RR_BIT != 0 {
            reading.mask |= RR_BIT;
            reading.values.extend_from_slice(self.rr());
        }
        reading
    }

    /// The first value that no machine can mean, by the name of its field: outside the field's bounds, or an RR interval that is no u16.
    #[must_use]
    pub fn out_of_bounds(&self) -> Option<(&'static str, i32)> {
        let fields = self.iter().map(|(field, value)| (field.name(), field.bounds(), value));
        let intervals = self.rr().iter().map(|value| (RR_NAME, (0, i32::from(u16::MAX)), *value));
        fields.chain(intervals).find(|&(_, (low, high), value)| value < low || value > high).map(|(name, _, value)| (name, value))
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mask == 0
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (field, value) in self.iter() {
            map.entry(&field.name(), &value);
        }
        if self.mask & RR_BIT != 0 {
            map.entry(&RR_NAME, &self.rr());
        }
        map.finish()
    }
}

impl Serialize for Reading {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let mut map = serializer.serialize_map(None)?;
            for (field, value) in self.iter() {
                map.serialize_entry(field.name(), &value)?;
            }
            if self.mask & RR_BIT != 0 {
                map.serialize_entry(RR_NAME, self.rr())?;
            }
            map.end()
        } else {
            let mut seq = serializer.serialize_seq(Some(1 + self.values.len()))?;
            seq.serialize_element(&self.mask)?;
            for value in &self.values {
                seq.serialize_element(value)?;
            }
            seq.end()
        }
    }
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReadingVisitor;
        impl<'de> Visitor<'de> for ReadingVisitor {
            type Value = Reading;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reading: [mask, values...] in MessagePack, an object by field name in JSON")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Reading, A::Error> {
                let mask = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let mut values = SmallVec::new();
                while let Some(value) = seq.next_element()? {
                    if values.len() < 31 + RR_MAX + 1 {
                        values.push(value);
                    }
                }
                Reading::from_parts(mask, values).map_err(de::Error::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reading, A::Error> {
                let mut reading = Reading::new();
                while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    if let Some(field) = Field::from_name(&name) {
                        reading.set(field, map.next_value()?);
                    } else if name == RR_NAME {
                        let rr: Vec<i32> = map.next_value()?;
                        if rr.len() > RR_MAX {
                            return Err(de::Error::custom(ReadingError::ManyRr(rr.len())));
                        }
                        reading.set_intervals(rr.into_iter());
                    } else {
                        map.next_value::<de::IgnoredAny>()?;
                    }
                }
                Ok(reading)
            }
        }
        deserializer.deserialize_any(ReadingVisitor)
    }
}

impl JsonSchema for Reading {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reading".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut properties = serde_json::Map::new();
        for field in Field::ALL {
            let (low, high) = field.bounds();
            properties.insert(
                field.name().to_owned(),
                serde_json::json!({ "type": "integer", "minimum": low, "maximum": high, "description": field.doc() }),
            );
        }
        properties.insert(
            RR_NAME.to_owned(),
            serde_json::json!({ "type": "array", "maxItems": RR_MAX, "items": { "type": "integer", "minimum": 0, "maximum": 65535 }, "description": "RR intervals in 1/1024 s, oldest first." }),
        );
        json_schema!({ "type": "object", "properties": properties,
            "description": "Fields of one reading. MessagePack: `[mask, values...]`, values in order of the bits." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_order_of_their_bits_whatever_the_order_of_setting() {
        let mut reading = Reading::new();
        reading.set(Field::Power, 250);
        reading.set(Field::Speed, 1_234);
        reading.set_rr(&[800, 810]);
        reading.set(Field::HeartRate, 140);
        assert_eq!(reading.values(), [1_234, 250, 140, 800, 810]);
        assert_eq!(reading.rr(), [800, 810]);
        assert_eq!(reading.remove(Field::Power), Some(250));
        assert_eq!(reading.only(Field::HeartRate.mask()).values(), [140]);
    }

    #[test]
    fn an_interval_that_is_no_u16_is_out_of_bounds() {
        let of = |rr: i32| Reading::from_parts(RR_BIT, [rr].into_iter().collect()).expect("one interval");
        assert_eq!(of(65_535).out_of_bounds(), None);
        assert_eq!(of(-5).out_of_bounds(), Some((RR_NAME, -5)));
        assert_eq!(of(65_536).out_of_bounds(), Some((RR_NAME, 65_536)));
        // Poison in both encodings, and malformed in neither.
        assert_eq!(serde_json::from_str::<Reading>("{\"rr_1024\":[-5]}").expect("a list of integers"), of(-5));
    }

    #[test]
    fn fields_name_their_own_bit() {
        for (bit, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, bit);
            assert_eq!(Field::from_name(field.name()), Some(field));
        }
    }
}

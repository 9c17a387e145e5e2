//! What gym machines and sensors say over Bluetooth, read and written.
//!
//! In: the bytes of a characteristic's value and what is known of the device. Out: a [`Decoded`] value of raw numbers with what was odd
//! about it, its readable form ([`Decoded::to_json`]) and its canonical [`crate::Reading`] ([`Stream`], which also merges records that
//! come in parts). And back, for simulated machines. The rules follow the bytes of real machines where they differ from the text.
//!
//! Sources: FTMS 1.0, GATT Specification Supplement 2024-11-06, HRS 1.0, CPS 1.1, CSCS 1.0, RSCS 1.0. Field tables in `table`,
//! quirks in [`quirk`].

mod bits;
pub mod cli;
mod control_point;
mod counters;
mod feature;
mod issue;
mod layout;
mod merge;
mod names;
pub mod quirk;
mod reading;
mod record;
mod status;
mod stream;
mod table;

pub use control_point::{
    CONTROL_NOT_PERMITTED, ControlPoint, INVALID_PARAMETER, NOT_SUPPORTED, Numbers, OPERATION_FAILED, RESPONSE, Request, Response, SUCCESS,
};
pub use counters::{DistanceSpeed, RevCounter, Unwrap};
pub use feature::{Feature, Range};
pub use issue::{FtmsError, Issue, Issues};
pub use layout::{Layout, NOTIFICATION_BYTES_MIN};
pub use merge::{Merged, OPEN_RECORDS_MAX, OpenRecords, WINDOW_MS};
pub use names::target_names;
pub use quirk::Quirks;
pub use reading::{Encoded, encode_reading};
pub use record::Record;
pub use status::{
    CONTROL_LOST, MachineStatus, RESET, SPIN_DOWN_STATUS, STARTED_BY_USER, STOPPED_BY_SAFETY_KEY, STOPPED_BY_USER, TrainingStatus,
};
pub use stream::{Row, Stream, StreamError};

macro_rules! characteristics {
    ($($uuid:literal $variant:ident $name:literal;)+) => {
        /// A characteristic whose values are known here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Characteristic { $(#[doc = concat!("`", $name, "`.")] $variant = $uuid,)+ }

        impl Characteristic {
            /// All characteristics.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// The 16-bit UUID.
            #[must_use]
            pub const fn uuid(self) -> u16 { self as u16 }
            /// The name as the definition has it, in snake case.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }
            /// The characteristic of a 16-bit UUID.
            #[must_use]
            pub const fn from_uuid(uuid: u16) -> Option<Self> { match uuid { $($uuid => Some(Self::$variant),)+ _ => None } }
        }
    };
}

characteristics! {
    0x2a37 HeartRate "heart_rate_measurement";
    0x2a53 Rsc "rsc_measurement";
    0x2a5b Csc "csc_measurement";
    0x2a63 CyclingPower "cycling_power_measurement";
    0x2acc Feature "fitness_machine_feature";
    0x2acd Treadmill "treadmill_data";
    0x2ace CrossTrainer "cross_trainer_data";
    0x2acf StepClimber "step_climber_data";
    0x2ad0 StairClimber "stair_climber_data";
    0x2ad1 Rower "rower_data";
    0x2ad2 IndoorBike "indoor_bike_data";
    0x2ad3 TrainingStatus "training_status";
    0x2ad4 SpeedRange "supported_speed_range";
    0x2ad5 InclineRange "supported_inclination_range";
    0x2ad6 ResistanceRange "supported_resistance_level_range";
    0x2ad7 HeartRateRange "supported_heart_rate_range";
    0x2ad8 PowerRange "supported_power_range";
    0x2ad9 ControlPoint "fitness_machine_control_point";
    0x2ada MachineStatus "fitness_machine_status";
}

impl Characteristic {
    /// The characteristic of what a person writes: `0x2AD2`, `2ad2`, the whole UUID, or `indoor_bike_data`, `Indoor Bike Data`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        if let Some(named) = Self::ALL.iter().find(|characteristic| characteristic.name() == word) {
            return Some(*named);
        }
        let digits = word.strip_prefix("0x").unwrap_or(&word);
        let short = digits.strip_suffix("_0000_1000_8000_00805f9b34fb").and_then(|long| long.strip_prefix("0000")).unwrap_or(digits);
        if short.len() == 4 { u16::from_str_radix(short, 16).ok().and_then(Self::from_uuid) } else { None }
    }

    /// Whether its values are readings: data records and sensor measurements.
    #[must_use]
    pub fn has_readings(self) -> bool {
        table::of(self).is_some()
    }

    /// Whether its records may come in parts.
    #[must_use]
    pub fn comes_in_parts(self) -> bool {
        table::of(self).is_some_and(|table| table.split)
    }
}

/// A value of a characteristic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "records are nearly all values, and a box would be an allocation for each")]
pub enum Decoded {
    /// A data record or sensor measurement.
    Record(Record),
    /// Training status.
    TrainingStatus(TrainingStatus),
    /// Feature.
    Feature(Feature),
    /// One of the ranges.
    Range(Range),
    /// Control point, either way.
    ControlPoint(ControlPoint),
    /// Machine status.
    MachineStatus(MachineStatus),
}

impl Decoded {
    /// Reads a value.
    ///
    /// # Errors
    /// [`FtmsError`] for values that mean nothing when cut: ranges, features, requests and answers. Records are never refused.
    pub fn decode(characteristic: Characteristic, bytes: &[u8], quirks: Quirks) -> Result<Self, FtmsError> {
        if let Some(record) = Record::decode(characteristic, bytes, quirks) {
            return Ok(Self::Record(record));
        }
        if let Some(range) = Range::decode(characteristic, bytes) {
            return range.map(Self::Range);
        }
        match characteristic {
            Characteristic::TrainingStatus => Ok(Self::TrainingStatus(TrainingStatus::decode(bytes))),
            Characteristic::Feature => Feature::decode(bytes).map(Self::Feature),
            Characteristic::MachineStatus => Ok(Self::MachineStatus(MachineStatus::decode(bytes))),
            _ => ControlPoint::decode(bytes).map(Self::ControlPoint),
        }
    }

    /// The bytes of the value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Record(record) => record.encode(),
            Self::TrainingStatus(status) => status.encode(),
            Self::Feature(feature) => feature.encode(),
            Self::Range(range) => range.encode(),
            Self::ControlPoint(ControlPoint::Request(request)) => request.encode(),
            Self::ControlPoint(ControlPoint::Response(response)) => response.encode(),
            Self::MachineStatus(status) => status.encode(),
        }
    }

    /// What was odd.
    #[must_use]
    pub fn issues(&self) -> Issues {
        match self {
            Self::Record(record) => record.issues(),
            Self::TrainingStatus(status) => status.issues,
            Self::Feature(feature) => feature.issues,
            Self::ControlPoint(ControlPoint::Request(request)) => request.issues,
            Self::MachineStatus(status) => status.issues,
            Self::Range(_) | Self::ControlPoint(ControlPoint::Response(_)) => Issues::default(),
        }
    }
}

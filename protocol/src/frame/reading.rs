//! Frames that carry readings: what sources number, what viewers see, what is stored.

use schemars::JsonSchema;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeSeq as _, SerializeStruct as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::field::{RR_BIT, Reading};
use crate::limits::{BATCH_READINGS_MAX, RAW_BYTES_MAX, RR_MAX};
use crate::seq::SeqRanges;
use crate::text::{Blob, Text};
use crate::{MachineId, WorkoutId};

/// Gives a slot on this connection to a source: (machine or the member's own device, sensor, boot).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bind {
    /// The slot, chosen by the peer.
    pub slot: u16,
    /// The machine, announced before by `machine_hello`; none for a member's own device.
    pub machine: Option<MachineId>,
    /// Which sensor of it, such as `ftms`, `hr`, `strap:8C3D`; keeps its name over boots.
    pub sensor: Text<32>,
    /// The run of the source, raised at each of its starts.
    pub boot: u32,
    /// Random bits drawn at that start.
    pub nonce: u32,
    /// Which clock of this connection stamps `dev_ms`.
    #[serde(default)]
    pub clock: u16,
    /// Readings in the source's buffer that it does not know to be stored.
    #[serde(default)]
    pub held: SeqRanges,
    /// Vendor, model and firmware as `vendor/model/firmware`, for the quirk table; read with `ftms.raw` only.
    #[serde(default)]
    pub quirk: Option<Text<96>>,
    /// Under a claim that the machine keeps: the first number that the source gave in this boot after the machine took it. 1 in a boot that
    /// started since. None without a claim, or where the machine does not know.
    #[serde(default)]
    pub claim_from_seq: Option<u32>,
}

/// Frees a slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unbind {
    /// The slot.
    pub slot: u16,
}

/// One reading. MessagePack: `[13, slot, seq, dev_ms, mask, values...]`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub struct Sample {
    /// A bound slot.
    pub slot: u16,
    /// Number of the reading, from 1, plus one each.
    pub seq: u32,
    /// The device's monotonic clock, milliseconds.
    pub dev_ms: i64,
    /// What was read.
    pub reading: Reading,
}

/// Many readings of one slot with the same fields, as columns of differences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Batch {
    /// A bound slot.
    pub slot: u16,
    /// The readings.
    #[serde(deserialize_with = "crate::lenient::record")]
    pub columns: Columns,
}

/// Readings with the same fields as columns: first values, then differences to the row before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Columns {
    /// Mask of the fields, RR not among them.
    pub mask: u32,
    /// First seq, then steps; 1 to 256 of them.
    #[schemars(length(max = BATCH_READINGS_MAX))]
    pub seq: Vec<u32>,
    /// First device time, then differences.
    #[schemars(length(max = BATCH_READINGS_MAX))]
    pub dev_ms: Vec<i64>,
    /// For each field in order of the bits: first value, then differences.
    pub values: Vec<Vec<i64>>,
}

/// The columns do not make rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// A column has another length than `seq`, or there are none or too many rows.
    #[error("{rows} rows (1 to {BATCH_READINGS_MAX}) and {columns} columns do not fit the mask")]
    Shape {
        /// Length of `seq`.
        rows: usize,
        /// Number of columns.
        columns: usize,
    },
    /// Sums leave the range of their type.
    #[error("row {0}: the differences add up to more than the field can hold")]
    Overflow(usize),
}

impl Columns {
    /// Packs rows `(seq, dev_ms, reading)` that share a mask without RR.
    #[must_use]
    pub fn pack(rows: &[(u32, i64, Reading)]) -> Self {
        let Some((_, _, first)) = rows.first() else { return Self::default() };
        debug_assert!(rows.iter().all(|(_, _, reading)| reading.mask() == first.mask() && reading.mask() & RR_BIT == 0));
        fn steps(values: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
            let mut before = 0;
            values.map(move |value| value - std::mem::replace(&mut before, value))
        }
        Self {
            mask: first.mask(),
            seq: steps(rows.iter().map(|row| i64::from(row.0))).map(|step| step as u32).collect(),
            dev_ms: steps(rows.iter().map(|row| row.1)).collect(),
            values: (0..first.values().len()).map(|at| steps(rows.iter().map(|row| i64::from(row.2.values()[at]))).collect()).collect(),
        }
    }

    /// Rows `(seq, dev_ms, reading)` of the columns.
    ///
    /// # Errors
    /// [`ColumnsError`] where columns and mask do not fit or sums overflow; nothing of it is taken.
    pub fn unpack(&self) -> Result<Vec<(u32, i64, Reading)>, ColumnsError> {
        let rows = self.seq.len();
        let fits = (1..=BATCH_READINGS_MAX).contains(&rows)
            && self.mask & RR_BIT == 0
            && self.dev_ms.len() == rows
            && self.values.len() == self.mask.count_ones() as usize
            && self.values.iter().all(|column| column.len() == rows);
        if !fits {
            return Err(ColumnsError::Shape { rows, columns: self.values.len() });
        }
        let (mut seq, mut dev_ms) = (0_u32, 0_i64);
        let mut sums: SmallVec<[i64; 8]> = SmallVec::from_elem(0, self.values.len());
        let mut unpacked = Vec::with_capacity(rows);
        for row in 0..rows {
            let overflow = || ColumnsError::Overflow(row);
            seq = seq.checked_add(self.seq[row]).ok_or_else(overflow)?;
            dev_ms = dev_ms.checked_add(self.dev_ms[row]).ok_or_else(overflow)?;
            let mut values = SmallVec::with_capacity(sums.len());
            for (sum, column) in sums.iter_mut().zip(&self.values) {
                *sum = sum.checked_add(column[row]).ok_or_else(overflow)?;
                values.push(i32::try_from(*sum).map_err(|_| overflow())?);
            }
            let reading = Reading::from_parts(self.mask, values).map_err(|_| overflow())?;
            unpacked.push((seq, dev_ms, reading));
        }
        Ok(unpacked)
    }
}

/// A characteristic's bytes as the machine sent them; the hub decodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FtmsRaw {
    /// A bound slot.
    pub slot: u16,
    /// Number of the notification.
    pub seq: u32,
    /// The device's monotonic clock, milliseconds.
    pub dev_ms: i64,
    /// 16-bit UUID of the characteristic, such as 0x2AD2.
    pub uuid: u16,
    /// The value.
    pub bytes: Blob<RAW_BYTES_MAX>,
}

/// The source no longer has these readings and never will: they count as done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// A bound slot.
    pub slot: u16,
    /// First seq lost.
    pub from: u32,
    /// Last seq lost.
    pub to: u32,
}

/// One repetition on a strength machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rep {
    /// A bound slot.
    pub slot: u16,
    /// Number of the reading.
    pub seq: u32,
    /// The device's monotonic clock, milliseconds.
    pub dev_ms: i64,
    /// What was lifted.
    #[serde(deserialize_with = "crate::lenient::record")]
    pub rep: RepDetail,
}

/// Detail of a repetition; 0 where the machine does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct RepDetail {
    /// Set of the workout, from 1.
    pub set: u16,
    /// Repetition of the set, from 1.
    pub rep: u16,
    /// Load in 0.1 kg.
    pub load_hg: u32,
    /// Range of motion, millimetres.
    #[serde(default)]
    pub range_mm: u16,
    /// Mean velocity, mm/s.
    #[serde(default)]
    pub mean_mm_s: u16,
    /// Peak velocity, mm/s.
    #[serde(default)]
    pub peak_mm_s: u16,
    /// Peak power, watts.
    #[serde(default)]
    pub peak_power_w: u16,
    /// Time of the concentric phase.
    #[serde(default)]
    pub concentric_ms: u16,
    /// Time of the eccentric phase.
    #[serde(default)]
    pub eccentric_ms: u16,
}

/// One set, finished, as the machine counted it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Set {
    /// A bound slot.
    pub slot: u16,
    /// Number of the reading.
    pub seq: u32,
    /// The device's monotonic clock, milliseconds.
    pub dev_ms: i64,
    /// The set.
    #[serde(deserialize_with = "crate::lenient::record")]
    pub set: SetDetail,
}

/// Detail of a set; 0 or none where unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SetDetail {
    /// Set of the workout, from 1.
    pub set: u16,
    /// The exercise, as the plan or the machine names it.
    #[serde(default)]
    pub exercise: Option<Text<64>>,
    /// Repetitions planned.
    #[serde(default)]
    pub target_reps: u16,
    /// Repetitions done.
    pub reps: u16,
    /// Load in 0.1 kg.
    #[serde(default)]
    pub load_hg: u32,
    /// Duration of the work, seconds.
    #[serde(default)]
    pub seconds: u16,
    /// Rest after it, seconds.
    #[serde(default)]
    pub rest_s: u16,
    /// Tempo, such as `3-1-1-0`.
    #[serde(default)]
    pub tempo: Option<Text<16>>,
    /// A note of the member.
    #[serde(default)]
    pub note: Option<Text<256>>,
}

/// One stroke of a rower.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stroke {
    /// A bound slot.
    pub slot: u16,
    /// Number of the reading.
    pub seq: u32,
    /// The device's monotonic clock, milliseconds.
    pub dev_ms: i64,
    /// The stroke.
    #[serde(deserialize_with = "crate::lenient::record")]
    pub stroke: StrokeDetail,
}

/// Detail of a stroke; 0 where unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct StrokeDetail {
    /// Stroke of the workout, from 1.
    pub stroke: u32,
    /// Time of the drive.
    pub drive_ms: u16,
    /// Time of the recovery.
    #[serde(default)]
    pub recovery_ms: u16,
    /// Length of the drive, centimetres.
    #[serde(default)]
    pub length_cm: u16,
    /// Peak force, newtons.
    #[serde(default)]
    pub peak_force_n: u16,
    /// Work, joules.
    #[serde(default)]
    pub work_j: u16,
}

/// The slot stands; what the hub knows to be stored of its boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bound {
    /// The slot.
    pub slot: u16,
}

/// What was taken and what is stored, for many slots at once; each second or 64 readings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// One entry a slot that has news.
    #[serde(deserialize_with = "crate::lenient::list")]
    pub acks: Vec<SlotAck>,
}

/// News of one slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlotAck {
    /// The slot.
    pub slot: u16,
    /// Every reading of this connection up to here was taken for storing (not yet stored), or is stored.
    pub accepted_through: u32,
    /// Newly stored: committed, quarantined, or declared lost. Forget them.
    pub stored: SeqRanges,
}

/// The hub cannot take readings for storing now: keep the buffer, go on sending live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// The slot.
    pub slot: u16,
}

/// Send these readings again, in batches, at most so many a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resend {
    /// The slot.
    pub slot: u16,
    /// First seq.
    pub from: u32,
    /// Last seq.
    pub to: u32,
    /// Readings a second at most.
    pub rate: u32,
}

/// A reading was quarantined: it counts as done, and somebody should look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// The slot.
    pub slot: u16,
    /// The reading.
    pub seq: u32,
    /// Number in the error catalogue.
    pub code: u16,
    /// The place or the numbers.
    pub detail: Text<256>,
}

/// One reading for viewers of a workout or machine. MessagePack: `[69, handle, source, seq, age_ms, mask, values...]`.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
pub struct Live {
    /// Short number of the room.
    pub handle: u32,
    /// Index of the source in the room's snapshot.
    pub source: u16,
    /// Its number.
    pub seq: u32,
    /// How old the value was when this frame left, milliseconds.
    pub age_ms: u32,
    /// The fields of the viewer's class.
    pub reading: Reading,
}

/// What changed on the floor since the last tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FloorTick {
    /// Short number of the room.
    pub handle: u32,
    /// Hub time of the tick.
    pub at_ms: i64,
    /// Machines with something new. MessagePack: groups of rows with the same fields,
    /// `[[mask, availability], index, age_ms, values..., index, age_ms, values..., ...]`.
    #[serde(with = "super::rows")]
    #[schemars(with = "Vec<FloorRow>")]
    pub rows: Vec<FloorRow>,
}

/// One machine's news on the floor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FloorRow {
    /// Index of the machine in the floor's snapshot.
    pub index: u16,
    /// Availability: 0 available, 1 occupied, 2 maintenance, 3 unknown.
    pub availability: u8,
    /// Age of the reading, milliseconds.
    pub age_ms: u32,
    /// Latest values; empty where blank.
    pub reading: Reading,
}

/// How far a workout's readings are stored, for the *saved* mark of a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// Short number of the workout's room.
    pub handle: u32,
    /// Index of the source in the room's snapshot.
    pub source: u16,
    /// Stored seqs of the source's boot as far as this node knows.
    pub stored: SeqRanges,
}

/// Implements the flat MessagePack form `[head..., mask, values...]` and an object with `reading` in JSON.
macro_rules! flat_reading {
    ($type:ident { $($field:ident: $ty:ty),+ }) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                const HEAD: usize = [$(stringify!($field)),+].len();
                if serializer.is_human_readable() {
                    let mut object = serializer.serialize_struct(stringify!($type), HEAD + 1)?;
                    $(object.serialize_field(stringify!($field), &self.$field)?;)+
                    object.serialize_field("reading", &self.reading)?;
                    object.end()
                } else {
                    let mut seq = serializer.serialize_seq(Some(HEAD + 1 + self.reading.values().len()))?;
                    $(seq.serialize_element(&self.$field)?;)+
                    seq.serialize_element(&self.reading.mask())?;
                    for value in self.reading.values() { seq.serialize_element(value)?; }
                    seq.end()
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct FlatVisitor;
                impl<'de> Visitor<'de> for FlatVisitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("[", $(stringify!($field), ", ",)+ "mask, values...]"))
                    }
                    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<$type, A::Error> {
                        $(let $field: $ty = seq.next_element()?.ok_or_else(|| de::Error::missing_field(stringify!($field)))?;)+
                        let mask: u32 = seq.next_element()?.ok_or_else(|| de::Error::missing_field("mask"))?;
                        let mut values: SmallVec<[i32; 8]> = SmallVec::new();
                        while let Some(value) = seq.next_element()? {
                            if values.len() <= 31 + RR_MAX { values.push(value); }
                        }
                        Ok($type { $($field,)+ reading: Reading::from_parts(mask, values).map_err(de::Error::custom)? })
                    }
                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$type, A::Error> {
                        #[derive(Deserialize)]
                        struct Object { $($field: $ty,)+ reading: Reading }
                        let object = Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
                        Ok($type { $($field: object.$field,)+ reading: object.reading })
                    }
                }
                deserializer.deserialize_any(FlatVisitor)
            }
        }
    };
}

flat_reading!(Sample { slot: u16, seq: u32, dev_ms: i64 });
flat_reading!(Live { handle: u32, source: u16, seq: u32, age_ms: u32 });

/// Index of a source in a room, as its snapshot lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoomSource {
    /// Index that `live` and `saved` carry.
    pub source: u16,
    /// The machine, if it is one.
    pub machine: Option<MachineId>,
    /// Which sensor.
    pub sensor: Text<32>,
    /// The boot that its seqs count.
    pub boot: u32,
    /// The workout, where the room is a machine.
    #[serde(default)]
    pub workout: Option<WorkoutId>,
}

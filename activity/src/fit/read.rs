//! A FIT activity file as readings and sets.
//!
//! Reads records, sets, and the sport of the session. Developer fields, components and unknown messages are passed over. A file that tells its
//! energy only as a sum has it in its first (0) and last reading, so that what is added up is the file's own number.

use std::convert::Infallible;

use protocol::frame::SetDetail;
use protocol::text::Text;
use protocol::{Field, Reading};
use rustyfit::profile::mesgdef;
use rustyfit::profile::typedef::{self, MesgNum};
use rustyfit::proto::{Message, Value};
use rustyfit::{DecoderBuilder, DecoderError, DecoderEvent, StreamingIterator as _};

use super::exercise;
use super::sink::Source;
use crate::Sport;
use crate::read::{Gathered, ReadError};
use crate::units::{self, FIT_EPOCH_S, set, set_cadence};

/// Descriptions of developer fields: each is looked for in a list, so that many would cost a square.
const DESCRIPTIONS_MAX: usize = 512;
/// Sets of one file.
const SETS_MAX: usize = 2_000;

/// Whether the header is one of FIT.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(12 | 14)) && bytes.get(8..12) == Some(b".FIT")
}

pub(crate) fn read(bytes: &[u8]) -> Result<Gathered, ReadError> {
    let bytes = whole(bytes)?;
    let mut file = File::default();
    let mut decoder = DecoderBuilder::new().expand_components(false).build();
    let mut stream = decoder.stream(Source(bytes));
    while let Some(event) = stream.next() {
        match event.map_err(wrong)? {
            DecoderEvent::Message(message) => file.take(message)?,
            DecoderEvent::FileHeader(_) | DecoderEvent::MessageDefinition(_) | DecoderEvent::Crc(_) => {}
        }
    }
    file.finish()
}

/// The first file of the bytes; another one may be chained to it and is not read.
fn whole(bytes: &[u8]) -> Result<&[u8], ReadError> {
    let size: [u8; 4] = bytes.get(4..8).and_then(|size| size.try_into().ok()).ok_or(ReadError::Truncated)?;
    let length = usize::from(bytes[0]) + u32::from_le_bytes(size) as usize + 2;
    if u32::from_le_bytes(size) == 0 {
        return Err(ReadError::Damaged("it says that it has no data".to_owned()));
    }
    bytes.get(..length).ok_or(ReadError::Truncated)
}

fn wrong(error: DecoderError<Infallible>) -> ReadError {
    match error {
        DecoderError::UnexpectedEof => ReadError::Truncated,
        DecoderError::NotFITFile => ReadError::NotAnActivity("no FIT header"),
        DecoderError::ChecksumMismatch { found, calculated } => ReadError::Checksum { found, calculated },
        DecoderError::MissingMessageDefinition { local_mesg_num } => {
            ReadError::Damaged(format!("message {local_mesg_num} has no definition"))
        }
    }
}

/// A record as it stands in the file: its cadence means what the sport, told later, says.
struct Record {
    at_ms: i64,
    reading: Reading,
    cadence: Option<f64>,
}

#[derive(Default)]
struct File {
    kind: Option<u8>,
    sport: Option<Sport>,
    energy_kcal: Option<u32>,
    records: Vec<Record>,
    sets: Vec<(i64, SetDetail)>,
    descriptions: usize,
}

impl File {
    fn take(&mut self, message: &Message) -> Result<(), ReadError> {
        match message.num {
            MesgNum::FILE_ID => self.kind = self.kind.or(number(message, mesgdef::FileId::TYPE).map(|kind| kind as u8)),
            MesgNum::RECORD => return self.record(message),
            MesgNum::SESSION => self.session(message),
            MesgNum::SET => return self.set(message),
            MesgNum::FIELD_DESCRIPTION => {
                self.descriptions += 1;
                if self.descriptions > DESCRIPTIONS_MAX {
                    return Err(ReadError::TooMuch("more than 512 descriptions of developer fields"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn session(&mut self, message: &Message) {
        let sport = number(message, mesgdef::Session::SPORT).unwrap_or_default();
        let sub_sport = number(message, mesgdef::Session::SUB_SPORT).unwrap_or_default();
        let sport = Sport::from_fit(sport as u8, sub_sport as u8);
        self.sport = Some(self.sport.map_or(sport, |before| Sport::of_all([before, sport])));
        let spent = number(message, mesgdef::Session::TOTAL_CALORIES).unwrap_or_default() as u32;
        self.energy_kcal = Some(self.energy_kcal.unwrap_or_default().saturating_add(spent)).filter(|sum| *sum > 0);
    }

    fn record(&mut self, message: &Message) -> Result<(), ReadError> {
        use mesgdef::Record as R;
        let Some(at_ms) = time(message, R::TIMESTAMP) else { return Ok(()) };
        let value = |num| number(message, num);
        let mut reading = Reading::new();
        set(&mut reading, Field::HeartRate, value(R::HEART_RATE));
        set(&mut reading, Field::Power, value(R::POWER));
        set(&mut reading, Field::Distance, value(R::DISTANCE).map(|cm| (cm / 100.0).floor()));
        set(&mut reading, Field::Incline, value(R::GRADE).map(|hundredths| hundredths / 10.0));
        set(&mut reading, Field::Resistance, value(R::RESISTANCE).map(|level| level * 10.0));
        set(&mut reading, Field::Energy, value(R::CALORIES));
        let speed = value(R::ENHANCED_SPEED).or_else(|| value(R::SPEED)).and_then(|mm| units::centikmh(mm / 1000.0));
        if let Some(speed) = speed {
            reading.set(Field::Speed, speed);
        }
        let fraction = value(R::FRACTIONAL_CADENCE).unwrap_or_default() / 128.0;
        let cadence = value(R::CADENCE).map(|cadence| cadence + fraction);
        if self.records.len() >= crate::READINGS_MAX {
            return Err(ReadError::TooMuch("more than 100,000 readings"));
        }
        self.records.push(Record { at_ms, reading, cadence });
        Ok(())
    }

    fn set(&mut self, message: &Message) -> Result<(), ReadError> {
        use mesgdef::Set as S;
        let value = |num| number(message, num);
        let kind = value(S::SET_TYPE).map(|kind| typedef::SetType(kind as u8));
        let seconds = (value(S::DURATION).unwrap_or_default() / 1000.0).round() as u16;
        if kind == Some(typedef::SetType::REST) {
            if let Some((_, set)) = self.sets.last_mut() {
                set.rest_s = seconds;
            }
            return Ok(());
        }
        let Some(at_ms) = time(message, S::TIMESTAMP) else { return Ok(()) };
        if self.sets.len() >= SETS_MAX {
            return Err(ReadError::TooMuch("more than 2,000 sets"));
        }
        let category = message.fields.iter().find(|field| field.num == S::CATEGORY).and_then(|field| match &field.value {
            Value::ArrayUint16(list) => list.first().copied(),
            Value::Uint16(one) => Some(*one),
            _ => None,
        });
        let set = SetDetail {
            set: u16::try_from(self.sets.len() + 1).unwrap_or(u16::MAX),
            exercise: category.and_then(exercise::name).map(Text::cut),
            target_reps: 0,
            reps: value(S::REPETITIONS).unwrap_or_default() as u16,
            // Sixteenths of a kilogram.
            load_hg: (value(S::WEIGHT).unwrap_or_default() / 1.6).round() as u32,
            seconds,
            rest_s: 0,
            tempo: None,
            note: None,
        };
        self.sets.push((at_ms, set));
        Ok(())
    }

    fn finish(mut self) -> Result<Gathered, ReadError> {
        match self.kind {
            Some(kind) if kind == typedef::File::ACTIVITY.0 => {}
            Some(_) => return Err(ReadError::NotAnActivity("a FIT file of another kind, such as a course or a plan")),
            None => return Err(ReadError::NotAnActivity("a FIT file that does not say its kind")),
        }
        self.spread_energy();
        let mut gathered = Gathered::new(self.sport.unwrap_or(Sport::Other));
        for Record { at_ms, mut reading, cadence } in self.records {
            if let Some(cadence) = cadence {
                set_cadence(&mut reading, gathered.sport, cadence);
            }
            gathered.push(at_ms, reading)?;
        }
        gathered.sets = self.sets;
        Ok(gathered)
    }

    /// The session's energy, where no record has any.
    fn spread_energy(&mut self) {
        let told = self.records.iter().any(|record| record.reading.get(Field::Energy).is_some());
        let (Some(spent), false, 2..) = (self.energy_kcal, told, self.records.len()) else { return };
        let last = self.records.len() - 1;
        for (place, kcal) in [(0, 0), (last, spent)] {
            set(&mut self.records[place].reading, Field::Energy, Some(f64::from(kcal)));
        }
    }
}

/// A field's number; none where it is not there or has its invalid value.
fn number(message: &Message, num: u8) -> Option<f64> {
    let field = message.fields.iter().find(|field| field.num == num)?;
    match field.value {
        Value::Uint8(value) => (value != u8::MAX).then(|| value.into()),
        Value::Int8(value) => (value != i8::MAX).then(|| value.into()),
        Value::Uint16(value) => (value != u16::MAX).then(|| value.into()),
        Value::Int16(value) => (value != i16::MAX).then(|| value.into()),
        Value::Uint32(value) => (value != u32::MAX).then(|| value.into()),
        Value::Int32(value) => (value != i32::MAX).then(|| value.into()),
        _ => None,
    }
}

/// UTC, milliseconds.
fn time(message: &Message, num: u8) -> Option<i64> {
    let at_ms = (number(message, num)? as i64 + FIT_EPOCH_S) * 1000;
    units::AT_MS.contains(&at_ms).then_some(at_ms)
}

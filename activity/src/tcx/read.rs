//! A TCX document as readings.
//!
//! Elements are known by their local names. A document with a DTD is refused, so that there are no entities to expand; names of entities beyond
//! XML's own five are refused as well. Depth is bounded. The calories of laps, which are all that TCX has, stand in the last reading of
//! each lap, going on from 0 in the first.

use protocol::{Field, Reading};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::time;
use crate::Sport;
use crate::read::{Gathered, ReadError};
use crate::units::{self, set, set_cadence};

/// Elements within each other.
const DEPTH_MAX: usize = 32;
/// Bytes of a text that says a number or a time.
const TEXT_BYTES_MAX: usize = 64;
/// Where the root element is looked for.
const HEAD_BYTES: usize = 4096;

/// Whether the document speaks of a TrainingCenterDatabase early on, or is XML at all: then the reader says what is wrong with it.
pub(crate) fn looks_like(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().starts_with(b"<")
}

pub(crate) fn read(bytes: &[u8]) -> Result<Gathered, ReadError> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    if !head.windows(22).any(|window| window == b"TrainingCenterDatabase") {
        return Err(ReadError::NotAnActivity("XML, but not a TrainingCenterDatabase"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ReadError::Damaged("not UTF-8".to_owned()))?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut document = Document::default();
    loop {
        match reader.read_event().map_err(|error| damaged(&reader, &error))? {
            Event::Start(element) => document.open(&element)?,
            Event::Empty(element) => {
                document.open(&element)?;
                document.close()?;
            }
            Event::End(_) => document.close()?,
            Event::Text(text) => document.text(&text),
            Event::CData(text) => document.text(&text),
            Event::GeneralRef(name) if !name.is_char_ref() && !PREDEFINED.contains(&&*name) => {
                return Err(ReadError::NotAnActivity("it names entities of its own, which are not expanded"));
            }
            Event::DocType(_) => return Err(ReadError::NotAnActivity("it has a document type, which is not read")),
            Event::Eof => break,
            Event::GeneralRef(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
    if !document.open.is_empty() {
        return Err(ReadError::Truncated);
    }
    document.gathered.ok_or(ReadError::NotAnActivity("no Activity in it"))
}

const PREDEFINED: [&str; 5] = ["lt", "gt", "amp", "apos", "quot"];

fn damaged(reader: &Reader<&[u8]>, error: &quick_xml::Error) -> ReadError {
    ReadError::Damaged(format!("at byte {}: {error}", reader.error_position()))
}

/// The elements that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Activity,
    Lap,
    Trackpoint,
    Time,
    Distance,
    HeartRate,
    Value,
    Cadence,
    Speed,
    Watts,
    Calories,
    Other,
}

impl Element {
    fn of(name: &str) -> Self {
        match name {
            "Activity" => Self::Activity,
            "Lap" => Self::Lap,
            "Trackpoint" => Self::Trackpoint,
            "Time" => Self::Time,
            "DistanceMeters" => Self::Distance,
            "HeartRateBpm" => Self::HeartRate,
            "Value" => Self::Value,
            "Cadence" | "RunCadence" => Self::Cadence,
            "Speed" => Self::Speed,
            "Watts" => Self::Watts,
            "Calories" => Self::Calories,
            _ => Self::Other,
        }
    }
}

/// A trackpoint while it is read.
#[derive(Default)]
struct Here {
    at_ms: Option<i64>,
    reading: Reading,
}

#[derive(Default)]
struct Document {
    open: Vec<Element>,
    text: String,
    gathered: Option<Gathered>,
    here: Option<Here>,
    /// Calories of the laps before, and of this one.
    energy: (f64, f64),
    /// The first reading of this lap, for its calories.
    lap_from: usize,
}

impl Document {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), ReadError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(ReadError::TooMuch("elements within each other"));
        }
        let kind = Element::of(element.local_name().as_ref());
        self.open.push(kind);
        self.text.clear();
        match kind {
            Element::Activity => {
                let sport = element.try_get_attribute("Sport").ok().flatten();
                let sport = sport.map_or(Sport::Other, |sport| Sport::from_tcx(&sport.value));
                let before = self.gathered.get_or_insert_with(|| Gathered::new(sport));
                before.sport = Sport::of_all([before.sport, sport]);
            }
            Element::Lap => {
                self.energy.1 = 0.0;
                self.lap_from = self.gathered.as_ref().map_or(0, |gathered| gathered.readings.len());
            }
            Element::Trackpoint => self.here = Some(Here::default()),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let room = TEXT_BYTES_MAX.saturating_sub(self.text.len());
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
    }

    fn close(&mut self) -> Result<(), ReadError> {
        let Some(kind) = self.open.pop() else { return Ok(()) };
        let within = self.open.last().copied();
        match kind {
            Element::Trackpoint => self.keep_point()?,
            Element::Lap => self.keep_energy(),
            Element::Calories if within == Some(Element::Lap) => self.energy.1 = self.number().unwrap_or_default(),
            _ => self.keep_value(kind, within),
        }
        self.text.clear();
        Ok(())
    }

    fn number(&self) -> Option<f64> {
        self.text.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A value of a trackpoint.
    fn keep_value(&mut self, kind: Element, within: Option<Element>) {
        let (number, sport) = (self.number(), self.gathered.as_ref().map_or(Sport::Other, |gathered| gathered.sport));
        let Some(here) = &mut self.here else { return };
        match kind {
            Element::Time => here.at_ms = time::parse(&self.text),
            Element::Value if within == Some(Element::HeartRate) => set(&mut here.reading, Field::HeartRate, number),
            Element::Distance => set(&mut here.reading, Field::Distance, number.map(f64::floor)),
            Element::Watts => set(&mut here.reading, Field::Power, number),
            Element::Cadence => number.into_iter().for_each(|number| set_cadence(&mut here.reading, sport, number)),
            Element::Speed => {
                if let Some(speed) = number.and_then(units::centikmh) {
                    here.reading.set(Field::Speed, speed);
                }
            }
            _ => {}
        }
    }

    fn keep_point(&mut self) -> Result<(), ReadError> {
        let (Some(here), Some(gathered)) = (self.here.take(), &mut self.gathered) else { return Ok(()) };
        here.at_ms.map_or(Ok(()), |at_ms| gathered.push(at_ms, here.reading))
    }

    fn keep_energy(&mut self) {
        let Some(gathered) = &mut self.gathered else { return };
        let (before, spent) = self.energy;
        self.energy = (before + spent, 0.0);
        if spent <= 0.0 || gathered.readings.len() < self.lap_from + 2 {
            return;
        }
        if let Some((_, first)) = gathered.readings.get_mut(self.lap_from) {
            set(first, Field::Energy, Some(before));
        }
        if let Some((_, last)) = gathered.readings.last_mut() {
            set(last, Field::Energy, Some(before + spent));
        }
    }
}

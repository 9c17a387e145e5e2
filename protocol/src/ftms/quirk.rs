//! Machines that say something else than the definition: as data, with where each was seen.
//!
//! In: a device's name as `vendor/model/firmware`, or free text such as `Life Fitness bike`, or the id of a quirk. Out: the set of
//! quirks that hold for it. A new quirk is a row; [`QUIRKS_VERSION`] is raised with every change, and rows are never reused.

use super::Characteristic;
use super::layout::{Layout, need};
use super::table::Table;

/// Raised with every change of [`QUIRKS`].
pub const QUIRKS_VERSION: u16 = 1;

/// What a machine does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Where the flags have `when` without `also`, the fields of `also` are there all the same.
    Implied {
        /// Bits set.
        when: u32,
        /// Bits meant.
        also: u32,
    },
    /// Reserved flag bits that carry the field which the tables have for them.
    Extension(u32),
    /// Speed is 0 in every record: it follows from the distance.
    SpeedFromDistance,
    /// Parts of a record come also after the one that ends it: it stays open for its whole window.
    LateParts,
}

/// One way in which some machines differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirk {
    /// Its name, for `bind.quirk` and `--device`.
    pub id: &'static str,
    /// Part of the vendor's name, lower case.
    pub vendor: &'static str,
    /// Parts of the model's name, any of them; none fits all.
    pub models: &'static [&'static str],
    /// How the firmware's version begins; empty fits all.
    pub firmware: &'static str,
    /// Where it shows.
    pub characteristic: Characteristic,
    /// What it is.
    pub rule: Rule,
    /// Whether the length of a record alone gives it away, so that it holds for devices without a name too.
    pub by_length: bool,
    /// Where it was seen.
    pub source: &'static str,
}

/// All quirks known.
pub static QUIRKS: &[Quirk] = &[
    Quirk {
        id: "life-fitness-bike-cadence",
        vendor: "life fitness",
        models: &["bike", "ic5", "ic6", "ic8", "cycle"],
        firmware: "",
        characteristic: Characteristic::IndoorBike,
        rule: Rule::Implied { when: 1 << 3, also: 1 << 2 },
        by_length: true,
        source: "TrackMyIndoorWorkout test/life_fitness_indoor_bike_test.dart: flags fa 09, both cadences, two bytes more than declared",
    },
    Quirk {
        id: "life-fitness-elliptical-speed",
        vendor: "life fitness",
        models: &["elliptical", "cross trainer", "cross-trainer", "crosstrainer"],
        firmware: "",
        characteristic: Characteristic::CrossTrainer,
        rule: Rule::SpeedFromDistance,
        by_length: false,
        source: "cagnulein/qdomyos-zwift PR #4818, a capture of 3,616 packets",
    },
    Quirk {
        id: "treadmill-steps",
        vendor: "huawei",
        models: &[],
        firmware: "",
        characteristic: Characteristic::Treadmill,
        rule: Rule::Extension(1 << 13),
        by_length: false,
        source: "dudanov/python-pyftms tests: bit 13 is a u24 step count",
    },
    Quirk {
        id: "viking-late-parts",
        vendor: "viking",
        models: &[],
        firmware: "",
        characteristic: Characteristic::Rower,
        rule: Rule::LateParts,
        by_length: false,
        source: "zpukr/ArduRower #1: energy comes with More Data after the part that ends the record",
    },
];

const _: () = assert!(QUIRKS.len() <= 32);

impl Quirk {
    fn fits(&self, device: &Device) -> bool {
        let model = |part: &&str| device.model.contains(*part);
        device.whole == self.id
            || (device.vendor.contains(self.vendor)
                && (self.models.is_empty() || self.models.iter().any(model))
                && device.firmware.starts_with(self.firmware))
    }
}

/// A device's name, taken apart.
struct Device {
    whole: String,
    vendor: String,
    model: String,
    firmware: String,
}

impl Device {
    fn new(text: &str) -> Self {
        let whole = text.trim().to_lowercase();
        let mut parts = whole.splitn(3, '/').map(|part| part.trim().to_owned());
        let vendor = parts.next().unwrap_or_default();
        // Free text names vendor and model in one.
        let model = parts.next().unwrap_or_else(|| vendor.clone());
        let firmware = parts.next().unwrap_or_default();
        Self { whole, vendor, model, firmware }
    }
}

/// The quirks that hold for one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Quirks(u32);

impl Quirks {
    /// No quirk but those that a record's length gives away.
    pub const NONE: Self = Self(0);

    /// Quirks of a device by `vendor/model/firmware`, free text, or the id of one quirk.
    #[must_use]
    pub fn of_device(text: &str) -> Self {
        let device = Device::new(text);
        let fits = |(at, quirk): (usize, &Quirk)| quirk.fits(&device).then_some(1_u32 << at);
        Self(QUIRKS.iter().enumerate().filter_map(fits).fold(0, |set, bit| set | bit))
    }

    /// The quirks of the set.
    pub fn iter(self) -> impl Iterator<Item = &'static Quirk> {
        QUIRKS.iter().enumerate().filter(move |(at, _)| self.0 >> at & 1 == 1).map(|(_, quirk)| quirk)
    }

    /// Whether a rule holds for a characteristic.
    #[must_use]
    pub fn has(self, characteristic: Characteristic, rule: Rule) -> bool {
        self.iter().any(|quirk| quirk.characteristic == characteristic && quirk.rule == rule)
    }

    /// Reserved bits that carry fields.
    pub(super) fn extensions(self, characteristic: Characteristic) -> u32 {
        self.iter().filter(|quirk| quirk.characteristic == characteristic).fold(0, |bits, quirk| match quirk.rule {
            Rule::Extension(more) => bits | more,
            Rule::Implied { .. } | Rule::SpeedFromDistance | Rule::LateParts => bits,
        })
    }

    /// The flags that a record of `len` bytes means.
    pub(super) fn meant(self, characteristic: Characteristic, table: &'static Table, flags: u32, len: usize) -> u32 {
        let fits = |flags: u32, layout: Layout| need(table, flags, layout) == len;
        let mut meant = flags;
        for (at, quirk) in QUIRKS.iter().enumerate().filter(|(_, quirk)| quirk.characteristic == characteristic) {
            let Rule::Implied { when, also } = quirk.rule else { continue };
            let applies = flags & when == when && flags & also == 0;
            let as_declared = fits(flags, Layout::Xml2017) || fits(flags, Layout::Gss2024);
            let known = self.0 >> at & 1 == 1;
            let given_away = quirk.by_length && flags & !table.known_bits() == 0 && fits(flags | also, Layout::Xml2017);
            if applies && !as_declared && (known || given_away) {
                meant |= also;
            }
        }
        meant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(device: &str) -> Vec<&'static str> {
        Quirks::of_device(device).iter().map(|quirk| quirk.id).collect()
    }

    #[test]
    fn a_quirk_is_found_by_free_text_by_parts_and_by_its_id() {
        assert_eq!(ids("Life Fitness bike"), ["life-fitness-bike-cadence"]);
        assert_eq!(ids("Life Fitness/IC5 Indoor Cycle/1.2"), ["life-fitness-bike-cadence"]);
        assert_eq!(ids("treadmill-steps"), ["treadmill-steps"]);
        assert!(ids("Life Fitness treadmill").is_empty());
        assert!(ids("-").is_empty() && ids("").is_empty());
    }

    #[test]
    fn ids_are_distinct() {
        let ids: std::collections::BTreeSet<_> = QUIRKS.iter().map(|quirk| quirk.id).collect();
        assert_eq!(ids.len(), QUIRKS.len());
    }
}

//! The machines of the simulated gym: forty, on two gateways, as a club of middling size has them.

use protocol::frame::MachineKind;
use protocol::ftms::Layout;

use crate::gateway::{MachineSpec, Skew, Temper, Tongue};
use protocol::MachineId;

/// One machine to provision: who starts the gym provisions these and hands the ids back in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name on its sticker.
    pub name: String,
    /// Where it stands.
    pub location: &'static str,
    /// Kind.
    pub kind: MachineKind,
    /// Which of the two gateways carries it, 0 or 1.
    pub gateway: usize,
    /// A motor moves it.
    pub powered: bool,
}

/// Name, kind, how many, where, gateway.
const FLOOR: [(&str, MachineKind, usize, &str, usize); 7] = [
    ("Treadmill", MachineKind::Treadmill, 10, "Cardio, window side", 0),
    ("Bike", MachineKind::Bike, 10, "Cardio, middle", 0),
    ("Rower", MachineKind::Rower, 6, "Cardio, back wall", 0),
    ("Cross trainer", MachineKind::CrossTrainer, 4, "Cardio, middle", 0),
    ("Leg press", MachineKind::Strength, 4, "Strength, left", 1),
    ("Chest press", MachineKind::Strength, 3, "Strength, right", 1),
    ("Cable tower", MachineKind::Strength, 3, "Strength, right", 1),
];

/// The forty places of the floor.
#[must_use]
pub fn floor() -> Vec<Place> {
    FLOOR
        .iter()
        .flat_map(|&(name, kind, count, location, gateway)| {
            (1..=count).map(move |number| Place {
                name: format!("{name} {number}"),
                location,
                kind,
                gateway,
                powered: kind == MachineKind::Treadmill,
            })
        })
        .collect()
}

/// What stands at a place: machines of several makes, some decoded by their gateway, some forwarded raw, some with odd clocks, and one that
/// refuses to be told.
#[must_use]
pub fn spec_of(place: &Place, index: usize, machine: MachineId) -> MachineSpec {
    let mut spec = MachineSpec::new(machine, place.kind);
    if place.kind != MachineKind::Strength {
        spec.tongue = match index % 3 {
            0 => Tongue::Decoded,
            1 => Tongue::Raw { layout: Layout::Xml2017, bytes_max: 20 },
            _ => Tongue::Raw { layout: Layout::Gss2024, bytes_max: 185 },
        };
    }
    spec.skew = Skew::ALL[index % Skew::ALL.len()];
    spec.temper = match index % 13 {
        12 => Temper::Refuses { result: 2 },
        even if even % 2 == 0 => Temper::Willing { tells_stopped: true },
        _ => Temper::Willing { tells_stopped: false },
    };
    spec
}

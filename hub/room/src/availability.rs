//! May a member take the machine? One table.
//!
//! In: what is known of a machine. Out: [`Availability`]. Owns nothing. Whatever is not known is `unknown`, never `available`.

use protocol::frame::{Availability, MachineStatus};

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its maintenance log is open.
    pub maintenance: bool,
    /// Its link stands.
    pub linked: bool,
    /// What it says that it does.
    pub status: Option<MachineStatus>,
    /// Whether somebody is on it, if it can tell.
    pub user_present: Option<bool>,
    /// A member holds it.
    pub claimed: bool,
}

/// The table.
///
/// | maintenance | link | says | present | claimed | is |
/// |---|---|---|---|---|---|
/// | open | any | any | any | any | maintenance |
/// | | lost | any | any | any | unknown |
/// | | up | nothing, booting | any | any | unknown |
/// | | up | faulted | any | any | maintenance |
/// | | up | any other | any | yes | occupied |
/// | | up | stopped by the safety key | not seen | no | maintenance: somebody must reset it at the machine |
/// | | up | stopped by the safety key | yes | no | occupied |
/// | | up | idle | yes | no | occupied: somebody stands on it |
/// | | up | idle | not seen | no | available |
/// | | up | active, paused, finishing, used without login | any | no | occupied |
#[must_use]
pub fn availability(seen: Seen) -> Availability {
    use MachineStatus::{Active, Booting, Faulted, Finishing, Idle, Manual, Paused, SafetyStopped};
    if seen.maintenance {
        return Availability::Maintenance;
    }
    let Some(status) = seen.status.filter(|_| seen.linked) else { return Availability::Unknown };
    let present = seen.user_present == Some(true);
    match status {
        Booting => Availability::Unknown,
        Faulted => Availability::Maintenance,
        _ if seen.claimed || present => Availability::Occupied,
        SafetyStopped => Availability::Maintenance,
        Idle => Availability::Available,
        Active | Paused | Finishing | Manual => Availability::Occupied,
    }
}

/// The number in floor ticks.
#[must_use]
pub const fn number(availability: Availability) -> u8 {
    match availability {
        Availability::Available => 0,
        Availability::Occupied => 1,
        Availability::Maintenance => 2,
        Availability::Unknown => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Seen = Seen { maintenance: false, linked: true, status: Some(MachineStatus::Idle), user_present: None, claimed: false };

    #[test]
    fn only_a_linked_idle_empty_unclaimed_machine_is_available() {
        use MachineStatus::{Active, Booting, Faulted, Finishing, Idle, Manual, Paused, SafetyStopped};
        let mut available = 0;
        for status in
            [None, Some(Booting), Some(Idle), Some(Active), Some(Paused), Some(Finishing), Some(Manual), Some(SafetyStopped), Some(Faulted)]
        {
            for user_present in [None, Some(false), Some(true)] {
                for bits in 0..8 {
                    let seen = Seen { maintenance: bits & 1 != 0, linked: bits & 2 != 0, claimed: bits & 4 != 0, status, user_present };
                    if availability(seen) == Availability::Available {
                        available += 1;
                        assert!(seen.linked && !seen.maintenance && !seen.claimed && status == Some(Idle) && user_present != Some(true));
                    }
                }
            }
        }
        assert_eq!(available, 2);
    }

    #[test]
    fn a_machine_whose_link_is_lost_is_unknown_whatever_it_last_said() {
        assert_eq!(availability(Seen { linked: false, ..IDLE }), Availability::Unknown);
        assert_eq!(availability(Seen { linked: false, claimed: true, ..IDLE }), Availability::Unknown);
    }

    #[test]
    fn used_without_login_is_occupied() {
        assert_eq!(availability(Seen { status: Some(MachineStatus::Manual), ..IDLE }), Availability::Occupied);
    }

    #[test]
    fn a_pulled_safety_key_keeps_an_empty_machine_from_being_offered() {
        let pulled = Seen { status: Some(MachineStatus::SafetyStopped), ..IDLE };
        assert_eq!(availability(pulled), Availability::Maintenance);
        assert_eq!(availability(Seen { claimed: true, ..pulled }), Availability::Occupied);
    }
}

//! Records of gyms, machines and people, as they are provisioned and read.

use protocol::frame::{HeldClaim, MachineKind, OpenTicket, Role};
use protocol::text::Text;
use protocol::{GatewayId, GymId, MachineId, MemberId, StaffId, TeamId, TenantId, TicketId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a person or gym reads distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// Kilometres, kilograms.
    #[default]
    Metric,
    /// Miles, pounds.
    Imperial,
}

/// One club of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GymRecord {
    /// The gym.
    pub gym: GymId,
    /// Its name.
    pub name: Text<64>,
    /// IANA name, such as `Europe/Rome`.
    pub time_zone: Text<64>,
    /// Units on its walls.
    pub units: Units,
    /// Its public addresses in CIDR form: one Wi-Fi, many phones.
    pub addresses: Vec<Text<64>>,
}

/// A gym and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantGym {
    /// The tenant.
    pub tenant: TenantId,
    /// The gym.
    pub gym: GymRecord,
}

/// One socket that carries many machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRecord {
    /// The gateway.
    pub gateway: GatewayId,
    /// Where it stands.
    pub gym: GymId,
    /// Its name.
    pub name: Text<64>,
}

/// A piece of equipment, as provisioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// The machine.
    pub machine: MachineId,
    /// Its gym.
    pub gym: GymId,
    /// Name on its sticker.
    pub name: Text<48>,
    /// Kind.
    pub kind: MachineKind,
    /// Where it stands.
    pub location: Text<48>,
    /// The gateway that may publish it.
    pub gateway: Option<GatewayId>,
    /// A motor moves it.
    pub powered: bool,
}

/// A machine with what the database knows of its state.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineSeed {
    /// As provisioned.
    pub record: MachineRecord,
    /// Whether its maintenance log is open.
    pub maintenance: bool,
    /// Open fault tickets, worst first.
    pub tickets: Vec<OpenTicket>,
    /// The claim that stands.
    pub claim: Option<HeldClaim>,
    /// Whether that claim may control.
    pub may_control: bool,
    /// The newest fence ever stored for this machine; 0 none.
    pub fence: u64,
}

/// One entry of a machine's append-only maintenance log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MaintenanceEntry {
    /// Whether it opens or closes maintenance.
    pub open: bool,
    /// What was done.
    pub text: Text<256>,
    /// Who; none for the machine itself.
    pub by: Option<Uuid>,
    /// When.
    pub at_ms: i64,
}

/// A fault ticket.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TicketRecord {
    /// The machine.
    pub machine: MachineId,
    /// The ticket, with severity, code and text, since when.
    pub ticket: OpenTicket,
    /// When it was closed.
    pub closed_at_ms: Option<i64>,
    /// By whom.
    pub closed_by: Option<Uuid>,
}

/// Which ticket is closed, by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketClose {
    /// The ticket.
    pub ticket: TicketId,
    /// Who closes it.
    pub by: Uuid,
    /// When.
    pub at_ms: i64,
}

/// Consent by class of data; all off until given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Consents {
    /// May be processed at all beyond the contract.
    #[serde(default)]
    pub processing: bool,
    /// Health data.
    #[serde(default)]
    pub health: bool,
    /// Marketing.
    #[serde(default)]
    pub marketing: bool,
    /// The handle on walls.
    #[serde(default)]
    pub wall: bool,
}

/// A person who trains. `teams` and `achievements` are read, not provisioned here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// The member.
    pub member: MemberId,
    /// Name on walls; used only with consent.
    #[serde(default)]
    pub handle: Option<Text<48>>,
    /// Consent by class.
    #[serde(default)]
    pub consents: Consents,
    /// Units on the member's pages.
    #[serde(default)]
    pub units: Units,
    /// Heart-rate ceiling.
    #[serde(default)]
    pub ceiling_bpm: Option<u16>,
    /// The member's own maximum, for zones on boards.
    #[serde(default)]
    pub max_heart_rate_bpm: Option<u16>,
    /// Teams the member is in.
    #[serde(default)]
    pub teams: Vec<TeamId>,
    /// Achievements earned.
    #[serde(default)]
    pub achievements: Vec<Text<64>>,
}

impl MemberRecord {
    /// A member of whom nothing is known and who consented to nothing.
    #[must_use]
    pub fn new(member: MemberId) -> Self {
        let (consents, units) = (Consents::default(), Units::default());
        Self {
            member,
            handle: None,
            consents,
            units,
            ceiling_bpm: None,
            max_heart_rate_bpm: None,
            teams: Vec::new(),
            achievements: Vec::new(),
        }
    }
}

/// A coach, team manager or operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffRecord {
    /// The person.
    pub staff: StaffId,
    /// What they may do.
    pub role: Role,
    /// Name for colleagues.
    pub name: Text<64>,
    /// Gyms where an operator works; empty for a coach.
    #[serde(default)]
    pub gyms: Vec<GymId>,
}

/// A group of coaches and members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamRecord {
    /// The team.
    pub team: TeamId,
    /// Its name.
    pub name: Text<64>,
    /// Its sport.
    #[serde(default)]
    pub sport: Option<Text<48>>,
    /// Coaches and managers.
    #[serde(default)]
    pub staff: Vec<StaffId>,
    /// Members.
    #[serde(default)]
    pub members: Vec<MemberId>,
}

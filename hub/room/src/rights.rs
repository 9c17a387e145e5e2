//! Who may do what: one table, which is also the document (`docs/RIGHTS.md` is printed from it).
//!
//! In: who asks ([`Viewer`]), what for ([`Action`]: every frame, every kind of room, every HTTP route), and what is known of the thing
//! ([`Object`]). Out: yes, or the error to answer with. What the table does not allow is denied, what is not known of an object allows
//! nothing, and the tenant is compared before anything else: a thing of another tenant does not exist.

use protocol::frame::Role;
use protocol::{ErrorCode, GatewayId, GymId, MachineId, MemberId, TeamId, TenantId};
use uuid::Uuid;

use crate::input::Viewer;

/// What must hold between the viewer and the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Never.
    No,
    /// Anything of the tenant.
    Tenant,
    /// The object lies in a gym of the token.
    SameGym,
    /// The object's member is in a team of the token.
    SameTeam,
    /// The object's member is in a team of the token, and the session watches it.
    TeamWatching,
    /// The object is the viewer's own.
    Own,
    /// The viewer holds the machine.
    Holder,
    /// The machine is the viewer, or is bound to this gateway.
    OwnMachine,
}

impl Rule {
    /// In words, for the document.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Tenant => "tenant",
            Self::SameGym => "own gym",
            Self::SameTeam => "own team",
            Self::TeamWatching => "own team, watching",
            Self::Own => "own",
            Self::Holder => "holder",
            Self::OwnMachine => "own machine",
        }
    }
}

/// What is known of the thing that is acted on. What is not known allows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Object<'a> {
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// The gym that it lies in.
    pub gym: Option<GymId>,
    /// The member that it concerns.
    pub member: Option<MemberId>,
    /// Teams of that member.
    pub teams: &'a [TeamId],
    /// The machine.
    pub machine: Option<MachineId>,
    /// The gateway that the machine is bound to.
    pub gateway: Option<GatewayId>,
    /// Who holds the machine.
    pub holder: Option<MemberId>,
    /// Whether the session watches it.
    pub watching: bool,
}

macro_rules! rights {
    ($($group:literal { $($variant:ident $name:literal [$member:ident $coach:ident $manager:ident $operator:ident $machine:ident $gateway:ident $display:ident $service:ident];)+ })+) => {
        /// Everything that a peer can ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($(#[doc = concat!("`", $name, "`: ", $group, ".")] $variant,)+)+ }

        impl Action {
            /// All actions in the order of the table.
            pub const ALL: &[Self] = &[$($(Self::$variant,)+)+];

            /// The name: of the frame, `room.kind`, or `http.route`.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $($(Self::$variant => $name,)+)+ } }

            /// Which part of the table it stands in.
            #[must_use]
            pub const fn group(self) -> &'static str { match self { $($(Self::$variant => $group,)+)+ } }

            /// The rule for a role.
            #[must_use]
            pub const fn rule(self, role: Role) -> Rule {
                let row = match self { $($(Self::$variant =>
                    [Rule::$member, Rule::$coach, Rule::$manager, Rule::$operator, Rule::$machine, Rule::$gateway, Rule::$display, Rule::$service],)+)+ };
                row[role as usize]
            }
        }
    };
}

rights! {
    //                                    member    coach         manager   operator  machine     gateway     display  service
    "frame, the session itself" {
        Hello "hello"                    [Tenant    Tenant        Tenant    Tenant    Tenant      Tenant      Tenant   Tenant];
        Refresh "refresh"                [Tenant    Tenant        Tenant    Tenant    Tenant      Tenant      Tenant   Tenant];
        Ping "ping"                      [Tenant    Tenant        Tenant    Tenant    Tenant      Tenant      Tenant   Tenant];
        Prove "prove"                    [No        No            No        No        Tenant      Tenant      No       No];
        RotateKey "rotate_key"           [No        No            No        No        Tenant      Tenant      No       No];
        Clock "clock"                    [Own       No            No        No        OwnMachine  OwnMachine  No       No];
        Join "join"                      [Tenant    Tenant        Tenant    Tenant    No          No          Tenant   No];
        Leave "leave"                    [Tenant    Tenant        Tenant    Tenant    No          No          Tenant   No];
    }
    "frame of a machine or source" {
        MachineHello "machine_hello"     [No        No            No        No        OwnMachine  OwnMachine  No       No];
        Bind "bind"                      [Own       No            No        No        OwnMachine  OwnMachine  No       No];
        Unbind "unbind"                  [Own       No            No        No        OwnMachine  OwnMachine  No       No];
        Sample "sample"                  [Own       No            No        No        OwnMachine  OwnMachine  No       No];
        Batch "batch"                    [Own       No            No        No        OwnMachine  OwnMachine  No       No];
        FtmsRaw "ftms.raw"               [Own       No            No        No        OwnMachine  OwnMachine  No       No];
        Lost "lost"                      [Own       No            No        No        OwnMachine  OwnMachine  No       No];
        Rep "rep"                        [No        No            No        No        OwnMachine  OwnMachine  No       No];
        Set "set"                        [No        No            No        No        OwnMachine  OwnMachine  No       No];
        Stroke "stroke"                  [No        No            No        No        OwnMachine  OwnMachine  No       No];
        MachineState "machine_state"     [No        No            No        No        OwnMachine  OwnMachine  No       No];
        MachineFault "machine_fault"     [No        No            No        No        OwnMachine  OwnMachine  No       No];
        ClaimHeld "claim_held"           [No        No            No        No        OwnMachine  OwnMachine  No       No];
        SecondSign "second_sign"         [No        No            No        No        OwnMachine  OwnMachine  No       No];
        CommandAnswer "command_answer"   [No        No            No        No        OwnMachine  OwnMachine  No       No];
        StopAnswer "stop_answer"         [No        No            No        No        OwnMachine  OwnMachine  No       No];
    }
    "frame of a person" {
        Claim "claim"                    [SameGym   No            No        No        No          No          No       No];
        Release "release"                [Holder    No            No        SameGym   No          No          No       No];
        CheckOut "check_out"             [SameGym   No            No        No        No          No          No       No];
        Approve "approve"                [No        No            No        SameGym   No          No          No       No];
        Control "control"                [Holder    No            No        No        No          No          No       No];
        Stop "stop"                      [Holder    TeamWatching  No        SameGym   No          No          No       No];
        Propose "propose"                [No        SameTeam      No        No        No          No          No       No];
        Ceiling "ceiling"                [Own       SameTeam      No        No        No          No          No       No];
        LogSet "log_set"                 [Own       No            No        No        No          No          No       No];
        EndWorkout "end_workout"         [Own       No            No        No        No          No          No       No];
    }
    "room" {
        RoomFloor "room.floor"           [SameGym   SameGym       SameGym   SameGym   No          No          SameGym  No];
        RoomMachine "room.machine"       [Holder    SameTeam      No        SameGym   No          No          No       No];
        RoomWorkout "room.workout"       [Own       SameTeam      No        No        No          No          No       No];
        RoomMember "room.member"         [Own       SameTeam      No        No        No          No          No       No];
        RoomBoard "room.board"           [SameGym   SameGym       SameGym   SameGym   No          No          SameGym  No];
    }
    "route" {
        HttpGymWrite "http.gym.write"                  [No      No        No        No        No          No          No       Tenant];
        HttpGymRead "http.gym.read"                    [SameGym SameGym   SameGym   SameGym   No          No          SameGym  Tenant];
        HttpMachineWrite "http.machine.write"          [No      No        No        No        No          No          No       Tenant];
        HttpMachineRead "http.machine.read"            [SameGym SameGym   SameGym   SameGym   No          No          SameGym  Tenant];
        HttpMachineSticker "http.machine.sticker"      [No      No        No        SameGym   No          No          No       Tenant];
        HttpMachineCode "http.machine.code"            [No      No        No        SameGym   OwnMachine  OwnMachine  No       No];
        HttpMaintenanceWrite "http.maintenance.write"  [No      No        No        SameGym   No          No          No       Tenant];
        HttpMaintenanceRead "http.maintenance.read"    [No      No        No        SameGym   No          No          No       Tenant];
        HttpTicketWrite "http.ticket.write"            [No      No        No        SameGym   No          No          No       Tenant];
        HttpTicketRead "http.ticket.read"              [No      No        No        SameGym   No          No          No       Tenant];
        HttpMemberWrite "http.member.write"            [No      No        No        No        No          No          No       Tenant];
        HttpMemberRead "http.member.read"              [Own     SameTeam  SameTeam  No        No          No          No       Tenant];
        HttpMemberErase "http.member.erase"            [No      No        No        No        No          No          No       Tenant];
        HttpMemberExport "http.member.export"          [Own     No        No        No        No          No          No       Tenant];
        HttpConsentWrite "http.consent.write"          [Own     No        No        No        No          No          No       Tenant];
        HttpTeamWrite "http.team.write"                [No      No        No        No        No          No          No       Tenant];
        HttpTeamRead "http.team.read"                  [No      SameTeam  SameTeam  No        No          No          No       Tenant];
        HttpVisitRead "http.visit.read"                [Own     SameTeam  No        No        No          No          No       Tenant];
        HttpWorkoutRead "http.workout.read"            [Own     SameTeam  No        No        No          No          No       Tenant];
        HttpSampleRead "http.sample.read"              [Own     SameTeam  No        No        No          No          No       Tenant];
        HttpBoardWrite "http.board.write"              [No      SameGym   SameGym   SameGym   No          No          No       Tenant];
        HttpBoardRead "http.board.read"                [SameGym SameGym   SameGym   SameGym   No          No          SameGym  Tenant];
        HttpUpload "http.upload"                       [Own     No            No        No        No          No          No       Tenant];
        HttpEventRead "http.event.read"                [No      No        No        No        No          No          No       Tenant];
        HttpDeviceWrite "http.device.write"            [No      No        No        SameGym   No          No          No       Tenant];
        HttpDeviceRead "http.device.read"              [No      No        No        SameGym   No          No          No       Tenant];
        HttpRevoke "http.revoke"                       [No      No        No        No        No          No          No       Tenant];
    }
}

/// Whether the viewer may do this to this.
///
/// # Errors
/// [`ErrorCode::NotFound`] for a thing of another tenant, so that nobody learns that it exists; [`ErrorCode::Forbidden`] where the table
/// does not allow it.
pub fn allows(viewer: &Viewer, action: Action, object: &Object<'_>) -> Result<(), ErrorCode> {
    if object.tenant != Some(viewer.tenant) {
        return Err(ErrorCode::NotFound);
    }
    let own = |id: Option<Uuid>| id == Some(viewer.subject);
    let team = || object.member.is_some() && object.teams.iter().any(|team| viewer.teams.contains(team));
    let allowed = match action.rule(viewer.role) {
        Rule::No => false,
        Rule::Tenant => true,
        Rule::SameGym => object.gym.is_some_and(|gym| viewer.gyms.contains(&gym)),
        Rule::SameTeam => team(),
        Rule::TeamWatching => object.watching && team(),
        Rule::Own => own(object.member.map(|member| member.0)),
        Rule::Holder => own(object.holder.map(|holder| holder.0)),
        Rule::OwnMachine => match viewer.role {
            Role::Gateway => own(object.gateway.map(|gateway| gateway.0)),
            _ => own(object.machine.map(|machine| machine.0)),
        },
    };
    if allowed { Ok(()) } else { Err(ErrorCode::Forbidden) }
}

/// Whether the viewer is staff of this gym: hears of tickets and unconfirmed stops, sees claims.
#[must_use]
pub fn is_staff_of(viewer: &Viewer, gym: GymId) -> bool {
    viewer.role == Role::Operator && viewer.gyms.contains(&gym)
}

/// The table as `docs/RIGHTS.md`.
#[must_use]
pub fn document() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(HEAD);
    let mut group = "";
    for action in Action::ALL {
        if action.group() != group {
            group = action.group();
            let mut title = group.to_owned();
            title[..1].make_ascii_uppercase();
            let roles: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
            write!(page, "\n## {title}\n\n| | {} |\n|---|{}\n", roles.join(" | "), "---|".repeat(roles.len())).expect("a String takes all");
        }
        let rules: Vec<&str> = Role::ALL.iter().map(|role| action.rule(*role).text()).collect();
        writeln!(page, "| `{}` | {} |", action.name(), rules.join(" | ")).expect("a String takes all");
    }
    page
}

const HEAD: &str = "# Who may do what

Printed from the table in `hub/room/src/rights.rs` and kept equal by a test: `UPDATE_DOCS=1 cargo test -p room rights` writes it anew.
An empty field is *never*. The tenant of the token is compared with the object's before anything else; a thing of another tenant
answers `not_found`. What is not known of an object allows nothing.

- **tenant**: anything of the token's tenant.
- **own gym**: the thing lies in a gym that the token names.
- **own team**: the thing concerns a member of a team that the token names.
- **own team, watching**: and the session watches the machine or its workout now.
- **own**: the thing is the subject's own: their member room, workout, device, ceiling.
- **holder**: the subject holds the machine.
- **own machine**: the machine is the subject, or is bound to this gateway in the store.

Beyond the table: `prove` and `rotate_key` are of sessions that a device's own key opens, never of one by token; a claim by sticker never controls a powered machine; nobody sends a target to a machine that they do not hold
(a coach proposes, the member accepts); a stop needs no lease, no quota and no store, only the right above.
";

#[cfg(test)]
mod tests;

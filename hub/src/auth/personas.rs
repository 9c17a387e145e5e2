//! The people and things of the demo: who `POST /v1/dev/login` can make you.
//!
//! Ids are fixed, so that links and bookmarks of a demo stay good over restarts. The demo provisions its store with the same.

use std::sync::Arc;

use protocol::frame::Role;
use protocol::{GymId, TeamId, TenantId};
use room::Viewer;
use uuid::Uuid;

use super::{Identity, TokenRequest};

/// The demo's gym chain.
pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
/// Its one gym.
pub const GYM: GymId = GymId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002));
/// Its one team.
pub const TEAM: TeamId = TeamId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0003));

/// How long an unsigned persona of `dev.open_auth` is let in.
const OPEN_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

/// Somebody to log in as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persona {
    /// Name to log in with.
    pub name: &'static str,
    /// What the pages show.
    pub title: &'static str,
    /// The role.
    pub role: Role,
    /// The id.
    pub subject: Uuid,
}

const fn persona(name: &'static str, title: &'static str, role: Role, number: u128) -> Persona {
    Persona { name, title, role, subject: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number) }
}

/// All of them.
pub const ALL: &[Persona] = &[
    persona("member", "Alex, who trains", Role::Member, 0x11),
    persona("member-2", "Robin, who trains too", Role::Member, 0x12),
    persona("member-3", "Sam, with a second phone", Role::Member, 0x13),
    persona("coach", "Kim, coach of the team", Role::Coach, 0x21),
    persona("manager", "Jo, manager of the team", Role::TeamManager, 0x22),
    persona("operator", "Mia, who runs the floor", Role::Operator, 0x23),
    persona("display", "The wall of the floor", Role::Display, 0x31),
    persona("gateway", "The gateway of the machines", Role::Gateway, 0x41),
    persona("machine", "A machine with a socket of its own", Role::Machine, 0x42),
    persona("service", "The chain's own backend", Role::Service, 0x51),
];

/// The persona of a name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Persona> {
    ALL.iter().find(|persona| persona.name == name)
}

/// The first persona of a role.
#[must_use]
pub fn by_role(role: Role) -> Option<&'static Persona> {
    ALL.iter().find(|persona| persona.role == role)
}

/// A token for anybody of the demo's tenant, gym and team.
#[must_use]
pub fn request_for(role: Role, subject: Uuid, at_ms: i64, ttl_ms: i64) -> TokenRequest {
    TokenRequest { tenant: TENANT, role, subject, gyms: vec![GYM], teams: teams_of(role), at_ms, ttl_ms }
}

fn teams_of(role: Role) -> Vec<TeamId> {
    if matches!(role, Role::Coach | Role::TeamManager) { vec![TEAM] } else { Vec::new() }
}

impl Persona {
    /// A token for it.
    #[must_use]
    pub fn request(&self, at_ms: i64, ttl_ms: i64) -> TokenRequest {
        request_for(self.role, self.subject, at_ms, ttl_ms)
    }

    /// It, without a token (`dev.open_auth`).
    pub(super) fn identity(&self, at_ms: i64) -> Identity {
        let viewer = Viewer { tenant: TENANT, role: self.role, subject: self.subject, gyms: vec![GYM], teams: teams_of(self.role) };
        Identity { viewer: Arc::new(viewer), expires_at_ms: at_ms + OPEN_LIFE_MS, issued_at_ms: at_ms, token_id: None, tier: None }
    }
}

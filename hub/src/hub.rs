//! What everybody in the house shares: configuration, shards, registry, directory, verifier, store.
//!
//! In: nothing by itself; `node.rs` makes it. Out: the words that sessions, the HTTP API and shards say to each other. Holds no rule and no task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use config::{Config, Rate};
use protocol::frame::Role;
use protocol::text::Text;
use protocol::{BoardId, CloseReason, ErrorCode, GatewayId, GymId, MachineId, MemberId, TenantId};
use room::input::{BoardRecord, MachineRecord, MemberRecord, SourceHandle};
use room::{Input, MemberInput};
use storage::{Importer, Recorder, Store, StoreError};

use crate::auth::devices::Devices;
use crate::auth::{Revoked, TooManyRevocations, Verifier};
use crate::directory::Directory;
use crate::metrics::{Drop, Metrics};
use crate::registry::Registry;
use crate::session::{Peer, Tickets};
use crate::shard::{Order, Shards};
use crate::tasks::Tasks;
use crate::transport::caps::Caps;

/// The shared state of one node.
pub struct Hub {
    /// What the operator said.
    pub config: Config,
    /// Every task.
    pub tasks: Tasks,
    /// The inboxes of the shards.
    pub shards: Shards,
    /// Where things are.
    pub registry: Registry,
    /// Who is connected.
    pub directory: Directory,
    /// How many sockets there may be.
    pub caps: Caps,
    /// Resume tickets.
    pub tickets: Tickets,
    /// Tokens.
    pub verifier: Arc<Verifier>,
    /// Enrolled devices and their sockets.
    pub devices: Devices,
    /// Questions to the store.
    pub store: Store,
    /// Whole recordings for the store.
    pub importer: Importer,
    /// Rows and facts for the store.
    pub recorder: Recorder,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether the store does not answer.
    pub store_away: AtomicBool,
    /// Whether the node is going down.
    pub draining: AtomicBool,
    /// The next source handle: never reused while the node runs.
    pub(crate) sources: AtomicU64,
}

impl Hub {
    /// What one peer of this role may send.
    #[must_use]
    pub const fn rate_of(&self, role: Role) -> &Rate {
        match role {
            Role::Gateway | Role::Machine => &self.config.limits.gateway,
            Role::Member | Role::Coach | Role::TeamManager | Role::Operator | Role::Display | Role::Service => &self.config.limits.peer,
        }
    }

    /// A handle for a source that was just bound.
    #[must_use]
    pub fn next_source(&self) -> SourceHandle {
        SourceHandle(self.sources.fetch_add(1, Relaxed) + 1)
    }

    /// Counts a session that stands, and has its deadlines kept.
    pub fn opened(&self, peer: &Arc<Peer>) {
        self.metrics.session_opened(peer.viewer.role);
        self.shards.owe(self.registry.shard_of(peer.session.0), Order::Keep(peer.clone()));
    }

    /// Counts the end of a connection that was no session yet.
    pub fn turned_away(&self, reason: CloseReason) {
        self.metrics.refused(reason);
    }

    /// Counts the end of a session, and what its outbox dropped.
    pub fn closed(&self, peer: &Peer, reason: CloseReason) {
        self.metrics.session_closed(peer.viewer.role, reason);
        let mut outbox = peer.lock();
        self.metrics.dropped(Drop::LiveReplaced, u64::from(outbox.take_dropped()));
        self.metrics.dropped(Drop::OutboxAtClose, outbox.clear() as u64);
    }

    /// Whether the node is going down: no new sessions.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Counts an error that a peer was told.
    pub fn refused(&self, code: ErrorCode) {
        self.metrics.error(code);
    }

    /// A gym was provisioned, or read at start.
    pub fn add_gym(&self, gym: GymId, tenant: TenantId, name: Text<64>) {
        let place = self.registry.add_gym(gym, tenant);
        self.shards.owe(place.shard, Order::Open { gym, tenant, name });
    }

    /// A machine was provisioned or changed, or read at start.
    pub fn add_machine(&self, gym: GymId, record: MachineRecord) {
        self.registry.add_machine(record.machine, gym, record.gateway);
        if let Some(claim) = record.claim {
            self.registry.claimed(record.machine, claim.member, claim.fence);
        }
        self.to_gym(gym, Input::MachineKnown { record: Box::new(record) });
    }

    /// A board was made or changed, or read at start.
    pub fn add_board(&self, gym: GymId, record: BoardRecord) {
        self.registry.add_board(record.board, gym);
        for part in &record.parts {
            self.registry.member_known_in(part.member, gym);
        }
        self.to_gym(gym, Input::BoardKnown { record: Box::new(record) });
    }

    /// A board was taken down.
    pub fn remove_board(&self, board: BoardId) {
        if let Some(gym) = self.registry.board(board) {
            self.to_gym(gym, Input::BoardRemoved { board });
        }
    }

    /// A machine was taken out of its gym.
    pub fn remove_machine(&self, machine: MachineId) {
        if let Some(place) = self.registry.machine(machine) {
            self.registry.remove_machine(machine);
            self.to_gym(place.gym, Input::MachineRemoved { machine });
        }
    }

    /// The gateway that may publish a machine.
    #[must_use]
    pub fn gateway_of(&self, machine: MachineId) -> Option<GatewayId> {
        self.registry.machine(machine).and_then(|place| place.gateway)
    }

    /// Consent or teams of a member changed: every gym that knows the member hears it, and the member's own room, so that a coach of a team that
    /// the member left hears no more.
    pub fn member_changed(&self, tenant: TenantId, member: MemberId, record: &MemberRecord) {
        self.registry.add_member(member, tenant, Arc::new(record.clone()));
        for gym in self.registry.gyms_of_member(tenant, member) {
            self.to_gym(gym, Input::MemberKnown { member, record: record.clone() });
        }
        let input = MemberInput::Known { record: record.clone() };
        self.shards.owe(self.registry.shard_of(member.0), Order::Member { member, tenant, from: None, input });
    }

    /// Revokes from now on, and closes what stands on it. Returns how many sessions closed.
    ///
    /// # Errors
    /// [`TooManyRevocations`]; nothing was revoked.
    pub fn revoke(&self, tenant: TenantId, revoked: &Revoked, until_at_ms: i64) -> Result<usize, TooManyRevocations> {
        self.verifier.revocations().add(tenant, revoked, until_at_ms)?;
        Ok(self.directory.revoke(tenant, revoked))
    }

    /// An input for a gym that must not be lost.
    pub fn to_gym(&self, gym: GymId, input: Input) {
        self.shards.owe(self.registry.shard_of(gym.0), Order::Gym { gym, from: None, input });
    }

    /// A member's record as rooms want it. A member who is not in the store has the empty record.
    ///
    /// # Errors
    /// The store's.
    pub async fn read_member(&self, tenant: TenantId, member: MemberId) -> Result<MemberRecord, StoreError> {
        let stored = self.store.member(tenant, member).await?;
        let record = stored.map(|stored| crate::seed::member_record(&stored));
        if let Some(record) = &record {
            self.registry.add_member(member, tenant, Arc::new(record.clone()));
        }
        Ok(record.unwrap_or_default())
    }

    /// Makes a member's teams known to the registry.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for nobody of this tenant, [`ErrorCode::Unavailable`] while the store does not answer.
    pub async fn look_up_teams(&self, tenant: TenantId, member: MemberId) -> Result<(), ErrorCode> {
        match self.registry.member(member) {
            Some((of, _)) if of == tenant => return Ok(()),
            Some(_) => return Err(ErrorCode::NotFound),
            None => (),
        }
        match self.read_member(tenant, member).await {
            Ok(_) if self.registry.member(member).is_some() => Ok(()),
            Ok(_) => Err(ErrorCode::NotFound),
            Err(error) => {
                tracing::warn!(error = %crate::chain(&error), "a member could not be looked up");
                Err(ErrorCode::Unavailable)
            }
        }
    }
}

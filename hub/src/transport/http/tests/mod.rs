//! The API over a real node with an embedded store: every answer comes from the routes, through every layer.

mod answers;
mod files;
mod idempotency;
mod openapi;
mod provisioning;
mod rights;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use config::{Profile, Sources};
use http_body_util::BodyExt;
use protocol::frame::{MachineFault, Role, Severity, VisitState, WorkoutStage};
use protocol::text::Text;
use protocol::{DeviceId, GymId, MachineId, MemberId, TeamId, TenantId, TicketId, VisitId, WorkoutId};
use serde_json::{Value, json};
use storage::Fact;
use tower::ServiceExt;
use uuid::Uuid;

use super::*;
use crate::auth::TokenRequest;
use crate::node::Node;

pub(super) const TENANT: TenantId = TenantId(id(0xa0));
pub(super) const OTHER_TENANT: TenantId = TenantId(id(0xb0));
pub(super) const GYM: GymId = GymId(id(0xa1));
pub(super) const GYM_2: GymId = GymId(id(0xa2));
pub(super) const MACHINE: MachineId = MachineId(id(0xa3));
pub(super) const SPARE: MachineId = MachineId(id(0xa4));
pub(super) const GATEWAY: Uuid = id(0xa5);
pub(super) const MEMBER: MemberId = MemberId(id(0xa6));
pub(super) const MEMBER_2: MemberId = MemberId(id(0xa7));
pub(super) const TEAM: TeamId = TeamId(id(0xa8));
pub(super) const TEAM_2: TeamId = TeamId(id(0xa9));
pub(super) const WORKOUT: WorkoutId = WorkoutId(id(0xaa));
pub(super) const VISIT: VisitId = VisitId(id(0xab));
pub(super) const BOARD: protocol::BoardId = protocol::BoardId(id(0xb0a));
pub(super) const TICKET: TicketId = TicketId(id(0xac));
pub(super) const DEVICE: DeviceId = DeviceId(id(0xb2));

pub(super) const fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + n)
}

/// A node with its API, and a folder that ends with it.
pub(super) struct House {
    pub(super) api: Api,
    pub(super) node: Node,
    router: Router,
    _folder: tempfile::TempDir,
}

/// What came back.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    pub(super) headers: HeaderMap,
}

/// Who asks.
pub(super) fn who(tenant: TenantId, role: Role, subject: Uuid, gyms: &[GymId], teams: &[TeamId]) -> TokenRequest {
    let (gyms, teams) = (gyms.to_vec(), teams.to_vec());
    TokenRequest { tenant, role, subject, gyms, teams, at_ms: crate::clock::at_ms(), ttl_ms: 600_000 }
}

/// The chain's own backend.
pub(super) fn service() -> TokenRequest {
    who(TENANT, Role::Service, id(0xad), &[], &[])
}

impl House {
    pub(super) async fn open() -> Self {
        Self::with(&[]).await
    }

    pub(super) async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", folder.path().join("store.db").display());
        let mut sources = Sources::of(Profile::Dev).flag("listen.address", "127.0.0.1:0", "").flag("store.url", store, "");
        for (key, value) in settings {
            sources = sources.flag(key, *value, "");
        }
        let node = crate::node::start(config::load(&sources).unwrap()).await.unwrap();
        let api = Api::new(node.hub.clone(), node.issuer.clone());
        Self { router: api.router(), api, node, _folder: folder }
    }

    pub(super) fn token(&self, request: &TokenRequest) -> String {
        self.node.issuer.as_ref().unwrap().token(request).unwrap()
    }

    pub(super) async fn call(&self, request: Request<Body>) -> Told {
        let (mut parts, body) = request.into_parts();
        if parts.extensions.get::<ClientAddress>().is_none() {
            parts.extensions.insert(ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        }
        let response = self.router.clone().oneshot(Request::from_parts(parts, body)).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Told { status, body, headers }
    }

    /// A request of somebody with a token, with a JSON body unless it is null.
    pub(super) async fn ask(&self, method: &str, path: &str, who: &TokenRequest, body: Value) -> Told {
        self.call(self.request(method, path, who, body).body()).await
    }

    pub(super) fn request(&self, method: &str, path: &str, who: &TokenRequest, body: Value) -> Asking {
        let builder = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {}", self.token(who)));
        Asking { builder, body }
    }

    /// Two gyms, a machine under a gateway, two members in two teams, a visit, a workout and a ticket; and another tenant with a gym.
    pub(super) async fn furnish(&self) {
        let other = TokenRequest { tenant: OTHER_TENANT, ..service() };
        let gym = |gym: GymId| json!({ "gym": gym, "name": "Gym", "time_zone": "Europe/Rome" });
        let machine = |machine: MachineId| json!({ "machine": machine, "gym": GYM, "name": "Bike 1", "kind": "bike", "gateway": GATEWAY });
        let steps = [
            (service(), "/v1/gyms", json!([gym(GYM), gym(GYM_2)])),
            (other, "/v1/gyms", json!([gym(GymId(id(0xb1)))])),
            (service(), "/v1/gateways", json!([{ "gateway": GATEWAY, "gym": GYM, "name": "Gateway" }])),
            (service(), "/v1/machines", json!([machine(MACHINE), machine(SPARE)])),
            (service(), "/v1/members", json!([{ "member": MEMBER, "handle": "Alex" }, { "member": MEMBER_2 }])),
            (
                service(),
                "/v1/teams",
                json!([{ "team": TEAM, "name": "Team", "members": [MEMBER] }, { "team": TEAM_2, "name": "Two", "members": [MEMBER_2] }]),
            ),
        ];
        for (who, path, items) in steps {
            let told = self.ask("PUT", path, &who, json!({ "items": items })).await;
            assert_eq!(told.status, StatusCode::OK, "{path}: {}", told.body);
            for result in told.body["results"].as_array().unwrap() {
                assert_eq!(result["stored"], true, "{path}: {result}");
            }
        }
        self.facts().await;
        // Furnishing again changes nothing; a code is there once.
        if self.node.hub.devices.is_empty() {
            self.device().await;
        }
    }

    /// A device of the gateway.
    async fn device(&self) {
        let (hub, at_ms) = (&self.node.hub, crate::clock::at_ms());
        let by = storage::Actor { role: Role::Service, id: GATEWAY };
        let offer = storage::Enrolment {
            code_hash: [1; 32],
            gym: GYM,
            role: Role::Gateway,
            subject: GATEWAY,
            name: Text::cut("left wall"),
            until_at_ms: at_ms + 60_000,
        };
        hub.store.offer_enrolment(TENANT, &offer, by, at_ms).await.unwrap();
        hub.devices.put(hub.store.redeem([1; 32], [1; 32], DEVICE, at_ms).await.unwrap().device);
    }

    async fn facts(&self) {
        let at_ms = crate::clock::at_ms();
        let (gym, member, visit, workout) = (GYM, MEMBER, VISIT, WORKOUT);
        let fault = MachineFault { machine: MACHINE, code: Text::cut("E7"), severity: Severity::Warning, subsystem: None, text: None };
        let facts = [
            Fact::Visit { visit, gym, member, state: VisitState::Active, started_at_ms: at_ms, ended_at_ms: None, machines: vec![MACHINE] },
            Fact::Workout { workout, gym, member, visit, stage: WorkoutStage::Live, started_at_ms: at_ms, ended_at_ms: None },
            Fact::Ticket { gym, machine: MACHINE, ticket: TICKET, severity: Severity::Warning, fault: Box::new(fault), at_ms },
        ];
        for fact in facts {
            self.node.hub.recorder.persist(fact).unwrap();
        }
        let stored = async {
            while self.node.hub.store.tickets(TENANT, GYM).await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), stored).await.expect("facts are stored soon");
    }
}

/// A request on its way.
pub(super) struct Asking {
    builder: axum::http::request::Builder,
    body: Value,
}

impl Asking {
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub(super) fn body(self) -> Request<Body> {
        if self.body.is_null() {
            return self.builder.body(Body::empty()).unwrap();
        }
        // A text is a file as it is.
        if let Value::String(text) = self.body {
            return self.builder.body(Body::from(text)).unwrap();
        }
        self.builder.header("content-type", "application/json").body(Body::from(self.body.to_string())).unwrap()
    }
}

/// A board of the first gym.
pub(super) fn board() -> Value {
    json!({ "items": [{ "board": BOARD, "gym": GYM, "name": "Today", "metric": "energy", "starts_at_ms": 0, "ends_at_ms": 1 }] })
}

//! A provisioned world of one tenant: gym, gateways, machines, members, made over the hub's HTTP API as an operator's backend would.

use anyhow::{Context as _, bail};
use protocol::frame::{MachineKind, Role};
use protocol::text::Text;
use protocol::{GatewayId, GymId, MachineId, MemberId, Reading, TeamId, WorkoutId};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Bench;
use crate::device::{Device, DeviceKey};
use crate::gateway::{Expected, Said};

/// Things in one request; the API takes bulk in bounded bodies.
const BULK: usize = 500;

/// A machine to provision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMachine {
    /// Its id.
    pub machine: MachineId,
    /// Kind.
    pub kind: MachineKind,
    /// The gateway that carries it.
    pub gateway: GatewayId,
}

/// A gym of a fresh tenant.
#[derive(Debug, Clone)]
pub struct World {
    /// The gym.
    pub gym: GymId,
    /// The team that all members are in.
    pub team: TeamId,
    service: String,
}

impl World {
    /// Makes the gym.
    ///
    /// # Errors
    /// What the API answered.
    pub async fn new(bench: &Bench) -> anyhow::Result<Self> {
        let world = Self {
            gym: GymId(Uuid::now_v7()),
            team: TeamId(Uuid::now_v7()),
            service: bench.minter.token(Role::Service, Uuid::now_v7(), &[], &[]),
        };
        let gym = json!({ "gym": world.gym, "name": "Load gym", "time_zone": "Europe/Rome", "units": "metric", "addresses": [] });
        world.put(bench, "gyms", &json!([gym])).await?;
        Ok(world)
    }

    /// Provisions gateways.
    ///
    /// # Errors
    /// What the API answered.
    pub async fn gateways(&self, bench: &Bench, count: usize) -> anyhow::Result<Vec<GatewayId>> {
        let gateways: Vec<GatewayId> = (0..count).map(|_| GatewayId(Uuid::now_v7())).collect();
        let rows: Vec<Value> = gateways.iter().map(|id| json!({ "gateway": id, "gym": self.gym, "name": "Load gateway" })).collect();
        self.put(bench, "gateways", &json!(rows)).await?;
        Ok(gateways)
    }

    /// Enrols a device for a gateway, as an operator and the device would.
    ///
    /// # Errors
    /// What the API answered.
    pub async fn enrol(&self, bench: &Bench, gateway: GatewayId) -> anyhow::Result<Device> {
        let url = format!("{}/v1/enrolments", bench.http());
        let asked = json!({ "gym": self.gym, "gateway": gateway, "name": "Load gateway" });
        let answer = bench
            .client()
            .post(&url)
            .bearer_auth(&self.service)
            .json(&asked)
            .send()
            .await
            .with_context(|| format!("could not reach {url}"))?;
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        let offer: Value = serde_json::from_str(&text).unwrap_or_default();
        let Some(code) = offer["code"].as_str() else { bail!("POST {url} answered {status}: {text}") };
        Device::enrol(bench.client(), bench.http(), code, DeviceKey::draw()).await
    }

    /// Provisions machines on their gateways.
    ///
    /// # Errors
    /// What the API answered.
    pub async fn machines(&self, bench: &Bench, machines: &[NewMachine]) -> anyhow::Result<()> {
        for chunk in machines.chunks(BULK) {
            let rows: Vec<Value> = chunk
                .iter()
                .enumerate()
                .map(|(number, new)| {
                    json!({ "machine": new.machine, "gym": self.gym, "gateway": new.gateway, "name": format!("Machine {number}"),
                        "location": "Load floor", "kind": new.kind, "powered": new.kind == MachineKind::Treadmill })
                })
                .collect();
            self.put(bench, "machines", &json!(rows)).await?;
        }
        Ok(())
    }

    /// Provisions members in the team, with consent to have their health data processed.
    ///
    /// # Errors
    /// What the API answered.
    pub async fn members(&self, bench: &Bench, count: usize) -> anyhow::Result<Vec<MemberId>> {
        let members: Vec<MemberId> = (0..count).map(|_| MemberId(Uuid::now_v7())).collect();
        let consents = json!({ "processing": true, "health": true, "marketing": false, "wall": false });
        let rows: Vec<Value> = members.iter().map(|id| json!({ "member": id, "handle": "Load", "consents": consents })).collect();
        self.put(bench, "members", &json!(rows)).await?;
        let team = json!({ "team": self.team, "name": "Load team", "members": members, "staff": [] });
        self.put(bench, "teams", &json!([team])).await?;
        Ok(members)
    }

    /// A token for somebody in this gym (and, for a coach, the team).
    #[must_use]
    pub fn token(&self, bench: &Bench, role: Role, subject: Uuid) -> String {
        let teams: &[TeamId] = if role == Role::Coach { std::slice::from_ref(&self.team) } else { &[] };
        bench.minter.token(role, subject, &[self.gym], teams)
    }

    /// A token for an operator of this gym that runs out after a while.
    #[must_use]
    pub fn token_for(&self, bench: &Bench, life: std::time::Duration, subject: Uuid) -> String {
        bench.minter.token_for(life.as_secs_f64(), Role::Operator, subject, &[self.gym], &[])
    }

    /// Revokes all tokens of a subject, as an operator's backend does. Answers how many sockets were closed.
    ///
    /// # Errors
    /// What the API answered.
    pub async fn revoke(&self, bench: &Bench, subject: Uuid) -> anyhow::Result<u64> {
        let url = format!("{}/v1/revocations", bench.http());
        let request = bench.client().post(&url).bearer_auth(&self.service).json(&json!({ "subject": subject }));
        let answer = request.send().await.with_context(|| format!("could not reach {url}"))?;
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        anyhow::ensure!(status.is_success(), "POST {url} answered {status}: {text}");
        let answer: Value = serde_json::from_str(&text).context("the answer to a revocation is no JSON")?;
        Ok(answer["closed"].as_u64().unwrap_or_default())
    }

    /// All readings of a workout, as the API tells them to an operator's backend, whether they lie raw or packed.
    ///
    /// # Errors
    /// What the API answered.
    pub async fn samples(&self, bench: &Bench, workout: WorkoutId) -> anyhow::Result<Vec<Expected>> {
        let (mut samples, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut url = format!("{}/v1/workouts/{workout}/samples?limit=5000", bench.http());
            if let Some(after) = &after {
                url = format!("{url}&after={after}");
            }
            let answer =
                bench.client().get(&url).bearer_auth(&self.service).send().await.with_context(|| format!("could not reach {url}"))?;
            let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
            anyhow::ensure!(status.is_success(), "GET {url} answered {status}: {text}");
            let page: SamplePage = serde_json::from_str(&text).context("samples are no JSON")?;
            samples.extend(page.samples.into_iter().map(Expected::from));
            after = page.next;
            if after.is_none() {
                return Ok(samples);
            }
        }
    }

    async fn put(&self, bench: &Bench, what: &str, items: &Value) -> anyhow::Result<()> {
        let url = format!("{}/v1/{what}", bench.http());
        let request = bench.client().put(&url).bearer_auth(&self.service).json(&json!({ "items": items }));
        let answer = request.send().await.with_context(|| format!("could not reach {url}"))?;
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        let results: Value = serde_json::from_str(&text).unwrap_or_default();
        let all_stored = results["results"].as_array().is_some_and(|all| all.iter().all(|result| result["stored"] == true));
        if !status.is_success() || !all_stored {
            bail!("PUT {url} answered {status}: {text}");
        }
        Ok(())
    }
}

/// A page of samples as the API tells them.
#[derive(Deserialize)]
struct SamplePage {
    samples: Vec<ToldSample>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ToldSample {
    source: ToldSource,
    boot: u32,
    seq: u32,
    dev_ms: i64,
    reading: Reading,
}

#[derive(Deserialize)]
struct ToldSource {
    machine: MachineId,
    sensor: String,
}

impl From<ToldSample> for Expected {
    fn from(told: ToldSample) -> Self {
        let ToldSample { source, boot, seq, dev_ms, reading } = told;
        Self { machine: source.machine, sensor: Text::cut(&source.sensor), boot, seq, absorbed: 0, dev_ms, said: Said::Reading(reading) }
    }
}

//! Members, staff and teams; what a member consents to; the heart-rate ceiling.

use axum::Json;
use axum::extract::State;
use protocol::frame::Role;
use protocol::text::Text;
use protocol::{ErrorCode, GymId, MemberId, StaffId, TeamId, TenantId};
use room::Input;
use room::rights::{Action, Object};
use serde::{Deserialize, Serialize};
use storage::{Consents, MemberRecord, StaffRecord, Store, StoreError, TeamRecord};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::Api;
use super::super::answer::{Answer, ApiError};
use super::super::bulk::{self, Many, Record, Results};
use super::super::caller::Caller;
use super::super::extract::{Asked, At, Body};
use super::gyms::Measure;

/// Bounds of a ceiling that can mean something, beats a minute.
const CEILING_BPM: std::ops::RangeInclusive<u16> = 60..=230;
/// Bounds of a maximum that a person can have.
const MAX_HEART_RATE_BPM: std::ops::RangeInclusive<u16> = 60..=250;
/// People in one team.
const TEAM_PEOPLE_MAX: usize = 2000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_members, put_members))
        .routes(routes!(get_member))
        .routes(routes!(put_consents))
        .routes(routes!(put_ceiling))
        .routes(routes!(put_staff))
        .routes(routes!(list_teams, put_teams))
}

/// Consent by class of data; what is not given is not given.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Consents)]
struct Consent {
    /// Processing beyond the contract.
    #[schema(required = false)]
    processing: bool,
    /// Health data.
    #[schema(required = false)]
    health: bool,
    /// Marketing.
    #[schema(required = false)]
    marketing: bool,
    /// The handle on walls.
    #[schema(required = false)]
    wall: bool,
}

impl From<Consent> for Consents {
    fn from(Consent { processing, health, marketing, wall }: Consent) -> Self {
        Self { processing, health, marketing, wall }
    }
}

impl From<Consents> for Consent {
    fn from(Consents { processing, health, marketing, wall }: Consents) -> Self {
        Self { processing, health, marketing, wall }
    }
}

/// A person who trains. Names and addresses stay with the operator's own systems.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct Member {
    /// The `sub` of their token.
    #[schema(value_type = Uuid)]
    member: MemberId,
    /// Name on walls; used only with consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 48, required = false)]
    handle: Option<Text<48>>,
    /// What they consented to.
    #[serde(default)]
    #[schema(required = false)]
    consents: Consent,
    /// Units on their pages.
    #[serde(default)]
    #[schema(required = false)]
    units: Measure,
    /// Heart-rate ceiling, beats a minute; an alarm only, never a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 230, required = false)]
    ceiling_bpm: Option<u16>,
    /// Their own maximum, beats a minute, for heart-rate zones on boards; without it no zone is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 60, maximum = 250, required = false)]
    max_heart_rate_bpm: Option<u16>,
    /// Teams they are in; set through the teams.
    #[serde(default, skip_deserializing)]
    #[schema(value_type = Vec<Uuid>, read_only, required = false)]
    teams: Vec<TeamId>,
}

fn ceiling_checked(ceiling_bpm: Option<u16>) -> Answer<()> {
    if ceiling_bpm.is_none_or(|bpm| CEILING_BPM.contains(&bpm)) {
        return Ok(());
    }
    Err(ApiError::detailed(ErrorCode::Unprocessable, format!("ceiling_bpm: {} to {}", CEILING_BPM.start(), CEILING_BPM.end())))
}

impl Member {
    fn checked(self) -> Result<MemberRecord, (Uuid, ApiError)> {
        ceiling_checked(self.ceiling_bpm).map_err(|error| (self.member.0, error))?;
        if self.max_heart_rate_bpm.is_some_and(|bpm| !MAX_HEART_RATE_BPM.contains(&bpm)) {
            let (low, high) = (MAX_HEART_RATE_BPM.start(), MAX_HEART_RATE_BPM.end());
            let error = ApiError::detailed(ErrorCode::Unprocessable, format!("max_heart_rate_bpm: {low} to {high}"));
            return Err((self.member.0, error));
        }
        let Self { member, handle, consents, units, ceiling_bpm, max_heart_rate_bpm, .. } = self;
        let (consents, units) = (consents.into(), units.into());
        Ok(MemberRecord { handle, consents, units, ceiling_bpm, max_heart_rate_bpm, ..MemberRecord::new(member) })
    }
}

impl From<MemberRecord> for Member {
    fn from(record: MemberRecord) -> Self {
        let MemberRecord { member, handle, consents, units, ceiling_bpm, max_heart_rate_bpm, teams, .. } = record;
        Self { member, handle, consents: consents.into(), units: units.into(), ceiling_bpm, max_heart_rate_bpm, teams }
    }
}

impl Record for MemberRecord {
    const ASKS: (&'static str, &'static str) = ("put_members", "members");
    fn id(&self) -> Uuid {
        self.member.0
    }
    async fn put(store: &Store, tenant: TenantId, records: &[Self]) -> Result<(), StoreError> {
        store.put_members(tenant, records).await
    }
}

impl Api {
    /// A member that the caller may do this to.
    pub(in super::super) async fn member_of(&self, caller: &Caller, member: MemberId, action: Action) -> Answer<MemberRecord> {
        caller.ever(action)?;
        let found = self.ask("member", "members", self.store.member(caller.tenant(), member)).await?;
        let record = found.ok_or(ErrorCode::NotFound)?;
        caller.may(action, &Object { member: Some(member), teams: &record.teams, ..caller.of_tenant() })?;
        Ok(record)
    }

    /// Reads a member again and tells the rooms that know them.
    async fn member_again(&self, tenant: TenantId, member: MemberId) -> Answer<MemberRecord> {
        let found = self.ask("member", "members", self.store.member(tenant, member)).await?;
        let record = found.ok_or(ErrorCode::NotFound)?;
        let known = crate::seed::member_record(&record);
        self.member_changed(tenant, member, &known);
        Ok(record)
    }

    /// The same for many, of whom only those matter that rooms know.
    async fn members_again(&self, tenant: TenantId, members: impl IntoIterator<Item = MemberId>) -> Answer<()> {
        for member in members {
            if self.registry.member(member).is_some() || !self.registry.gyms_of_member(tenant, member).is_empty() {
                self.member_again(tenant, member).await?;
            }
        }
        Ok(())
    }
}

/// Creates or changes members.
#[utoipa::path(put, path = "/v1/members", tag = "people", request_body = Many<Member>, responses((status = 200, body = Results)),
    extensions(("x-right" = json!("http.member.write"))))]
async fn put_members(State(api): State<Api>, caller: Caller, Body(many): Body<Many<Member>>) -> Answer<Json<Results>> {
    caller.may(Action::HttpMemberWrite, &caller.of_tenant())?;
    let members = many.checked()?.into_iter().map(Member::checked).collect();
    let (results, stored) = bulk::put(&api, caller.tenant(), members).await?;
    api.members_again(caller.tenant(), stored.into_iter().map(|member| member.member)).await?;
    Ok(Json(results))
}

/// A page of members.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct MemberPage {
    /// The last member of the page before.
    #[param(value_type = Option<Uuid>, required = false)]
    after: Option<MemberId>,
    /// How many.
    #[param(minimum = 1, maximum = 1000, default = 100, required = false)]
    limit: Option<u32>,
}

/// Members by id. `teams` is left out here: ask for one member.
#[utoipa::path(get, path = "/v1/members", tag = "people", params(MemberPage), responses((status = 200, body = [Member])),
    extensions(("x-right" = json!("http.member.read"))))]
async fn list_members(State(api): State<Api>, caller: Caller, Asked(page): Asked<MemberPage>) -> Answer<Json<Vec<Member>>> {
    // A list concerns no one member, so that only those see it who may see anything of the tenant.
    caller.may(Action::HttpMemberRead, &caller.of_tenant())?;
    let limit = super::limit_of(page.limit, 100, 1000)?;
    let members = api.ask("members", "members", api.store.members(caller.tenant(), page.after, limit)).await?;
    Ok(Json(members.into_iter().map(Member::from).collect()))
}

/// One member.
#[utoipa::path(get, path = "/v1/members/{member}", tag = "people", params(("member" = Uuid, Path, description = "The member")),
    responses((status = 200, body = Member)), extensions(("x-right" = json!("http.member.read"))))]
async fn get_member(State(api): State<Api>, caller: Caller, At(member): At<MemberId>) -> Answer<Json<Member>> {
    Ok(Json(api.member_of(&caller, member, Action::HttpMemberRead).await?.into()))
}

/// Sets what a member consents to. A name leaves the walls at once.
#[utoipa::path(put, path = "/v1/members/{member}/consents", tag = "people", params(("member" = Uuid, Path, description = "The member")),
    request_body = Consent, responses((status = 200, body = Member)), extensions(("x-right" = json!("http.consent.write"))))]
async fn put_consents(
    State(api): State<Api>,
    caller: Caller,
    At(member): At<MemberId>,
    Body(consents): Body<Consent>,
) -> Answer<Json<Member>> {
    api.member_of(&caller, member, Action::HttpConsentWrite).await?;
    api.ask("set_consents", "members", api.store.set_consents(caller.tenant(), member, consents.into())).await?;
    Ok(Json(api.member_again(caller.tenant(), member).await?.into()))
}

/// A ceiling, or none.
#[derive(Debug, Deserialize, ToSchema)]
struct Ceiling {
    /// Beats a minute; null takes it away.
    #[schema(minimum = 60, maximum = 230)]
    ceiling_bpm: Option<u16>,
}

/// Sets or takes away a member's heart-rate ceiling.
#[utoipa::path(put, path = "/v1/members/{member}/ceiling", tag = "people", params(("member" = Uuid, Path, description = "The member")),
    request_body = Ceiling, responses((status = 200, body = Member)), extensions(("x-right" = json!("ceiling"))))]
async fn put_ceiling(
    State(api): State<Api>,
    caller: Caller,
    At(member): At<MemberId>,
    Body(ceiling): Body<Ceiling>,
) -> Answer<Json<Member>> {
    api.member_of(&caller, member, Action::Ceiling).await?;
    ceiling_checked(ceiling.ceiling_bpm)?;
    api.ask("set_ceiling", "members", api.store.set_ceiling(caller.tenant(), member, ceiling.ceiling_bpm)).await?;
    for gym in api.registry.gyms_of_member(caller.tenant(), member) {
        api.to_gym(gym, Input::Ceiling { member, heart_rate_bpm: ceiling.ceiling_bpm });
    }
    Ok(Json(api.member_again(caller.tenant(), member).await?.into()))
}

/// What staff may be.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StaffRole {
    Coach,
    TeamManager,
    Operator,
}

/// A coach, team manager or operator.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct Staff {
    /// The `sub` of their token.
    #[schema(value_type = Uuid)]
    staff: StaffId,
    /// What they may do.
    role: StaffRole,
    /// Name for colleagues.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    name: Text<64>,
    /// Gyms where an operator works.
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>, max_items = 1000, required = false)]
    gyms: Vec<GymId>,
}

impl Record for StaffRecord {
    const ASKS: (&'static str, &'static str) = ("put_staff", "staff");
    fn id(&self) -> Uuid {
        self.staff.0
    }
    async fn put(store: &Store, tenant: TenantId, records: &[Self]) -> Result<(), StoreError> {
        store.put_staff(tenant, records).await
    }
}

/// Creates or changes staff. What a token allows is said by the token; this is who they are.
#[utoipa::path(put, path = "/v1/staff", tag = "people", request_body = Many<Staff>, responses((status = 200, body = Results)),
    extensions(("x-right" = json!("http.team.write"))))]
async fn put_staff(State(api): State<Api>, caller: Caller, Body(many): Body<Many<Staff>>) -> Answer<Json<Results>> {
    caller.may(Action::HttpTeamWrite, &caller.of_tenant())?;
    let record = |Staff { staff, role, name, gyms }: Staff| {
        if name.is_empty() {
            return Err((staff.0, ApiError::detailed(ErrorCode::Unprocessable, "name: at least one character")));
        }
        let role = match role {
            StaffRole::Coach => Role::Coach,
            StaffRole::TeamManager => Role::TeamManager,
            StaffRole::Operator => Role::Operator,
        };
        Ok(StaffRecord { staff, role, name, gyms })
    };
    let staff = many.checked()?.into_iter().map(record).collect();
    let (results, _) = bulk::put(&api, caller.tenant(), staff).await?;
    Ok(Json(results))
}

/// A group of coaches and members.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
struct Team {
    /// Drawn by whoever provisions it.
    #[schema(value_type = Uuid)]
    team: TeamId,
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    name: Text<64>,
    /// Its sport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 48, required = false)]
    sport: Option<Text<48>>,
    /// Coaches and managers; exactly these.
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>, max_items = 2000, required = false)]
    staff: Vec<StaffId>,
    /// Members; exactly these.
    #[serde(default)]
    #[schema(value_type = Vec<Uuid>, max_items = 2000, required = false)]
    members: Vec<MemberId>,
}

impl Record for TeamRecord {
    const ASKS: (&'static str, &'static str) = ("put_teams", "teams");
    fn id(&self) -> Uuid {
        self.team.0
    }
    async fn put(store: &Store, tenant: TenantId, records: &[Self]) -> Result<(), StoreError> {
        store.put_teams(tenant, records).await
    }
}

impl Team {
    fn checked(self) -> Result<TeamRecord, (Uuid, ApiError)> {
        let wrong = |what: String| (self.team.0, ApiError::detailed(ErrorCode::Unprocessable, what));
        if self.name.is_empty() {
            return Err(wrong("name: at least one character".to_owned()));
        }
        if self.staff.len().max(self.members.len()) > TEAM_PEOPLE_MAX {
            return Err(wrong(format!("staff and members: at most {TEAM_PEOPLE_MAX} each")));
        }
        let Self { team, name, sport, staff, members } = self;
        Ok(TeamRecord { team, name, sport, staff, members })
    }
}

/// Creates or changes teams with exactly these people.
#[utoipa::path(put, path = "/v1/teams", tag = "people", request_body = Many<Team>, responses((status = 200, body = Results)),
    extensions(("x-right" = json!("http.team.write"))))]
async fn put_teams(State(api): State<Api>, caller: Caller, Body(many): Body<Many<Team>>) -> Answer<Json<Results>> {
    caller.may(Action::HttpTeamWrite, &caller.of_tenant())?;
    let teams: Vec<Result<TeamRecord, _>> = many.checked()?.into_iter().map(Team::checked).collect();
    // Whoever leaves a team changes as well: the people of before count with those of now.
    let before = api.ask("teams", "teams", api.store.teams(caller.tenant())).await?;
    let (results, stored) = bulk::put(&api, caller.tenant(), teams).await?;
    let changed = |team: &TeamRecord| stored.iter().any(|stored| stored.team == team.team);
    let left = before.into_iter().filter(changed).flat_map(|team| team.members);
    let people: std::collections::BTreeSet<MemberId> = left.chain(stored.iter().flat_map(|team| team.members.iter().copied())).collect();
    api.members_again(caller.tenant(), people).await?;
    Ok(Json(results))
}

/// The teams that the caller may see.
#[utoipa::path(get, path = "/v1/teams", tag = "people", responses((status = 200, body = [Team])), extensions(("x-right" = json!("http.team.read"))))]
async fn list_teams(State(api): State<Api>, caller: Caller) -> Answer<Json<Vec<Team>>> {
    caller.ever(Action::HttpTeamRead)?;
    let teams = api.ask("teams", "teams", api.store.teams(caller.tenant())).await?;
    // The table asks for a member of the team; the team itself stands for one.
    let seen = |team: &TeamRecord| {
        let object = Object { member: Some(MemberId(Uuid::nil())), teams: &[team.team], ..caller.of_tenant() };
        caller.may(Action::HttpTeamRead, &object).is_ok()
    };
    let team = |TeamRecord { team, name, sport, staff, members }| Team { team, name, sport, staff, members };
    Ok(Json(teams.into_iter().filter(seen).map(team).collect()))
}

//! `spotter token`: a token of the built-in issuer, for tests and curl (`dev` profile only).

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use config::Profile;
use hub::auth::{BuiltInIssuer, personas};
use protocol::frame::Role;
use protocol::{GymId, TeamId, TenantId};
use uuid::Uuid;

use crate::Settings;

/// Who the token names. What is left out is the demo's.
#[derive(Args)]
pub(crate) struct TokenCommand {
    /// member, coach, `team_manager`, operator, machine, gateway, display or service.
    #[arg(long, value_parser = role)]
    role: Role,
    /// UUID of the person or thing; without it the demo's of that role.
    #[arg(long)]
    subject: Option<Uuid>,
    /// UUID of the tenant.
    #[arg(long)]
    tenant: Option<TenantId>,
    /// UUID of a gym; may be given several times.
    #[arg(long = "gym")]
    gyms: Vec<GymId>,
    /// UUID of a team; may be given several times.
    #[arg(long = "team")]
    teams: Vec<TeamId>,
    /// How long it is good: 90s, 15m, 12h, 7d.
    #[arg(long, default_value = "15m", value_parser = config::parse_span)]
    ttl: Duration,
}

fn role(word: &str) -> Result<Role, String> {
    let words: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
    Role::from_name(word).ok_or_else(|| format!("write one of {}", words.join(", ")))
}

/// Prints the token and nothing else, so that `$(spotter token …)` is one.
pub(crate) fn run(settings: &Settings, command: &TokenCommand) -> anyhow::Result<ExitCode> {
    let config = config::load(&settings.sources(Profile::Dev)?)?;
    if config.profile != Profile::Dev || !config.dev.built_in_issuer {
        bail!(
            "the built-in issuer is off in this configuration: ask your identity provider, or set dev.built_in_issuer in the dev profile"
        );
    }
    let Some(path) = BuiltInIssuer::key_file(&config) else {
        bail!("with Postgres the issuer's key lives in the hub's memory: name a file with dev.issuer_key, for the hub as well");
    };
    let issuer = BuiltInIssuer::in_file(&path)?;
    let at_ms = hub::clock::at_ms();
    let ttl_ms = i64::try_from(command.ttl.as_millis()).context("--ttl is too long")?;
    let subject = command.subject.or_else(|| personas::by_role(command.role).map(|persona| persona.subject));
    let subject = subject.with_context(|| format!("the demo has no {}: give --subject", command.role.name()))?;
    let mut request = personas::request_for(command.role, subject, at_ms, ttl_ms);
    request.tenant = command.tenant.unwrap_or(request.tenant);
    if !command.gyms.is_empty() {
        request.gyms.clone_from(&command.gyms);
    }
    if !command.teams.is_empty() {
        request.teams.clone_from(&command.teams);
    }
    writeln!(std::io::stdout(), "{}", issuer.token(&request)?)?;
    Ok(ExitCode::SUCCESS)
}

//! The long run: when readings are packed, and how long what is kept.

use std::time::Duration;

use protocol::{GymId, TenantId};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::check::Checker;
use crate::unit;

/// Rules in one list at most.
const RULES_MAX: usize = 1_000;

/// When readings are packed, and how long what is kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// A sealed workout is packed so long after its seal; none: never.
    pub pack_after: Option<Duration>,
    /// Readings of no workout are packed so long after; none: never.
    pub raw: Option<Duration>,
    /// How long readings and rollups are kept where no rule says otherwise.
    pub kept: Kept,
    /// Rules for tenants and gyms.
    pub rules: Vec<(KeptFor, Kept)>,
    /// How long events are kept, by kind; `*` is every other kind.
    pub events: Vec<(String, Duration)>,
    /// How long quarantined rows are kept.
    pub quarantine: Duration,
}

/// Whose readings a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptFor {
    /// All of a tenant.
    Tenant(TenantId),
    /// Those of a gym's machines; goes before the rule of its tenant.
    Gym(GymId),
}

/// How long readings and rollups are kept; none: for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kept {
    /// Readings.
    pub packed: Option<Duration>,
    /// Their minutes, and days.
    pub rollups: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRetention {
    pack: bool,
    #[serde(deserialize_with = "unit::span")]
    pack_after: Duration,
    #[serde(deserialize_with = "unit::span")]
    raw: Duration,
    #[serde(default, deserialize_with = "maybe_span")]
    packed: Option<Duration>,
    #[serde(default, deserialize_with = "maybe_span")]
    rollups: Option<Duration>,
    #[serde(deserialize_with = "unit::span")]
    quarantine: Duration,
    events: std::collections::BTreeMap<String, Span>,
    #[serde(default)]
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    #[serde(default)]
    tenant: Option<TenantId>,
    #[serde(default)]
    gym: Option<GymId>,
    #[serde(default, deserialize_with = "maybe_span")]
    packed: Option<Duration>,
    #[serde(default, deserialize_with = "maybe_span")]
    rollups: Option<Duration>,
}

#[derive(Deserialize)]
struct Span(#[serde(deserialize_with = "unit::span")] Duration);

fn maybe_span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    unit::span(deserializer).map(Some).map_err(|error| D::Error::custom(format!("{error}; leave the key out to keep it for good")))
}

pub(crate) fn check(checker: &mut Checker<'_>) -> Option<Retention> {
    let raw: RawRetention = checker.section("retention")?;
    let kept = Kept { packed: raw.packed, rollups: raw.rollups };
    hold_kept(checker, "retention", kept);
    checker.hold(
        raw.packed.is_none_or(|packed| packed >= raw.raw),
        "retention.packed",
        || format!("is {:?} and retention.raw is {:?}: readings would have to go before they are packed", raw.packed, raw.raw),
        || "write at least retention.raw".to_owned(),
    );
    checker.hold(
        raw.rules.len() <= RULES_MAX,
        "retention.rules",
        || format!("has {} rules", raw.rules.len()),
        || format!("write at most {RULES_MAX}: one for a tenant is enough where its gyms do not differ"),
    );
    let rules = raw.rules.iter().filter_map(|rule| rule_of(checker, rule)).collect();
    Some(Retention {
        pack_after: raw.pack.then_some(raw.pack_after),
        raw: raw.pack.then_some(raw.raw),
        kept,
        rules,
        events: raw.events.into_iter().map(|(kind, Span(span))| (if kind == "others" { "*".to_owned() } else { kind }, span)).collect(),
        quarantine: raw.quarantine,
    })
}

fn rule_of(checker: &mut Checker<'_>, rule: &RawRule) -> Option<(KeptFor, Kept)> {
    let kept = Kept { packed: rule.packed, rollups: rule.rollups };
    hold_kept(checker, "retention.rules", kept);
    match (rule.tenant, rule.gym) {
        (Some(tenant), None) => Some((KeptFor::Tenant(tenant), kept)),
        (None, Some(gym)) => Some((KeptFor::Gym(gym), kept)),
        (None, None) | (Some(_), Some(_)) => {
            checker.refuse("retention.rules", "has a rule that is not for one tenant or one gym", "write `tenant` or `gym` in each rule");
            None
        }
    }
}

fn hold_kept(checker: &mut Checker<'_>, key: &str, kept: Kept) {
    let Some(rollups) = kept.rollups else { return };
    checker.hold(
        kept.packed.is_some_and(|packed| packed <= rollups),
        key,
        || format!("keeps readings for {:?} and their minutes for {rollups:?}: minutes go with the last of their readings", kept.packed),
        || "write `packed` no longer than `rollups`".to_owned(),
    );
}

//! The unsafe switches. Each refuses to start outside the `dev` profile, and says what it would do.

use std::path::PathBuf;

use serde::Deserialize;

use crate::check::Checker;
use crate::layer::Profile;

/// Conveniences of a developer's machine. All off in production, by force.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dev {
    /// The hub signs tokens itself and gives them to anybody who asks.
    pub built_in_issuer: bool,
    /// File of that issuer's key; none: beside the embedded store.
    #[serde(default)]
    pub issuer_key: Option<PathBuf>,
    /// Names of the demo's people are good as tokens.
    pub open_auth: bool,
    /// A token in the URL of a socket is read.
    pub token_in_url: bool,
    /// The echo route is there.
    pub raw_echo: bool,
    /// Issuers may sign with a shared secret.
    pub hs256: bool,
}

pub(crate) fn check(checker: &mut Checker<'_>) -> Option<Dev> {
    let dev: Dev = checker.section("dev")?;
    if checker.profile == Profile::Dev {
        return Some(dev);
    }
    let switches = [
        (dev.built_in_issuer, "dev.built_in_issuer", "the hub would give a token to anybody who asks"),
        (dev.open_auth, "dev.open_auth", "anybody could be anybody without a token"),
        (dev.token_in_url, "dev.token_in_url", "tokens would stand in the logs of every proxy"),
        (dev.raw_echo, "dev.raw_echo", "strangers could use the hub's bandwidth without a token"),
        (dev.hs256, "dev.hs256", "whoever can check a token could make one"),
    ];
    for (on, key, consequence) in switches {
        checker.hold(
            !on,
            key,
            || format!("is true in the production profile: {consequence}"),
            || "write false, or profile = \"dev\" on a machine that only you can reach".to_owned(),
        );
    }
    Some(dev)
}

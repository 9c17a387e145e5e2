//! `spotter config check` and `spotter config show`: what would be wrong, and what would hold.

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;
use config::Profile;

use crate::Settings;

/// What to do with the configuration.
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Reads everything and says what is wrong, where it was said, what would follow and what to write instead.
    Check,
    /// Prints every effective value with where it was said; secrets are masked.
    Show,
}

/// Runs one of them, as `serve` would read the configuration.
pub(crate) fn run(settings: &Settings, command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    let sources = settings.sources(Profile::Production)?;
    let mut out = std::io::stdout().lock();
    match command {
        ConfigCommand::Check => {
            let config = config::load(&sources)?;
            writeln!(out, "the configuration holds: profile {}, listens on {}", config.profile.name(), config.listen.address)?;
        }
        ConfigCommand::Show => {
            let shown = config::show(&sources)?;
            let width = shown.iter().map(|one| one.key.len() + one.value.len()).max().unwrap_or(0).min(72) + 3;
            for one in shown {
                let said = format!("{} = {}", one.key, one.value);
                writeln!(out, "{said:width$}  # {}", one.origin)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

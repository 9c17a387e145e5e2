//! The binary `spotter`: the life of the process.
//!
//! In: arguments, environment, signals. Out: a hub that listens until it is told to stop, then drains by a deadline and says what was left.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use config::{Profile, Sources};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod cli;

/// A real-time hub for gyms.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the configuration comes from.
#[derive(Args, Clone)]
pub(crate) struct Settings {
    /// File to read over the embedded defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// One value over everything else, such as listen.address=0.0.0.0:8080.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// production or dev.
    #[arg(long, global = true, value_name = "PROFILE")]
    profile: Option<String>,
}

impl Settings {
    /// All layers; `profile` where nobody says one.
    pub(crate) fn sources(&self, profile: Profile) -> anyhow::Result<Sources> {
        let mut sources = Sources::of_process(profile, self.config.clone());
        if let Some(profile) = &self.profile {
            sources = sources.flag("profile", profile, "--profile");
        }
        for set in &self.set {
            sources = sources.set(set).map_err(anyhow::Error::msg)?;
        }
        Ok(sources)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Serves (the default).
    Serve,
    /// Serves a gym that trains by itself, on a store of its own.
    Demo,
    /// Checks or shows the configuration.
    #[command(subcommand)]
    Config(cli::config::ConfigCommand),
    /// Backs the store up, brings a backup back, or copies it into another database.
    #[command(subcommand)]
    Store(cli::store::StoreCommand),
    /// Prints a token of the built-in issuer.
    Token(cli::token::TokenCommand),
    /// Reads values of Bluetooth characteristics.
    #[command(subcommand)]
    Ftms(cli::ftms::FtmsCommand),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => cli::serve::run(&arguments.settings),
        Command::Demo => cli::demo::run(&arguments.settings),
        Command::Config(command) => cli::config::run(&arguments.settings, &command),
        Command::Store(command) => cli::store::run(&arguments.settings, &command),
        Command::Token(command) => cli::token::run(&arguments.settings, &command),
        Command::Ftms(command) => cli::ftms::run(&command),
    };
    match done.context("spotter ends") {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

//! `spotter store`: backup, restore, and what a restored store needs.
//!
//! In: the configuration, which names the store, and a file. Out: one sentence about what was done. No hub is started; a backup may be taken while one runs.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use config::Profile;

use crate::Settings;

/// What to do with the store.
#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Copies a SQLite store into FILE, checked, as of one instant; the hub may run.
    Backup {
        /// The file to make; it must not exist.
        file: PathBuf,
    },
    /// Puts a backup in place of a SQLite store that is not there.
    Restore {
        /// The backup.
        file: PathBuf,
    },
    /// To be run once on a Postgres database that was restored from a backup, before a hub starts on it: no fence may be given twice.
    Restored,
    /// Copies everything into an empty database, or goes on with an interrupted copy; compares both at the end. No hub may run on either.
    Copy(super::copy::CopyCommand),
}

/// Runs one of them.
pub(crate) fn run(settings: &Settings, command: &StoreCommand) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    if let StoreCommand::Copy(copy) = command {
        return runtime.block_on(super::copy::copy_store(copy));
    }
    let config = config::load(&settings.sources(Profile::Production)?)?;
    let url = hub::node::store_url(&config);
    let said = runtime.block_on(carry_out(&url, command))?;
    writeln!(std::io::stdout(), "{said}")?;
    Ok(ExitCode::SUCCESS)
}

async fn carry_out(url: &str, command: &StoreCommand) -> anyhow::Result<String> {
    Ok(match command {
        StoreCommand::Backup { file } => {
            let bytes = storage::backup(url, file).await?;
            format!("{} holds the store {}, {bytes} bytes, checked", file.display(), storage::place(url)?.display())
        }
        StoreCommand::Restore { file } => {
            let starts = storage::restore(url, file).await?;
            let place = storage::place(url)?;
            format!("the store {} is back from {}; the start counter is {starts}", place.display(), file.display())
        }
        StoreCommand::Copy(_) => unreachable!("a copy names both its databases and was made above"),
        StoreCommand::Restored => {
            let starts = storage::restored(url).await?;
            format!("the start counter is {starts}: fences go on above those of the time before the restore")
        }
    })
}

//! `spotter ftms decode`: what a machine said over Bluetooth, readable; for people who write gateways.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

/// What to do with values of characteristics.
#[derive(Subcommand)]
pub(crate) enum FtmsCommand {
    /// Prints one JSON object for each value.
    Decode(Decode),
}

/// Values of one characteristic.
#[derive(Args)]
pub(crate) struct Decode {
    /// UUID such as 0x2AD2, or a name such as `indoor_bike_data`.
    characteristic: String,
    /// Values in hexadecimal; spaces, colons and hyphens between bytes are fine.
    #[arg(required = true, value_name = "HEX")]
    hex: Vec<String>,
    /// The values are parts of one record.
    #[arg(long)]
    merge: bool,
    /// Name of the device, for its quirks.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
}

/// Runs it.
pub(crate) fn run(command: &FtmsCommand) -> anyhow::Result<ExitCode> {
    let FtmsCommand::Decode(Decode { characteristic, hex, merge, device }) = command;
    let mut out = std::io::stdout().lock();
    for object in protocol::ftms::cli::decode(characteristic, hex, *merge, device.as_deref())? {
        writeln!(out, "{object}")?;
    }
    Ok(ExitCode::SUCCESS)
}

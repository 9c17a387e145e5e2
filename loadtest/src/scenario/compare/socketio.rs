//! A client of Socket.IO 4 over WebSocket alone (Engine.IO protocol 4): open, connect with a token, join a room, and wait for the word that it is done.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::peer::{Light, LightReader, LightWriter, Options, masked_frame};

const WAIT: Duration = Duration::from_secs(30);

/// A connection that is authenticated and, with a room, in it.
pub(super) async fn connect(url: &str, token: &str, room: Option<&str>) -> anyhow::Result<Light> {
    let enter = async {
        let mut light = Light::open(&format!("{url}/socket.io/?EIO=4&transport=websocket"), None, &Options::new("")).await?;
        expect(&mut light, b"0{").await?;
        say(&mut light, &format!("40{{\"token\":\"{token}\"}}")).await?;
        expect(&mut light, b"40{").await?;
        if let Some(room) = room {
            // An event with acknowledgement number 0.
            say(&mut light, &format!("420[\"join\",\"{room}\"]")).await?;
            expect(&mut light, b"430").await?;
        }
        Ok(light)
    };
    tokio::time::timeout(WAIT, enter).await.context("Socket.IO does not let a watcher in, in time")?
}

/// Answers the pings of a connection that only publishes.
pub(super) async fn listen(mut reader: LightReader, writer: LightWriter) -> anyhow::Result<()> {
    let mut pong = Vec::new();
    masked_frame(1, b"3", &mut pong);
    loop {
        let mut asked = false;
        reader.read(|packet| asked |= packet == b"2").await.context("Socket.IO hung up on a publisher")?;
        if asked {
            writer.send_framed(&pong).await?;
        }
    }
}

async fn say(light: &mut Light, packet: &str) -> anyhow::Result<()> {
    let mut framed = Vec::with_capacity(packet.len() + 14);
    masked_frame(1, packet.as_bytes(), &mut framed);
    light.send_framed(&framed).await.context("Socket.IO does not read")
}

/// Waits for a packet that begins so; an error of the server begins with `44`.
async fn expect(light: &mut Light, begins: &[u8]) -> anyhow::Result<()> {
    let (mut came, mut refused) = (false, None);
    while !came {
        light
            .read(|packet| {
                came |= packet.starts_with(begins);
                if packet.starts_with(b"44") {
                    refused = Some(String::from_utf8_lossy(packet).into_owned());
                }
            })
            .await?;
        ensure!(refused.is_none(), "Socket.IO refused a watcher: {refused:?}");
    }
    Ok(())
}

//! A socket that minds no rule: raw TCP, an upgrade with whatever headers, frames written byte by byte.
//!
//! In: bytes to send, as they are. Out: an [`End`]: the close code and its name, an HTTP status, or how else the connection went. It reads
//! while it writes, so that a hub that closes in the middle is heard; no wait is without a deadline.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use protocol::frame::{Hello, Role};
use protocol::text::Text;
use protocol::wire::Encoding;
use protocol::{ClientFrame, CloseReason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use uuid::Uuid;

use super::case::End;
use super::stage::Stage;
use crate::peer::masked_frame;

/// Dial, upgrade and welcome of a socket that has yet to misbehave.
const POLITE: Duration = Duration::from_secs(10);
/// FIN, RSV and opcode of a text and of a binary message.
pub(super) const TEXT: u8 = 0x81;
pub(super) const BINARY: u8 = 0x82;

/// One such socket.
pub(super) struct Rude {
    pub(super) stream: TcpStream,
    /// When its abuse began.
    pub(super) began: Instant,
    heard: Vec<u8>,
    upgraded: bool,
}

/// The request that becomes a WebSocket, with these headers more.
pub(super) fn upgrade_request(stage: &Stage, encoding: Encoding, more: &str) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: bGlnaHR3ZWlnaHQgcGVlcg==\r\nSec-WebSocket-Protocol: {}\r\n{more}\r\n",
        stage.address,
        encoding.subprotocol()
    )
}

/// A client frame: first byte as given, a mask key of zeros, and the length that is claimed instead of the real one.
pub(super) fn frame(first: u8, claimed: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match claimed {
        0..=125 => out.push(0x80 | claimed as u8),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(claimed as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&claimed.to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
    out
}

impl Rude {
    /// Connects from an address.
    pub(super) async fn dial(stage: &Stage, from: Ipv4Addr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into()).with_context(|| format!("cannot come from {from}"))?;
        Self::over(stage, socket).await
    }

    /// Connects with a socket that was set up before.
    pub(super) async fn over(stage: &Stage, socket: TcpSocket) -> anyhow::Result<Self> {
        let stream = tokio::time::timeout(POLITE, socket.connect(stage.address)).await.context("no connection in time")??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, began: Instant::now(), heard: Vec::new(), upgraded: false })
    }

    /// Becomes a WebSocket; answers the head of the hub's answer.
    pub(super) async fn upgrade(&mut self, stage: &Stage, encoding: Encoding, more: &str) -> anyhow::Result<String> {
        self.stream.write_all(upgrade_request(stage, encoding, more).as_bytes()).await?;
        let head = tokio::time::timeout(POLITE, async {
            loop {
                if let Some(end) = self.heard.windows(4).position(|four| four == b"\r\n\r\n") {
                    let head: Vec<u8> = self.heard.drain(..end + 4).collect();
                    return Ok(String::from_utf8_lossy(&head).into_owned());
                }
                ensure!(self.stream.read_buf(&mut self.heard).await? > 0, "cut instead of an answer");
            }
        });
        let head = head.await.context("no answer to the upgrade in time")??;
        ensure!(head.starts_with("HTTP/1.1 101"), "the upgrade was answered {head:?}");
        (self.upgraded, self.began) = (true, Instant::now());
        Ok(head)
    }

    /// Connects and upgrades, and says nothing yet.
    pub(super) async fn stranger(stage: &Stage, from: Ipv4Addr, encoding: Encoding) -> anyhow::Result<Self> {
        let mut rude = Self::dial(stage, from).await?;
        rude.upgrade(stage, encoding, "").await?;
        Ok(rude)
    }

    /// Connects, upgrades and is welcomed.
    pub(super) async fn session(stage: &Stage, role: Role, encoding: Encoding) -> anyhow::Result<Self> {
        let mut rude = Self::stranger(stage, stage.fresh_address(), encoding).await?;
        rude.hello(stage, role, encoding).await?;
        Ok(rude)
    }

    /// Says hello with a good token and waits for the answer; what the socket does from here on is abuse.
    pub(super) async fn hello(&mut self, stage: &Stage, role: Role, encoding: Encoding) -> anyhow::Result<()> {
        let subject = if role == Role::Gateway { stage.gateway.0 } else { Uuid::now_v7() };
        let token = stage.token(role, subject);
        let hello = Hello {
            token: Text::cut(&token),
            rooms: vec![],
            ticket: None,
            client: None,
            device: Some(Text::cut(&subject.to_string())),
            enrolled: None,
        };
        let first = if encoding == Encoding::Json { TEXT } else { BINARY };
        let payload = ClientFrame::from(hello).to_bytes(encoding);
        self.stream.write_all(&frame(first, payload.len() as u64, &payload)).await?;
        let welcome = async {
            while self.heard.is_empty() {
                ensure!(self.stream.read_buf(&mut self.heard).await? > 0, "cut instead of a welcome");
            }
            Ok(())
        };
        tokio::time::timeout(POLITE, welcome).await.context("no welcome in time")??;
        self.began = Instant::now();
        Ok(())
    }

    /// Sends these bytes, then waits for the end.
    pub(super) async fn says(self, bytes: &[u8], within: Duration) -> End {
        let mut once = Some(bytes);
        self.says_on(within, Duration::ZERO, |_| once.take().map(<[u8]>::to_vec)).await
    }

    /// Sends what it is handed, with a pause after each, until there is no more or the hub ends it; then waits for the end.
    pub(super) async fn says_on(self, within: Duration, pause: Duration, mut next: impl FnMut(u64) -> Option<Vec<u8>>) -> End {
        let Self { mut stream, began, mut heard, upgraded } = self;
        let (mut read, mut write) = stream.split();
        let say = async {
            for number in 0.. {
                let Some(bytes) = next(number) else { break };
                if write.write_all(&bytes).await.is_err() {
                    break;
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            std::future::pending::<()>().await;
        };
        let hear = async {
            loop {
                if let Some(how) = ending(&mut heard, upgraded) {
                    return how;
                }
                match read.read_buf(&mut heard).await {
                    Ok(0) | Err(_) => return "cut".to_owned(),
                    Ok(_) => (),
                }
            }
        };
        tokio::select! {
            how = hear => End::new(how, began),
            () = say => End::new("open", began),
            () = tokio::time::sleep(within + Duration::from_secs(1)) => End::new("open", began),
        }
    }
}

/// How the connection ended, if what was heard says so. Whole frames are taken away.
fn ending(heard: &mut Vec<u8>, upgraded: bool) -> Option<String> {
    if !upgraded {
        let head = String::from_utf8_lossy(heard);
        return head.strip_prefix("HTTP/1.1 ").filter(|rest| rest.len() >= 3).map(|rest| rest[..3].to_owned());
    }
    loop {
        let (&first, &second) = (heard.first()?, heard.get(1)?);
        let (head, length) = match second {
            126 => (4, usize::from(u16::from_be_bytes(heard.get(2..4)?.try_into().ok()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(heard.get(2..10)?.try_into().ok()?)).ok()?),
            length => (2, usize::from(length)),
        };
        let payload = heard.get(head..head + length)?;
        if first & 0x0f == 8 {
            let code = payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
            let name = CloseReason::from_code(code).map_or("", CloseReason::name);
            return Some(format!("{code} {name}").trim_end().to_owned());
        }
        heard.drain(..head + length);
    }
}

/// A whole message of small frames.
pub(super) fn message(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    masked_frame(2, payload, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_read_behind_other_frames_and_not_before_it_is_whole() {
        let mut wire = vec![0x82, 3, 1, 2, 3, 0x88, 6];
        wire.extend_from_slice(&4200_u16.to_be_bytes());
        wire.extend_from_slice(b"malf");
        for cut in 0..wire.len() {
            let mut heard = wire[..cut].to_vec();
            assert_eq!(ending(&mut heard, true), None, "{cut}");
        }
        assert_eq!(ending(&mut wire.clone(), true), Some("4200 malformed".to_owned()));
        assert_eq!(ending(&mut b"HTTP/1.1 431 Request".to_vec(), false), Some("431".to_owned()));
    }

    #[test]
    fn a_frame_may_claim_any_length() {
        assert_eq!(frame(BINARY, 2, b"ab"), [0x82, 0x82, 0, 0, 0, 0, b'a', b'b']);
        assert_eq!(frame(BINARY, 1 << 62, b"")[..10], [0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0]);
    }
}

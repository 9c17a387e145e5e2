//! The loop around the examiner: listens, takes one gateway at a time, prints what it finds.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::text::unhex;
use protocol::wire::Encoding;
use protocol::{ClientFrame, HubId, ServerFrame, TenantId};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::{ExamDevice, Examiner, Rule};
use crate::bench::{Report, progress};

const TICK: Duration = Duration::from_millis(20);
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Words of `gateway`.
#[derive(Debug, Clone, clap::Args)]
pub struct ListenArgs {
    /// Where to listen, such as 127.0.0.1:9000; the gateway connects to ws://ADDR/v1/ws with any token, or as an enrolled device.
    #[arg(long)]
    pub listen: String,
    /// The public key of the enrolled device that comes, in hexadecimal: then its signature is checked.
    #[arg(long, requires_all = ["hub", "tenant"])]
    pub device_key: Option<String>,
    /// The hub that the device was enrolled with.
    #[arg(long)]
    pub hub: Option<uuid::Uuid>,
    /// The tenant that the device was enrolled with.
    #[arg(long)]
    pub tenant: Option<uuid::Uuid>,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 120)]
    pub seconds: u64,
}

impl ListenArgs {
    fn examiner(&self) -> anyhow::Result<Examiner> {
        let Some(((key, hub), tenant)) = self.device_key.as_deref().zip(self.hub).zip(self.tenant) else { return Ok(Examiner::new()) };
        let key = unhex(key).and_then(|key| key.try_into().ok()).context("--device-key: 64 hexadecimal digits")?;
        Ok(Examiner::new().with_device(ExamDevice { hub: HubId(hub), tenant: TenantId(tenant), key }))
    }
}

/// Runs it to the end of the programme.
///
/// # Errors
/// Where it cannot listen.
pub async fn run(own: &ListenArgs) -> anyhow::Result<Report> {
    let listener = TcpListener::bind(&own.listen).await.with_context(|| format!("could not listen on {}", own.listen))?;
    progress(&format!("waiting for a gateway on ws://{}/v1/ws", listener.local_addr()?));
    let examiner = serve(own.examiner()?, listener, Duration::from_secs(own.seconds)).await?;
    let mut report = Report::new("gateway");
    report.set("sessions", 1);
    report.set("readings", examiner.readings());
    let tried: Vec<&str> = Rule::ALL.iter().filter(|rule| examiner.tried().contains(rule)).map(|rule| rule.number()).collect();
    let untried: Vec<&str> = Rule::ALL.iter().filter(|rule| !examiner.tried().contains(rule)).map(|rule| rule.number()).collect();
    report.set("tried", json!(tried));
    report.set("untried", json!(untried));
    let findings: Vec<_> = examiner
        .findings()
        .iter()
        .map(|finding| json!({ "rule": finding.rule.number(), "asks": finding.rule.text(), "seen": finding.seen }))
        .collect();
    report.set("findings", json!(findings));
    report.require(examiner.findings().is_empty(), || format!("{} findings", findings.len()));
    report.require(examiner.is_over(), || "the programme did not come to its end: the gateway sent no readings, or left".to_owned());
    Ok(report)
}

/// Takes gateways one after another until the programme is over or the time is up.
///
/// # Errors
/// Where accepting fails.
pub async fn serve(mut examiner: Examiner, listener: TcpListener, time: Duration) -> anyhow::Result<Examiner> {
    let (start, deadline) = (Instant::now(), Instant::now() + time);
    while !examiner.is_over() && Instant::now() < deadline {
        let accepted = tokio::time::timeout(TICK, listener.accept()).await;
        let now_ms = start.elapsed().as_millis() as i64;
        let Ok(accepted) = accepted else {
            examiner.tick(now_ms);
            continue;
        };
        let (stream, address) = accepted.context("could not accept")?;
        progress(&format!("a gateway connected from {address}"));
        let Some((socket, encoding)) = upgrade(stream).await else {
            progress("it did not come through the WebSocket upgrade");
            continue;
        };
        examiner.opened(start.elapsed().as_millis() as i64);
        let before = examiner.findings().len();
        talk(&mut examiner, socket, encoding, start, deadline).await;
        examiner.closed(start.elapsed().as_millis() as i64);
        for finding in &examiner.findings()[before..] {
            progress(&format!("{} {}: {}", finding.rule.number(), finding.rule.text(), finding.seen));
        }
    }
    Ok(examiner)
}

async fn upgrade(stream: TcpStream) -> Option<(WebSocketStream<TcpStream>, Encoding)> {
    let mut encoding = Encoding::MessagePack;
    #[expect(clippy::result_large_err, reason = "the shape that tungstenite's callback has")]
    let choose = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let offered = request.headers().get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some(chosen) = offered.split(',').find_map(|name| Encoding::from_subprotocol(name.trim())) {
            encoding = chosen;
            response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(chosen.subprotocol()));
        }
        Ok(response)
    };
    let accepted = tokio::time::timeout(UPGRADE_TIMEOUT, tokio_tungstenite::accept_hdr_async(stream, choose)).await;
    accepted.ok()?.ok().map(|socket| (socket, encoding))
}

async fn talk(examiner: &mut Examiner, mut socket: WebSocketStream<TcpStream>, encoding: Encoding, start: Instant, deadline: Instant) {
    loop {
        let heard = tokio::time::timeout(TICK, socket.next()).await;
        let now_ms = start.elapsed().as_millis() as i64;
        let mut said = match heard {
            Err(_elapsed) => Vec::new(),
            Ok(Some(Ok(Message::Binary(bytes)))) => take(examiner, encoding, &bytes, now_ms),
            Ok(Some(Ok(Message::Text(text)))) => take(examiner, encoding, text.as_bytes(), now_ms),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => Vec::new(),
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) => return,
        };
        said.extend(examiner.tick(now_ms));
        for frame in said {
            if !say(&mut socket, encoding, &frame).await {
                return;
            }
        }
        // Dropping the socket here is the break that the programme wants: no close frame, as a cut line has none.
        if examiner.is_over() || examiner.wants_break() || Instant::now() > deadline {
            return;
        }
    }
}

fn take(examiner: &mut Examiner, encoding: Encoding, bytes: &[u8], now_ms: i64) -> Vec<ServerFrame> {
    match ClientFrame::decode(encoding, bytes) {
        Ok(frame) => examiner.hear(frame, now_ms),
        Err(error) => {
            examiner.strange(&error.to_string());
            Vec::new()
        }
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, encoding: Encoding, frame: &ServerFrame) -> bool {
    let bytes = frame.to_bytes(encoding);
    let message = match encoding {
        Encoding::MessagePack => Message::binary(bytes),
        Encoding::Json => Message::text(String::from_utf8(bytes).expect("JSON is UTF-8")),
    };
    matches!(tokio::time::timeout(WRITE_TIMEOUT, socket.send(message)).await, Ok(Ok(())))
}

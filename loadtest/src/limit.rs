//! `loadtest limit`: the least that a broadcaster can do, to hold the hub's cost of a delivery against.
//!
//! In: WebSocket upgrades `GET /ROOM` on a free port of the loopback; on standard input `beat ROOMS HZ` and `rest`. Out: `listening PORT`, and at
//! each beat of a room one frame of 120 bytes, stamped once with the time, the same bytes written to each socket of the room. Nothing else:
//! one thread, nobody is known, nothing is read, queued, acknowledged, stored or woken; a socket that does not take a frame at once
//! misses it. So it is no server, and nothing that does more can be cheaper. Ends with its standard input.

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::scenario::compare::Pace;

/// Bytes of every frame's payload.
pub const PAYLOAD_BYTES: usize = 120;
const HEAD_BYTES: usize = 2;
const REQUEST_BYTES_MAX: usize = 4 * 1024;
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// What beats now.
struct Beat {
    pace: Pace,
    timer: Interval,
    step: usize,
}

/// Runs until standard input ends, on a thread of its own, so that no scheduler stands between a beat and the writes.
///
/// # Errors
/// Where it cannot listen, or a command is none.
pub async fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    tokio::task::spawn_blocking(move || runtime.block_on(serve())).await?
}

async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("could not listen")?;
    writeln!(io::stdout(), "listening {}", listener.local_addr()?.port()).context("nobody reads where this listens")?;
    let mut commands = commands();
    let mut rooms: Vec<Vec<TcpStream>> = Vec::new();
    let mut beat: Option<Beat> = None;
    loop {
        tokio::select! {
            () = next(&mut beat) => if let Some(beat) = &mut beat { broadcast(beat, &rooms) },
            accepted = listener.accept() => {
                let (stream, room) = timeout(HANDSHAKE_WITHIN, upgrade(accepted?.0)).await.context("a handshake takes too long")??;
                rooms.resize_with(rooms.len().max(room + 1), Vec::new);
                rooms[room].push(stream);
            }
            command = commands.recv() => match command {
                Some(command) => beat = parse(&command)?,
                None => return Ok(()),
            },
        }
    }
}

/// Lines of standard input, read on a thread of their own.
fn commands() -> mpsc::Receiver<String> {
    let (say, commands) = mpsc::channel(1);
    std::thread::spawn(move || io::stdin().lines().map_while(Result::ok).try_for_each(|line| say.blocking_send(line)));
    commands
}

fn parse(command: &str) -> anyhow::Result<Option<Beat>> {
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["rest"] => Ok(None),
        ["beat", rooms, hz] => {
            let pace = Pace::new(rooms.parse()?, hz.parse()?);
            let mut timer = interval(pace.pause());
            timer.set_missed_tick_behavior(MissedTickBehavior::Burst);
            Ok(Some(Beat { pace, timer, step: 0 }))
        }
        _ => bail!("`{command}` is no command"),
    }
}

async fn next(beat: &mut Option<Beat>) {
    match beat {
        Some(beat) => drop(beat.timer.tick().await),
        None => std::future::pending().await,
    }
}

/// One frame for each room whose turn it is, the same bytes for all in it.
fn broadcast(beat: &mut Beat, rooms: &[Vec<TcpStream>]) {
    let mut frame = [0; HEAD_BYTES + PAYLOAD_BYTES];
    frame[..HEAD_BYTES].copy_from_slice(&[0x82, PAYLOAD_BYTES as u8]);
    for room in beat.pace.turn(beat.step).filter_map(|room| rooms.get(room)) {
        frame[HEAD_BYTES..][..8].copy_from_slice(&now_us().to_be_bytes());
        for socket in room {
            // Full or gone: this socket misses the frame.
            socket.try_write(&frame).ok();
        }
    }
    beat.step += 1;
}

/// Microseconds since 1970: both ends are on one machine.
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_micros() as u64)
}

/// Reads `GET /ROOM` to its end and answers it.
async fn upgrade(mut stream: TcpStream) -> anyhow::Result<(TcpStream, usize)> {
    stream.set_nodelay(true)?;
    let mut request = Vec::with_capacity(512);
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 || request.len() > REQUEST_BYTES_MAX {
            bail!("no upgrade request");
        }
    }
    let request = std::str::from_utf8(&request)?;
    let room = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next()).context("no GET")?.parse()?;
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).context("no key")?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.trim().as_bytes())
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok((stream, room))
}

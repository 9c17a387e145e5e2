//! What a log line may hold.
//!
//! In: the operator's level, events as the subscriber formats them. Out: whatever the level, libraries that would log what is on the wire (tokens,
//! hearts) are held at `info`, and no line holds a control character: what a peer wrote can neither begin a line nor colour one.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;

/// Libraries that log messages, headers or statements below this level.
const DISCREET: &[&str] = &[
    "tungstenite=info",
    "tokio_tungstenite=info",
    "hyper=info",
    "hyper_util=info",
    "reqwest=info",
    "rustls=info",
    "sqlx=info",
    "tower_http=info",
];

/// The operator's level, but for those libraries.
pub(super) fn discreet(filter: EnvFilter) -> EnvFilter {
    DISCREET.iter().filter_map(|directive| directive.parse().ok()).fold(filter, EnvFilter::add_directive)
}

/// Standard error, a line at a time.
pub(super) fn stderr() -> OneLine<io::Stderr> {
    OneLine(io::stderr())
}

/// Writes each event as one line of visible characters. The subscriber hands over one event at a time, its line end last.
pub(super) struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let body = event.strip_suffix(b"\n").unwrap_or(event);
        if body.iter().any(u8::is_ascii_control) {
            let mut line: Vec<u8> = body.iter().flat_map(|byte| visible(*byte)).collect();
            line.extend_from_slice(&event[body.len()..]);
            self.0.write_all(&line)?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn visible(byte: u8) -> Vec<u8> {
    if byte.is_ascii_control() { byte.escape_ascii().collect() } else { vec![byte] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &[u8]) -> String {
        let mut line = OneLine(Vec::new());
        line.write_all(event).unwrap();
        String::from_utf8(line.0).unwrap()
    }

    #[test]
    fn what_a_peer_wrote_stays_in_its_line_and_has_no_colour() {
        assert_eq!(written(b"WARN a \x1b[31mred\x1b[0m\r\nERROR forged\n"), "WARN a \\x1b[31mred\\x1b[0m\\r\\nERROR forged\n");
        assert_eq!(written("INFO größe\n".as_bytes()), "INFO größe\n");
    }
}

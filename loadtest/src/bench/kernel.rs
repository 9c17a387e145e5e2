//! What the kernel holds for the hub's connections, read from `/proc/net/tcp`.

use std::collections::HashMap;

use anyhow::Context as _;

/// One connection as the kernel sees it from the hub's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Whether it stands; else it is closing.
    pub established: bool,
    /// Bytes written by the hub that the peer has not acknowledged.
    pub sent_bytes: u64,
}

/// The connections of this port on this host, by the port of the other side.
///
/// The kernel hands its table out in pieces, and one that stands is left out where others come and go between two of them: it is read twice.
///
/// # Errors
/// Where `/proc` does not say.
pub fn queues_of(port: u16) -> anyhow::Result<HashMap<u16, Queue>> {
    let mut queues = table_of(port)?;
    queues.extend(table_of(port)?);
    Ok(queues)
}

fn table_of(port: u16) -> anyhow::Result<HashMap<u16, Queue>> {
    let table = std::fs::read_to_string("/proc/net/tcp").context("could not read the kernel's table of connections")?;
    Ok(table.lines().skip(1).filter_map(parse).filter(|(local, _, _)| *local == port).map(|(_, peer, queue)| (peer, queue)).collect())
}

/// Local port, port of the other side, queue: `sl local remote state tx:rx ..`, all hexadecimal (proc(5)).
fn parse(line: &str) -> Option<(u16, u16, Queue)> {
    const ESTABLISHED: u8 = 1;
    let mut fields = line.split_whitespace().skip(1);
    let mut port = || u16::from_str_radix(fields.next()?.split_once(':')?.1, 16).ok();
    let (local, remote) = (port()?, port()?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let sent_bytes = u64::from_str_radix(fields.next()?.split_once(':')?.0, 16).ok()?;
    Some((local, remote, Queue { established: state == ESTABLISHED, sent_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_reads_as_ports_state_and_bytes() {
        let line = "   3: 0100007F:1F90 0200007F:D431 01 00010000:00000010 01:00000014 00000000  0  0 12345 1 0000000000000000";
        assert_eq!(parse(line), Some((8_080, 54_321, Queue { established: true, sent_bytes: 65_536 })));
        assert_eq!(parse("  sl  local_address rem_address   st tx_queue"), None);
    }
}

//! PROXY protocol, versions 1 and 2, in front of everything else (haproxy.org, proxy-protocol.txt).
//!
//! In: the first bytes of a connection from a trusted load balancer. Out: the address of the client that it speaks for. Reads exactly the
//! header and not a byte more; at most 536 bytes (v2 with its TLVs) under the caller's deadline. What is no header is refused.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// First bytes of version 2.
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1, CRLF included.
const V1_BYTES_MAX: usize = 107;
/// Longest addresses and TLVs of version 2 that are read.
const V2_BYTES_MAX: usize = 520;

/// The connection does not begin with a header.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The socket broke.
    #[error("the connection ended before its PROXY header")]
    Read(#[source] io::Error),
    /// No header.
    #[error("the connection does not begin with a PROXY header: {0}")]
    Header(&'static str),
}

/// Reads the header. None where the balancer speaks for itself (health checks).
///
/// # Errors
/// [`ProxyError`]; the connection is dropped without an answer.
pub async fn read_header(tcp: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, ProxyError> {
    let mut head = [0_u8; 12];
    tcp.read_exact(&mut head).await.map_err(ProxyError::Read)?;
    if head == V2_SIGNATURE { v2(tcp).await } else { v1(tcp, head).await }
}

async fn v2(tcp: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, ProxyError> {
    let mut head = [0_u8; 4];
    tcp.read_exact(&mut head).await.map_err(ProxyError::Read)?;
    let [version_command, family, high, low] = head;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if version_command >> 4 != 2 || len > V2_BYTES_MAX {
        return Err(ProxyError::Header("version 2 with an unknown version or too long"));
    }
    let mut rest = [0_u8; V2_BYTES_MAX];
    let rest = &mut rest[..len];
    tcp.read_exact(rest).await.map_err(ProxyError::Read)?;
    v2_address(version_command & 0x0f, family, rest)
}

fn v2_address(command: u8, family: u8, rest: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    match (command, family >> 4) {
        (0, _) => Ok(None),
        (1, 1) => {
            let source: [u8; 4] = rest.get(..4).and_then(|bytes| bytes.try_into().ok()).ok_or(ProxyError::Header("a cut IPv4 address"))?;
            Ok(Some(Ipv4Addr::from(source).into()))
        }
        (1, 2) => {
            let source: [u8; 16] =
                rest.get(..16).and_then(|bytes| bytes.try_into().ok()).ok_or(ProxyError::Header("a cut IPv6 address"))?;
            Ok(Some(Ipv6Addr::from(source).to_canonical()))
        }
        (1, _) => Ok(None),
        _ => Err(ProxyError::Header("version 2 with an unknown command")),
    }
}

async fn v1(tcp: &mut (impl AsyncRead + Unpin), head: [u8; 12]) -> Result<Option<IpAddr>, ProxyError> {
    let mut line = Vec::with_capacity(V1_BYTES_MAX);
    line.extend_from_slice(&head);
    // Byte by byte: what follows the line belongs to somebody else, and the header comes once a connection.
    while !line.ends_with(b"\r\n") {
        if line.len() >= V1_BYTES_MAX || !line.starts_with(b"PROXY ") {
            return Err(ProxyError::Header("neither version 1 nor version 2"));
        }
        line.push(tcp.read_u8().await.map_err(ProxyError::Read)?);
    }
    v1_address(&line)
}

fn v1_address(line: &[u8]) -> Result<Option<IpAddr>, ProxyError> {
    let text = std::str::from_utf8(line).map_err(|_| ProxyError::Header("version 1 that is not text"))?;
    let mut words = text.trim_end().split(' ').skip(1);
    match (words.next(), words.next().map(str::parse::<IpAddr>)) {
        (Some("UNKNOWN"), _) => Ok(None),
        (Some("TCP4" | "TCP6"), Some(Ok(address))) => Ok(Some(address.to_canonical())),
        _ => Err(ProxyError::Header("version 1 without an address")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What is read of these bytes, and what is left for others.
    async fn read(bytes: &[u8]) -> (Result<Option<IpAddr>, ProxyError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let header = read_header(&mut server).await;
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await.unwrap();
        (header, rest)
    }

    #[tokio::test]
    async fn version_1_is_read_to_its_end_and_no_further() {
        let (address, rest) = read(b"PROXY TCP4 203.0.113.9 10.0.0.1 5544 8080\r\nGET / HTTP/1.1\r\n").await;
        assert_eq!(address.unwrap(), Some("203.0.113.9".parse().unwrap()));
        assert_eq!(rest, b"GET / HTTP/1.1\r\n");
        assert_eq!(read(b"PROXY UNKNOWN\r\n").await.0.unwrap(), None);
    }

    #[tokio::test]
    async fn version_2_is_read_with_its_tlvs() {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([0x21, 0x11, 0, 15]);
        bytes.extend([203, 0, 113, 9, 10, 0, 0, 1, 0x15, 0xa8, 0x1f, 0x90, 4, 0, 0]);
        bytes.extend(b"GET");
        let (address, rest) = read(&bytes).await;
        assert_eq!(address.unwrap(), Some("203.0.113.9".parse().unwrap()));
        assert_eq!(rest, b"GET");
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        assert!(matches!(read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.0, Err(ProxyError::Header(_))));
        assert!(matches!(read(b"PROXY ").await.0, Err(ProxyError::Read(_))));
        let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        assert!(matches!(read(&endless).await.0, Err(ProxyError::Header(_))));
    }
}

//! Whose address a request has, when a proxy stands in front.
//!
//! In: the TCP peer, the request's headers, whom the operator trusts. Out: the address that caps and limits count. A header is believed only from a
//! trusted network, and then from the right: every proxy appends the address that it saw, so the last that is not a trusted proxy is the client.

use std::net::{IpAddr, Ipv6Addr};

use config::Proxy;
use hyper::HeaderMap;

/// The address that counts.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, proxy: &Proxy) -> IpAddr {
    let peer = peer.to_canonical();
    if !matches!(proxy, Proxy::Forwarded(_)) || !proxy.trusts(peer) {
        return peer;
    }
    let mut client = peer;
    // Several headers are one list, in order (RFC 9110 section 5.2).
    let hops: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    for hop in hops.iter().rev() {
        match parse(hop) {
            Some(address) => {
                client = address;
                if !proxy.trusts(address) {
                    break;
                }
            }
            // Whatever stands left of what cannot be read was not written by a proxy of ours.
            None => break,
        }
    }
    client
}

/// What one subscriber has, and what caps and limits count: an IPv4 address, or a /64.
#[must_use]
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// An address, perhaps with brackets or a port as some proxies write it.
fn parse(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    if let Ok(address) = hop.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(socket) = hop.parse::<std::net::SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    hop.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let proxy = Proxy::Forwarded(trusted.iter().map(|network| network.parse().unwrap()).collect());
        client_address(peer.parse().unwrap(), &headers, &proxy).to_string()
    }

    #[test]
    fn a_header_is_believed_from_a_trusted_proxy_only() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("198.51.100.7", &["203.0.113.9"], &["10.0.0.0/8"]), "198.51.100.7");
    }

    #[test]
    fn what_a_client_wrote_itself_does_not_count() {
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "203.0.113.9, 10.0.0.2"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn a_subscriber_is_an_address_or_a_64() {
        let of = |address: &str| subscriber(address.parse().unwrap()).to_string();
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::");
    }

    #[test]
    fn nonsense_stops_the_walk() {
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], &["10.0.0.0/8"]), "10.0.0.2");
        assert_eq!(seen("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_read() {
        assert_eq!(seen("::ffff:10.0.0.1", &["[2001:db8::1]:443"], &["10.0.0.0/8"]), "2001:db8::1");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9:5544"], &["10.0.0.0/8"]), "203.0.113.9");
    }
}

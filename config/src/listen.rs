//! Where the hub listens, whom it believes about addresses, and which pages may reach it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::check::Checker;
use crate::unit;

/// The one listener.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// TLS by the hub itself.
    pub tls: Option<Tls>,
    /// What stands in front.
    pub proxy: Proxy,
    /// Browser origins allowed besides the hub's own, as `scheme://host[:port]` in lower case.
    pub origins: Vec<String>,
    /// Networks that may read `/metrics`.
    pub metrics_from: Vec<IpNet>,
    /// Deadline of request line and headers.
    pub header_timeout: Duration,
    /// Deadline of a TLS handshake.
    pub handshake_timeout: Duration,
}

/// Certificate, key and oldest version.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Chain in PEM, own certificate first.
    pub certificate: PathBuf,
    /// Key in PEM.
    pub key: PathBuf,
    /// Oldest version spoken.
    pub oldest: TlsVersion,
    /// Authorities in PEM whose client certificates say which device speaks; none: nobody is asked for a certificate.
    pub client_ca: Option<PathBuf>,
    /// The files are looked at this often, and taken where they changed.
    pub reload_every: Duration,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum TlsVersion {
    /// For old consoles only.
    #[serde(rename = "1.2")]
    V1_2,
    /// The default.
    #[serde(rename = "1.3")]
    V1_3,
}

/// What stands in front of the listener, and may therefore say whom it speaks for.
#[derive(Debug, Clone)]
pub enum Proxy {
    /// Nothing: the TCP peer is the peer.
    None,
    /// A proxy on these networks that sets `X-Forwarded-For`.
    Forwarded(Vec<IpNet>),
    /// A load balancer on these networks that speaks PROXY protocol v1 or v2 first.
    Protocol(Vec<IpNet>),
}

impl Proxy {
    /// Whether this TCP peer may speak for another.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        match self {
            Self::None => false,
            Self::Forwarded(networks) | Self::Protocol(networks) => networks.iter().any(|network| network.contains(&peer)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListen {
    address: String,
    #[serde(default)]
    tls: Option<RawTls>,
    proxy_protocol: bool,
    trusted_proxies: Vec<String>,
    origins: Vec<String>,
    metrics_from: Vec<String>,
    #[serde(deserialize_with = "unit::span")]
    header_timeout: Duration,
    #[serde(deserialize_with = "unit::span")]
    handshake_timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    key: PathBuf,
    #[serde(default)]
    oldest: Option<TlsVersion>,
    #[serde(default)]
    client_ca: Option<PathBuf>,
    #[serde(default = "reload_every", deserialize_with = "unit::span")]
    reload_every: Duration,
}

/// A renewed certificate is in use within this time where nobody says another.
const fn reload_every() -> Duration {
    Duration::from_secs(10)
}

pub(crate) fn check(checker: &mut Checker<'_>) -> Option<Listen> {
    let raw: RawListen = checker.section("listen")?;
    let address = raw.address.parse().ok();
    checker.hold(
        address.is_some(),
        "listen.address",
        || format!("is \"{}\"", raw.address),
        || "write an IP address and a port, such as \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::]:8080\"".to_owned(),
    );
    let trusted = networks(checker, "listen.trusted_proxies", &raw.trusted_proxies);
    let proxy = match (raw.proxy_protocol, trusted.is_empty()) {
        (true, true) => {
            checker.refuse(
                "listen.proxy_protocol",
                "is true and nobody is trusted to speak it: every connection would be refused",
                "write the load balancer's network into listen.trusted_proxies, such as [\"10.0.0.0/8\"]",
            );
            Proxy::None
        }
        (true, false) => Proxy::Protocol(trusted),
        (false, true) => Proxy::None,
        (false, false) => Proxy::Forwarded(trusted),
    };
    Some(Listen {
        address: address?,
        tls: raw.tls.map(|tls| Tls {
            certificate: tls.certificate,
            key: tls.key,
            oldest: tls.oldest.unwrap_or(TlsVersion::V1_3),
            client_ca: tls.client_ca,
            reload_every: tls.reload_every,
        }),
        proxy,
        origins: origins(checker, &raw.origins),
        metrics_from: networks(checker, "listen.metrics_from", &raw.metrics_from),
        header_timeout: raw.header_timeout,
        handshake_timeout: raw.handshake_timeout,
    })
}

/// Reads networks; a bare address is a network of one.
pub(crate) fn networks(checker: &mut Checker<'_>, key: &str, texts: &[String]) -> Vec<IpNet> {
    let mut networks = Vec::with_capacity(texts.len());
    for text in texts {
        match text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
            Ok(network) => networks.push(network),
            Err(_) => checker.refuse(key, format!("has \"{text}\""), "write networks or addresses, such as \"10.0.0.0/8\" or \"fd00::1\""),
        }
    }
    networks
}

fn origins(checker: &mut Checker<'_>, texts: &[String]) -> Vec<String> {
    let mut origins = Vec::with_capacity(texts.len());
    for text in texts {
        let lower = text.trim_end_matches('/').to_ascii_lowercase();
        if is_origin(&lower) {
            origins.push(lower);
        } else if text.contains('*') {
            let why = format!("has \"{text}\": any page could open a socket in the name of whoever reads it");
            checker.refuse("listen.origins", why, "name each origin whole, such as \"https://gym.example\"");
        } else {
            checker.refuse(
                "listen.origins",
                format!("has \"{text}\""),
                "write scheme and host, such as \"https://gym.example\" or \"http://localhost:5173\"",
            );
        }
    }
    origins
}

/// `scheme://host[:port]` and nothing after it.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]_".contains(c)))
}

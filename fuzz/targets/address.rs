//! Whose address a request has, and whose page: X-Forwarded-For, the PROXY header, Origin.
//!
//! Input: a byte that chooses, then header values, one a line, or the first bytes of a connection.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use hub::transport::address::client_address;
use hub::transport::proxy::read_header;
use hub::transport::upgrade;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static PROXY: LazyLock<config::Proxy> =
    LazyLock::new(|| config::Proxy::Forwarded(vec!["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")]));

fn headers(name: &'static str, rest: &[u8]) -> HeaderMap {
    let values = rest.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (HeaderName::from_static(name), value)).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let [way, rest @ ..] = bytes else { return };
    match way % 4 {
        0 => forwarded(rest),
        1 => origin(rest),
        2 => proxy(rest),
        _ => upgrade_request(rest),
    }
});

fn forwarded(rest: &[u8]) {
    let headers = headers("x-forwarded-for", rest);
    let (near, stranger): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [198, 51, 100, 7].into());
    assert_eq!(client_address(stranger, &headers, &PROXY), stranger, "a stranger's header was believed");
    let seen = client_address(near, &headers, &PROXY);
    // Whoever is believed to be the client stands in the header, or nothing does.
    assert!(seen == near || !headers.is_empty());
    assert_eq!(seen, seen.to_canonical());
}

fn origin(rest: &[u8]) {
    let mut headers = headers("origin", rest);
    headers.insert("host", HeaderValue::from_static("hub.example"));
    let listed = ["https://app.example".to_owned()];
    if upgrade::origin_allowed(&headers, &listed) {
        let given: Vec<_> = headers.get_all("origin").iter().map(|value| value.as_bytes().to_ascii_lowercase()).collect();
        let own: [&[u8]; 3] = [b"https://app.example", b"https://hub.example", b"http://hub.example"];
        assert!(given.is_empty() || (given.len() == 1 && own.contains(&&given[0][..])), "{given:?}");
    }
}

/// The header is read to its end and no further, whatever follows.
fn proxy(rest: &[u8]) {
    RUNTIME.block_on(async {
        let mut connection = rest;
        let read = tokio::time::timeout(Duration::from_secs(5), read_header(&mut connection)).await.expect("bytes in memory do not wait");
        if read.is_ok() {
            assert!(rest.len() - connection.len() <= 16 + 520, "more was read than a header has");
            let mut left = Vec::new();
            connection.read_to_end(&mut left).await.expect("memory");
            assert!(rest.ends_with(&left));
        }
    });
}

fn upgrade_request(rest: &[u8]) {
    let mut request = hyper::Request::builder().uri("/v1/ws").header("connection", "upgrade").header("upgrade", "websocket");
    request = request.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for value in rest.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        request = request.header("sec-websocket-protocol", value);
    }
    let Ok(request) = request.body(()) else { return };
    match upgrade::agree(&request, &[], false) {
        Ok(agreed) => assert_eq!(agreed.switch().status(), 101),
        Err(refused) => assert_eq!(refused.status(), 400),
    }
}

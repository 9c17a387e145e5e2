//! From a GET request to a WebSocket: what must hold before a byte of it is spoken (RFC 6455 section 4.2).
//!
//! In: a request for `/v1/ws` or `/v1/echo`. Out: the 101 answer and what was agreed, or an answer from the error catalogue. Browsers are let in from
//! the hub's own origin and from the operator's list only; clients that are no browsers send no Origin. Who it is, is said in `hello`.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use protocol::ErrorCode;
use protocol::wire::Encoding;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What a request asks for and is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    accept: String,
    /// The subprotocol; JSON where the client named none.
    pub encoding: Encoding,
    named: bool,
}

/// Whether a request wants to become a WebSocket at all.
#[must_use]
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    lists(headers, &header::CONNECTION, "upgrade") && lists(headers, &header::UPGRADE, "websocket")
}

/// Checks the request.
///
/// # Errors
/// The answer to send instead.
pub fn agree<B>(request: &Request<B>, origins: &[String], any_subprotocol: bool) -> Result<Agreed, Box<Response<Body>>> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(refusal(ErrorCode::MethodNotAllowed, None));
    }
    if !is_upgrade(headers) {
        let mut answer = refusal(ErrorCode::Malformed, Some("this path speaks WebSocket: send Upgrade and Connection"));
        *answer.status_mut() = StatusCode::UPGRADE_REQUIRED;
        answer.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return Err(answer);
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let mut answer = refusal(ErrorCode::Malformed, Some("Sec-WebSocket-Version must be 13"));
        *answer.status_mut() = StatusCode::UPGRADE_REQUIRED;
        answer.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(answer);
    }
    if !origin_allowed(headers, origins) {
        return Err(refusal(ErrorCode::Forbidden, Some("this origin is not on the list of listen.origins")));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let Some(key) = key.filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16)) else {
        return Err(refusal(ErrorCode::Malformed, Some("Sec-WebSocket-Key must be 16 bytes in base64")));
    };
    let accept = derive_accept_key(key);
    let named = headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL);
    match subprotocol(headers) {
        Some(encoding) => Ok(Agreed { accept, encoding, named: true }),
        None if !named || any_subprotocol => Ok(Agreed { accept, encoding: Encoding::Json, named: false }),
        None => Err(refusal(ErrorCode::Malformed, Some("no subprotocol in common: offer spotter.v1.msgpack or spotter.v1.json"))),
    }
}

impl Agreed {
    /// The answer that makes it a WebSocket.
    #[must_use]
    pub fn switch(&self) -> Response<Body> {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = answer.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        let accept = HeaderValue::from_str(&self.accept).expect("base64 is visible ASCII");
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        if self.named {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.encoding.subprotocol()));
        }
        answer
    }
}

/// An answer from the catalogue.
#[must_use]
pub fn refusal(code: ErrorCode, detail: Option<&str>) -> Box<Response<Body>> {
    let error = protocol::frame::Error::new(None, code);
    let error = if let Some(detail) = detail { error.detail(detail) } else { error };
    let body = serde_json::to_vec(&error).expect("an error frame has string keys and writes to memory");
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Box::new(answer)
}

/// The first subprotocol in the client's order that is ours.
fn subprotocol(headers: &HeaderMap) -> Option<Encoding> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    offered.flat_map(|value| value.split(',')).find_map(|name| Encoding::from_subprotocol(name.trim()))
}

/// Whether a browser page of this origin may come in. Exact, by scheme, host and port.
#[must_use]
pub fn origin_allowed(headers: &HeaderMap, origins: &[String]) -> bool {
    let mut given = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (given.next(), given.next()) else { return !headers.contains_key(header::ORIGIN) };
    let Ok(origin) = origin.to_str().map(str::to_ascii_lowercase) else { return false };
    if origins.contains(&origin) {
        return true;
    }
    // The hub's own pages: the host that the browser asked for is the host that the page came from.
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    host.is_some() && host == own.as_deref()
}

/// Whether a comma-separated header has this word.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(extra: &[(&str, &str)]) -> Request<()> {
        let mut headers = vec![
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("host", "hub.gym.example:8080"),
        ];
        headers.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
        headers.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
        let mut builder = Request::builder().uri("/v1/ws");
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        builder.body(()).unwrap()
    }

    fn status(extra: &[(&str, &str)]) -> u16 {
        let origins = ["https://app.gym.example".to_owned()];
        agree(&request(extra), &origins, false).map_or_else(|answer| answer.status().as_u16(), |agreed| agreed.switch().status().as_u16())
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let answer = agree(&request(&[]), &[], false).unwrap().switch();
        assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!answer.headers().contains_key("sec-websocket-protocol"));
    }

    #[test]
    fn browsers_come_in_from_the_list_and_from_the_hub_itself() {
        assert_eq!(status(&[("origin", "https://app.gym.example")]), 101);
        assert_eq!(status(&[("origin", "http://hub.gym.example:8080")]), 101);
        for evil in ["https://evil.example", "null", "https://app.gym.example.evil.example", "https://hub.gym.example", "file://"] {
            assert_eq!(status(&[("origin", evil)]), 403, "{evil}");
        }
    }

    #[test]
    fn a_broken_upgrade_is_named() {
        assert_eq!(status(&[("upgrade", "")]), 426);
        assert_eq!(status(&[("sec-websocket-version", "8")]), 426);
        assert_eq!(status(&[("sec-websocket-key", "short")]), 400);
        assert_eq!(status(&[("sec-websocket-key", "")]), 400);
        assert_eq!(status(&[("sec-websocket-protocol", "mqtt")]), 400);
    }

    #[test]
    fn the_clients_first_choice_that_is_ours_is_taken() {
        let agreed = agree(&request(&[("sec-websocket-protocol", "mqtt, spotter.v1.json, spotter.v1.msgpack")]), &[], false).unwrap();
        assert_eq!(agreed.encoding, Encoding::Json);
        assert_eq!(agreed.switch().headers()["sec-websocket-protocol"], "spotter.v1.json");
    }
}

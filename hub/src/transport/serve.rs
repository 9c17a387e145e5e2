//! One connection from its first byte: PROXY header, TLS, HTTP/1, perhaps a WebSocket.
//!
//! In: an accepted TCP connection with a place under the caps. Out: HTTP answers from the router, or a session. Every step has a deadline. HTTP is a stage:
//! it begins when the head of a request is there (`head.rs`), and when it ends in an upgrade, the socket is taken out of hyper and everything of that stage is dropped before the session begins, because hyper's
//! upgraded connection would keep its 8 KiB buffer for as long as the session lives.

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::ErrorCode;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;
use tracing::Instrument as _;

use super::address::client_address;
use super::caps::Place;
use super::stream::{Counted, Stream};
use super::tls::Tls;
use super::upgrade::{self, Agreed};
use super::{echo, head, proxy};
use crate::hub::Hub;
use crate::session::Handshake;

/// hyper's buffer for one connection's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Headers in one request.
const HEADERS_MAX: usize = 64;

/// The address that a request comes from, as the operator's proxies vouch for it. An extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// What every connection of a listener shares.
pub struct Front {
    /// The house.
    pub hub: Arc<Hub>,
    /// Everything that is no WebSocket.
    pub router: Router,
    /// TLS, where the hub ends it itself.
    pub tls: Option<Arc<Tls>>,
}

/// What an upgraded connection becomes.
enum Becomes {
    Session { agreed: Agreed, url_token: Option<String> },
    Echo,
}

/// An upgrade that was answered with 101.
struct Upgrading {
    upgrade: OnUpgrade,
    becomes: Becomes,
    address: IpAddr,
}

/// The HTTP service of one connection.
#[derive(Clone)]
struct Desk {
    front: Arc<Front>,
    peer: IpAddr,
    upgrading: Arc<Mutex<Option<Upgrading>>>,
}

/// Serves one connection to its end.
pub async fn connection(front: Arc<Front>, mut tcp: TcpStream, peer: IpAddr, place: Place) {
    let hub = front.hub.clone();
    let Some(peer) = Box::pin(speaks_for(&hub, &mut tcp, peer)).await else { return };
    let Some(stream) = Box::pin(secure(&front, tcp)).await else { return };
    let Some(stream) = Box::pin(first(&hub, stream)).await else { return };
    // Boxed, so that the task of a session is as small as a session.
    let Some((stream, begun, upgrading)) = Box::pin(http(front, stream, peer)).await else { return };
    begin(hub, stream, begun, upgrading, place).await;
}

async fn begin(hub: Arc<Hub>, stream: Stream, begun: Bytes, (becomes, address): (Becomes, IpAddr), mut place: Place) {
    match becomes {
        Becomes::Echo => Box::pin(echo::echo(stream, begun)).await,
        Becomes::Session { agreed, url_token } => {
            if place.moved(address).is_err() {
                return hub.turned_away(protocol::CloseReason::TooManyConnections);
            }
            let handshake = Handshake { hub, stream, begun, encoding: agreed.encoding, url_token, place, hello_bytes: 0 };
            // A statement of its own: as the scrutinee of `if let` the handshake's memory would live as long as the session.
            let span =
                tracing::info_span!(target: crate::trace::TARGET, "handshake", otel.kind = "server", welcome = tracing::field::Empty);
            let session = Box::pin(handshake.run().instrument(span.clone())).await;
            span.record("welcome", session.is_some());
            // The session may last for hours; its trace ends here.
            drop(span);
            if let Some(session) = session {
                session.run().await;
            }
        }
    }
}

/// The address behind a load balancer that speaks PROXY protocol; nothing where it should have and did not.
async fn speaks_for(hub: &Hub, tcp: &mut TcpStream, peer: IpAddr) -> Option<IpAddr> {
    let listen = &hub.config.listen;
    if !matches!(listen.proxy, config::Proxy::Protocol(_)) {
        return Some(peer);
    }
    if !listen.proxy.trusts(peer.to_canonical()) {
        tracing::warn!(peer.address = %peer, "a connection that is not from a trusted load balancer was refused");
        return None;
    }
    match timeout(listen.header_timeout, proxy::read_header(tcp)).await {
        Ok(Ok(client)) => Some(client.unwrap_or(peer)),
        Ok(Err(error)) => {
            tracing::warn!(error = %crate::chain(&error), "a connection without a good PROXY header was refused");
            None
        }
        Err(_elapsed) => None,
    }
}

async fn secure(front: &Front, tcp: TcpStream) -> Option<Stream> {
    let Some(tls) = &front.tls else { return Some(Stream::Tcp(tcp)) };
    match timeout(front.hub.config.listen.handshake_timeout, tls.acceptor().accept(Counted::new(tcp))).await {
        Ok(Ok(stream)) => Some(Stream::Tls(Box::new(stream))),
        Ok(Err(_)) | Err(_) => None,
    }
}

/// Waits for the head of the first request. Who has not said one when the hub stops is owed no answer, and must not hold up its end.
async fn first(hub: &Hub, stream: Stream) -> Option<head::Opened> {
    let stopped = hub.tasks.stopped();
    let write_within = hub.config.session.write_timeout;
    let head = timeout(hub.config.listen.header_timeout, head::read(stream, (HEAD_BYTES_MAX, HEADERS_MAX), write_within));
    tokio::select! {
        biased;
        opened = head => opened.ok()?,
        () = stopped.cancelled() => None,
    }
}

/// Answers requests until the connection ends or becomes a WebSocket.
async fn http(front: Arc<Front>, stream: head::Opened, peer: IpAddr) -> Option<(Stream, Bytes, (Becomes, IpAddr))> {
    let listen = &front.hub.config.listen;
    let upgrading = Arc::new(Mutex::new(None));
    let desk = Desk { front: front.clone(), peer, upgrading: upgrading.clone() };
    let stopped = front.hub.tasks.stopped();
    let served = {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(listen.header_timeout).max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
        let mut served = pin!(builder.serve_connection(TokioIo::new(stream), desk).with_upgrades());
        tokio::select! {
            served = served.as_mut() => served,
            () = stopped.cancelled() => {
                served.as_mut().graceful_shutdown();
                timeout(listen.header_timeout, served).await.unwrap_or(Ok(()))
            }
        }
    };
    served.ok()?;
    let Upgrading { upgrade, becomes, address } = upgrading.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let upgraded = timeout(listen.header_timeout, upgrade).await.ok()?.ok()?;
    let parts = upgraded.downcast::<TokioIo<head::Opened>>().ok()?;
    let (stream, left) = parts.io.into_inner().into_parts();
    // A copy of its own size: `read_buf` would keep hyper's whole buffer alive.
    Some((stream, Bytes::from([&parts.read_buf[..], &left[..]].concat()), (becomes, address)))
}

impl Service<Request<Incoming>> for Desk {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let hub = &self.front.hub;
        let address = client_address(self.peer, request.headers(), &hub.config.listen.proxy);
        let becomes = match request.uri().path() {
            "/v1/ws" => self.session(&request),
            "/v1/echo" if hub.config.dev.raw_echo => {
                upgrade::agree(&request, &hub.config.listen.origins, true).map(|agreed| (agreed, Becomes::Echo))
            }
            _ => {
                request.extensions_mut().insert(ClientAddress(address));
                let answer = self.front.router.clone().oneshot(request.map(Body::new));
                return Box::pin(answer);
            }
        };
        let answer = becomes.map_or_else(
            |refused| *refused,
            |(agreed, becomes)| {
                let upgrade = hyper::upgrade::on(&mut request);
                *self.upgrading.lock().unwrap_or_else(PoisonError::into_inner) = Some(Upgrading { upgrade, becomes, address });
                agreed.switch()
            },
        );
        Box::pin(std::future::ready(Ok(answer)))
    }
}

impl Desk {
    fn session(&self, request: &Request<Incoming>) -> Result<(Agreed, Becomes), Box<Response<Body>>> {
        let hub = &self.front.hub;
        // A drain that has begun refuses nobody whose connection was accepted: the session is told to move at once.
        if hub.tasks.stopped().is_cancelled() {
            return Err(upgrade::refusal(ErrorCode::Draining, None));
        }
        let agreed = upgrade::agree(request, &hub.config.listen.origins, false)?;
        let url_token = hub.config.dev.token_in_url.then(|| token_of(request.uri().query().unwrap_or_default())).flatten();
        Ok((agreed.clone(), Becomes::Session { agreed, url_token }))
    }
}

/// `token=` of a query, where the operator allowed it.
fn token_of(query: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix("token=")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    /// The memory of an idle session is a budget: its task must not grow by a buffer on the stack of a future.
    #[test]
    fn the_task_of_a_connection_is_small() {
        fn size_of_task<F>(
            _: impl FnOnce(std::sync::Arc<super::Front>, tokio::net::TcpStream, std::net::IpAddr, super::Place) -> F,
        ) -> usize {
            size_of::<F>()
        }
        let bytes = size_of_task(super::connection);
        assert!(bytes <= 1024, "{bytes} bytes");
    }
}

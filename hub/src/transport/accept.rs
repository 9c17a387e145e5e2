//! The accept loop.
//!
//! In: a listening socket. Out: one tracked task a connection. Lives through running out of file descriptors: it waits and goes on, and never
//! spins. Sets `SO_SNDBUF` before the first connection, because Linux would otherwise take 4 MiB for a peer that never reads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::caps::Place;
use super::serve::{self, Front};

/// Connections that the kernel keeps for us.
const BACKLOG: i32 = 4096;
/// Pause after an error that is not of one connection.
const PAUSE: Duration = Duration::from_millis(100);
/// What a connection over a cap hears: it is not worth a task.
const CROWDED: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Binds the listener.
///
/// # Errors
/// The system's, such as an address in use.
pub fn bind(address: SocketAddr, send_buffer_bytes: usize) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_send_buffer_size(send_buffer_bytes)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes over a listener that somebody else bound and keeps: while this process is not there, the kernel lets connections wait.
///
/// # Errors
/// The system's, such as a socket that does not listen.
pub fn adopt(listener: std::net::TcpListener, send_buffer_bytes: usize) -> io::Result<TcpListener> {
    let socket = Socket::from(listener);
    socket.set_nonblocking(true)?;
    socket.set_send_buffer_size(send_buffer_bytes)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until told to stop; the listener closes then, unless somebody else holds it too.
pub async fn accept(front: Arc<Front>, listener: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => admit(&front, tcp, peer),
            Err(error) if is_of_one_connection(&error) => (),
            Err(error) => {
                tracing::warn!(error = %error, "no connection can be accepted now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn admit(front: &Arc<Front>, tcp: TcpStream, peer: SocketAddr) {
    let hub = &front.hub;
    let address = peer.ip().to_canonical();
    let place: Result<Place, _> =
        if hub.config.listen.proxy.trusts(address) { hub.caps.enter_behind_proxy() } else { hub.caps.enter(address) };
    match place {
        Ok(place) => {
            // Frames are gathered before they are written: waiting for more would only delay them.
            drop(SockRef::from(&tcp).set_tcp_nodelay(true));
            hub.tasks.spawn("connection", serve::connection(front.clone(), tcp, address, place));
        }
        Err(crowded) => {
            hub.metrics.limited(crowded.limit());
            hub.turned_away(protocol::CloseReason::TooManyConnections);
            tracing::debug!(peer.address = %address, %crowded, "a connection was refused");
            drop(tcp.try_write(CROWDED));
        }
    }
}

/// Errors of the connection that was about to be accepted (accept(2)); everything else is ours, such as too few file descriptors.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

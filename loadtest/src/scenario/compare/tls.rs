//! Sessions behind the hub's own TLS: the same handshake, hello and room, over rustls.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use protocol::wire::Encoding;
use protocol::{ClientFrame, RoomName, ServerFrame};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::bench::TEST_CERTIFICATE;
use crate::peer::Options;

const WAIT: Duration = Duration::from_secs(30);
const READ_BUFFER_BYTES: usize = 1024;

/// A connector that trusts the load tests' certificate and nothing else.
///
/// # Errors
/// Where the library does not take it.
pub(super) fn connector() -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(TEST_CERTIFICATE.as_bytes()).context("the certificate is no PEM")?)?;
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

/// A session that watches a room.
///
/// # Errors
/// Where the hub does not let it in.
pub(super) async fn enter(connector: TlsConnector, address: String, token: String, room: RoomName) -> anyhow::Result<impl Sized> {
    let enter = async {
        let tcp = TcpStream::connect(&address).await?;
        let tls = connector.connect(ServerName::try_from("localhost")?, tcp).await?;
        let uri = format!("ws://{address}/v1/ws").parse()?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol(Encoding::MessagePack.subprotocol());
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES).write_buffer_size(0);
        let (mut socket, _) = tokio_tungstenite::client_async_with_config(request, tls, Some(config)).await?;
        let hello = ClientFrame::from(Options::new(token).room(room).hello()).to_bytes(Encoding::MessagePack);
        socket.send(hello.into()).await?;
        joined(&mut socket).await?;
        Ok(socket)
    };
    tokio::time::timeout(WAIT, enter).await.context("a session behind TLS is not let in, in time")?
}

async fn joined(socket: &mut WebSocketStream<TlsStream<TcpStream>>) -> anyhow::Result<()> {
    loop {
        let message = socket.next().await.context("the hub hung up on a session behind TLS")??;
        match ServerFrame::decode(Encoding::MessagePack, &message.into_data()) {
            Ok(ServerFrame::Joined(_)) => return Ok(()),
            other => ensure!(!matches!(other, Ok(ServerFrame::Error(_))), "a session behind TLS was refused: {other:?}"),
        }
    }
}

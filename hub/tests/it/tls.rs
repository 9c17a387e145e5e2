//! TLS by the hub itself: certificates that are renewed while it runs, and devices that show one of their own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::device::KEY_BYTES;
use protocol::frame::{Hello, Ping, Role};
use protocol::text::Text;
use protocol::wire::Encoding;
use protocol::{ClientFrame, CloseReason, DeviceId, ServerFrame};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ED25519, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use storage::{Actor, DeviceDeed, Enrolment};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use uuid::Uuid;

use crate::house::{GATEWAY, GYM, TENANT, TestHub};

const PATIENCE: Duration = Duration::from_secs(10);

/// Somebody who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its key.
struct Leaf {
    der: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).expect("signed");
        Self { der: own.der().clone(), pem: own.pem(), issuer: Issuer::new(params, key) }
    }

    fn sign(&self, key: KeyPair, name: SanType, usage: ExtendedKeyUsagePurpose) -> Leaf {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        params.extended_key_usages = vec![usage];
        let leaf = params.signed_by(&key, &self.issuer).expect("signed");
        Leaf { der: leaf.der().clone(), pem: leaf.pem(), key }
    }

    fn server(&self) -> Leaf {
        let name = SanType::DnsName("localhost".try_into().expect("a name"));
        self.sign(KeyPair::generate().expect("a key"), name, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn client(&self, key: KeyPair, uri: &str) -> Leaf {
        self.sign(key, SanType::URI(uri.try_into().expect("a URI")), ExtendedKeyUsagePurpose::ClientAuth)
    }
}

impl Leaf {
    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("tls.crt"), &self.pem).expect("written");
        std::fs::write(folder.join("tls.key"), self.key.serialize_pem()).expect("written");
    }
}

/// A hub that ends TLS with the files of a folder.
async fn start(folder: &Path, more: &[(&str, &str)]) -> TestHub {
    let path = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let mut settings =
        vec![("listen.tls.certificate", certificate.as_str()), ("listen.tls.key", key.as_str()), ("listen.tls.reload_every", "50ms")];
    settings.extend_from_slice(more);
    TestHub::with(&settings).await
}

async fn handshake(hub: &TestHub, trusted: &Authority, own: Option<&Leaf>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der.clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match own {
        Some(leaf) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
            builder.with_client_auth_cert(vec![leaf.der.clone()], key).expect("they fit")
        }
        None => builder.with_no_client_auth(),
    };
    let tcp = TcpStream::connect(hub.node().address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").expect("a name"), tcp).await
}

/// The certificate that the hub shows now, seen over an HTTPS request that is answered.
async fn shown(hub: &TestHub, trusted: &Authority) -> CertificateDer<'static> {
    let mut tls = handshake(hub, trusted, None).await.expect("a handshake");
    let certificate = tls.get_ref().1.peer_certificates().expect("it shows one")[0].clone();
    tls.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("asked");
    let mut answer = Vec::new();
    // The answer counts; how the other side ends its TLS does not.
    drop(tls.read_to_end(&mut answer).await);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    certificate
}

struct Wss(WebSocketStream<TlsStream<TcpStream>>);

impl Wss {
    async fn open(hub: &TestHub, trusted: &Authority, own: Option<&Leaf>, token: &str) -> Self {
        let tls = handshake(hub, trusted, own).await.expect("a handshake");
        let mut request = "wss://localhost/v1/ws".into_client_request().expect("a request");
        request.headers_mut().insert("sec-websocket-protocol", Encoding::MessagePack.subprotocol().parse().expect("a name"));
        let (socket, _) = tokio_tungstenite::client_async(request, tls).await.expect("upgraded");
        let mut wss = Self(socket);
        let hello = Hello { token: Text::cut(token), rooms: vec![], ticket: None, client: None, device: None, enrolled: None };
        wss.say(hello).await;
        wss
    }

    async fn say(&mut self, frame: impl Into<ClientFrame>) {
        self.0.send(Message::binary(frame.into().to_bytes(Encoding::MessagePack))).await.expect("sent");
    }

    /// The next frame, or the close.
    async fn hear(&mut self) -> Result<ServerFrame, Option<CloseReason>> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("in time") {
                Some(Ok(Message::Binary(bytes))) => return Ok(ServerFrame::decode(Encoding::MessagePack, &bytes).expect("a frame")),
                Some(Ok(Message::Close(close))) => return Err(close.and_then(|close| CloseReason::from_code(close.code.into()))),
                Some(Ok(_)) => (),
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Who it is for the hub, or why nobody.
    async fn outcome(mut self) -> Result<(Role, Uuid), Option<CloseReason>> {
        loop {
            if let ServerFrame::Welcome(welcome) = self.hear().await? {
                return Ok((welcome.role, welcome.subject));
            }
        }
    }
}

async fn counted(hub: &TestHub, result: &str) {
    let line = format!("spotter_tls_reloads_total{{result=\"{result}\"}} ");
    let has = |hub: &hub::Hub| hub.metrics.scrape().lines().any(|found| found.strip_prefix(&line).is_some_and(|count| count != "0"));
    hub.until(result, has).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_taken_without_a_restart_and_a_bad_one_is_not() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let (first, second) = (authority.server(), authority.server());
    first.write(folder.path());
    let hub = start(folder.path(), &[]).await;
    assert_eq!(shown(&hub, &authority).await, first.der);
    let token = hub.token(TENANT, Role::Gateway, GATEWAY.0, Duration::from_secs(600));
    let mut before = Wss::open(&hub, &authority, None, &token).await;
    assert!(matches!(before.hear().await, Ok(ServerFrame::Welcome(_))));
    // The new certificate with the old key, as between the two writes of a careless tool; then no certificate at all.
    std::fs::write(folder.path().join("tls.crt"), &second.pem).expect("written");
    counted(&hub, "refused").await;
    std::fs::write(folder.path().join("tls.crt"), "nothing").expect("written");
    assert_eq!(shown(&hub, &authority).await, first.der, "what was good goes on");
    second.write(folder.path());
    let deadline = Instant::now() + PATIENCE;
    while shown(&hub, &authority).await != second.der {
        assert!(Instant::now() < deadline, "the new certificate is not taken");
    }
    counted(&hub, "taken").await;
    let after = Wss::open(&hub, &authority, None, &token).await;
    assert_eq!(after.outcome().await, Ok((Role::Gateway, GATEWAY.0)));
    before.say(Ping { n: 7 }).await;
    assert!(matches!(before.hear().await, Ok(ServerFrame::Pong(pong)) if pong.n == 7), "a session of before the change goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_was_refused_once_is_taken_as_soon_as_it_can_be_read() {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let (first, second) = (authority.server(), authority.server());
    first.write(folder.path());
    let hub = start(folder.path(), &[]).await;
    assert_eq!(shown(&hub, &authority).await, first.der);
    // As a key that may not be read yet: what mends it leaves length and time of change as they are.
    let (key, good) = (folder.path().join("tls.key"), second.key.serialize_pem());
    std::fs::write(&key, "-".repeat(good.len())).expect("written");
    std::fs::write(folder.path().join("tls.crt"), &second.pem).expect("written");
    let stamp = std::fs::metadata(&key).expect("a file").modified().expect("a time");
    let refusals = |hub: &hub::Hub| {
        let scrape = hub.metrics.scrape();
        scrape
            .lines()
            .find_map(|line| line.strip_prefix("spotter_tls_reloads_total{result=\"refused\"} "))
            .and_then(|count| count.parse::<u32>().ok())
            .unwrap_or(0)
    };
    counted(&hub, "refused").await;
    // Two looks that find nothing new.
    tokio::time::sleep(Duration::from_millis(150)).await;
    let told = refusals(&hub.node().hub);
    assert!(told <= 2, "each fault is told once: {told}");
    let beside = folder.path().join("beside");
    let mended = std::fs::File::create(&beside).expect("a file");
    std::io::Write::write_all(&mut &mended, good.as_bytes()).expect("written");
    mended.set_modified(stamp).expect("set");
    std::fs::rename(beside, key).expect("in its place");
    counted(&hub, "taken").await;
    assert_eq!(shown(&hub, &authority).await, second.der);
}

/// A device of the gateway with this key.
async fn enrolled(hub: &TestHub, key: [u8; KEY_BYTES]) -> DeviceId {
    let (hub, device, at_ms) = (&hub.node().hub, DeviceId(Uuid::now_v7()), hub::clock::at_ms());
    let name = Text::cut("left wall");
    let offer = Enrolment { code_hash: key, gym: GYM, role: Role::Gateway, subject: GATEWAY.0, name, until_at_ms: at_ms + 60_000 };
    hub.store.offer_enrolment(TENANT, &offer, Actor { role: Role::Service, id: GYM.0 }, at_ms).await.expect("a code");
    hub.devices.put(hub.store.redeem(key, key, device, at_ms).await.expect("a device").device);
    device
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_says_which_device_speaks_or_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, devices, others) = (Authority::new(), Authority::new(), Authority::new());
    authority.server().write(folder.path());
    let ca = folder.path().join("devices.crt");
    std::fs::write(&ca, &devices.pem).expect("written");
    let hub = start(folder.path(), &[("listen.tls.client_ca", &ca.display().to_string())]).await;
    let key = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let device = enrolled(&hub, key.public_key_raw().try_into().expect("32 bytes")).await;
    let own = format!("spotter:device:{device}");
    let any = || KeyPair::generate().expect("a key");
    let outcome = async |leaf: Option<&Leaf>, token: &str| Wss::open(&hub, &authority, leaf, token).await.outcome().await;

    assert_eq!(
        outcome(Some(&devices.client(any(), &own)), "").await,
        Ok((Role::Gateway, GATEWAY.0)),
        "named by its subject alternative name"
    );
    assert_eq!(outcome(Some(&devices.client(key, "urn:none")), "").await, Ok((Role::Gateway, GATEWAY.0)), "known by its key");
    let token = hub.token(TENANT, Role::Member, GYM.0, Duration::from_secs(600));
    assert_eq!(outcome(None, &token).await, Ok((Role::Member, GYM.0)), "a phone shows none");

    let nobody = devices.client(any(), &format!("spotter:device:{}", Uuid::now_v7()));
    let keyless = devices.client(any(), "urn:none");
    for leaf in [&nobody, &keyless] {
        assert_eq!(outcome(Some(leaf), &token).await, Err(Some(CloseReason::DeviceRefused)), "a certificate counts before a token");
    }
    // Of another authority: the handshake itself fails, in TLS 1.3 with the first read.
    let forged = others.client(any(), &own);
    let refused = match handshake(&hub, &authority, Some(&forged)).await {
        Ok(mut tls) => tls.read_u8().await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "a certificate of another authority opens nothing");

    let by = Some(Actor { role: Role::Operator, id: GYM.0 });
    let record = hub.node().hub.store.mark_device(TENANT, device, DeviceDeed::Revoked, by, hub::clock::at_ms()).await.expect("revoked");
    hub.node().hub.devices.end(record, CloseReason::DeviceRevoked);
    assert_eq!(outcome(Some(&devices.client(any(), &own)), "").await, Err(Some(CloseReason::DeviceRevoked)));
}

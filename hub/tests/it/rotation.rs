//! The issuer changes its signing key while clients connect: who has a good token is let in throughout, and the old key ends with its removal.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use loadtest::{Options, Peer, PeerError};
use protocol::CloseReason;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::house::{ANNA, GYM, TENANT, TestHub};

const ISSUER: &str = "https://id.example/";
/// Clients that connect one time after the other.
const CLIENTS: usize = 8;
/// Keys after the first.
const ROTATIONS: usize = 3;

struct Key {
    kid: String,
    signing: EncodingKey,
    public: Vec<u8>,
}

impl Key {
    fn new(kid: &str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let public = Ed25519KeyPair::from_pkcs8(der.as_ref()).expect("a pair").public_key().as_ref().to_vec();
        Self { kid: kid.to_owned(), signing: EncodingKey::from_ed_der(der.as_ref()), public }
    }

    fn jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.kid, "x": URL_SAFE_NO_PAD.encode(&self.public) })
    }

    /// A token for Anna, with a subject of its own kind of connection.
    fn token(&self) -> String {
        let now = hub::clock::at_ms() / 1000;
        let claims = json!({
            "iss": ISSUER, "aud": "spotter", "sub": ANNA.0, "jti": Uuid::now_v7(), "iat": now, "exp": now + 600,
            "tenant": TENANT.0, "roles": ["member"], "gyms": [GYM.0], "teams": [],
        });
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &self.signing).expect("signed")
    }
}

/// What the issuer publishes, and the key that it signs with.
#[derive(Clone)]
struct Issuer {
    published: Arc<Mutex<Vec<Arc<Key>>>>,
    signing: Arc<Mutex<Arc<Key>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn new(first: Arc<Key>) -> Self {
        Self { published: Arc::new(Mutex::new(vec![first.clone()])), signing: Arc::new(Mutex::new(first)), asked: Arc::default() }
    }

    fn token(&self) -> String {
        self.signing.lock().expect("whole").token()
    }

    /// Serves the key set until dropped; answers its address.
    async fn serve(&self, tasks: &mut JoinSet<()>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwks.json", listener.local_addr().expect("bound"));
        let issuer = self.clone();
        let answer = move || {
            issuer.asked.fetch_add(1, Ordering::SeqCst);
            let keys: Vec<Value> = issuer.published.lock().expect("whole").iter().map(|key| key.jwk()).collect();
            std::future::ready(axum::Json(json!({ "keys": keys })))
        };
        tasks.spawn(async move { axum::serve(listener, Router::new().route("/jwks.json", get(answer))).await.expect("serves") });
        url
    }
}

/// Connects with a token of the moment, again and again; answers what failed.
async fn connect(url: String, issuer: Issuer, welcomed: Arc<AtomicUsize>, stop: CancellationToken) -> Vec<PeerError> {
    let mut failed = Vec::new();
    while !stop.is_cancelled() {
        match Peer::connect(&url, Options::new(issuer.token())).await {
            Ok(peer) => {
                welcomed.fetch_add(1, Ordering::SeqCst);
                drop(peer.close().await);
            }
            Err(error) => failed.push(error),
        }
    }
    failed
}

/// Names keys that nobody has, all the time: the set is fetched as often as it may be.
async fn stranger(url: String, stop: CancellationToken) {
    let key = Key::new("nobody's");
    while !stop.is_cancelled() {
        let refused = Peer::connect(&url, Options::new(key.token())).await;
        assert!(refused.is_err(), "a stranger is in");
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited 20 s until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn issuers(url: &str) -> String {
    format!(r#"[{{issuer = "{ISSUER}", audience = ["spotter"], algorithms = ["EdDSA"], jwks_url = "{url}"}}]"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_under_load_and_no_good_token_is_refused() {
    let mut tasks = JoinSet::new();
    let mut key = Arc::new(Key::new("k0"));
    let issuer = Issuer::new(key.clone());
    let issuers = issuers(&issuer.serve(&mut tasks).await);
    let settings = [
        ("auth.issuers", issuers.as_str()),
        ("auth.jwks_min_interval", "300ms"),
        ("limits.connections_per_user", "64"),
        ("limits.connections_per_device", "64"),
    ];
    let hub = TestHub::with(&settings).await;
    let (stop, welcomed) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(connect(hub.url(), issuer.clone(), welcomed.clone(), stop.clone()));
    }
    tasks.spawn(stranger(hub.url(), stop.clone()));
    for n in 1..=ROTATIONS {
        let next = Arc::new(Key::new(&format!("k{n}")));
        issuer.published.lock().expect("whole").push(next.clone());
        let old = std::mem::replace(&mut *issuer.signing.lock().expect("whole"), next.clone());
        let goal = welcomed.load(Ordering::SeqCst) + 4 * CLIENTS;
        until("clients are in with the next key", || welcomed.load(Ordering::SeqCst) >= goal).await;
        // Both are good until the old one is taken out.
        Peer::connect(&hub.url(), Options::new(old.token())).await.expect("the overlap").close().await.expect("goodbye");
        issuer.published.lock().expect("whole").retain(|key| key.kid != old.kid);
        // One fetch may have been under way; the second one after the removal has seen it.
        let fetched = issuer.asked.load(Ordering::SeqCst) + 2;
        until("the set is fetched again", || issuer.asked.load(Ordering::SeqCst) >= fetched).await;
        let refused = Peer::connect(&hub.url(), Options::new(old.token())).await.err().and_then(|error| error.close_reason());
        assert_eq!(refused, Some(CloseReason::TokenInvalid), "the removed key {}", old.kid);
        key = next;
    }
    assert_eq!(key.kid, format!("k{ROTATIONS}"));
    stop.cancel();
    let failed: Vec<PeerError> = clients.join_all().await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} good connects failed: {:?}", failed.len(), failed.first());
}

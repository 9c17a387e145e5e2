//! Key sets over real HTTP: rotation, floods of unknown keys, outages, sets that are too much.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;

/// A server of one document, which counts who asks.
struct Server {
    url: String,
    body: Arc<Mutex<Vec<u8>>>,
    asked: Arc<AtomicUsize>,
    /// Answers go out while nobody holds it.
    gate: Arc<tokio::sync::Mutex<()>>,
    tasks: JoinSet<()>,
}

impl Server {
    async fn start(body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (body, asked) = (Arc::new(Mutex::new(body)), Arc::new(AtomicUsize::new(0)));
        let (served, count) = (body.clone(), asked.clone());
        let gate = Arc::new(tokio::sync::Mutex::new(()));
        let passing = gate.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut chunk = [0; 1024];
                    match socket.read(&mut chunk).await {
                        Ok(0) | Err(_) => break,
                        Ok(n) => request.extend_from_slice(&chunk[..n]),
                    }
                }
                let body = served.lock().unwrap().clone();
                count.fetch_add(1, Ordering::SeqCst);
                drop(passing.lock().await);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                if socket.write_all(head.as_bytes()).await.is_ok() {
                    // A client that had enough closes; that is its right.
                    drop(socket.write_all(&body).await);
                }
            }
        });
        Self { url, body, asked, gate, tasks }
    }

    fn serve(&self, keys: &[Value]) {
        *self.body.lock().unwrap() = set(keys);
    }

    /// Answers are prepared and not sent until the guard is dropped.
    fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.gate.clone().try_lock_owned().unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn set(keys: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "keys": keys })).unwrap()
}

/// A verifier with its fetchers running until the guard is dropped.
struct Running {
    verifier: Arc<Verifier>,
    _tasks: JoinSet<()>,
}

fn run(auth: &Auth) -> Running {
    let verifier = Arc::new(Verifier::new(auth, None, false, Arc::new(Revocations::default())).unwrap());
    let mut tasks = JoinSet::new();
    for fetcher in verifier.fetchers() {
        tasks.spawn(fetcher.run(CancellationToken::new()));
    }
    Running { verifier, _tasks: tasks }
}

fn from(url: &str) -> Issuer {
    issuer("https://id/", &[Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA], Keys::Jwks(url.to_owned()))
}

impl Running {
    async fn waiting(&self, token: &str) -> Result<Identity, AuthError> {
        self.verifier.verify_waiting(token, || AT_MS).await
    }
}

#[tokio::test]
async fn keys_of_every_public_algorithm_come_from_a_set() {
    let pairs = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(Pair::new);
    let names = ["r", "e", "d"];
    let server = Server::start(set(&[pairs[0].jwk("r"), pairs[1].jwk("e"), pairs[2].jwk("d")])).await;
    let running = run(&auth(vec![from(&server.url)]));
    for (pair, kid) in pairs.iter().zip(names) {
        assert!(running.waiting(&pair.sign(Some(kid), &claims(&json!({})))).await.is_ok(), "{kid}");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_an_old_one_ends_with_the_set() {
    let (old, new) = (Pair::new(Algorithm::EdDSA), Pair::new(Algorithm::ES256));
    let server = Server::start(set(&[old.jwk("old")])).await;
    let running = run(&auth(vec![from(&server.url)]));
    let (with_old, with_new) = (old.sign(Some("old"), &claims(&json!({}))), new.sign(Some("new"), &claims(&json!({}))));
    assert!(running.waiting(&with_old).await.is_ok());
    // Overlap: both are good, the new one after one fetch.
    server.serve(&[old.jwk("old"), new.jwk("new")]);
    assert_eq!(running.verifier.verify(&with_new, AT_MS), Err(AuthError::UnknownKey));
    assert!(running.waiting(&with_new).await.is_ok());
    assert!(running.verifier.verify(&with_old, AT_MS).is_ok());
    // The old one is taken out; the next fetch, here for a key that nobody has, ends it.
    server.serve(&[new.jwk("new")]);
    assert_eq!(running.waiting(&old.sign(Some("x"), &claims(&json!({})))).await, Err(AuthError::UnknownKey));
    assert_eq!(running.verifier.verify(&with_old, AT_MS), Err(AuthError::UnknownKey));
}

#[tokio::test]
async fn a_flood_of_unknown_keys_makes_no_flood_of_fetches() {
    let pair = Pair::new(Algorithm::EdDSA);
    let server = Server::start(set(&[pair.jwk("k")])).await;
    let mut slow = auth(vec![from(&server.url)]);
    slow.jwks_min_interval = Duration::from_secs(60);
    let running = run(&slow);
    assert!(running.waiting(&pair.sign(Some("k"), &claims(&json!({})))).await.is_ok());
    let began = std::time::Instant::now();
    for n in 0..200 {
        let token = pair.sign(Some(&format!("unknown-{n}")), &claims(&json!({})));
        assert_eq!(running.waiting(&token).await, Err(AuthError::UnknownKey));
    }
    // No fetch can begin within their patience, so nobody waited for one: 200 times 2 s would be minutes.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn many_sessions_with_one_new_key_wait_for_one_fetch() {
    let (old, new) = (Pair::new(Algorithm::EdDSA), Pair::new(Algorithm::EdDSA));
    let server = Server::start(set(&[old.jwk("old")])).await;
    let running = run(&auth(vec![from(&server.url)]));
    assert!(running.waiting(&old.sign(Some("old"), &claims(&json!({})))).await.is_ok());
    server.serve(&[old.jwk("old"), new.jwk("new")]);
    let token = new.sign(Some("new"), &claims(&json!({})));
    let mut sessions = JoinSet::new();
    for _ in 0..50 {
        let (verifier, token) = (running.verifier.clone(), token.clone());
        sessions.spawn(async move { verifier.verify_waiting(&token, || AT_MS).await });
    }
    assert!(sessions.join_all().await.iter().all(Result::is_ok));
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_key_that_is_published_during_a_fetch_is_found_by_the_next_one() {
    let (old, new) = (Pair::new(Algorithm::EdDSA), Pair::new(Algorithm::EdDSA));
    let server = Server::start(set(&[old.jwk("old")])).await;
    let running = run(&auth(vec![from(&server.url)]));
    assert!(running.waiting(&old.sign(Some("old"), &claims(&json!({})))).await.is_ok());
    // A stranger has the set fetched; what the server answers was read before the new key was in it.
    let held = server.hold();
    let unknown = old.sign(Some("x"), &claims(&json!({})));
    let stranger = running.waiting(&unknown);
    let member = async {
        while server.asked() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.serve(&[old.jwk("old"), new.jwk("new")]);
        let token = new.sign(Some("new"), &claims(&json!({})));
        let waiting = running.waiting(&token);
        let release = async {
            tokio::task::yield_now().await;
            drop(held);
        };
        tokio::join!(waiting, release).0
    };
    let (stranger, member) = tokio::join!(stranger, member);
    assert_eq!(stranger, Err(AuthError::UnknownKey));
    assert!(member.is_ok(), "{member:?}");
}

#[tokio::test]
async fn an_issuer_that_is_away_takes_no_keys_along() {
    let pair = Pair::new(Algorithm::EdDSA);
    let mut server = Server::start(set(&[pair.jwk("k")])).await;
    let running = run(&auth(vec![from(&server.url)]));
    let token = pair.sign(Some("k"), &claims(&json!({})));
    assert!(running.waiting(&token).await.is_ok());
    server.tasks.shutdown().await;
    assert_eq!(running.waiting(&pair.sign(Some("other"), &claims(&json!({})))).await, Err(AuthError::UnknownKey));
    assert!(running.verifier.verify(&token, AT_MS).is_ok());
}

#[tokio::test]
async fn answers_that_are_no_key_set_or_too_large_change_nothing() {
    let pair = Pair::new(Algorithm::EdDSA);
    let server = Server::start(set(&[pair.jwk("k")])).await;
    let running = run(&auth(vec![from(&server.url)]));
    let token = pair.sign(Some("k"), &claims(&json!({})));
    assert!(running.waiting(&token).await.is_ok());
    for body in [b"<html>".to_vec(), set(&[]), set(&[Pair::new(Algorithm::HS256).jwk("k")]), vec![b' '; 300 * 1024]] {
        let before = server.asked();
        *server.body.lock().unwrap() = body;
        assert_eq!(running.waiting(&pair.sign(Some("other"), &claims(&json!({})))).await, Err(AuthError::UnknownKey));
        assert_eq!(server.asked(), before + 1);
        assert!(running.verifier.verify(&token, AT_MS).is_ok());
    }
}

#[tokio::test]
async fn a_set_gives_no_keys_for_encryption_of_other_curves_or_that_the_issuer_may_not_use() {
    let (good, encrypts, rsa) = (Pair::new(Algorithm::EdDSA), Pair::new(Algorithm::EdDSA), Pair::new(Algorithm::RS256));
    let mut enc = encrypts.jwk("enc");
    enc["use"] = "enc".into();
    let mut pss = rsa.jwk("pss");
    pss["alg"] = "PS256".into();
    let server = Server::start(set(&[good.jwk("good"), enc, pss, rsa.jwk("rsa")])).await;
    let mut only = from(&server.url);
    only.algorithms = vec![Algorithm::EdDSA];
    let running = run(&auth(vec![only]));
    assert!(running.waiting(&good.sign(Some("good"), &claims(&json!({})))).await.is_ok());
    for (pair, kid) in [(&encrypts, "enc"), (&rsa, "pss"), (&rsa, "rsa")] {
        assert_eq!(running.verifier.verify(&pair.sign(Some(kid), &claims(&json!({}))), AT_MS), Err(AuthError::UnknownKey), "{kid}");
    }
}

#[tokio::test]
async fn two_issuers_sets_with_one_key_name_stay_apart() {
    let (ours, theirs) = (Pair::new(Algorithm::EdDSA), Pair::new(Algorithm::EdDSA));
    let (our_set, their_set) = (Server::start(set(&[ours.jwk("k")])).await, Server::start(set(&[theirs.jwk("k")])).await);
    let (mut one, mut two) = (from(&our_set.url), from(&their_set.url));
    (one.issuer, two.issuer) = ("https://ours/".into(), "https://theirs/".into());
    let running = run(&auth(vec![one, two]));
    let token = |pair: &Pair, iss: &str| pair.sign(Some("k"), &claims(&json!({ "iss": iss })));
    assert!(running.waiting(&token(&ours, "https://ours/")).await.is_ok());
    assert!(running.waiting(&token(&theirs, "https://theirs/")).await.is_ok());
    assert_eq!(running.waiting(&token(&theirs, "https://ours/")).await, Err(AuthError::Signature));
}
